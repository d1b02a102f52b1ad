//! Replicas lag: what is not there yet is looked for again.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    job::Job,
    outcome::{Failure, Outcome},
};
use crate::{
    app::App,
    graph::{Kind, ReadError, Reading},
};

/// Seconds to wait before an account that is not there is looked for again: a new one takes that long to reach all
/// replicas.
pub(super) const REPLICATION_WAITS: [u64; 4] = [2, 4, 8, 16];
/// How long after somebody was added to a group a replica may not show it yet.
pub(super) const MEMBERSHIP_LAG: TimeDelta = TimeDelta::minutes(2);

/// Looks until there is something to be seen, or until every replica had its time.
async fn look<F: Future>(mut look: impl FnMut() -> F, is_there: impl Fn(&F::Output) -> bool) -> F::Output {
    for seconds in REPLICATION_WAITS {
        let seen = look().await;
        if is_there(&seen) {
            return seen;
        }
        sleep(Duration::from_secs(seconds)).await;
    }
    look().await
}

/// Reads the tenant; waits out replicas that do not know the account, or all of it, or its new group, yet.
pub(super) async fn read(app: &App, job: &Job) -> Result<Reading, ReadError> {
    let is_there = |read: &Result<Reading, ReadError>| match read {
        Err(ReadError::Missing) => false,
        Err(ReadError::Graph(error)) => error.kind != Kind::NotFound,
        Ok(reading) => !may_become_member(app, job, reading),
    };
    look(|| app.graph.read(job.user_id), is_there).await
}

/// Finds the user whom a message names; waits out replicas that do not know them yet.
///
/// # Errors
/// `Failed`, when there is no such user, or Graph cannot be asked.
pub async fn find(app: &App, name: &str) -> Result<Uuid, Outcome> {
    let found = look(|| app.graph.find_user(name), |found| !matches!(found, Ok(None))).await;
    found?.ok_or(Outcome::Failed(Failure::Missing))
}

/// Whether the user was added to the on-demand group so short a time ago that this reading may be older.
fn may_become_member(app: &App, job: &Job, reading: &Reading) -> bool {
    let is_member = |group: Uuid| reading.standing.groups.contains(&group);
    let is_new = job.since.is_some_and(|since| app.clock.now() - since < MEMBERSHIP_LAG);
    is_new && app.settings.on_demand_group.is_some_and(|group| !is_member(group))
}
