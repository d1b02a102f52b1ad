//! The messages behind a part of the jobs. The Functions host writes the messages of an answer one after the other, so one answer
//! has only as many jobs as it can write in time. The last message says where to go on.
//!
//! It has no list: it names the last user who was queued, in an order that does not change. Whoever handles it searches again and
//! queues those behind. Delivered twice, it finds the same users; each step goes on further, so that it ends.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::range;

/// The place of a user among the jobs of a sweep: the earliest day one first; who is no joiner any more comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The day one; `None` for who is no joiner any more.
    pub day: Option<NaiveDate>,
    /// The object id.
    pub user: Uuid,
}

impl Ord for Position {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |of: &Self| (of.day.is_none(), of.day, of.user);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The message behind a part of a sweep's jobs.
///
/// As with a [`Job`](super::Job), no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepContinues {
    /// When the sweep began.
    #[serde(deserialize_with = "range::ours")]
    pub sweep_continues: DateTime<Utc>,
    /// The day one of the last user who was queued.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub after_day: Option<NaiveDate>,
    /// That user.
    pub after_user: Uuid,
    /// Whether it is the first sweep of a day, which looks at everyone.
    #[serde(default)]
    pub is_first_of_day: bool,
    /// Whether there was time to look at all users so far.
    #[serde(default)]
    pub is_complete: bool,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl SweepContinues {
    /// The last user who was queued.
    pub(crate) fn after(&self) -> Position {
        Position { day: self.after_day, user: self.after_user }
    }
}

/// The message behind a part of a group sync's jobs. The snapshot has the other members as pending.
///
/// As with a [`Job`](super::Job), no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncContinues {
    /// The group. It has another name than in [`SyncCompleted`](super::SyncCompleted), which an older version would take this for.
    pub continued_group: Uuid,
    /// The group sync.
    #[serde(deserialize_with = "range::key")]
    pub sync_id: String,
    /// The last member who was queued.
    pub after_member: Uuid,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn position(day: Option<u64>, user: u128) -> Position {
        let day = day.map(|days| NaiveDate::default() + chrono::Days::new(days));
        Position { day, user: Uuid::from_u128(user) }
    }

    #[test]
    fn the_earliest_day_is_first_and_who_is_no_joiner_is_last() {
        let sorted = [
            position(Some(1), 9),
            position(Some(2), 1),
            position(Some(2), 2),
            position(None, 0),
            position(None, 1),
        ];
        assert!(sorted.is_sorted_by(|one, other| one < other));
    }

    #[test]
    fn a_message_survives_the_queue_with_the_fields_of_a_newer_version() {
        let text = r#"{"sweepContinues":"2026-11-22T05:00:01.25Z","afterDay":"2026-11-27","afterUser":"00000000-0000-0000-0000-000000000007","isFirstOfDay":true,"isComplete":false,"newer":[1]}"#;
        let read: SweepContinues = serde_json::from_str(text).unwrap();
        assert_eq!((&json!(read)["newer"], &json!(read)["afterDay"]), (&json!([1]), &json!("2026-11-27")));
        assert_eq!(serde_json::from_value::<SweepContinues>(json!(read)).unwrap(), read);
        assert!(serde_json::from_str::<SweepContinues>(&text.replace("2026-11-27", "9026-11-27")).is_err());
    }

    proptest! {
        /// Parts of any size have everybody once, and the order decides nothing but when.
        #[test]
        fn the_parts_have_everybody_once(
            users in proptest::collection::btree_map(any::<u128>(), proptest::option::of(0u64..4), 0..40),
            size in 1usize..9,
        ) {
            let mut all: Vec<Position> = users.iter().map(|(user, day)| position(*day, *user)).collect();
            all.sort();
            let (mut queued, mut after) = (Vec::new(), None);
            loop {
                let part: Vec<Position> =
                    all.iter().copied().filter(|at| after.is_none_or(|after| *at > after)).take(size).collect();
                let Some(last) = part.last() else { break };
                after = Some(*last);
                queued.extend(part);
            }
            prop_assert_eq!(queued, all);
        }
    }
}
