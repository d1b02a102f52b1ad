//! Retries for what Entra ID has not replicated yet.

use std::{error::Error, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    account_use,
    job::{Job, Reason},
    outcome::Failure,
    person::Person,
    services::Services,
};
use crate::{
    budget,
    graph::{
        GraphError, GraphErrorKind, PrivilegeSnapshot, SnapshotError, TenantSnapshot, UsageParts,
        UsageSnapshot, within,
    },
    ledger::Record,
    settings::{JoinerSource, SignInCheck},
};

/// How much older than our last write a snapshot may be.
pub(crate) const REPLICA_LAG: TimeDelta = TimeDelta::minutes(10);
/// Seconds before the next try to read an account that does not exist. A new account reaches all replicas meanwhile.
pub(super) const REPLICATION_RETRY_DELAYS: [u64; 4] = [2, 4, 8, 16];
/// How long after a user was added to a group a replica may not show it, or after a message was queued the account that it
/// names. Later, a wait would only hold up those who are behind it in the queue.
pub(super) const MEMBERSHIP_LAG: TimeDelta = TimeDelta::minutes(2);

/// Reads until the result `is_complete`, or every replica had its time.
async fn retry<F: Future>(
    mut read: impl FnMut() -> F,
    is_complete: impl Fn(&F::Output) -> bool,
) -> F::Output {
    for seconds in REPLICATION_RETRY_DELAYS {
        let result = read().await;
        if is_complete(&result) {
            return result;
        }
        sleep(Duration::from_secs(seconds)).await;
    }
    read().await
}

/// Reads the tenant. Retries while a replica lacks the account, a part of it, or its membership in the on-demand group.
pub(super) async fn snapshot(
    services: &Services,
    job: &Job,
    by_manager: bool,
) -> Result<TenantSnapshot, SnapshotError> {
    let is_complete = |read: &Result<TenantSnapshot, SnapshotError>| match read {
        Err(SnapshotError::Missing) => !is_young(services, job.queued_at),
        Err(SnapshotError::Graph(error)) => {
            error.kind != GraphErrorKind::NotFound || !is_young(services, job.queued_at)
        }
        Ok(snapshot) => {
            let is_unlisted = lacks_joiner_group(services, job, &snapshot.privileges);
            let may_be_listed = is_unlisted && is_young(services, job.queued_at);
            !may_be_listed && !may_become_member(services, job, snapshot)
        }
    };
    let (usage, protected) = (usage(services, job, by_manager), services.settings.protected_group);
    let snapshot = retry(|| services.graph.snapshot(job.user_id, protected, usage), is_complete).await?;
    completed(services, job, snapshot).await
}

/// Reads the tenant once, as far as the token of this process may, and says what it may not read.
pub(super) async fn snapshot_in_part(
    services: &Services,
    job: &Job,
) -> Result<(TenantSnapshot, Vec<GraphError>), SnapshotError> {
    let (usage, protected) = (usage(services, job, false), services.settings.protected_group);
    let (snapshot, forbidden) = services.graph.snapshot_in_part(job.user_id, protected, usage).await?;
    Ok((completed(services, job, snapshot).await?, forbidden))
}

/// What is read of the use of the account.
fn usage(services: &Services, job: &Job, by_manager: bool) -> UsageParts {
    match job.reason {
        Reason::Joiner | Reason::Recheck => account_use::parts(&services.settings.joiner_check),
        Reason::Http if by_manager => account_use::parts(&services.settings.joiner_check.strict()),
        // A person decided.
        Reason::GroupAdd | Reason::Http => UsageParts::default(),
    }
}

