//! Sending mail.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    client::{Graph, GraphRequest},
    error::GraphError,
    users::user_path,
};
use crate::{address::Address, mail::Rendered};

/// A mail with its recipients.
#[derive(Clone, Debug)]
pub struct OutgoingMail {
    /// The recipients.
    pub to: Vec<Address>,
    /// The recipients of a copy.
    pub cc: Vec<Address>,
    /// Subject and text.
    pub content: Rendered,
}

impl Graph {
    /// Sends `message` from the mailbox `from`. No try starts after `deadline`.
    ///
    /// A 429 is repeated after Retry-After, up to `budget::GRAPH_TRIES` tries. If all fail, nothing was sent: `pass/issue`
    /// deletes the pass and the job fails. The queue delivers it up to `budget::DELIVERIES` times, each time with a new pass;
    /// a call of CreateTap answers 429 `graph-busy`.
    ///
    /// Success means that Exchange accepted the mail. It checks recipients and policy later and reports failures to the
    /// sender's inbox (Graph's sendMail page).
    ///
    /// # Errors
    /// [`super::GraphErrorKind::Ambiguous`] when the mail may have been sent.
    pub async fn send_mail(
        &self,
        from: &Address,
        message: &OutgoingMail,
        deadline: Instant,
    ) -> Result<(), GraphError> {
        let recipients = |addresses: &[Address]| -> Vec<Value> {
            addresses.iter().map(|a| json!({"emailAddress": {"address": a.to_string()}})).collect()
        };
        let body = json!({
            "message": {
                "subject": message.content.subject,
                "importance": "high",
                "body": {"contentType": "HTML", "content": message.content.html},
                "toRecipients": recipients(&message.to),
                "ccRecipients": recipients(&message.cc),
            },
            // The default, true, would store the code in Sent Items.
            "saveToSentItems": false,
        });
        let path = format!("{}/sendMail", user_path(&from.to_string()));
        self.send(GraphRequest::post("sending the mail", &path, body, deadline)).await.map(|_| ())
    }
}
