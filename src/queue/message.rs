//! A message as it is stored in a queue.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

/// A message as it lies in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMessage {
    /// The service's id for it.
    pub id: String,
    /// As it is stored: base64 by host.json, and anything at all where somebody else put it.
    pub text: String,
    /// When it was put there.
    pub inserted: DateTime<Utc>,
    /// When it goes by itself.
    pub expires: Option<DateTime<Utc>>,
    /// How often it was received from this queue.
    pub dequeue_count: u32,
}

impl QueueMessage {
    /// What was meant to be said; `None` where that is not base64 of a text.
    pub fn plain(&self) -> Option<String> {
        String::from_utf8(STANDARD.decode(self.text.trim()).ok()?).ok()
    }

    /// What is said, whether it was encoded or not.
    pub fn said(&self) -> Cow<'_, str> {
        self.plain().map_or(Cow::Borrowed(self.text.as_str()), Cow::Owned)
    }

    /// As the host can read it. What came without the encoding was given up for that alone.
    pub fn encoded(&self) -> Cow<'_, str> {
        match self.plain() {
            Some(_) => Cow::Borrowed(&self.text),
            None => Cow::Owned(STANDARD.encode(&self.text)),
        }
    }

    /// The beginning of what it says, as one line that a terminal can show.
    pub fn excerpt(&self, most: usize) -> String {
        let said = self.said();
        let mut shown: String =
            said.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if said.chars().nth(most).is_some() {
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
    fn what_goes_back_is_what_the_host_can_read() {
        let fine = STANDARD.encode("{}");
        assert_eq!(message(&fine).encoded(), fine);
        assert_eq!(message("{}").encoded(), fine);
    }

    #[test]
    fn no_message_writes_on_the_terminal_what_it_likes() {
        assert_eq!(message("a\u{1b}[2J\nb").excerpt(60), "a [2J b");
        assert_eq!(message("äöüß").excerpt(3), "äöü…");
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in ".*", most in 0_usize..80) {
            let message = message(&text);
            let _ = message.excerpt(most);
            prop_assert!(STANDARD.decode(message.encoded().trim()).is_ok());
        }
    }
}
