//! Whether a manager may have a pass for an account: it is that of a joiner who reports to them.
//!
//! A manager is any employee to whom somebody reports. So unlike a helpdesk, they get no pass that lets them into an account
//! that somebody uses: every check must succeed, whatever `JOINER_CHECK` leaves out.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    account_use::{self, Age},
    guard,
    manager::colleague,
    outcome::{Block, Skip},
};
use crate::{
    graph::TenantSnapshot,
    ledger::Record,
    settings::{JoinerCheck, Settings, SignInCheck},
};

/// What is checked before an account counts as that of a joiner.
pub(super) fn check(settings: &Settings) -> JoinerCheck {
    JoinerCheck { methods: true, sign_ins: SignInCheck::Required, ..settings.joiner_check.clone() }
}

/// Why `manager` gets no pass for the account, for the audit line.
pub(super) fn refusal(
    manager: Uuid,
    snapshot: &TenantSnapshot,
    record: Option<&Record>,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Option<String> {
    relation(manager, snapshot).or_else(|| not_a_joiner(snapshot, record, settings, now))
}

fn relation(caller: Uuid, snapshot: &TenantSnapshot) -> Option<String> {
    let manager = snapshot.manager.as_ref().filter(|manager| manager.id == Some(caller));
    match (manager, &snapshot.manager_refused) {
        _ if snapshot.user.id == caller => Some("the account is their own".to_owned()),
        (None, Some(error)) => Some(format!("the manager of the account cannot be read: {error}")),
        (None, None) => Some("is not the enabled manager of this account".to_owned()),
        (Some(manager), _) => colleague(manager).err().map(|unfit| unfit.to_string()),
    }
}

fn not_a_joiner(
    snapshot: &TenantSnapshot,
    record: Option<&Record>,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Option<String> {
    let TenantSnapshot { user, usage, privileges, .. } = snapshot;
    let check = check(settings);
    let not_served = || Skip::of_account(user.sign_in(), &settings.pass).map(|skip| skip.to_string());
    let privileged = || guard::finding(privileges).map(|finding| Block::Privileged(finding).to_string());
    let arrived =
        || record?.arrived_at.map(|at| format!("somebody was in the account on {}", at.date_naive()));
    let in_use = || account_use::evidence(usage, &check).first().map(ToString::to_string);
    let day_one = user.account.employee_hire_date.unwrap_or(now).date_naive();
    let too_old = || Age::of(user, record, day_one, check.max_age_days?, now).map(|age| age.to_string());
    let unknown = || {
        let unread = account_use::unknown(usage, &check, user, now)?;
        Some(format!("whether somebody uses the account is unknown: {unread}"))
    };
    not_served().or_else(privileged).or_else(arrived).or_else(in_use).or_else(too_old).or_else(unknown)
}

#[cfg(test)]
mod tests;
