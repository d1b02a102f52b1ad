//! Which users a stored message is about.

use serde_json::Value;
use uuid::Uuid;

use super::{job::Job, message::ParsedMessage};
use crate::queue::QueueMessage;

/// The users of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The job, if the message is a job.
    pub job: Option<Job>,
    /// Users, by object id.
    pub users: Vec<Uuid>,
    /// Users, by sign-in name.
    pub names: Vec<String>,
}

impl Subject {
    /// Parses the message.
    pub fn of(message: &QueueMessage) -> Self {
        let text = message.content();
        let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.trim()));
        match ParsedMessage::parse(&value, None, message.inserted) {
            Ok(ParsedMessage::Job(job)) => {
                Self { users: vec![job.user_id], job: Some(job), ..Self::default() }
            }
            Ok(ParsedMessage::Notification(notification)) => Self {
                job: None,
                users: notification.added.into_keys().collect(),
                names: notification.named.into_keys().collect(),
            },
            Ok(ParsedMessage::NotesDue(due)) => Self { users: vec![due.notes_due], ..Self::default() },
            Ok(
                ParsedMessage::SyncCompleted(_)
                | ParsedMessage::DailyLook(_)
                | ParsedMessage::SweepContinues(_)
                | ParsedMessage::SyncContinues(_)
                | ParsedMessage::AlertsDue
                | ParsedMessage::SweepDue(_)
                | ParsedMessage::ExaminationDue
                | ParsedMessage::DigestDue,
            )
            | Err(_) => Self::default(),
        }
    }

    /// The users, as the message names them, with the object id if it has one.
    pub fn people(&self) -> impl Iterator<Item = (Option<Uuid>, String)> {
        let by_id = self.users.iter().map(|user| (Some(*user), user.to_string()));
        by_id.chain(self.names.iter().map(|name| (None, name.clone())))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> QueueMessage {
        let inserted = DateTime::UNIX_EPOCH;
        QueueMessage { id: "m".into(), text: text.into(), inserted, expires: None, dequeue_count: 0 }
    }

    #[test]
    fn the_users_of_a_message_are_found_in_every_form() {
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
            assert_eq!(Subject::of(&message(&text)), subject, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in ".*") {
            let _ = Subject::of(&message(&text));
        }
    }
}
