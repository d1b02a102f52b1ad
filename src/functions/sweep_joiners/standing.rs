//! What a sweep keeps of the records: it may list 50,000, and holds them until it ends.

use std::{collections::BTreeSet, fmt, num::NonZeroU64, sync::Arc};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    graph::users::Candidate,
    hash::sha256_start,
    ledger::{self, Purpose},
    memory::mapped,
    pass::{Block, basis},
    settings::PassSettings,
};

/// How long an unfinished job is left alone: what failed ten times in half an hour seldom ends within another.
const RETRY_AFTER: TimeDelta = TimeDelta::hours(6);
/// How long the message that has others told of a pass is waited for: it may be behind an hour's joiners, and comes ten times.
const NOTES_WITHIN: TimeDelta = TimeDelta::hours(2);
/// How long a mail to an address counts.
pub(super) const COUNTED: TimeDelta = TimeDelta::days(60);

/// Stands for a text that is only compared with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(NonZeroU64);

impl Mark {
    pub(super) fn of(text: &str) -> Self {
        Self(NonZeroU64::MIN | sha256_start(text))
    }
}

/// A mailbox, as [`mailbox`] identifies it.
///
/// [`mailbox`]: crate::pass::recipients::mailbox
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mailbox(u64);

impl Mailbox {
    /// One of another form is equal to none of this one.
    pub(super) fn read(text: &str) -> Self {
        let digits = text.strip_prefix("1:").filter(|digits| digits.len() == 16);
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Self(number.unwrap_or_else(|| sha256_start(text)))
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1:{:016x}", self.0)
    }
}

/// What the rules of a sweep at one time read of a [`ledger::Standing`].
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) purpose: Purpose,
    /// Whether a sweep has to look at the user.
    pub(super) is_open: bool,
    /// Whether a sweep completes an unfinished job.
    pub(super) is_unfinished: bool,
    /// Whether the last lease is so old that a sweep tries again.
    pub(super) has_waited: bool,
    /// Whether a job ever held the lease.
    pub(super) was_leased: bool,
    /// Whether a pass may appear that nobody was sent.
    pub(super) may_appear: bool,
    pub(super) mailed: Option<(NaiveDate, DateTime<Utc>)>,
    pub(super) mailbox: Option<Mailbox>,
    pub(super) told: Option<Told>,
    pub(super) is_blocked: bool,
    pub(super) blocked_at: Option<DateTime<Utc>>,
    pub(super) pass: Option<StandingPass>,
    pub(super) seen: Option<Mark>,
    pub(super) arrived_at: Option<DateTime<Utc>>,
    pub(super) is_reported: bool,
    pub(super) is_reminded: bool,
    pub(super) cause: Option<Arc<str>>,
    pub(super) is_unreadable: bool,
    /// Whether somebody is to be told of the pass since long.
    pub(super) has_notes: bool,
}

/// What the last mail rests on, compared with the listing of the tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) is_comparable: bool,
    /// Whether the first day and its zone were read from the same values.
    pub(super) has_same_day: bool,
    /// Whether the place stands for the same zone.
    pub(super) has_same_zone: bool,
    pub(super) leave_date: Option<Mark>,
    pub(super) manager: Option<Mark>,
}

/// The last delivered pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct StandingPass {
    pub(super) id: Mark,
    pub(super) purpose: Purpose,
    pub(super) day_one: Option<NaiveDate>,
    pub(super) delivered_at: DateTime<Utc>,
    pub(super) opens_at: DateTime<Utc>,
    pub(super) ends_at: DateTime<Utc>,
    pub(super) one_time: bool,
}

impl Standing {
    pub(super) fn new(
        standing: &ledger::Standing,
        candidate: Option<&Candidate>,
        settings: &PassSettings,
        cause: Option<Arc<str>>,
        now: DateTime<Utc>,
    ) -> Self {
        let mark = |text: &Option<String>| text.as_deref().map(Mark::of);
        Self {
            purpose: standing.purpose,
            is_open: standing.is_open(now),
            is_unfinished: standing.unfinished_until > Some(now),
            has_waited: standing.leased_at.is_none_or(|at| now - at >= RETRY_AFTER),
            was_leased: standing.leased_at.is_some(),
            may_appear: standing.may_appear_until > Some(now),
            mailed: standing.mailed,
            mailbox: standing.mailbox.as_deref().map(Mailbox::read),
            told: standing.basis.as_ref().map(|basis| {
                let listed = candidate.map(|user| basis::of_listing(user, settings));
                Told {
                    is_comparable: basis.is_comparable(),
                    has_same_day: listed.as_ref().is_some_and(|listed| basis.has_same_day(listed)),
                    has_same_zone: listed.as_ref().is_some_and(|listed| basis.zone == listed.zone),
                    leave_date: mark(&basis.leave_date),
                    manager: mark(&basis.manager),
                }
            }),
            is_blocked: standing.is_blocked,
            blocked_at: standing.blocked_at,
            pass: standing.pass.as_ref().map(|pass| StandingPass {
                id: Mark::of(&pass.id),
                purpose: pass.purpose,
                day_one: pass.day_one,
                delivered_at: pass.delivered_at,
                opens_at: pass.opens_at,
                ends_at: pass.ends_at,
                one_time: pass.one_time,
            }),
            seen: mark(&standing.seen),
            arrived_at: standing.arrived_at,
            is_reported: standing.is_reported,
            is_reminded: standing.is_reminded,
            cause,
            is_unreadable: standing.is_unreadable,
            has_notes: has_notes(standing, now),
        }
    }

