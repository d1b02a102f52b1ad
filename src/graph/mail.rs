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
    /// Whom it is for.
    pub to: Vec<Address>,
    /// Who else gets it.
    pub cc: Vec<Address>,
    /// Subject and text.
    pub content: Rendered,
}

impl Graph {
    /// Hands `message` to Exchange, from the mailbox `from`. Not started after `deadline`.
    ///
    /// Accepted is not delivered: recipients and policy are checked later, and failures come back to the sender's
    /// inbox (Graph's page on sending mail).
    ///
    /// # Errors
    /// [`super::GraphErrorKind::Ambiguous`] when it may have been sent.
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
            // The default is true, and then the code would lie in Sent Items.
            "saveToSentItems": false,
        });
        let path = format!("{}/sendMail", user_path(&from.to_string()));
        self.send(GraphRequest::post("sending the mail", &path, body, deadline)).await.map(|_| ())
    }
}
