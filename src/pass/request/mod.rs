//! What a caller asks for, and why the call may get no pass.
//!
//! [`decide`](fn@super::decide) decides whether a user may have a pass at all. This module checks the call: whether it came
//! before, whether it asks for more than the policy allows, and whether it exceeds a limit.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    outcome::{Block, Failure, Outcome, Skip},
    ownership::{pass_record, was_created_under},
    replication::REPLICA_LAG,
    window::Window,
};
use crate::{
    budget,
    graph::{PassPolicy, TenantSnapshot},
    ledger::{CallResult, Fingerprint, IdempotencyEntry, LedgerError, PassRecord, Record},
    settings::CreateTapSettings,
    zone::Tz,
};

/// How long an idempotency key is remembered.
pub(crate) const IDEMPOTENCY_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct PassRequest {
    /// When the pass opens; `None` for now.
    pub opens_at: Option<DateTime<Utc>>,
    /// Minutes.
    pub lifetime_minutes: Choice<u32>,
    /// Whether the pass works only once.
    pub one_time: Choice<bool>,
    /// Whether the code is sent by the joiner's mail instead of the answer.
    pub by_mail: bool,
    /// The caller, if they may have a pass only as the manager of a joiner.
    pub manager: Option<Uuid>,
    /// Distinguishes a repetition from a new call.
    pub fingerprint: Option<Fingerprint>,
    /// The caller waits: no change in the tenant and no mail goes on after this.
    pub deadline: Instant,
}

/// A value of a caller, or the default in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    /// The caller named it: the pass has this value, or there is no pass.
    Explicit(T),
    /// The caller did not name it: the policy may clamp it.
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

/// A value that the tenant's policy does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyViolation {
    /// The policy has limits for the lifetime, in minutes.
    #[error("the tenant's policy allows {minimum} to {maximum} minutes")]
    Lifetime {
        /// The shortest.
        minimum: u32,
        /// The longest.
        maximum: u32,
    },
    /// The policy allows only passes that work once.
    #[error("the tenant's policy allows only passes that work once")]
    SeveralTimes,
}

/// Why a call gets no pass although its user may have one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller named values that the policy does not allow.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    PolicyViolation(Vec<PolicyViolation>),
    /// The user is not in the group whose members may have a pass by CreateTap.
    #[error("the user is not in the group whose members may have a pass by CreateTap")]
    NotInGroup,
    /// The caller may call as a manager, and not for this account.
    #[error("the caller may call as a manager only, and {0}")]
    NotForManager(String),
    /// The user has had as many passes in the last hour as the limit allows.
    #[error("this user has had as many passes as an hour allows; the next one is possible at {again_at:.0}")]
    TooMany {
        /// When the next call may come.
        again_at: DateTime<Utc>,
    },
    /// The same key came before, with another request.
    #[error("this Idempotency-Key came minutes ago with another body")]
    KeyReused,
    /// The same call came before and made a pass.
    #[error("this call came before, and made the pass {}", made.pass_id)]
    Repeated {
        /// The pass.
        made: PassRecord,
        /// When the call came.
        at: DateTime<Utc>,
    },
}

/// Why a caller gets no pass.
#[derive(Debug)]
pub enum NotIssued {
    /// The flow ended without a pass, as for any job.
    Outcome(Outcome),
    /// The call was refused.
    Refused(Refusal),
}

