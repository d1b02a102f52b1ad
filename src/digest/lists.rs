//! What the records of a period say, person by person. Pure.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::{
    ledger::{Delivered, Notice, Purpose, Record, Standing, State, is_move},
    pass::{sign_in_strength::SignInStrength, words},
};

/// Somebody in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) user: Uuid,
    /// Their first day.
    pub(super) day: Option<NaiveDate>,
    /// What there is to say.
    pub(super) why: Option<String>,
}

/// The lists of a digest, but for those who start soon.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) mailed: Vec<Entry>,
    pub(super) arrived: Vec<Entry>,
    /// Of how many of them it is known with what.
    pub(super) known: usize,
    /// How many of these have a method that resists phishing.
    pub(super) strong: usize,
    pub(super) weak: Vec<Entry>,
    pub(super) blocked: Vec<Entry>,
    pub(super) moved: Vec<Entry>,
    pub(super) revoked: Vec<Entry>,
}

/// Whether something happened to the record since `since`. One of a version that does not list when it changed shows the times of
/// what happened most.
pub(super) fn has_changed(standing: &Standing, since: DateTime<Utc>) -> bool {
    let Standing { changed_at, mailed, blocked_at, arrived_at, leased_at, pass, .. } = standing;
    let times = [
        mailed.map(|(_, at)| at),
        *blocked_at,
        *arrived_at,
        *leased_at,
        pass.as_ref().map(|p| p.delivered_at),
    ];
    let changed_at = changed_at.or(times.into_iter().flatten().max());
    standing.is_unreadable || changed_at.is_some_and(|at| at >= since)
}

impl Lists {
    /// Adds what happened to `user` since `since`.
    pub(super) fn add(&mut self, user: Uuid, record: &Record, since: DateTime<Utc>) {
        let is_in = |at: DateTime<Utc>| at >= since;
        let delivered = record.delivered.as_ref();
        let told = record.announcement.as_ref().map(|told| told.day_one);
        let day = delivered.and_then(|delivered| delivered.day_one).or(record.day_one).or(told);
        let entry = |why: Option<String>| Entry { user, day, why };
        let mailed = delivered.filter(|delivered| is_in(delivered.at) && was_sent(delivered));
        if mailed.is_some() {
            self.mailed.push(entry(notices(record)));
        }
        let before =
            |day: NaiveDate| record.codes.keys().rev().copied().find(|old| *old != day && is_move(*old, day));
        if let Some(new) =
            mailed.filter(|mailed| mailed.purpose == Purpose::Joiner).and_then(|mailed| mailed.day_one)
            && let Some(old) = before(new)
        {
            self.moved.push(entry(Some(format!("it was {}", old.format("%-d %b %Y")))));
        }
        let has_arrived = record.has_arrived_for(day);
        // A report can lag: when it was found counts.
        let found = record.arrival.as_ref();
        if has_arrived && found.map(|found| found.found_at).or(record.arrived_at).is_some_and(is_in) {
            let strength = found.and_then(|found| Some(SignInStrength::of(found.methods.as_deref()?)));
            let why = strength.map(|strength| strength.words().to_owned());
            self.known += usize::from(strength.is_some());
            self.strong += usize::from(strength == Some(SignInStrength::PhishingResistant));
            if strength.is_some_and(SignInStrength::is_weak) {
                self.weak.push(entry(why.clone()));
            }
            self.arrived.push(entry(why));
        }
        if !is_in(record.updated_at) {
            return;
        }
        let cause = record.cause.as_deref();
        match record.state {
            State::Revoked => self.revoked.push(entry(cause.map(|cause| words::of(cause).what.to_owned()))),
            State::Blocked | State::Delivered if !has_arrived => {
                let is_unclear = |notice: &Notice| notice.kind == Notice::MAIL_UNCLEAR;
                let unclear = record.notices.iter().any(is_unclear).then_some("mail-unclear");
                let waits = cause.or(unclear).map(words::of).filter(|words| words.to_do.is_some());
                if let Some(words) = waits {
                    self.blocked.push(entry(Some(words.what.to_owned())));
                }
            }
            _ => {}
        }
    }

    /// Adds somebody whose document is not a record.
    pub(super) fn add_unreadable(&mut self, user: Uuid) {
        let why = words::of("record-unreadable").what.to_owned();
        self.blocked.push(Entry { user, day: None, why: Some(why) });
    }

