//! Whether an account is in use already, and whether its joiner has arrived.
//!
//! A joiner's account is new: nobody has signed in to it or registered anything. Without this check, whoever can write a
//! hire date and a private address gets a way into any account, and so does one mistake in an import.

use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::{
    graph::{Unread, UsageParts, UsageSnapshot, User},
    ledger::Record,
    settings::{JoinerCheck, SignInCheck},
};

/// How long the report on registrations may lack a new account.
const REPORT_LAG: TimeDelta = TimeDelta::days(7);
/// How long after a pass opened a method without a date counts as the joiner's.
const ARRIVAL_MAX: TimeDelta = TimeDelta::days(60);
/// A day one that lies further after the arrival is another start.
const ANOTHER_START: TimeDelta = TimeDelta::days(30);

/// What only someone who gets into the account does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    kind: EvidenceKind,
    /// When it was done, if that is known.
    pub(super) at: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum EvidenceKind {
    Method(String),
    SignIn,
}

impl Evidence {
    /// Whether it is a sign-in, and not a method.
    pub(super) fn is_sign_in(&self) -> bool {
        self.kind == EvidenceKind::SignIn
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the account is in use: ")?;
        match &self.kind {
            EvidenceKind::Method(kind) => write!(f, "the authentication method {kind} is registered")?,
            EvidenceKind::SignIn => f.write_str("someone has signed in")?,
        }
        match self.at {
            Some(at) => write!(f, " since {}", at.date_naive()),
            None => Ok(()),
        }
    }
}

/// What has to be read for `check`.
pub(super) fn parts(check: &JoinerCheck) -> UsageParts {
    UsageParts {
        methods: check.methods,
        registration: check.registration,
        sign_ins: check.sign_ins != SignInCheck::Off,
    }
}

/// Everything that shows use, methods first. An ignored method shows nothing.
pub(super) fn evidence(usage: &UsageSnapshot, check: &JoinerCheck) -> Vec<Evidence> {
    let listed = usage.methods.iter().flatten().flatten();
    let reported = usage.registration.iter().flatten().flatten().flatten();
    let counts = |kind: &str| check.counts_method(kind);
    let methods = listed
        .chain(reported)
        .filter(|method| counts(&method.kind))
        .map(|method| Evidence { kind: EvidenceKind::Method(method.kind.clone()), at: method.created_at });
    let sign_in = usage.last_sign_in.iter().flatten().flatten();
    methods.chain(sign_in.map(|at| Evidence { kind: EvidenceKind::SignIn, at: Some(*at) })).collect()
}

/// Why a check that must succeed could not be made.
pub(super) fn unknown(
    usage: &UsageSnapshot,
    check: &JoinerCheck,
    user: &User,
    now: DateTime<Utc>,
) -> Option<Unread> {
    let no_row = || {
        let has_none = matches!(usage.registration, Some(Ok(None))) && !may_be_unreported(user, now);
        let why = "the report on registered methods has no record of this account".to_owned();
        has_none.then_some(Unread { why, is_permission: false })
    };
    let sign_ins = || {
        let error = usage.last_sign_in.as_ref()?.as_ref().err()?;
        (check.sign_ins == SignInCheck::Required).then(|| error.into())
    };
    unreadable(usage).or_else(no_row).or_else(sign_ins)
}

/// Whether the account is so new that the report on registrations may lack it.
pub(super) fn may_be_unreported(user: &User, now: DateTime<Utc>) -> bool {
    user.created_date_time.is_some_and(|created| now - created < REPORT_LAG)
}

/// Why authentication methods could not be read, if they were asked for.
pub(super) fn unreadable(usage: &UsageSnapshot) -> Option<Unread> {
    let methods = usage.methods.as_ref().and_then(|methods| methods.as_ref().err());
    methods.or_else(|| usage.registration.as_ref()?.as_ref().err()).map(Unread::from)
}

/// When the joiner arrived: with the first sign of use after a delivered pass opened, at `opened_at`.
pub(super) fn arrival(
    evidence: &[Evidence],
    opened_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let arrival = |evidence: &Evidence| match evidence.at {
        Some(at) => (at >= opened_at).then_some(at),
        None => (now - opened_at < ARRIVAL_MAX).then_some(now),
    };
    evidence.iter().filter_map(arrival).min()
}

/// Why an account is too old to be a joiner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It was created on this day, long before day one.
    Created(NaiveDate),
    /// It has no time of creation, like accounts that were synchronised before June 2018.
    Unknown,
    /// Its owner was told of this day one long ago.
    Told(NaiveDate),
    /// Its owner was in the account on this day, and comes back.
    Returns(NaiveDate),
}

/// Whether somebody who was first seen in the account at `arrived_at` comes back on `day`: the account is disabled until then.
pub(crate) fn returns(
    arrived_at: DateTime<Utc>,
    day: Option<NaiveDate>,
    is_enabled: bool,
    now: DateTime<Utc>,
) -> bool {
    let is_ahead =
        |day: NaiveDate| day >= now.date_naive() && day - arrived_at.date_naive() > TimeDelta::days(1);
    !is_enabled && day.is_some_and(is_ahead)
}

impl Age {
    pub(super) fn of(
        user: &User,
        record: Option<&Record>,
        day: NaiveDate,
        max_days: u16,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        match user.created_date_time.map(|created| created.date_naive()) {
            None => return Some(Self::Unknown),
            Some(created) if day - created > TimeDelta::days(max_days.into()) => {
                return Some(Self::Created(created));
            }
            Some(_) => {}
        }
        let told =
            record.and_then(|record| record.announcement.as_ref()).filter(|told| told.day_one != day)?;
        told.at.is_some_and(|at| now - at > ANOTHER_START).then_some(Self::Told(told.day_one))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created(day) => write!(f, "the account is old: it was created on {day}"),
            Self::Unknown => f.write_str("the account is old: Graph does not say when it was created"),
            Self::Returns(day) => write!(f, "the account is not new: someone was in it on {day}"),
            Self::Told(day) => {
                write!(f, "a pass for another first day, {day}, was mailed a month ago or earlier")
            }
        }
    }
}
