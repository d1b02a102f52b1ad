//! Parses any text as a queue message: the parser must accept it or reject it with a reason, and must not panic.
//!
//! `cargo +nightly fuzz run message --fuzz-dir tests/fuzz tests/fuzz/corpus/message tests/fuzz/seeds/message -- -dict=tests/fuzz/dictionary`

#![no_main]

use firstpass::pass::{Job, ParsedMessage, Reason};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uuid::Uuid;

fuzz_target!(|text: &str| {
    let message = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let (group, inserted) = (Some(Uuid::from_u128(0xC0FFEE)), "2026-11-22T05:00:00Z".parse().unwrap());
    match ParsedMessage::parse(&message, group, inserted) {
        Err(problems) => assert!(!problems.is_empty(), "rejected without a reason"),
        Ok(ParsedMessage::Job(job)) => {
            assert!(job.reason != Reason::Http, "a queue message is never an HTTP call")
        }
        Ok(
            ParsedMessage::SyncCompleted(_)
            | ParsedMessage::DailyLook(_)
            | ParsedMessage::SweepContinues(_)
            | ParsedMessage::SyncContinues(_)
            | ParsedMessage::AlertsDue
            | ParsedMessage::SweepDue(_)
            | ParsedMessage::ExaminationDue
            | ParsedMessage::DigestDue,
        ) => {}
        Ok(ParsedMessage::Notification(notification)) => {
            assert!(
                !(notification.added.is_empty()
                    && notification.named.is_empty()
                    && notification.changed.is_none()
                    && notification.ignored.is_empty()),
                "ignored without a reason"
            );
            for (user, event) in &notification.added {
                assert!(event.at <= inserted, "the event must not be later than its message");
                let job = Job::group_add(*user, event.at, &event.key);
                let sent: Value = serde_json::from_str(&job.to_message()).unwrap();
                assert_eq!(ParsedMessage::parse(&sent, group, inserted), Ok(ParsedMessage::Job(job)));
            }
            for name in notification.named.keys() {
                let sent = ParsedMessage::parse(&Value::from(name.as_str()), group, inserted);
                let Ok(ParsedMessage::Notification(sent)) = sent else {
                    panic!("{name:?} must parse as a name")
                };
                assert!(sent.named.contains_key(name), "{name:?} was parsed as {sent:?}");
            }
        }
    }
});
