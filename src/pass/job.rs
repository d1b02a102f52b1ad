//! The work for one user, as a queue message.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ledger::Purpose,
    range::{self, is_key},
};

/// Why a job exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The sweep found a joiner.
    Joiner,
    /// The user was added to the on-demand group.
    GroupAdd,
    /// The sweep found a record that is not finished.
    Recheck,
    /// A call of CreateTap.
    Http,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joiner => "joiner",
            Self::GroupAdd => "group-add",
            Self::Recheck => "recheck",
            Self::Http => "http",
        })
    }
}

/// The work for one user: one queue message, one run of the issue flow.
///
/// No field may be called `id`, `dequeueCount` or `sys`: the host copies the fields of a JSON message over the
/// message's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// The same for the same work, however often it is queued.
    #[serde(rename = "jobKey")]
    pub key: String,
    /// Why it exists.
    pub reason: Reason,
    /// The object id of the user.
    pub user_id: Uuid,
    /// The earliest time at which the user may have been added to the on-demand group, if it is known. A pass on demand
    /// that was delivered since is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// When the message was put into the queue; what a job decides by must not have been read before.
    #[serde(skip)]
    pub queued_at: Option<DateTime<Utc>>,
}

impl Job {
    /// A joiner's job.
    pub fn joiner(user_id: Uuid, day_one: NaiveDate) -> Self {
        Self {
            key: format!("joiner/{user_id}/{day_one}"),
            reason: Reason::Joiner,
            user_id,
            since: None,
            queued_at: None,
        }
    }

    /// The job of a user who was added to the on-demand group not before `since`. `event` identifies the addition.
    pub fn group_add(user_id: Uuid, since: DateTime<Utc>, event: &str) -> Self {
        let key = format!("group-add/{user_id}/{event}");
        Self { key, reason: Reason::GroupAdd, user_id, since: Some(since), queued_at: None }
    }

    /// A recheck of a record that is not finished.
    pub fn recheck(user_id: Uuid, today: NaiveDate) -> Self {
        Self {
            key: format!("recheck/{user_id}/{today}"),
            reason: Reason::Recheck,
            user_id,
            since: None,
            queued_at: None,
        }
    }

    /// A call of CreateTap.
    pub fn http(user_id: Uuid, invocation: &str) -> Self {
        Self {
            key: format!("http/{user_id}/{invocation}"),
            reason: Reason::Http,
            user_id,
            since: None,
            queued_at: None,
        }
    }

    /// What its pass would be for; `None` for a recheck, which goes by the record.
    pub(super) fn purpose(&self) -> Option<Purpose> {
        match self.reason {
            Reason::Joiner => Some(Purpose::Joiner),
            Reason::GroupAdd => Some(Purpose::OnDemand),
            Reason::Http => Some(Purpose::Http),
            Reason::Recheck => None,
        }
    }

    /// The message.
    pub fn to_message(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Parses a message.
    ///
    /// # Errors
    /// All problems. They do not quote the message, which may hold anything.
    pub fn parse(message: &Value) -> Result<Self, Vec<String>> {
        let Some(fields) = message.as_object() else {
            return Err(vec!["the message is not a JSON object".to_owned()]);
        };
        let mut problems = Vec::new();
        let mut field = |name: &str| match fields.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.as_str()),
            Some(_) => {
                problems.push(format!("{name} is not a text"));
                None
            }
            None => {
                problems.push(format!("{name} is missing"));
                None
            }
        };
        let (key, reason, user) = (field("jobKey"), field("reason"), field("userId"));
        if key.is_some_and(|key| !is_key(key)) {
            problems.push("jobKey is not 1 to 200 visible characters".to_owned());
        }
        let reason = reason.and_then(|text| match Reason::deserialize(Value::from(text)) {
            // Only a call has this reason: the code of its pass goes into the answer.
            Ok(reason) if reason != Reason::Http => Some(reason),
            _ => {
                problems.push("reason is none of joiner, group-add, recheck".to_owned());
                None
            }
        });
        let user_id = user.and_then(|text| match text.parse() {
            Ok(id) => Some(id),
            Err(_) => {
                problems.push("userId is not an object id".to_owned());
                None
            }
        });
        let since = match fields.get("since") {
            None | Some(Value::Null) => None,
            Some(since) => range::ours(since).map(Some).unwrap_or_else(|_| {
                problems.push("since is not a time from 2000 to 2199".to_owned());
                None
            }),
        };
        match (key, reason, user_id) {
            (Some(key), Some(reason), Some(user_id)) if problems.is_empty() => {
                Ok(Self { key: key.to_owned(), reason, user_id, since, queued_at: None })
            }
            _ => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_survives_the_queue() {
        let (user, day) = (Uuid::from_u128(7), NaiveDate::from_ymd_opt(2026, 11, 30).unwrap());
        let since = "2026-11-22T05:00:00.25Z".parse().unwrap();
        for job in [Job::joiner(user, day), Job::recheck(user, day), Job::group_add(user, since, "e1")] {
            let message = job.to_message();
            assert_eq!(Job::parse(&serde_json::from_str(&message).unwrap()), Ok(job));
            for taken in ["\"id\"", "\"dequeueCount\"", "\"sys\"", "\"insertionTime\""] {
                assert!(!message.contains(taken), "the host would overwrite its own {taken}");
            }
        }
    }

    #[test]
    fn a_reason_is_called_the_same_everywhere() {
        for reason in [Reason::Joiner, Reason::GroupAdd, Reason::Recheck, Reason::Http] {
            assert_eq!(json!(reason), reason.to_string());
        }
    }

    #[test]
    fn every_problem_is_named() {
        let problems = Job::parse(&json!({"reason": "because", "userId": 7})).unwrap_err();
        assert_eq!(
            problems,
            ["jobKey is missing", "userId is not a text", "reason is none of joiner, group-add, recheck"]
        );
        let empty = json!({"jobKey": "", "reason": "joiner", "userId": Uuid::nil()});
        assert_eq!(Job::parse(&empty).unwrap_err(), ["jobKey is not a text"]);
        assert_eq!(Job::parse(&json!("x")).unwrap_err(), ["the message is not a JSON object"]);
        assert!(Job::parse(&json!({"jobKey": "k", "reason": "http", "userId": Uuid::nil()})).is_err());
        let job = json!({"jobKey": "k", "reason": "group-add", "userId": Uuid::nil(), "since": "yesterday"});
        assert_eq!(Job::parse(&job).unwrap_err(), ["since is not a time from 2000 to 2199"]);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(text in ".*") {
            let _ = serde_json::from_str::<Value>(&text).map(|value| Job::parse(&value));
            let _ = Job::parse(&Value::from(text));
        }
    }
}
