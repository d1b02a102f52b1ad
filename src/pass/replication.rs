//! Replicas lag: what is not there yet is looked for again.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    job::Job,
    outcome::{Failure, Outcome},
    services::Services,
};
use crate::graph::{GraphErrorKind, SnapshotError, TenantSnapshot};

/// How long what we read may be older than what we wrote.
pub(super) const REPLICA_LAG: TimeDelta = TimeDelta::minutes(10);
/// Seconds to wait before an account that is not there is looked for again: a new one takes that long to reach all
/// replicas.
pub(super) const REPLICATION_RETRY_DELAYS: [u64; 4] = [2, 4, 8, 16];
/// How long after somebody was added to a group a replica may not show it yet.
pub(super) const MEMBERSHIP_LAG: TimeDelta = TimeDelta::minutes(2);

/// Looks until there is something to be seen, or until every replica had its time.
async fn retry<F: Future>(mut read: impl FnMut() -> F, is_there: impl Fn(&F::Output) -> bool) -> F::Output {
    for seconds in REPLICATION_RETRY_DELAYS {
        let seen = read().await;
        if is_there(&seen) {
            return seen;
        }
        sleep(Duration::from_secs(seconds)).await;
    }
    read().await
}

/// Reads the tenant; waits out replicas that do not know the account, or all of it, or its new group, yet.
pub(super) async fn snapshot(services: &Services, job: &Job) -> Result<TenantSnapshot, SnapshotError> {
    let is_there = |read: &Result<TenantSnapshot, SnapshotError>| match read {
        Err(SnapshotError::Missing) => false,
        Err(SnapshotError::Graph(error)) => error.kind != GraphErrorKind::NotFound,
        Ok(snapshot) => !may_become_member(services, job, snapshot),
    };
    retry(|| services.graph.snapshot(job.user_id), is_there).await
}

/// Finds the user whom a message names; waits out replicas that do not know them yet.
///
/// # Errors
/// `Failed`, when there is no such user, or Graph cannot be asked.
pub async fn resolve_user(services: &Services, name: &str) -> Result<Uuid, Outcome> {
    let found = retry(|| services.graph.find_user(name), |found| !matches!(found, Ok(None))).await;
    found?.ok_or(Outcome::Failed(Failure::Missing))
}

/// Whether the user was added to the on-demand group so short a time ago that this snapshot may be older.
fn may_become_member(services: &Services, job: &Job, snapshot: &TenantSnapshot) -> bool {
    let is_member = |group: Uuid| snapshot.privileges.groups.contains(&group);
    let is_new = job.since.is_some_and(|since| services.clock.now() - since < MEMBERSHIP_LAG);
    is_new && services.settings.on_demand_group.is_some_and(|group| !is_member(group))
}