/// Adds what is not in one reading.
async fn completed(
    services: &Services,
    job: &Job,
    mut snapshot: TenantSnapshot,
) -> Result<TenantSnapshot, SnapshotError> {
    let group = match job.reason {
        Reason::GroupAdd => services.settings.on_demand_group,
        Reason::Http => services.settings.create_tap.allowed_group,
        Reason::Joiner | Reason::Recheck => None,
    };
    if let Some(group) = group
        && !snapshot.privileges.groups.contains(&group)
    {
        snapshot.hidden_group = services.graph.hides_members(group).await?;
    }
    if let UsageSnapshot { last_sign_in: Some(Err(error)), .. } = &snapshot.usage
        && services.settings.joiner_check.sign_ins == SignInCheck::IfReadable
    {
        services.sign_ins_unread.call_once(|| {
            tracing::info!(
                event = "sign_ins.not_checked",
                error = error as &dyn Error,
                "Sign-ins cannot be read; accounts in use are recognised by the other checks only"
            );
        });
    }
    check_privileges(services, job, &mut snapshot.privileges).await;
    Ok(snapshot)
}

/// Compares the privileges with what else is known, and says once what the app cannot see of them.
async fn check_privileges(services: &Services, job: &Job, privileges: &mut PrivilegeSnapshot) {
    services.eligibility.lock().await.check(privileges, services.clock.now());
    if lacks_joiner_group(services, job, privileges) {
        privileges.not_listed("was in the joiner group when the sweep ran");
    }
    if let Some(error) = &privileges.eligible_groups_unread {
        services.eligible_groups_unread.call_once(|| {
            tracing::info!(
                event = "eligible_groups.not_checked",
                error = error as &dyn Error,
                "The groups that a user can activate cannot be read; accounts that can become privileged by them are not \
                 recognised"
            );
        });
    }
    if let Some(error) = &privileges.owners_unread {
        services.owners_unread.call_once(|| {
            tracing::info!(
                event = "owners.not_checked",
                error = error as &dyn Error,
                "What a user owns cannot be read; owners of privileged groups and of applications are not recognised"
            );
        });
    }
}

/// Whether no membership is listed of an account that the sweep found in the joiner group. It may have been put there just before.
fn lacks_joiner_group(services: &Services, job: &Job, privileges: &PrivilegeSnapshot) -> bool {
    job.reason == Reason::Joiner
        && matches!(services.settings.joiners, JoinerSource::Group(_))
        && privileges.groups.is_empty()
        && privileges.active.is_empty()
}

/// Whether what was queued at `queued_at` may be about something that a replica does not show yet.
fn is_young(services: &Services, queued_at: Option<DateTime<Utc>>) -> bool {
    queued_at.is_none_or(|at| services.clock.now() - at < MEMBERSHIP_LAG)
}

/// The object id of the user whom a message that was queued at `queued_at` names by sign-in name. Retries while a replica may
/// lack the account.
///
/// # Errors
/// When there is no such user, or Graph fails.
pub(crate) async fn resolve_user(
    services: &Services,
    name: &str,
    queued_at: DateTime<Utc>,
) -> Result<Uuid, Failure> {
    let is_known = |found: &Result<_, _>| !matches!(found, Ok(None)) || !is_young(services, Some(queued_at));
    let found = retry(|| services.graph.find_user(name), is_known).await;
    found?.ok_or(Failure::Missing)
}

/// Whether the user was added to the on-demand group so recently that this snapshot may be older.
fn may_become_member(services: &Services, job: &Job, snapshot: &TenantSnapshot) -> bool {
    let is_member = |group: Uuid| snapshot.privileges.groups.contains(&group);
    let is_recent = job.since.is_some_and(|since| services.clock.now() - since < MEMBERSHIP_LAG);
    is_recent && services.settings.on_demand_group.is_some_and(|group| !is_member(group))
}

/// The user of an account that does not exist, with the names that the tenant keeps of a deleted one.
pub(crate) async fn deleted(services: &Services, user: Uuid, record: Option<&Record>) -> Person {
    let reading = services.graph.deleted_user(user);
    let found = within(budget::DELETED_USER, "reading the deleted user", reading).await;
    Person::deleted(user, record, found.unwrap_or_default())
}
