//! Who is known to be in the on-demand group.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What the ledger keeps of the on-demand group: enough to tell, from a list of its members, who is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    /// The form of this document.
    pub schema: u32,
    /// Members whose coming was seen to, or who were there before anybody looked.
    pub members: BTreeSet<Uuid>,
    /// Members who are new, and since when at the earliest: their jobs may be in the queue, or may not.
    #[serde(default)]
    pub arriving: BTreeMap<Uuid, DateTime<Utc>>,
    /// The reading that found the last of them. Once their jobs are in the queue, its name comes back.
    #[serde(default)]
    pub reading: Option<Uuid>,
    /// When the group was last read with something new in it.
    pub read_at: DateTime<Utc>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Roster {
    /// The form of document that this version writes.
    pub const SCHEMA: u32 = 1;

    /// A first roster: whoever is a member now was there before anybody looked.
    pub fn new(members: BTreeSet<Uuid>, read_at: DateTime<Utc>) -> Self {
        Self {
            schema: Self::SCHEMA,
            members,
            arriving: BTreeMap::new(),
            reading: None,
            read_at,
            unknown: Map::new(),
        }
    }

    /// The roster after a `reading` of the group that showed these `members`. Who is new came after `since`, unless
    /// an earlier reading had found them already. Who left is forgotten at once: if they come back, they are new.
    #[must_use]
    pub fn after(
        &self,
        members: &BTreeSet<Uuid>,
        since: DateTime<Utc>,
        reading: Uuid,
        now: DateTime<Utc>,
    ) -> Self {
        let known: BTreeSet<Uuid> = self.members.intersection(members).copied().collect();
        let arriving: BTreeMap<Uuid, DateTime<Utc>> = members
            .difference(&known)
            .map(|user| (*user, self.arriving.get(user).copied().unwrap_or(since)))
            .collect();
        let reading = (!arriving.is_empty()).then_some(reading);
        Self { members: known, arriving, reading, read_at: now, ..self.clone() }
    }

    /// Whether a later reading would find the same people new.
    pub fn says_the_same(&self, other: &Self) -> bool {
        (&self.members, &self.arriving) == (&other.members, &other.arriving)
    }

    /// The jobs for all that `reading` found are in the queue. A reading that was followed by another says nothing.
    pub fn arrived(&mut self, reading: Uuid) -> bool {
        let is_last = self.reading == Some(reading);
        if is_last {
            self.members.extend(std::mem::take(&mut self.arriving).into_keys());
            self.reading = None;
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn users(ids: impl IntoIterator<Item = u128>) -> BTreeSet<Uuid> {
        ids.into_iter().map(Uuid::from_u128).collect()
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T05:00:00Z".parse().unwrap()
    }

    #[test]
    fn who_is_new_stays_new_until_their_jobs_are_queued() {
        let (first, second) = (Uuid::from_u128(91), Uuid::from_u128(92));
        let later = now() + TimeDelta::hours(1);
        let roster = Roster::new(users([1, 2]), now()).after(&users([1, 2, 3]), now(), first, now());
        assert_eq!(roster.arriving, [(Uuid::from_u128(3), now())].into());
        // Somebody else comes before the first is queued; and the first was not new only then.
        let mut roster = roster.after(&users([1, 3, 4]), later, second, later);
        assert_eq!(roster.arriving, [(Uuid::from_u128(3), now()), (Uuid::from_u128(4), later)].into());
        assert_eq!(roster.members, users([1]), "who left is forgotten");
        assert!(!roster.arrived(first), "the second reading is the last");
        assert_eq!(roster.arriving.len(), 2);
        assert!(roster.arrived(second));
        assert_eq!((roster.members.clone(), roster.arriving.len()), (users([1, 3, 4]), 0));
        let back = roster.after(&users([1, 2, 3, 4]), later, first, later);
        assert_eq!(back.arriving, [(Uuid::from_u128(2), later)].into(), "who comes back is new");
    }

    proptest! {
        /// Whatever the readings are, and whichever of them get through: every member is known or arriving, and whoever
        /// is known was there at the start or in a reading that got through, and has not left since.
        #[test]
        fn nobody_is_taken_for_known_whose_job_is_not_queued(
            start in btree_set(0u128..8, 0..8),
            readings in proptest::collection::vec((btree_set(0u128..8, 0..8), any::<bool>()), 0..12),
        ) {
            let mut roster = Roster::new(users(start.clone()), now());
            let mut known = users(start);
            for (n, (members, gets_through)) in readings.into_iter().enumerate() {
                let (members, id) = (users(members), Uuid::from_u128(n as u128));
                roster = roster.after(&members, now(), id, now());
                known.retain(|user| members.contains(user));
                if gets_through {
                    roster.arrived(id);
                    known.extend(&members);
                }
                prop_assert_eq!(&roster.members, &known);
                let all: BTreeSet<Uuid> = roster.members.iter().chain(roster.arriving.keys()).copied().collect();
                prop_assert_eq!(all, members);
            }
        }
    }

    #[test]
    fn a_roster_survives_the_store_and_keeps_what_it_does_not_know() {
        let mut roster = Roster::new(users([1]), now()).after(&users([1, 2]), now(), Uuid::nil(), now());
        roster.unknown.insert("mood".into(), "good".into());
        let document = serde_json::to_string(&roster).unwrap();
        assert_eq!(serde_json::from_str::<Roster>(&document).unwrap(), roster);
    }
}
