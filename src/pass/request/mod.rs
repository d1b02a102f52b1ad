//! What a caller asks for, and why they may not have it.
//!
//! [`decide`](fn@super::decide) says whether a user may have a pass at all, whoever asks; here stands what is about the
//! call: that it was made before, that it asks for more than the policy allows, that it is one too many.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::{
    outcome::{Failure, Outcome},
    ownership::{pass_record, was_created_under},
    replication::REPLICA_LAG,
    window::Window,
};
use crate::{
    graph::{PassPolicy, TenantSnapshot},
    ledger::{CallResult, Fingerprint, IdempotencyEntry, PassRecord, Record},
    settings::CreateTapSettings,
    zone::Tz,
};

/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct PassRequest {
    /// When the pass is to open; `None` for now.
    pub opens_at: Option<DateTime<Utc>>,
    /// Minutes.
    pub lifetime_minutes: Choice<u32>,
    /// Whether it is to work only once.
    pub one_time: Choice<bool>,
    /// Whether the joiner's mail brings the code, instead of the answer.
    pub by_mail: bool,
    /// What tells a repetition from a new call.
    pub fingerprint: Option<Fingerprint>,
    /// Nothing that cannot be undone starts after this: the caller is waiting.
    pub deadline: Instant,
}

/// A value that a caller named, or the one that stands in where they did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    /// Named: it is this or nothing.
    Explicit(T),
    /// Not named: the policy may bend it.
    Default(T),
}

impl<T: Copy> Choice<T> {
    /// The value.
    pub fn value(self) -> T {
        match self {
            Self::Explicit(value) | Self::Default(value) => value,
        }
    }

    fn is_default(&self) -> bool {
        matches!(self, Self::Default(_))
    }
}

/// Something that the tenant's policy does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyViolation {
    /// It allows lifetimes from the one to the other, in minutes.
    Lifetime {
        /// The shortest.
        minimum: u32,
        /// The longest.
        maximum: u32,
    },
    /// It allows only passes that work once.
    SeveralTimes,
}

impl fmt::Display for PolicyViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lifetime { minimum, maximum } => {
                write!(f, "the tenant's policy allows {minimum} to {maximum} minutes")
            }
            Self::SeveralTimes => f.write_str("the tenant's policy allows only passes that work once"),
        }
    }
}

/// Why an order is not carried out, though its user may have a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for more than the policy allows.
    PolicyViolation(Vec<PolicyViolation>),
    /// The user is not in the group whose members may have a pass this way.
    NotInGroup,
    /// There were enough passes for this user in the last hour.
    TooMany {
        /// When the next one may be asked for.
        again_at: DateTime<Utc>,
    },
    /// The same key came before, with another order.
    KeyReused,
    /// The same call came before, and this is what it made.
    Repeated {
        /// The pass.
        made: PassRecord,
        /// When the call came.
        at: DateTime<Utc>,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyViolation(beyond) => {
                let words: Vec<String> = beyond.iter().map(PolicyViolation::to_string).collect();
                f.write_str(&words.join("; "))
            }
            Self::NotInGroup => {
                f.write_str("the user is not in the group whose members may have a pass by CreateTap")
            }
            Self::TooMany { again_at } => {
                write!(
                    f,
                    "this user was made as many passes as an hour allows; the next one at {again_at:.0}"
                )
            }
            Self::KeyReused => f.write_str("this Idempotency-Key came minutes ago with another body"),
            Self::Repeated { made, .. } => {
                write!(f, "this call came before, and made the pass {}", made.pass_id)
            }
        }
    }
}

/// Why a caller gets no pass.
#[derive(Debug)]
pub enum NotIssued {
    /// As for any job.
    Outcome(Outcome),
    /// Because of the call.
    Refused(Refusal),
}

impl From<Outcome> for NotIssued {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<Refusal> for NotIssued {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for NotIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => outcome.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl PassRequest {
    /// The window, within the policy.
    pub fn window(&self, zone: Tz, policy: &PassPolicy, now: DateTime<Utc>) -> Window {
        let opens_at = self.opens_at.unwrap_or(now);
        Window::from(opens_at, self.lifetime_minutes.value(), self.one_time.value(), zone, policy, now)
    }