    /// The lists, each to be put into its order.
    pub(super) fn all_mut(&mut self) -> [&mut Vec<Entry>; 6] {
        let Self { mailed, arrived, weak, blocked, moved, revoked, .. } = self;
        [mailed, arrived, weak, blocked, moved, revoked]
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self { mailed, arrived, blocked, moved, revoked, .. } = self;
        [mailed, arrived, blocked, moved, revoked].iter().all(|list| list.is_empty())
    }
}

/// Whether the code was sent to somebody, and is not only in the answer to a caller.
fn was_sent(delivered: &Delivered) -> bool {
    delivered.purpose != Purpose::Http || !delivered.recipients.is_empty()
}

/// What is noted since the last delivery, in words.
fn notices(record: &Record) -> Option<String> {
    let words: Vec<&str> = record.notices.iter().map(|notice| words::of_notice(&notice.kind)).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    const SINCE: &str = "2026-11-23T05:00:00Z";

    fn lists(document: serde_json::Value) -> Lists {
        let mut record = json!({"schema": 1, "state": "delivered", "purpose": "joiner", "updatedAt": "2026-11-24T05:00:00Z"});
        record.as_object_mut().unwrap().extend(document.as_object().unwrap_or(&Map::new()).clone());
        let mut lists = Lists::default();
        lists.add(Uuid::nil(), &serde_json::from_value(record).unwrap(), SINCE.parse().unwrap());
        lists
    }

    fn delivered(at: &str) -> serde_json::Value {
        json!({
            "passId": "p", "opensAt": "2026-11-27T07:00:00Z", "endsAt": "2026-11-27T15:00:00Z", "at": at, "purpose": "joiner",
            "dayOne": "2026-11-27", "recipients": ["e…@mail.example"],
        })
    }

    #[test]
    fn what_happened_before_is_left_out() {
        assert_eq!(
            lists(
                json!({"delivered": delivered("2026-11-23T04:59:59Z"), "arrivedAt": "2026-11-22T08:00:00Z"})
            ),
            Lists::default()
        );
        let told =
            lists(json!({"delivered": delivered(SINCE), "notices": [{"kind": "late", "day": "2026-11-24"}]}));
        assert_eq!((told.mailed.len(), told.arrived.len(), told.blocked.len()), (1, 0, 0));
        assert_eq!(told.mailed[0].day, "2026-11-27".parse().ok());
        assert_eq!(told.mailed[0].why.as_deref(), Some("the first pass went out after the first day"));
        let old =
            lists(json!({"state": "blocked", "cause": "no-address", "updatedAt": "2026-11-22T05:00:00Z"}));
        assert_eq!(old, Lists::default());
    }

    #[test]
    fn with_what_somebody_arrived_counts_only_if_it_is_known() {
        let arrived = |with| {
            lists(
                json!({"delivered": delivered("2026-11-20T05:00:00Z"), "arrivedAt": "2026-11-20T08:00:00Z", "arrival": {"foundAt": "2026-11-27T08:00:00Z", "methods": with}}),
            )
        };
        for (with, known, strong, weak) in [
            (json!(["fido2"]), 1, 1, 0),
            (json!(["microsoftAuthenticator"]), 1, 0, 0),
            (json!(["phone"]), 1, 0, 1),
            (json!([]), 1, 0, 1),
            (json!(null), 0, 0, 0),
        ] {
            let lists = arrived(with.clone());
            assert_eq!(
                (lists.arrived.len(), lists.known, lists.strong, lists.weak.len()),
                (1, known, strong, weak),
                "{with}"
            );
        }
    }

    #[test]
    fn whoever_waits_for_a_person_was_moved_or_revoked_is_named_with_the_reason() {
        let blocked = lists(json!({"state": "blocked", "cause": "no-address", "dayOne": "2026-11-27"}));
        assert_eq!(blocked.blocked[0].why.as_deref(), Some("there is no usable private address"));
        assert!(
            lists(json!({"state": "blocked", "cause": "mailbox-shut"})).is_empty(),
            "no person has to act"
        );
        let unclear = lists(json!({"notices": [{"kind": "mail-unclear", "day": "2026-11-24"}]}));
        assert_eq!(unclear.blocked.len(), 1);
        let revoked = lists(json!({"state": "revoked", "cause": "out-of-scope"}));
        assert_eq!((revoked.revoked.len(), revoked.blocked.len()), (1, 0));
        let codes = json!({"2026-11-26": 1, "2026-11-27": 1, "2026-01-05": 1});
        let moved = lists(json!({"delivered": delivered(SINCE), "codes": codes}));
        assert_eq!(moved.moved[0].why.as_deref(), Some("it was 26 Nov 2026"));
    }
}
