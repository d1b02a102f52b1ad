//! The known members of the on-demand group.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::range;

/// The members of the on-demand group, as of the last sync. A later sync shows who is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipSnapshot {
    /// The version of this form of document.
    pub schema: u32,
    /// Members whose jobs were queued, and the members of the first sync.
    pub members: BTreeSet<Uuid>,
    /// New members, whose jobs may not be in the queue.
    #[serde(default)]
    pub pending: BTreeMap<Uuid, PendingMember>,
    /// When the jobs of the members of the last day were queued.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "BTreeMap::is_empty")]
    pub recent: BTreeMap<Uuid, DateTime<Utc>>,
    /// Whom the next sync takes for new again, with the earliest time of their addition: messages named them, and nobody served them.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "BTreeMap::is_empty")]
    pub forgotten: BTreeMap<Uuid, DateTime<Utc>>,
    /// The time of the last change.
    #[serde(deserialize_with = "range::ours")]
    pub changed_at: DateTime<Utc>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// A new member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingMember {
    /// The earliest time at which they may have been added.
    #[serde(deserialize_with = "range::ours")]
    pub since: DateTime<Utc>,
    /// The id of the sync that queued their job. A message with this id follows the jobs on the queue.
    pub sync_id: String,
    /// The time of that sync.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl MembershipSnapshot {
    /// The version that this code writes.
    pub(crate) const SCHEMA: u32 = 1;
    /// How long a sync may take to complete before the next one queues the same jobs again. A
    /// message whose worker crashed is delivered again after ten minutes at the earliest.
    const IN_TRANSIT: TimeDelta = TimeDelta::minutes(9);

    /// How long an addition counts as recent.
    const RECENT: TimeDelta = TimeDelta::days(1);
    /// How long whoever is forgotten may take to be found: they may wait for an approval, or have left.
    const FORGOTTEN: TimeDelta = TimeDelta::days(60);

    /// The users whose addition was found within the last day.
    pub(crate) fn added_recently(&self, now: DateTime<Utc>) -> impl Iterator<Item = (Uuid, DateTime<Utc>)> {
        let pending = self.pending.iter().map(|(user, found)| (*user, found.at));
        let recent = self.recent.iter().map(|(user, at)| (*user, *at));
        recent.chain(pending).filter(move |(_, at)| *at > now - Self::RECENT)
    }

    /// The first membership: no member counts as new.
    pub fn new(members: BTreeSet<Uuid>, now: DateTime<Utc>) -> Self {
        Self {
            schema: Self::SCHEMA,
            members,
            pending: BTreeMap::new(),
            recent: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            changed_at: now,
            unknown: Map::new(),
        }
    }

    /// The membership after the sync `sync_id` found `members`. New members were added after `since`, unless an
    /// earlier sync found them, or a message named them. Members who left are removed: if they return, they are new. The same sync,
    /// repeated, finds the same members.
    #[must_use]
    pub(crate) fn after_sync(
        &self,
        members: &BTreeSet<Uuid>,
        since: DateTime<Utc>,
        sync_id: &str,
        now: DateTime<Utc>,
    ) -> Self {
        let known: BTreeSet<Uuid> = self.members.intersection(members).copied().collect();
        let pending_member = |user: &Uuid| match self.pending.get(user) {
            Some(earlier) if now - range::past(earlier.at, now) < Self::IN_TRANSIT => earlier.clone(),
            Some(earlier) => PendingMember { sync_id: sync_id.to_owned(), at: now, ..earlier.clone() },
            None => {
                let since = self.forgotten.get(user).copied().unwrap_or(since);
                PendingMember { since, sync_id: sync_id.to_owned(), at: now, unknown: Map::new() }
            }
        };
        let pending: BTreeMap<Uuid, PendingMember> =
            members.difference(&known).map(|user| (*user, pending_member(user))).collect();
        let is_same = (&self.members, &self.pending) == (&known, &pending);
        let changed_at = if is_same { self.changed_at } else { now };
        let mut recent = self.recent.clone();
        if !is_same {
            recent.retain(|_, at| now - *at < Self::RECENT);
        }
        let mut forgotten = self.forgotten.clone();
        forgotten.retain(|user, since| !pending.contains_key(user) && now - *since < Self::FORGOTTEN);
        Self { members: known, pending, recent, forgotten, changed_at, ..self.clone() }
    }

    /// Takes `users` for new when they are found next, each with the earliest time of their addition: they may have been served before,
    /// after the last change. Returns whether that is news. It is no change, which would be one for everybody.
    pub(crate) fn forget(&mut self, users: &BTreeMap<Uuid, DateTime<Utc>>) -> bool {
        let before = (self.members.len(), self.pending.len(), self.forgotten.clone());
        self.members.retain(|user| !users.contains_key(user));
        self.pending.retain(|user, _| !users.contains_key(user));
        for (user, since) in users {
            let known = self.forgotten.entry(*user).or_insert(*since);
            *known = (*known).max(*since);
        }
        before != (self.members.len(), self.pending.len(), self.forgotten.clone())
    }

    /// The new members that the sync found, with the earliest time of their addition.
    pub(crate) fn found_by(&self, sync_id: &str) -> impl Iterator<Item = (Uuid, DateTime<Utc>)> {
        let found = self.pending.iter().filter(move |(_, pending_member)| pending_member.sync_id == sync_id);
        found.map(|(user, pending_member)| (*user, pending_member.since))
    }

    /// Makes the sync's new members known: their jobs are in the queue. Returns whether there were any.
    pub fn complete(&mut self, sync_id: &str) -> bool {
        let is_found = |found: &PendingMember| found.sync_id == sync_id;
        let arrived: Vec<(Uuid, DateTime<Utc>)> = self
            .pending
            .iter()
            .filter(|(_, found)| is_found(found))
            .map(|(user, found)| (*user, found.at))
            .collect();
        self.pending.retain(|_, found| !is_found(found));
        self.members.extend(arrived.iter().map(|(user, _)| *user));
        self.recent.extend(arrived.iter().copied());
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

    fn found(membership: &MembershipSnapshot, sync_id: &str) -> Vec<u128> {
        membership.found_by(sync_id).map(|(user, _)| user.as_u128()).collect()
    }

    #[test]
    fn new_members_stay_new_until_their_jobs_are_queued() {
        let [first, second, third] = ["first", "second", "third"];
        let (soon, later) = (now() + TimeDelta::minutes(2), now() + TimeDelta::minutes(10));
        let membership =
            MembershipSnapshot::new(users([1, 2]), now()).after_sync(&users([1, 2, 3]), now(), first, now());
        assert_eq!(found(&membership, first), [3]);
        // Another member is added before the first sync's jobs are queued.
        let membership = membership.after_sync(&users([1, 3, 4]), soon, second, soon);
        assert_eq!((found(&membership, first), found(&membership, second)), (vec![3], vec![4]));
        assert_eq!(membership.members, users([1]), "who left is forgotten");
        // The first sync's jobs do not come; the second's do.
        let mut membership = membership.after_sync(&users([1, 3, 4]), later, third, later);
        assert!(membership.complete(second));
        assert_eq!((found(&membership, first), found(&membership, third)), (vec![], vec![3]), "made again");
        assert_eq!(membership.pending[&Uuid::from_u128(3)].since, now(), "and not new only now");
        assert!(!membership.complete(first) && membership.complete(third));
        assert_eq!((membership.members.clone(), membership.pending.len()), (users([1, 3, 4]), 0));
        let back = membership.after_sync(&users([1, 2, 3, 4]), later, first, later);
        assert_eq!(found(&back, first), [2], "who comes back is new");
        assert_eq!(back.after_sync(&users([1, 2, 3, 4]), later, second, later), back, "an unchanged group");
    }

    #[test]
    fn whoever_is_forgotten_is_new_since_a_time_of_their_own() {
        let (later, last) = (now() + TimeDelta::hours(1), now() + TimeDelta::days(61));
        let [one, two, three] = [1, 2, 3].map(Uuid::from_u128);
        let mut membership = MembershipSnapshot::new(users([1, 3]), now());
        assert!(membership.forget(&[(one, later), (two, now())].into()));
        assert!(!membership.forget(&[(one, now()), (two, now())].into()), "an older message is no news");
        assert_eq!((membership.members.clone(), membership.changed_at), (users([3]), now()));
        // The second one does not wait for an approval any more.
        let found = membership.after_sync(&users([1, 3, 4]), now(), "a sync", later);
        assert_eq!(found.found_by("a sync").collect::<Vec<_>>(), [(one, later), (Uuid::from_u128(4), now())]);
        assert_eq!(found.forgotten, [(two, now())].into());
        assert!(found.after_sync(&users([1, 3, 4]), now(), "the next", last).forgotten.is_empty());
        assert!(found.members.contains(&three));
    }

    proptest! {
        /// Whatever the syncs find, whichever jobs are queued, and however late they complete: no member is
        /// known without a job, and in the end every member has one.
        #[test]
        fn every_member_gets_a_job(
            start in btree_set(0u128..8, 0..8),
            syncs in vec((btree_set(0u128..8, 0..8), any::<bool>(), 0usize..4, 0i64..12), 0..12),
        ) {
            let mut membership = MembershipSnapshot::new(users(start.clone()), now());
            let (mut time, mut on_their_way) = (now(), Vec::new());
            // Members since their job was queued, or since the start.
            let mut served = users(start);
            let mut last = served.clone();
            for (n, (members, is_queued, delay, minutes)) in syncs.into_iter().enumerate() {
                time += TimeDelta::minutes(minutes);
                let (members, id) = (users(members), n.to_string());
                membership = membership.after_sync(&members, time, &id, time);
                served.retain(|user| members.contains(user));
                if is_queued {
                    served.extend(membership.found_by(&id).map(|(user, _)| user));
                    on_their_way.push((n + delay, id));
                }
                on_their_way.retain(|(due, id)| {
                    let is_due = *due <= n;
                    if is_due {
                        membership.complete(id);
                    }
                    !is_due
                });
                let all: BTreeSet<Uuid> = membership.members.iter().chain(membership.pending.keys()).copied().collect();
                prop_assert_eq!(&all, &members);
                prop_assert!(membership.members.is_subset(&served), "{:?} are known, {:?} have jobs", membership.members, served);
                last = members;
            }
            let later = time + TimeDelta::minutes(9);
            served.extend(membership.after_sync(&last, later, "last", later).found_by("last").map(|(user, _)| user));
            prop_assert!(last.is_subset(&served), "{:?} are members, {:?} have jobs", last, served);
        }
    }

    #[test]
    fn a_membership_survives_the_store_with_unknown_fields() {
        let mut membership =
            MembershipSnapshot::new(users([1]), now()).after_sync(&users([1, 2]), now(), "a sync", now());
        membership.unknown.insert("mood".into(), "good".into());
        let document = serde_json::to_string(&membership).unwrap();
        assert_eq!(serde_json::from_str::<MembershipSnapshot>(&document).unwrap(), membership);
    }
}
