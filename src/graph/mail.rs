//! Sending mail.

use azure_core::base64;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    client::{Graph, GraphRequest},
    error::{GraphError, GraphErrorKind, SENDING_MAIL},
    users::user_path,
};
use crate::{address::Address, brand::InlineImage, budget, mail::Rendered, mail_limiter::Permit};

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
    /// The error.
    pub error: GraphError,
    /// The recipients because of whom Exchange refused the mail. Empty if the error is another one, or leaves open which
    /// recipient is meant.
    pub refused: Vec<Address>,
    /// Whether Exchange named none of them: then it may have meant the recipient of the mail.
    pub is_guess: bool,
}

/// An image of the mail's HTML, which a client shows there and not as a file.
/// <https://learn.microsoft.com/graph/api/resources/fileattachment>
fn attachment(image: &InlineImage) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": image.name,
        "contentType": image.content_type,
        "contentId": image.content_id,
        "isInline": true,
        "contentBytes": base64::encode(&image.bytes),
    })
}

/// The code of an error about recipients.
const INVALID_RECIPIENTS: &str = "ErrorInvalidRecipients";

impl OutgoingMail {
    fn recipients(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.cc)
    }

    /// Exchange refuses the whole mail for one recipient, and names one of them or more.
    fn not_sent(&self, error: GraphError) -> NotSent {
        let (refused, is_guess) = self.refused_by(&error);
        NotSent { error, refused, is_guess }
    }

    fn refused_by(&self, error: &GraphError) -> (Vec<Address>, bool) {
        if &*error.code != INVALID_RECIPIENTS {
            return (Vec::new(), false);
        }
        let is_named = |address: &&Address| names(error.message.raw(), &address.to_string());
        let named: Vec<Address> = self.recipients().filter(is_named).cloned().collect();
        match self.to.as_slice() {
            _ if !named.is_empty() => (named, false),
            // The recipient of the mail counts more than those of a copy.
            _ if !self.cc.is_empty() => (self.cc.clone(), true),
            [only] => (vec![only.clone()], false),
            _ => (Vec::new(), false),
        }
    }
}

/// Where `address` begins in `text`, in capitals or small letters.
fn find(text: &str, address: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(&address.to_ascii_lowercase())
}

/// Whether `text` has the whole address. An apostrophe can belong to an address, and can quote one.
fn names(text: &str, address: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || "!#$%&*+-/=?^_`{|}~.@".contains(c);
    let mut rest = text;
    while let Some(at) = find(rest, address) {
        let (before, after) = (&rest[..at], &rest[at + address.len()..]);
        let mut before = before.chars().rev();
        let starts = match before.next() {
            Some('\'') => !before.next().is_some_and(is_inner),
            last => !last.is_some_and(is_inner),
        };
        let mut after_it = after.chars();
        let ends = match after_it.next() {
            Some('.') => !after_it.next().is_some_and(is_inner),
            next => !next.is_some_and(is_inner),
        };
        if starts && ends {
            return true;
        }
        rest = after;
    }
    false
}

impl Graph {
    /// Sends `message` to those of its recipients whom Exchange does not refuse, and returns the others.
    ///
    /// # Errors
    /// Like [`Self::send_mail`]; also when nobody is left.
    pub async fn send_mail_to_valid(
        &self,
        permit: &mut Permit,
        from: &Address,
        mut message: OutgoingMail,
        deadline: Instant,
    ) -> Result<Vec<Address>, GraphError> {
        let mut refused = Vec::new();
        while let Err(unsent) = self.send_mail(permit, from, &message, deadline).await {
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
    /// After a 429 nobody in this process sends from the mailbox until Retry-After, and then this mail is sent again. If there is
    /// no time for that, nothing was sent: `pass/issue` deletes the pass and the job fails. The queue delivers it up to
    /// `budget::DELIVERIES` times, each time with a new pass; a call of CreateTap answers 429 `graph-busy`.
    ///
    /// Success means that Exchange accepted the mail. It checks recipients and policy later and reports failures to the
    /// sender's inbox (Graph's sendMail page).
    ///
    /// # Errors
    /// [`super::GraphErrorKind::Ambiguous`] when the mail may have been sent.
    pub async fn send_mail(
        &self,
        permit: &mut Permit,
        from: &Address,
        message: &OutgoingMail,
        deadline: Instant,
    ) -> Result<(), NotSent> {
        let recipients = |addresses: &[Address]| -> Vec<Value> {
            addresses.iter().map(|a| json!({"emailAddress": {"address": a.to_string()}})).collect()
        };
        let OutgoingMail { to, cc, content: Rendered { subject, html, sender } } = message;
        let mut mail = json!({
            "subject": subject,
            "importance": "high",
            "body": {"contentType": "HTML", "content": html},
            "toRecipients": recipients(to),
            "ccRecipients": recipients(cc),
        });
        if let Some(name) = &sender.name {
            mail["from"] = json!({"emailAddress": {"name": name, "address": from.to_string()}});
        }
        if !sender.images.is_empty() {
            mail["attachments"] = sender.images.iter().map(|image| attachment(image)).collect();
        }
        // The default of saveToSentItems, true, would store the code in Sent Items.
        let body = json!({"message": mail, "saveToSentItems": false});
        let path = format!("{}/sendMail", user_path(&from.to_string()));
        let mut busy = None;
        loop {
            // A request that is cut off would leave open whether the mail was sent.
            let Some(sending) = permit.begin(deadline - budget::GRAPH_CHANGE_MIN).await else {
                let no_time = || GraphError::mailbox_busy(SENDING_MAIL);
                return Err(message.not_sent(busy.unwrap_or_else(no_time)));
            };
            let request = GraphRequest::post(SENDING_MAIL, &path, body.clone(), deadline);
            match self.send(GraphRequest { returns_busy: true, ..request }).await {
                Ok(_) => {
                    drop(sending);
                    permit.accepted();
                    return Ok(());
                }
                Err(error) if error.kind == GraphErrorKind::Throttled => {
                    sending.was_refused();
                    permit.close(error.retry_after);
                    busy = Some(error);
                }
                Err(error) => return Err(message.not_sent(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_message_as_a_whole() {
        for (text, address, expected) in [
            ("Recipient 'ann@mail.example' is not resolved.", "ann@mail.example", true),
            ("Recipient \"ANN@Mail.example\" isn't resolved.", "ann@mail.example", true),
            ("Recipient 'quinn.o'hara@mail.example' is not resolved.", "quinn.o'hara@mail.example", true),
            ("Recipient 'quinn.o'hara@mail.example' is not resolved.", "hara@mail.example", false),
            ("Recipient 'joann@mail.example' is not resolved.", "ann@mail.example", false),
            ("Recipient 'ann@mail.example.org' is not resolved.", "ann@mail.example", false),
            ("<joann@mail.example> and ann@mail.example.", "ann@mail.example", true),
            ("ann@mail.example;", "ann@mail.example", true),
            ("", "ann@mail.example", false),
        ] {
            assert_eq!(names(text, address), expected, "{address} in {text}");
        }
    }
}
