//! Replicas lag: what is not there yet is looked for again.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use uuid::Uuid;

use super::job::Job;
use crate::{
    app::App,
    graph::{Kind, ReadError, Reading},
};

/// Seconds to wait before an account that is not there is looked for again: a new one takes that long to reach all
/// replicas.
pub const REPLICATION_WAITS: [u64; 4] = [2, 4, 8, 16];
/// How long after somebody was added to a group a replica may not show it yet.
pub const MEMBERSHIP_LAG: TimeDelta = TimeDelta::minutes(2);

/// Reads the tenant; waits out replicas that do not know the account, or all of it, or its new group, yet.
pub(super) async fn read(app: &App, job: &Job) -> Result<Reading, ReadError> {
    for seconds in REPLICATION_WAITS {
        match app.graph.read(job.user_id).await {
            Err(ReadError::Missing) => {}
            Err(ReadError::Graph(error)) if error.kind == Kind::NotFound => {}
            Ok(reading) if may_become_member(app, job, &reading) => {}
            read => return read,
        }
        sleep(Duration::from_secs(seconds)).await;
    }
    app.graph.read(job.user_id).await
}

/// Whether the user was added to the on-demand group so short a time ago that this reading may be older.
fn may_become_member(app: &App, job: &Job, reading: &Reading) -> bool {
    let is_member = |group: Uuid| reading.standing.groups.contains(&group);
    let is_new = job.since.is_some_and(|since| app.clock.now() - since < MEMBERSHIP_LAG);
    is_new && app.settings.on_demand_group.is_some_and(|group| !is_member(group))
}
