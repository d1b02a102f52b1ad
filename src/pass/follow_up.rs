//! What becomes of a delivered pass: the joiner is reminded of it, gets another one, or a person hears that they did not
//! get in.
//!
//! A mail that was sent is no success. A pass can end while the account is still disabled, while its mail lies in a spam
//! folder, or because the person did not come.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::account_use;
use crate::{
    graph::{Pass, TenantSnapshot, Usability, UsageSnapshot, User},
    ledger::Delivered,
};

/// How long an account may be disabled on day one: some HR systems enable it that morning.
pub(crate) const ENABLED_WITHIN: TimeDelta = TimeDelta::hours(1);

/// A reminder that comes later than this before the end of the pass does not help.
pub(crate) const REMINDED_UNTIL: TimeDelta = TimeDelta::minutes(30);
/// How many working days after day one a pass that ended unused is replaced at the latest.
pub(super) const REISSUED_WITHIN: usize = 5;

/// `start`, when the joiner could first use the pass on day one, if that was an hour ago and the account is still disabled.
pub(super) fn disabled_since(user: &User, start: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (!user.account.is_enabled() && now - start >= ENABLED_WITHIN).then_some(start)
}

/// Whether the joiner has had `after` since `start` to use the pass that is `listed`, did not, and still can.
pub(super) fn is_reminder_due(
    snapshot: &TenantSnapshot,
    listed: &Pass,
    start: DateTime<Utc>,
    after: TimeDelta,
    now: DateTime<Utc>,
) -> bool {
    // A pass for several uses does not show its use.
    let is_unused = listed.is_usable_once && listed.usability(now) == Usability::Active;
    let is_time = now - start >= after && listed.ends_at() - now > REMINDED_UNTIL;
    is_unused && is_time && snapshot.user.account.is_enabled() && methods_were_read(snapshot, now)
}

/// Whether authentication methods were read, so that one would have been seen.
fn methods_were_read(snapshot: &TenantSnapshot, now: DateTime<Utc>) -> bool {
    match (&snapshot.usage.methods, &snapshot.usage.registration) {
        (Some(Ok(_)), _) | (_, Some(Ok(Some(_)))) => true,
        (_, Some(Ok(None))) => !account_use::may_be_unreported(&snapshot.user, now),
        _ => false,
    }
}

/// Whether authentication methods were read, and there is none.
fn has_no_method(snapshot: &TenantSnapshot, now: DateTime<Utc>) -> bool {
    match (&snapshot.usage.methods, &snapshot.usage.registration) {
        (Some(Ok(methods)), _) | (_, Some(Ok(Some(methods)))) => methods.is_empty(),
        (_, Some(Ok(None))) => !account_use::may_be_unreported(&snapshot.user, now),
        _ => false,
    }
}

/// How much older the reports on sign-ins and registered methods may be than the tenant.
pub(crate) const REPORT_LAG: TimeDelta = TimeDelta::days(1);

/// Whether the pass ended a day ago, and neither methods nor sign-ins were read, so that nothing can show an arrival.
pub(super) fn is_unknown(snapshot: &TenantSnapshot, delivered: &Delivered, now: DateTime<Utc>) -> bool {
    let UsageSnapshot { methods, registration, last_sign_in } = &snapshot.usage;
    let reads_nothing = methods.is_none() && registration.is_none() && !matches!(last_sign_in, Some(Ok(_)));
    reads_nothing && now - delivered.pass.ends_at >= REPORT_LAG
}

/// A joiner whose pass has ended without a sign that they got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotArrived {
    ended_at: DateTime<Utc>,
    is_enabled: bool,
    /// Graph lists the pass as expired, or did, and it would list its use. It does not for a pass for several uses.
    is_unused: bool,
    /// Authentication methods were read, and there is none.
    has_no_method: bool,
    /// Authentication methods were read, and there is none but those that the company registers itself; nor is there a sign-in
    /// as far as it could be read.
    shows_nothing: bool,
    /// Sign-ins were read, and there is none.
    has_no_sign_in: bool,
}

impl NotArrived {
    /// What the snapshot shows of a joiner without a sign of arrival; `None` if it could not show one, or not yet.
    /// `is_replaced` says that an earlier job saw it, and that its POST may have replaced the pass; `is_without_evidence` that
    /// nothing that counts shows use of the account.
    pub(super) fn of(
        snapshot: &TenantSnapshot,
        delivered: &Delivered,
        is_replaced: bool,
        is_without_evidence: bool,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let TenantSnapshot { user, passes, usage, .. } = snapshot;
        let listed = passes.iter().find(|pass| pass.id == delivered.pass.pass_id);
        let has_no_method = has_no_method(snapshot, now);
        let not_arrived = Self {
            ended_at: delivered.told_end(),
            is_enabled: user.account.is_enabled(),
            is_unused: listed
                .map_or(is_replaced, |p| p.is_usable_once && p.usability(now) == Usability::Expired),
            has_no_method,
            shows_nothing: is_without_evidence && methods_were_read(snapshot, now),
            has_no_sign_in: matches!(usage.last_sign_in, Some(Ok(None))),
        };
        let is_due = not_arrived.is_unused || now - delivered.pass.ends_at >= REPORT_LAG;
        let is_seen = (not_arrived.is_unused && not_arrived.shows_nothing)
            || has_no_method
            || not_arrived.has_no_sign_in;
        (is_due && is_seen).then_some(not_arrived)
    }

    /// Whether nobody can have used the pass, and the joiner could have.
    pub(super) fn is_certain(&self) -> bool {
        self.is_enabled && self.is_unused && self.shows_nothing
    }
}

impl fmt::Display for NotArrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = [
            (self.is_unused, "the pass was not used"),
            (self.has_no_method, "no authentication method is registered"),
            (self.has_no_sign_in, "no sign-in is listed"),
            (!self.is_enabled, "the account is disabled"),
        ];
        let missing: Vec<&str> = missing.iter().filter(|(is_so, _)| *is_so).map(|(_, text)| *text).collect();
        let ended = self.ended_at.format("%Y-%m-%d %H:%M UTC");
        write!(
            f,
            "the pass ended at {ended}, and nothing shows that this person got in: {}",
            missing.join(", ")
        )
    }
}
