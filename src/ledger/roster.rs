//! Who is known to be in the on-demand group.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What the ledger keeps of the on-demand group: enough to tell, from a list of its members, who is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Roster {
    /// The form of this document.
    pub schema: u32,
    /// Members whose jobs are in the queue, or were, or who were there before anybody looked.
    pub members: BTreeSet<Uuid>,
    /// Members who are new: their jobs may be in the queue, or may not.
    #[serde(default)]
    pub arriving: BTreeMap<Uuid, Arrival>,
    /// When somebody last came or went.
    pub changed_at: DateTime<Utc>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A new member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// When they came, at the earliest.
    pub since: DateTime<Utc>,
    /// The reading of the group whose jobs theirs is one of. When those are in the queue, its name comes back.
    pub reading: String,
    /// When that was.
    pub at: DateTime<Utc>,
}

impl Roster {
    /// The form of document that this version writes.
    pub const SCHEMA: u32 = 1;
    /// How long the name of a reading may take to come back before another finds the same people. Whoever read the group
    /// and died has their message back after ten minutes at the earliest, and finds them anyway.
    const IN_TRANSIT: TimeDelta = TimeDelta::minutes(9);

    /// A first roster: whoever is a member now was there before anybody looked.
    pub fn new(members: BTreeSet<Uuid>, now: DateTime<Utc>) -> Self {
        Self {
            schema: Self::SCHEMA,
            members,
            arriving: BTreeMap::new(),
            changed_at: now,
            unknown: Map::new(),
        }
    }

    /// The roster after a `reading` of the group that showed these `members`. Who is new came after `since`, unless
    /// an earlier reading had found them already. Who left is forgotten at once: if they come back, they are new.
    /// The same reading, done again because nobody knows what became of it, finds the same people.
    #[must_use]
    pub fn after(
        &self,
        members: &BTreeSet<Uuid>,
        since: DateTime<Utc>,
        reading: &str,
        now: DateTime<Utc>,
    ) -> Self {
        let known: BTreeSet<Uuid> = self.members.intersection(members).copied().collect();
        let arrival = |user: &Uuid| match self.arriving.get(user) {
            Some(earlier) if now - earlier.at < Self::IN_TRANSIT => earlier.clone(),
            Some(earlier) => Arrival { since: earlier.since, reading: reading.to_owned(), at: now },
            None => Arrival { since, reading: reading.to_owned(), at: now },
        };
        let arriving: BTreeMap<Uuid, Arrival> =
            members.difference(&known).map(|user| (*user, arrival(user))).collect();
        let is_same = (&self.members, &self.arriving) == (&known, &arriving);
        let changed_at = if is_same { self.changed_at } else { now };
        Self { members: known, arriving, changed_at, ..self.clone() }
    }

    /// Who was found by a reading, and since when they may have been there.
    pub fn found_by(&self, reading: &str) -> impl Iterator<Item = (Uuid, DateTime<Utc>)> {
        let found = self.arriving.iter().filter(move |(_, arrival)| arrival.reading == reading);
        found.map(|(user, arrival)| (*user, arrival.since))
    }

    /// The jobs of all whom `reading` found are in the queue. Whether that is news.
    pub fn arrived(&mut self, reading: &str) -> bool {
        let arrived: Vec<Uuid> = self.found_by(reading).map(|(user, _)| user).collect();
        self.arriving.retain(|_, arrival| arrival.reading != reading);
        self.members.extend(&arrived);
        !arrived.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::{btree_set, vec},
        prelude::*,
    };

    use super::*;

    fn users(ids: impl IntoIterator<Item = u128>) -> BTreeSet<Uuid> {
        ids.into_iter().map(Uuid::from_u128).collect()
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T05:00:00Z".parse().unwrap()
    }

    fn found(roster: &Roster, reading: &str) -> Vec<u128> {
        roster.found_by(reading).map(|(user, _)| user.as_u128()).collect()
    }

