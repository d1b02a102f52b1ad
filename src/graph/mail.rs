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

/// A mail that Exchange did not, or maybe not, accept.
#[derive(Debug)]
pub struct NotSent {
    /// The error. It shows no whole address.
    pub error: GraphError,
    /// The recipients because of whom Exchange refused the mail. Empty if the error is another one, or leaves open which
    /// recipient is meant.
    pub refused: Vec<Address>,
}

/// The code of an error about recipients.
const INVALID_RECIPIENTS: &str = "ErrorInvalidRecipients";

impl OutgoingMail {
    fn recipients(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.cc)
    }

    /// Exchange refuses the whole mail for one recipient, and names one of them or more.
    fn not_sent(&self, mut error: GraphError) -> NotSent {
        let refused = self.refused_by(&error);
        for address in self.recipients() {
            let (whole, masked) = (address.to_string(), address.masked());
            error.message = error.message.replace(&whole, &masked).replace(&whole.to_lowercase(), &masked);
        }
        NotSent { error, refused }
    }

    fn refused_by(&self, error: &GraphError) -> Vec<Address> {
        if &*error.code != INVALID_RECIPIENTS {
            return Vec::new();
        }
        let is_around = |c: char| c.is_whitespace() || "'\"<>(),;:".contains(c);
        let words = || error.message.split(is_around).map(|word| word.trim_end_matches('.'));
        let named: Vec<Address> =
            self.recipients().filter(|address| words().any(|word| address.same_as(word))).cloned().collect();
        match self.to.as_slice() {
            _ if !named.is_empty() => named,
            // The recipient of the mail counts more than those of a copy.
            _ if !self.cc.is_empty() => self.cc.clone(),
            [only] => vec![only.clone()],
            _ => named,
        }
    }
}

impl Graph {
    /// Sends `message` to those of its recipients whom Exchange does not refuse, and returns the others.
    ///
    /// # Errors
    /// Like [`Self::send_mail`]; also when nobody is left.
    pub async fn send_mail_to_valid(
        &self,
        from: &Address,
        mut message: OutgoingMail,
        deadline: Instant,
    ) -> Result<Vec<Address>, GraphError> {
        let mut refused = Vec::new();
        while let Err(unsent) = self.send_mail(from, &message, deadline).await {
            message.to.retain(|address| !unsent.refused.contains(address));
            message.cc.retain(|address| !unsent.refused.contains(address));
            if unsent.refused.is_empty() || message.to.is_empty() {
                return Err(unsent.error);
            }
            refused.extend(unsent.refused);
        }
        Ok(refused)
    }

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
    ) -> Result<(), NotSent> {
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
        let sent = self.send(GraphRequest::post("sending the mail", &path, body, deadline)).await;
        sent.map(|_| ()).map_err(|error| message.not_sent(error))
    }
}
