//! What affects everybody, and when a person heard of it: sweeps that fail, a permission that is missing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Examined, ShutMailbox};
use crate::range;

/// The conditions of the tenant and the app, by name. They are in the ledger because the host restarts the app at any time
/// and runs several of it, and a person should hear of each once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// The version of this form of document.
    pub schema: u32,
    /// The tenant whose ledger this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Uuid>,
    /// Those that were seen and have not ended.
    #[serde(default)]
    pub conditions: BTreeMap<String, Condition>,
    /// When a sweep last looked at everyone who waits for a pass to open.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<DateTime<Utc>>,
    /// The last sweep that ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sweep: Option<LastSweep>,
    /// The last sweep with more jobs than one answer may have whose first ones are in the queue.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub continued: Option<DateTime<Utc>>,
    /// That the mailbox that sends refuses every mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<ShutMailbox>,
    /// When the app was last examined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examined: Option<Examined>,
    /// Until when the last digest tells.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub digest_at: Option<DateTime<Utc>>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// The last sweep that ended well, and what the next one has to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSweep {
    /// When it ran.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// When one last acted, if this one did not (REPORT_ONLY, PAUSED) and was not the first.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub acted_at: Option<DateTime<Utc>>,
    /// Joiners whose first day is past and whom no sweep serves, with that day: a person was told of them, or they were in
    /// already.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "BTreeMap::is_empty")]
    pub settled: BTreeMap<Uuid, NaiveDate>,
    /// When it had found its jobs; they are in the queue soon after.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// How many jobs it queued.
    #[serde(default)]
    pub jobs: usize,
    /// The tenant's domains, in ASCII and small letters, as far as sweeps know them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub domains: BTreeSet<String>,
    /// The mailboxes of more people than ADDRESS_SHARED_BY, as hashes, with how many have them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shared: BTreeMap<String, usize>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl LastSweep {
    /// When a sweep last served people and told of those whom it did not serve. The first one counts: it tells of those before it.
    pub(crate) fn acted_at(&self) -> DateTime<Utc> {
        self.acted_at.unwrap_or(self.at)
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// When it was first seen.
    #[serde(deserialize_with = "range::ours")]
    pub since: DateTime<Utc>,
    /// The last alert about it.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub alerted_at: Option<DateTime<Utc>>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

const RECORD_UNREADABLE: &str = "record-unreadable/";

/// The names of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConditionName {
    /// Sweeps find no joiners.
    SweepFails,
    /// The tenant's policy has passes switched off.
    PassesOff,
    /// The app may not read roles or groups.
    PrivilegesUnreadable,
    /// The app may not read what shows that an account is in use.
    UseUnreadable,
    /// More people than SWEEP_MAX would be mailed.
    TooManyJoiners,
    /// More passes than SWEEP_MAX would be taken back.
    TooManyWithdrawals,
    /// More people than SWEEP_MAX were added to the on-demand group.
    TooManyAdditions,
    /// The on-demand group cannot be read.
    GroupUnreadable,
    /// Passes do not work long enough in all zones in which their joiners may be.
    WindowsTooShort,
    /// The policy allows no pass that holds the beginning of a working day.
    PolicyTooShort,
    /// Joiners have no address but one that several people have.
    AddressesShared,
    /// Another program makes passes for the people who get one here.
    AnotherProgram,
    /// Groups are members of the joiner group.
    JoinerGroupNested,
    /// Groups are members of the on-demand group.
    OnDemandGroupNested,
    /// Messages in the poison queue are about users who still wait.
    PoisonMessages,
    /// The document about this user is not a record.
    RecordUnreadable(Uuid),
    /// Entries in the listing of joiners have an unknown form.
    JoinersMalformed,
    /// Templates of mails cannot be used.
    TemplatesBroken,
    /// This machine's clock and Graph's differ.
    ClockWrong,
    /// The app makes nothing, because REPORT_ONLY is set.
    ReportOnly,
    /// The app makes nothing, because PAUSED is set.
    Paused,
}