    /// The day one of the last mail, if it was read from what the tenant has now.
    pub(super) fn told_day(&self) -> Option<NaiveDate> {
        self.mailed.map(|(day, _)| day).filter(|_| self.told.is_some_and(|told| told.has_same_day))
    }

    /// Whether the last job did not deliver for this reason.
    pub(super) fn has_cause(&self, cause: &str) -> bool {
        self.cause.as_deref() == Some(cause)
    }
}

/// Whether somebody is still to be told of a pass that can be used, and the message about it must be lost.
fn has_notes(standing: &ledger::Standing, now: DateTime<Utc>) -> bool {
    let is_late = standing.notes_since.is_some_and(|since| now - since >= NOTES_WITHIN);
    is_late && standing.pass.as_ref().is_some_and(|pass| pass.ends_at > now)
}

/// Whether a rule reads the record of somebody who is not in the tenant's listing.
pub(super) fn is_read(standing: &ledger::Standing, now: DateTime<Utc>) -> bool {
    standing.is_open(now)
        || standing.is_unreadable
        || has_notes(standing, now)
        || standing.cause.as_deref() == Some(Block::AddressRemoved.cause())
        || standing.mailed.is_some_and(|(_, at)| at > now - COUNTED)
}

/// The ledger, as a listing shows it, without the records that no rule reads: most are of people who are in since long.
#[derive(Debug)]
pub(super) struct Standings {
    /// How many there are.
    records: usize,
    /// Those kept, by user.
    kept: Vec<(Uuid, Standing)>,
    /// The causes, each once.
    causes: BTreeSet<Arc<str>>,
}

impl Default for Standings {
    fn default() -> Self {
        Self { records: 0, kept: mapped(), causes: BTreeSet::new() }
    }
}

impl Standings {
    /// Adds that of `user`, who is the `candidate` if the tenant's listing has them.
    pub(super) fn add(
        &mut self,
        (user, mut standing): (Uuid, ledger::Standing),
        candidate: Option<&Candidate>,
        settings: &PassSettings,
        now: DateTime<Utc>,
    ) {
        self.records += 1;
        standing.see_at(now);
        if candidate.is_some() || is_read(&standing, now) {
            let cause = standing.cause.take().map(|cause| self.shared_cause(cause.into()));
            self.kept.push((user, Standing::new(&standing, candidate, settings, cause, now)));
        }
    }

    fn shared_cause(&mut self, cause: Arc<str>) -> Arc<str> {
        if let Some(known) = self.causes.get(&cause) {
            return known.clone();
        }
        self.causes.insert(cause.clone());
        cause
    }

    /// After the last one.
    pub(super) fn sorted(mut self) -> Self {
        self.kept.sort_unstable_by_key(|(user, _)| *user);
        self
    }

    pub(super) fn get(&self, user: &Uuid) -> Option<&Standing> {
        let at = self.kept.binary_search_by_key(user, |(user, _)| *user).ok()?;
        self.kept.get(at).map(|(_, standing)| standing)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Uuid, &Standing)> {
        self.kept.iter().map(|(user, standing)| (user, standing))
    }

    /// How many records the ledger has.
    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// How many of them were kept.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sweep of 50,000 holds so much for each.
    #[test]
    fn a_joiner_and_a_record_need_less_than_200_bytes_each() {
        let (candidate, record) = (size_of::<Candidate>(), size_of::<(Uuid, Standing)>());
        assert!(candidate <= 160 && record <= 192, "{candidate} {record}");
    }

    #[test]
    fn a_mailbox_is_shown_as_it_was_read() {
        assert_eq!(Mailbox::read("1:00ab456789abcdef").to_string(), "1:00ab456789abcdef");
        for other in
            ["1:00ab456789abcde", "2:00ab456789abcdef", "1:+0ab456789abcdef0", "1:00AB456789ABCDEX", ""]
        {
            assert_ne!(Mailbox::read(other), Mailbox::read("1:00ab456789abcdef"), "{other}");
        }
    }
}