impl From<Outcome> for NotIssued {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<Failure> for NotIssued {
    fn from(failure: Failure) -> Self {
        Self::Outcome(Outcome::Failed(failure))
    }
}

impl From<Refusal> for NotIssued {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl NotIssued {
    /// Whether the same call may succeed later without anybody's doing.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Outcome(Outcome::Failed(Failure::Graph(error))) => error.is_transient(),
            Self::Outcome(Outcome::Failed(failure)) => {
                !matches!(failure, Failure::Missing | Failure::Ledger(LedgerError::Unreadable(_)))
            }
            // It is so for every account.
            Self::Outcome(
                Outcome::Blocked(Block::MailboxShut(_)) | Outcome::Skipped(Skip::ReportOnly | Skip::Paused),
            ) => true,
            _ => false,
        }
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
    /// The same by a manager: their pass works once and not for longer than the default, whatever they ask for. The joiner's first
    /// sign-in then shuts them out.
    #[must_use]
    pub fn by_manager(mut self, manager: Uuid, settings: &CreateTapSettings) -> Self {
        if self.lifetime_minutes.value() > settings.lifetime_minutes {
            self.lifetime_minutes = Choice::Default(settings.lifetime_minutes);
        }
        Self { manager: Some(manager), one_time: Choice::Default(true), ..self }
    }

    /// The window, within the policy.
    pub fn window(&self, zone: Tz, policy: &PassPolicy, now: DateTime<Utc>) -> Window {
        let opens_at = self.opens_at.unwrap_or(now);
        Window::from(opens_at, self.lifetime_minutes.value(), self.one_time.value(), zone, policy, now)
    }

    /// Checks whether the same call came before. `snapshot` is `None` where the tenant could not be read.
    ///
    /// # Errors
    /// If it came and made a pass, is still running, or came with another body.
    pub(crate) fn check_idempotency(
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
        let busy = |until| Err(Failure::Busy(Some(until)).into());
        match &call.result {
            Some(CallResult::Issued(made)) => repeated(made.clone()),
            Some(CallResult::Nothing) => Ok(()),
            None if now < call.since + budget::LEASE => busy(call.since + budget::LEASE),
            // Its worker died. An answer is sent after the record is written: the caller does not have the code.
            None if !self.by_mail => Ok(()),
            // Its worker died. The mail may have been sent before; then the tenant lists the pass, at once or later.
            None => {
                let lease = record.leases().find(|lease| lease.job_key == call.job_key);
                let under_lease = |pass: &&_| lease.is_some_and(|lease| was_created_under(lease, pass));
                match snapshot.and_then(|snapshot| snapshot.passes.iter().find(under_lease)) {
                    Some(pass) => repeated(pass_record(pass)),
                    None if now - call.since < REPLICA_LAG => busy(call.since + REPLICA_LAG),
                    None => Ok(()),
                }
            }
        }
    }

    /// Checks whether this call may have the pass that it asks for.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn authorize(
        &self,
        settings: &CreateTapSettings,
        snapshot: &TenantSnapshot,
        record: Option<&Record>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        if settings.allowed_group.is_some_and(|group| !snapshot.privileges.groups.contains(&group)) {
            return Err(Refusal::NotInGroup);
        }
        let violations = self.violations(&snapshot.policy, false);
        if !violations.is_empty() {
            return Err(Refusal::PolicyViolation(violations));
        }
        let counts = |call: &&IdempotencyEntry| {
            now - call.since < Record::CALL_HISTORY && call.result.as_ref() != Some(&CallResult::Nothing)
        };
        let calls: Vec<&IdempotencyEntry> =
            record.into_iter().flat_map(|r| &r.calls).filter(counts).collect();
        // The next call is possible when the oldest of the last `limit_per_user` calls is an hour old.
        match calls.len().checked_sub(settings.limit_per_user).and_then(|at| calls.get(at)) {
            Some(oldest) => Err(Refusal::TooMany { again_at: oldest.since + Record::CALL_HISTORY }),
            None => Ok(()),
        }
    }

    /// The defaults that the policy clamps.
    pub(crate) fn clamped(&self, policy: &PassPolicy) -> Vec<PolicyViolation> {
        self.violations(policy, true)
    }

    /// What the policy does not allow: among the defaults, or among the explicit values.
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
        .filter(|(is_default, is_violation, _)| *is_violation && *is_default == of_defaults)
        .map(|(.., violation)| violation)
        .collect()
    }
}

#[cfg(test)]
mod tests;
