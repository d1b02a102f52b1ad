//! A message, and whom it is about.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::pass::{self, Job};

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

/// Whom a message is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The job, if it is one of ours.
    pub job: Option<Job>,
    /// Users, by object id.
    pub users: Vec<Uuid>,
    /// Users, by sign-in name.
    pub names: Vec<String>,
}

impl QueueMessage {
    /// What was meant to be said; `None` where that is not base64 of a text.
    pub fn plain(&self) -> Option<String> {
        String::from_utf8(STANDARD.decode(self.text.trim()).ok()?).ok()
    }

    /// What is said, whether it was encoded or not.
    fn said(&self) -> Cow<'_, str> {
        self.plain().map_or(Cow::Borrowed(self.text.as_str()), Cow::Owned)
    }

    /// As the host can read it. What came without the encoding was given up for that alone.
    pub fn encoded(&self) -> Cow<'_, str> {
        match self.plain() {
            Some(_) => Cow::Borrowed(&self.text),
            None => Cow::Owned(STANDARD.encode(&self.text)),
        }
    }

    /// Whom it is about.
    pub fn subject(&self) -> Subject {
        let said = self.said();
        let value = serde_json::from_str(&said).unwrap_or_else(|_| Value::from(said.trim()));
        match pass::ParsedMessage::parse(&value, None, self.inserted) {
            Ok(pass::ParsedMessage::Job(job)) => {
                Subject { users: vec![job.user_id], job: Some(job), ..Subject::default() }
            }
            Ok(pass::ParsedMessage::Notification(news)) => Subject {
                job: None,
                users: news.added.into_keys().collect(),
                names: news.named.into_keys().collect(),
            },
            Ok(pass::ParsedMessage::SyncCompleted(_)) | Err(_) => Subject::default(),
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

impl Subject {
    /// Users as the message names them, with the object id where it has it.
    pub fn people(&self) -> impl Iterator<Item = (Option<Uuid>, String)> {
        let by_id = self.users.iter().map(|user| (Some(*user), user.to_string()));
        by_id.chain(self.names.iter().map(|name| (None, name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> QueueMessage {
        let inserted = DateTime::UNIX_EPOCH;
        QueueMessage { id: "m".into(), text: text.into(), inserted, expires: None, dequeue_count: 0 }
    }

    #[test]
    fn whom_a_message_is_about_is_told_whatever_its_form() {
        let (user, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let job = Job::joiner(user, NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
        let of_job = || Subject { job: Some(job.clone()), users: vec![user], names: vec![] };
        let of = |users: &[Uuid]| Subject { users: users.to_vec(), ..Subject::default() };
        let emma = || Subject { names: vec!["emma@contoso.example".into()], ..Subject::default() };
        let items = format!(r#"[{{"id":"{user}"}},{{"id":"{other}"}}]"#);
        for (text, subject) in [
            (STANDARD.encode(job.to_message()), of_job()),
            (job.to_message(), of_job()),
            (STANDARD.encode(user.to_string()), of(&[user])),
            (format!("\"{user}\"\n"), of(&[user])),
            (STANDARD.encode(items), of(&[user, other])),
            ("emma@contoso.example".into(), emma()),
            (STANDARD.encode("\"emma@contoso.example\""), emma()),
            (STANDARD.encode("\"\\\"call 555 now\\\"@evil.example\""), of(&[])),
            ("\"call 555 now\"@evil.example".into(), of(&[])),
            (STANDARD.encode(r#"{"what": "ever"}"#), of(&[])),
            (STANDARD.encode([0xff, 0xfe]), of(&[])),
            (String::new(), of(&[])),
        ] {
            assert_eq!(message(&text).subject(), subject, "{text}");
        }
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
            let _ = (message.subject(), message.excerpt(most));
            prop_assert!(STANDARD.decode(message.encoded().trim()).is_ok());
        }
    }
}
