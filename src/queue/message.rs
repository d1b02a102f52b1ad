//! A message as it is stored in a queue.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

/// A message as it is stored in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// The id, assigned by the service.
    pub id: String,
    /// The stored text: base64, as host.json sets, or any text that another client put.
    pub text: String,
    /// The time at which it was put onto this queue.
    pub inserted: DateTime<Utc>,
    /// The time at which the service deletes it.
    pub expires: Option<DateTime<Utc>>,
    /// How often it was received from this queue.
    pub dequeue_count: u32,
}

impl QueueMessage {
    /// The decoded text; `None` if the stored text is not base64 of UTF-8.
    pub fn decoded(&self) -> Option<String> {
        String::from_utf8(STANDARD.decode(self.text.trim()).ok()?).ok()
    }

    /// The decoded text, or the stored text if it is not encoded.
    pub fn content(&self) -> Cow<'_, str> {
        self.decoded().map_or(Cow::Borrowed(self.text.as_str()), Cow::Owned)
    }

    /// The text in base64, which the host requires: it moves any other text to the poison queue.
    pub fn encoded(&self) -> Cow<'_, str> {
        match self.decoded() {
            Some(_) => Cow::Borrowed(&self.text),
            None => Cow::Owned(STANDARD.encode(&self.text)),
        }
    }

    /// The first `most` characters of the content, with spaces for control characters.
    pub fn excerpt(&self, most: usize) -> String {
        let content = self.content();
        let mut shown: String =
            content.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if content.chars().nth(most).is_some() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> QueueMessage {
        let inserted = DateTime::UNIX_EPOCH;
        QueueMessage { id: "m".into(), text: text.into(), inserted, expires: None, dequeue_count: 0 }
    }

    #[test]
    fn a_requeued_message_is_base64() {
        let fine = STANDARD.encode("{}");
        assert_eq!(message(&fine).encoded(), fine);
        assert_eq!(message("{}").encoded(), fine);
    }

    #[test]
    fn an_excerpt_has_no_control_characters() {
        assert_eq!(message("a\u{1b}[2J\nb").excerpt(60), "a [2J b");
        assert_eq!(message("äöüß").excerpt(3), "äöü…");
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in ".*", most in 0_usize..80) {
            let message = message(&text);
            let _ = message.excerpt(most);
            prop_assert!(STANDARD.decode(message.encoded().trim()).is_ok());
        }
    }
}
