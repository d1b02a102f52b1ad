//! A message, and whom it is about.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::pass::Job;

/// A message as it lies in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A job of ours.
    Job(Job),
    /// A user and nothing else, by object id.
    User(Uuid),
    /// A user and nothing else, by sign-in name.
    SignInName(String),
    /// Nobody that can be told.
    Nobody,
}

impl Message {
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
        let name = match &value {
            Value::String(name) => name.trim(),
            value => return Job::parse(value).map_or(Subject::Nobody, Subject::Job),
        };
        match name.parse() {
            Ok(user) => Subject::User(user),
            Err(_) if is_sign_in_name(name) => Subject::SignInName(name.to_owned()),
            Err(_) => Subject::Nobody,
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
    /// The user's object id, where the message has it.
    pub fn user(&self) -> Option<Uuid> {
        match self {
            Self::Job(job) => Some(job.user_id),
            Self::User(user) => Some(*user),
            Self::SignInName(_) | Self::Nobody => None,
        }
    }

    /// The user as the message names them.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::SignInName(name) => Some(name.clone()),
            _ => self.user().map(|user| user.to_string()),
        }
    }
}

/// What Entra ID lets a sign-in name be, and no more: it is shown to people, whoever wrote the message
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#userprincipalname-policies>).
fn is_sign_in_name(text: &str) -> bool {
    let is_part = |part: &str, most: usize| {
        (1..=most).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"'.-_!#^~".contains(&b))
    };
    text.split_once('@').is_some_and(|(user, domain)| is_part(user, 64) && is_part(domain, 48))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> Message {
        let inserted = DateTime::UNIX_EPOCH;
        Message { id: "m".into(), text: text.into(), inserted, expires: None, dequeue_count: 0 }
    }

    #[test]
    fn whom_a_message_is_about_is_told_whatever_its_form() {
        let user = Uuid::from_u128(7);
        let job = Job::joiner(user, NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
        let emma = || Subject::SignInName("emma@contoso.example".into());
        for (text, subject) in [
            (STANDARD.encode(job.to_message()), Subject::Job(job.clone())),
            (job.to_message(), Subject::Job(job)),
            (STANDARD.encode(user.to_string()), Subject::User(user)),
            (format!("\"{user}\"\n"), Subject::User(user)),
            ("emma@contoso.example".into(), emma()),
            (STANDARD.encode("\"emma@contoso.example\""), emma()),
            (STANDARD.encode("\"\\\"call 555 now\\\"@evil.example\""), Subject::Nobody),
            ("\"call 555 now\"@evil.example".into(), Subject::Nobody),
            (STANDARD.encode(r#"{"what": "ever"}"#), Subject::Nobody),
            (STANDARD.encode([0xff, 0xfe]), Subject::Nobody),
            (String::new(), Subject::Nobody),
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
            let _ = (message.subject().name(), message.excerpt(most));
            prop_assert!(STANDARD.decode(message.encoded().trim()).is_ok());
        }
    }
}