impl ConditionName {
    /// As the document has it.
    fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::SweepFails => "sweep-fails",
            Self::PassesOff => "passes-off",
            Self::PrivilegesUnreadable => "privileges-unreadable",
            Self::UseUnreadable => "use-unreadable",
            Self::TooManyJoiners => "too-many-joiners",
            Self::TooManyWithdrawals => "too-many-withdrawals",
            Self::TooManyAdditions => "too-many-additions",
            Self::GroupUnreadable => "group-unreadable",
            Self::WindowsTooShort => "windows-too-short",
            Self::PolicyTooShort => "policy-too-short",
            Self::AddressesShared => "addresses-shared",
            Self::AnotherProgram => "another-program",
            Self::JoinerGroupNested => "joiner-group-nested",
            Self::OnDemandGroupNested => "on-demand-group-nested",
            Self::PoisonMessages => "poison-messages",
            Self::JoinersMalformed => "joiners-malformed",
            Self::TemplatesBroken => "templates-broken",
            Self::ClockWrong => "clock-wrong",
            Self::ReportOnly => "report-only",
            Self::Paused => "paused",
            Self::RecordUnreadable(user) => return format!("{RECORD_UNREADABLE}{user}").into(),
        })
    }
}

/// When a person must hear of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// At once: it does not end by itself, or nothing tries again soon.
    Now,
    /// When it has lasted for [`Conditions::TOLERATED`]: it may end by itself.
    WhenLasting,
    /// At once, and not again while it lasts: it may be meant.
    Once,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            schema: Self::SCHEMA,
            tenant: None,
            conditions: BTreeMap::new(),
            looked_at: None,
            last_sweep: None,
            continued: None,
            mailbox: None,
            examined: None,
            digest_at: None,
            unknown: Map::new(),
        }
    }
}

impl Conditions {
    /// The version that this code writes.
    const SCHEMA: u32 = 1;
    /// How long a condition that may end by itself is not reported. Graph's short outages end within minutes.
    const TOLERATED: TimeDelta = TimeDelta::minutes(15);
    /// The time between two alerts about the same condition. Less than a day, so that a daily sweep that runs a little
    /// earlier than the day before repeats its alert.
    pub(crate) const ALERT_INTERVAL: TimeDelta = TimeDelta::hours(20);

    /// The conditions after `name` was seen, and whether an alert about it is due.
    pub(crate) fn after(&self, name: ConditionName, urgency: Urgency, now: DateTime<Utc>) -> (Self, bool) {
        // A time in the future is a mistake of some clock, and must not delay an alert.
        let known = self.conditions.get(&*name.name()).filter(|known| known.since <= now);
        let since = known.map_or(now, |known| known.since);
        let alerted_at = known.and_then(|known| known.alerted_at).filter(|at| *at <= now);
        let must_tell = match urgency {
            Urgency::Now | Urgency::Once => true,
            Urgency::WhenLasting => now - since >= Self::TOLERATED,
        };
        let is_again = |at: DateTime<Utc>| urgency != Urgency::Once && now - at >= Self::ALERT_INTERVAL;
        let is_due = must_tell && alerted_at.is_none_or(is_again);
        let alerted_at = if is_due { Some(now) } else { alerted_at };
        let unknown = known.map(|known| known.unknown.clone()).unwrap_or_default();
        let mut next = self.clone();
        // Nothing says that such a document was mended.
        let is_old = |at: DateTime<Utc>| (now - at).abs() >= Self::ALERT_INTERVAL * 2;
        next.conditions.retain(|name, known| {
            !(name.starts_with(RECORD_UNREADABLE) && known.alerted_at.is_none_or(is_old))
        });
        next.conditions.insert(name.name().into_owned(), Condition { since, alerted_at, unknown });
        (next, is_due)
    }

    /// The same, but an alert about `name` reached nobody: the next one is due as it was `before`.
    pub(crate) fn untold(mut self, name: ConditionName, before: &Self) -> Self {
        let told = before.conditions.get(&*name.name()).and_then(|known| known.alerted_at);
        if let Some(known) = self.conditions.get_mut(&*name.name()) {
            known.alerted_at = told;
        }
        self
    }

    /// Whether `name` was seen and has not ended.
    pub(crate) fn has(&self, name: ConditionName) -> bool {
        self.conditions.contains_key(&*name.name())
    }

