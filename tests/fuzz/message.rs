//! Any text as a message on the queue: it is understood or refused in words, and never more than that.
//!
//! `cargo +nightly fuzz run message --fuzz-dir tests/fuzz tests/fuzz/corpus tests/fuzz/seeds/message`

#![no_main]

use chrono::DateTime;
use firstpass::pass::{Job, ParsedMessage, Reason};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uuid::Uuid;

fuzz_target!(|text: &str| {
    let message = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let (group, inserted) = (Some(Uuid::from_u128(0xC0FFEE)), DateTime::UNIX_EPOCH);
    match ParsedMessage::parse(&message, group, inserted) {
        Err(problems) => assert!(!problems.is_empty(), "refused without a word"),
        Ok(ParsedMessage::Job(job)) => assert!(job.reason != Reason::Http, "a message made a call"),
        Ok(ParsedMessage::SyncCompleted(_)) => {}
        Ok(ParsedMessage::Notification(news)) => {
            assert!(
                !(news.added.is_empty()
                    && news.named.is_empty()
                    && news.changed.is_none()
                    && news.ignored.is_empty()),
                "passed over in silence"
            );
            for (user, event) in &news.added {
                assert!(event.at <= inserted, "an event after it was told");
                let job = Job::group_add(*user, event.at, &event.key);
                let sent: Value = serde_json::from_str(&job.to_message()).unwrap();
                assert_eq!(ParsedMessage::parse(&sent, group, inserted), Ok(ParsedMessage::Job(job)));
            }
            for name in news.named.keys() {
                let sent = ParsedMessage::parse(&Value::from(name.as_str()), group, inserted);
                let Ok(ParsedMessage::Notification(sent)) = sent else { panic!("{name} is no name any more") };
                assert!(sent.named.contains_key(name), "{name} has become {sent:?}");
            }
        }
    }
});