    /// Whether the call was made before.
    ///
    /// # Errors
    /// What became of it then, unless it came to nothing. `snapshot` is there where the tenant could be read.
    pub fn check_idempotency(
        &self,
        record: Option<&Record>,
        snapshot: Option<&TenantSnapshot>,
        now: DateTime<Utc>,
    ) -> Result<(), NotIssued> {
        let Some((record, fingerprint)) = record.zip(self.fingerprint.as_ref()) else { return Ok(()) };
        let same_key = |call: &&IdempotencyEntry| {
            now - call.since < IDEMPOTENCY_WINDOW
                && call.fingerprint.as_ref().is_some_and(|f| f.key == fingerprint.key)
        };
        let Some(call) = record.calls.iter().rfind(same_key) else { return Ok(()) };
        if call.fingerprint.as_ref() != Some(fingerprint) {
            return Err(Refusal::KeyReused.into());
        }
        let repeated = |made| Err(Refusal::Repeated { made, at: call.since }.into());
        let busy = |until| Err(Outcome::Failed(Failure::Busy(Some(until))).into());
        match &call.result {
            Some(CallResult::Issued(made)) => repeated(made.clone()),
            Some(CallResult::Nothing) => Ok(()),
            None if now < call.since + Record::LEASE => busy(call.since + Record::LEASE),
            // Its worker died. An answer would have come after the record: nobody has the code.
            None if !self.by_mail => Ok(()),
            // A mail may have gone out before; then the pass is there, sooner or later.
            None => {
                let lease = record.leases().find(|lease| lease.job_key == call.job_key);
                let announced = |pass: &&_| lease.is_some_and(|lease| was_created_under(lease, pass));
                match snapshot.and_then(|snapshot| snapshot.passes.iter().find(announced)) {
                    Some(pass) => repeated(pass_record(pass)),
                    None if now - call.since < REPLICA_LAG => busy(call.since + REPLICA_LAG),
                    None => Ok(()),
                }
            }
        }
    }

    /// Whether the order may be carried out.
    ///
    /// # Errors
    /// Why not.
    pub fn authorize(
        &self,
        settings: &CreateTapSettings,
        snapshot: &TenantSnapshot,
        record: Option<&Record>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        if settings.allowed_group.is_some_and(|group| !snapshot.privileges.groups.contains(&group)) {
            return Err(Refusal::NotInGroup);
        }
        let asked = self.violations(&snapshot.policy, false);
        if !asked.is_empty() {
            return Err(Refusal::PolicyViolation(asked));
        }
        let counts = |call: &&IdempotencyEntry| {
            now - call.since < Record::CALL_HISTORY && call.result.as_ref() != Some(&CallResult::Nothing)
        };
        let calls: Vec<&IdempotencyEntry> =
            record.into_iter().flat_map(|r| &r.calls).filter(counts).collect();
        // The oldest of the last so many makes room when its hour is over.
        match calls.len().checked_sub(settings.limit_per_user).and_then(|at| calls.get(at)) {
            Some(oldest) => Err(Refusal::TooMany { again_at: oldest.since + Record::CALL_HISTORY }),
            None => Ok(()),
        }
    }

    /// Which defaults the policy bends.
    pub fn clamped(&self, policy: &PassPolicy) -> Vec<PolicyViolation> {
        self.violations(policy, true)
    }

    /// What the policy does not allow: among the defaults, or among what was asked for.
    fn violations(&self, policy: &PassPolicy, of_defaults: bool) -> Vec<PolicyViolation> {
        let minutes = self.lifetime_minutes.value();
        let lifetime = PolicyViolation::Lifetime {
            minimum: policy.minimum_lifetime_in_minutes,
            maximum: policy.maximum_lifetime_in_minutes,
        };
        [
            (self.lifetime_minutes.is_default(), policy.clamp(minutes) != minutes, lifetime),
            (
                self.one_time.is_default(),
                policy.is_usable_once && !self.one_time.value(),
                PolicyViolation::SeveralTimes,
            ),
        ]
        .into_iter()
        .filter(|(is_default, is_beyond, _)| *is_beyond && *is_default == of_defaults)
        .map(|(.., beyond)| beyond)
        .collect()
    }
}

#[cfg(test)]
mod tests;