    /// The conditions after `name` has ended; `None` if it was not there.
    pub(crate) fn without(&self, name: ConditionName) -> Option<Self> {
        let mut next = self.clone();
        next.conditions.remove(&*name.name()).map(|_| next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: ConditionName = ConditionName::SweepFails;

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-28T05:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    /// The minutes at which an alert is due.
    fn alerts(seen: &[(i64, Urgency)]) -> Vec<i64> {
        let mut conditions = Conditions::default();
        let mut due = Vec::new();
        for (minutes, urgency) in seen {
            let (next, is_due) = conditions.after(NAME, *urgency, at(*minutes));
            conditions = next;
            due.extend(is_due.then_some(*minutes));
        }
        due
    }

    #[test]
    fn what_does_not_end_by_itself_is_reported_at_once_and_then_daily() {
        let retries = [0, 1, 3, 7, 15, 31].map(|minute| (minute, Urgency::Now));
        assert_eq!(alerts(&retries), [0]);
        let days = [0, 24 * 60 - 1, 48 * 60 - 2].map(|minute| (minute, Urgency::Now));
        assert_eq!(alerts(&days), days.map(|(minute, _)| minute));
    }

    #[test]
    fn what_may_end_by_itself_is_reported_when_it_has_lasted() {
        use Urgency::{Now, WhenLasting};
        assert_eq!(alerts(&[0, 1, 3, 7, 14].map(|minute| (minute, WhenLasting))), [] as [i64; 0]);
        assert_eq!(alerts(&[0, 1, 3, 7, 15, 31].map(|minute| (minute, WhenLasting))), [15]);
        assert_eq!(alerts(&[(0, WhenLasting), (1, Now)]), [1]);
        assert_eq!(alerts(&[(0, WhenLasting), (1, Now), (15, WhenLasting)]), [1]);
        assert_eq!(alerts(&[(0, WhenLasting), (60, WhenLasting), (61, WhenLasting)]), [60]);
    }

    #[test]
    fn conditions_are_apart_and_an_end_starts_anew() {
        let (first, _) = Conditions::default().after(NAME, Urgency::Now, at(0));
        let (both, is_due) = first.after(ConditionName::PassesOff, Urgency::Now, at(1));
        assert!(is_due, "another condition is another alert");
        let ended = both.without(NAME).unwrap();
        assert_eq!(ended.conditions.keys().collect::<Vec<_>>(), ["passes-off"]);
        assert_eq!(ended.without(NAME), None);
        assert!(ended.after(NAME, Urgency::Now, at(2)).1);
        assert!(!ended.after(NAME, Urgency::WhenLasting, at(20)).1);
    }

    #[test]
    fn a_time_in_the_future_delays_no_alert() {
        let future = Condition { since: at(1_000), alerted_at: Some(at(1_000)), unknown: Map::new() };
        let conditions = Conditions {
            conditions: BTreeMap::from([(NAME.name().into_owned(), future)]),
            ..Conditions::default()
        };
        let (next, is_due) = conditions.after(NAME, Urgency::Now, at(0));
        assert_eq!(
            (is_due, next.conditions[&*NAME.name()].since, next.conditions[&*NAME.name()].alerted_at),
            (true, at(0), Some(at(0)))
        );
    }

    proptest! {
        /// Whenever it is seen: what lasts for 15 minutes is reported, and no two alerts come within 20 hours.
        #[test]
        fn lasting_conditions_are_reported_and_seldom(
            steps in proptest::collection::vec((1i64..300, any::<bool>()), 1..40),
        ) {
            let mut minute = 0;
            let seen: Vec<_> = steps.into_iter().map(|(wait, is_urgent)| {
                minute += wait;
                (minute, if is_urgent { Urgency::Now } else { Urgency::WhenLasting })
            }).collect();
            let alerts = alerts(&seen);
            prop_assert!(alerts.windows(2).all(|two| two[1] - two[0] >= 20 * 60), "{:?}", alerts);
            if minute - seen[0].0 >= 15 {
                prop_assert!(!alerts.is_empty());
                prop_assert!(minute - alerts.last().unwrap() < 20 * 60, "{:?} of {:?}", alerts, seen);
            }
        }
    }

    #[test]
    fn the_document_keeps_the_fields_of_a_newer_version() {
        let text = r#"{"schema":2,"conditions":{"sweep-fails":{"since":"2026-11-28T05:00:00Z","by":"x"}},"more":[1]}"#;
        let conditions: Conditions = serde_json::from_str(text).unwrap();
        let (next, _) = conditions.after(NAME, Urgency::WhenLasting, at(5));
        let written = serde_json::to_value(&next).unwrap();
        assert_eq!(
            (&written["schema"], &written["more"][0], &written["conditions"][&*NAME.name()]["by"]),
            (&2.into(), &1.into(), &"x".into())
        );
    }
}