    #[test]
    fn who_is_new_stays_new_until_their_jobs_are_queued() {
        let [first, second, third] = ["first", "second", "third"];
        let (soon, later) = (now() + TimeDelta::minutes(2), now() + TimeDelta::minutes(10));
        let roster = Roster::new(users([1, 2]), now()).after(&users([1, 2, 3]), now(), first, now());
        assert_eq!(found(&roster, first), [3]);
        // Somebody else comes before the first is queued: their jobs are not mixed up.
        let roster = roster.after(&users([1, 3, 4]), soon, second, soon);
        assert_eq!((found(&roster, first), found(&roster, second)), (vec![3], vec![4]));
        assert_eq!(roster.members, users([1]), "who left is forgotten");
        // The first reading's jobs do not come; the second's do.
        let mut roster = roster.after(&users([1, 3, 4]), later, third, later);
        assert!(roster.arrived(second));
        assert_eq!((found(&roster, first), found(&roster, third)), (vec![], vec![3]), "made again");
        assert_eq!(roster.arriving[&Uuid::from_u128(3)].since, now(), "and not new only now");
        assert!(!roster.arrived(first) && roster.arrived(third));
        assert_eq!((roster.members.clone(), roster.arriving.len()), (users([1, 3, 4]), 0));
        let back = roster.after(&users([1, 2, 3, 4]), later, first, later);
        assert_eq!(found(&back, first), [2], "who comes back is new");
        assert_eq!(back.after(&users([1, 2, 3, 4]), later, second, later), back, "a reading without news");
    }

    proptest! {
        /// Whatever the readings show, whichever of their jobs get into the queue, and however late their names come
        /// back: nobody is taken for known whose job is not in the queue; and nobody is forgotten, for in the end
        /// everybody has a job.
        #[test]
        fn nobody_is_lost_between_the_ledger_and_the_queue(
            start in btree_set(0u128..8, 0..8),
            readings in vec((btree_set(0u128..8, 0..8), any::<bool>(), 0usize..4, 0i64..12), 0..12),
        ) {
            let mut roster = Roster::new(users(start.clone()), now());
            let (mut time, mut on_their_way) = (now(), Vec::new());
            // Those who have been members ever since there was a job for them, or since the start.
            let mut served = users(start);
            let mut last = served.clone();
            for (n, (members, is_queued, delay, minutes)) in readings.into_iter().enumerate() {
                time += TimeDelta::minutes(minutes);
                let (members, id) = (users(members), n.to_string());
                roster = roster.after(&members, time, &id, time);
                served.retain(|user| members.contains(user));
                if is_queued {
                    served.extend(roster.found_by(&id).map(|(user, _)| user));
                    on_their_way.push((n + delay, id));
                }
                on_their_way.retain(|(due, id)| {
                    let is_due = *due <= n;
                    if is_due {
                        roster.arrived(id);
                    }
                    !is_due
                });
                let all: BTreeSet<Uuid> = roster.members.iter().chain(roster.arriving.keys()).copied().collect();
                prop_assert_eq!(&all, &members);
                prop_assert!(roster.members.is_subset(&served), "{:?} are known, {:?} have jobs", roster.members, served);
                last = members;
            }
            let later = time + TimeDelta::minutes(9);
            served.extend(roster.after(&last, later, "last", later).found_by("last").map(|(user, _)| user));
            prop_assert!(last.is_subset(&served), "{:?} are members, {:?} have jobs", last, served);
        }
    }

    #[test]
    fn a_roster_survives_the_store_and_keeps_what_it_does_not_know() {
        let mut roster = Roster::new(users([1]), now()).after(&users([1, 2]), now(), "a reading", now());
        roster.unknown.insert("mood".into(), "good".into());
        let document = serde_json::to_string(&roster).unwrap();
        assert_eq!(serde_json::from_str::<Roster>(&document).unwrap(), roster);
    }
}
