//! Finds the new members of the on-demand group when no message names them: reads the group and compares it with the
//! membership snapshot in the ledger.
//!
//! There is no transaction over the ledger and the queue. So the snapshot, written first, says whose jobs may be
//! missing, and a last message behind the jobs says that they are queued. After a crash between the two, the next sync
//! queues the missing jobs.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    additions,
    continuation::{SweepContinues, SyncContinues},
    job::Job,
    outcome::Failure,
    replication::{MEMBERSHIP_LAG, REPLICA_LAG},
    services::Services,
};
use crate::{
    budget,
    graph::GroupMembers,
    ledger::{Delivered, LedgerError, MembershipSnapshot, Purpose, State},
    range,
};

/// A change of the on-demand group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipEvent {
    /// Identifies the change.
    pub key: String,
    /// When it happened, or when the message was sent: never later.
    pub at: DateTime<Utc>,
}

/// The message behind the jobs of a group sync.
///
/// As with a [`Job`], no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncCompleted {
    /// The group.
    pub synced_group: Uuid,
    /// The group sync.
    #[serde(deserialize_with = "range::key")]
    pub sync_id: String,
}

impl SyncCompleted {
    /// The message.
    pub fn to_message(&self) -> String {
        json!(self).to_string()
    }
}

/// The message behind the jobs of a sweep that looked at everyone: the jobs are in the queue.
///
/// As with a [`Job`], no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DailyLook {
    /// When the sweep began.
    #[serde(deserialize_with = "range::ours")]
    pub daily_look: DateTime<Utc>,
}

/// Jobs, as messages for the queue: of the new members of the group, and in a sweep of joiners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSync {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The message behind the jobs; none where there are no new members.
    pub completion: Option<SyncCompleted>,
    /// In its place, if there are more new members than jobs.
    pub continuation: Option<SyncContinues>,
    /// Another message behind the jobs, of the first sweep of a day.
    pub daily_look: Option<DailyLook>,
    /// In its place, if the sweep has found more than these jobs.
    pub sweep_continuation: Option<SweepContinues>,
    /// How many groups are members of the group. No message is about them.
    pub nested_groups: usize,
}

impl GroupSync {
    /// The messages, in the order in which they have to be sent.
    pub(crate) fn to_messages(&self) -> impl Iterator<Item = String> {
        let completion = self.completion.as_ref().map(SyncCompleted::to_message);
        let continuation = self.continuation.as_ref().map(|message| json!(message).to_string());
        let daily_look = self.daily_look.as_ref().map(|look| json!(look).to_string());
        let sweep = self.sweep_continuation.as_ref().map(|message| json!(message).to_string());
        let behind = completion.into_iter().chain(continuation).chain(daily_look).chain(sweep);
        self.jobs.iter().map(Job::to_message).chain(behind)
    }
}

/// Seconds before a group without new members is read again shortly after an event. Few: the event may be about
/// something else, and the next sweep finds what a replica shows later.
const REREAD_DELAYS: [u64; 2] = [2, 4];
/// How often a group sync starts again when another one wrote the snapshot meanwhile.
const MAX_TRIES: u32 = 4;
/// How many records are read at the same time.
const CONCURRENT_READS: usize = 8;

/// Reads `group` because of `event`, or, without one, in a sweep. The first sweep takes all members as known; without a
/// snapshot, an event takes all members as new. `sync_id` identifies the group sync and stays the same when it runs
/// again.
///
/// # Errors
/// When Graph or the ledger fails. A second run queues what is missing.
pub(crate) async fn sync_group(
    services: &Services,
    group: Uuid,
    event: Option<&MembershipEvent>,
    sync_id: &str,
) -> Result<GroupSync, Failure> {
    for _ in 1..MAX_TRIES {
        match read(services, group, event, sync_id).await {
            // The conflict may be with our own write, whose answer was lost: the next try finds the same members.
            Err(Failure::Busy(_)) => {}
            done => return done,
        }
    }
    read(services, group, event, sync_id).await
}

async fn read(
    services: &Services,
    group: Uuid,
    event: Option<&MembershipEvent>,
    sync_id: &str,
) -> Result<GroupSync, Failure> {
    // The snapshot before the group: another group sync that writes it meanwhile makes this one start again.
    let (membership, etag) = services.ledger.membership(group).await?.unzip();
    let may_lag = event.is_some_and(|event| may_lag(services, membership.as_ref(), event));
    let mut waits = REREAD_DELAYS.iter().filter(|_| may_lag);
    let mut nested_groups;
    let next = loop {
        let GroupMembers { users: mut members, groups, .. } = services.graph.users_in(group).await?;
        nested_groups = groups;
        // The first sync without an event takes everyone as known.
        if membership.is_some() || event.is_some() {
            let new = unknown(membership.as_ref(), &members);
            let held = additions::held(services, membership.as_ref(), &new).await?;
            if event.is_none() {
                additions::tell(services, &held).await?;
            }
            members.retain(|user| !held.contains(user));
        }
        let next = next_snapshot(membership.as_ref(), members, event, sync_id, services.clock.now());
        if membership.as_ref() != Some(&next) || next.found_by(sync_id).next().is_some() {
            break next;
        }
        match waits.next() {
            Some(seconds) => sleep(Duration::from_secs(*seconds)).await,
            None => return Ok(GroupSync { nested_groups, ..GroupSync::default() }),
        }
    };
    let found = jobs_of(services, group, next.found_by(sync_id), event, sync_id).await?;
    // Last: after this only a crash can keep the jobs from the queue.
    if membership.as_ref() != Some(&next) {
        services.ledger.write_membership(group, &next, etag.as_ref()).await?;
    }
    Ok(GroupSync { nested_groups, ..found })
}

fn unknown(membership: Option<&MembershipSnapshot>, members: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
    let is_known = |user: &Uuid| {
        membership.is_some_and(|known| known.members.contains(user) || known.pending.contains_key(user))
    };
    members.iter().copied().filter(|user| !is_known(user)).collect()
}

/// What a group sync would find.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    /// The jobs, as many as one answer may have.
    pub jobs: Vec<Job>,
    /// Who would wait for an approval.
    pub held: BTreeSet<Uuid>,
    /// How many groups are members of the group.
    pub nested_groups: usize,
}

/// Finds what a group sync of a sweep would find, and changes nothing. The first one finds nobody.
///
/// # Errors
/// When Graph or the ledger fails.
pub(crate) async fn look(services: &Services, group: Uuid) -> Result<Additions, Failure> {
    let Some((membership, _)) = services.ledger.membership(group).await? else {
        return Ok(Additions::default());
    };
    let GroupMembers { users: mut members, groups: nested_groups, .. } =
        services.graph.users_in(group).await?;
    let held =
        additions::would_hold(services, Some(&membership), &unknown(Some(&membership), &members)).await?;
    members.retain(|user| !held.contains(user));
    let next = next_snapshot(Some(&membership), members, None, LOOK, services.clock.now());
    let GroupSync { jobs, .. } = jobs_of(services, group, next.found_by(LOOK), None, LOOK).await?;
    Ok(Additions { jobs, held, nested_groups })
}

/// The id of a group sync that is none.
const LOOK: &str = "look";

/// The jobs of as many of `new`, the members whom a group sync has found, as an answer may have, and the message behind them.
async fn jobs_of(
    services: &Services,
    group: Uuid,
    new: impl Iterator<Item = (Uuid, DateTime<Utc>)>,
    event: Option<&MembershipEvent>,
    sync_id: &str,
) -> Result<GroupSync, LedgerError> {
    let mut new = new.peekable();
    let part: Vec<(Uuid, DateTime<Utc>)> = new.by_ref().take(budget::SYNC_PART).collect();
    let Some((after_member, _)) = part.last().copied() else { return Ok(GroupSync::default()) };
    let jobs: Vec<Option<Job>> = stream::iter(part)
        .map(|(user, since)| job(services, user, since, event))
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    let jobs = jobs.into_iter().flatten().collect();
    let sync_id = sync_id.to_owned();
    Ok(if new.peek().is_some() {
        let unknown = Map::new();
        let continuation = SyncContinues { continued_group: group, sync_id, after_member, unknown };
        GroupSync { jobs, continuation: Some(continuation), ..GroupSync::default() }
    } else {
        let completion = SyncCompleted { synced_group: group, sync_id };
        GroupSync { jobs, completion: Some(completion), ..GroupSync::default() }
    })
}

/// The next jobs of a group sync. The group is not read again: who came since is new for the next sync. If another one has taken over
/// the pending members meanwhile, there are none.
///
/// # Errors
/// When the ledger fails.
pub(crate) async fn continue_sync(
    services: &Services,
    continued: &SyncContinues,
) -> Result<GroupSync, Failure> {
    let SyncContinues { continued_group: group, sync_id, after_member, unknown } = continued;
    let Some((membership, _)) = services.ledger.membership(*group).await? else {
        return Ok(GroupSync::default());
    };
    let behind = membership.found_by(sync_id).filter(|(user, _)| user > after_member);
    let mut found = jobs_of(services, *group, behind, None, sync_id).await?;
    if let Some(next) = &mut found.continuation {
        next.unknown.clone_from(unknown);
    }
    Ok(found)
}

fn next_snapshot(
    membership: Option<&MembershipSnapshot>,
    members: BTreeSet<Uuid>,
    event: Option<&MembershipEvent>,
    sync_id: &str,
    now: DateTime<Utc>,
) -> MembershipSnapshot {
    let at_event = event.map(|event| event.at);
    match (membership, at_event) {
        (None, None) => MembershipSnapshot::new(members, now),
        (None, Some(at)) => {
            MembershipSnapshot::new(BTreeSet::new(), now).after_sync(&members, at, sync_id, now)
        }
        (Some(membership), at) => {
            membership.after_sync(&members, at.unwrap_or(membership.changed_at), sync_id, now)
        }
    }
}

/// The job of a new member, unless a pass was delivered since: another message may have named the user.
async fn job(
    services: &Services,
    user: Uuid,
    since: DateTime<Utc>,
    event: Option<&MembershipEvent>,
) -> Result<Option<Job>, LedgerError> {
    if is_served(services, user, Some(since)).await? {
        return Ok(None);
    }
    let key =
        event.map_or_else(|| since.to_rfc3339_opts(SecondsFormat::Secs, true), |event| event.key.clone());
    Ok(Some(Job::group_add(user, since, &key)))
}

/// Whether a pass was delivered since the addition at `since`. If that is not known, a pass that still works is for it, as in the flow.
pub(super) async fn is_served(
    services: &Services,
    user: Uuid,
    since: Option<DateTime<Utc>>,
) -> Result<bool, LedgerError> {
    let Some((record, _)) = services.ledger.read(user).await? else { return Ok(false) };
    let works = |delivered: &Delivered| {
        delivered.purpose == Purpose::OnDemand && delivered.pass.ends_at > services.clock.now()
    };
    Ok(match since {
        Some(since) => record.was_served_on_demand_since(since - REPLICA_LAG),
        None => record.state == State::Delivered && record.delivered.as_ref().is_some_and(works),
    })
}

/// Whether a replica may lack the change: the event is recent, and no group sync found a change since.
fn may_lag(services: &Services, membership: Option<&MembershipSnapshot>, event: &MembershipEvent) -> bool {
    let is_recent = services.clock.now() - event.at < MEMBERSHIP_LAG;
    is_recent && membership.is_none_or(|membership| membership.changed_at <= event.at)
}

/// Records that the jobs of a group sync are in the queue. Returns whether any member was pending.
///
/// # Errors
/// When the ledger fails. Until it succeeds, group syncs find the same members again and skip those who were served.
pub(crate) async fn complete_sync(services: &Services, completed: &SyncCompleted) -> Result<bool, Failure> {
    let Some((mut membership, etag)) = services.ledger.membership(completed.synced_group).await? else {
        return Ok(false);
    };
    let was_pending = membership.complete(&completed.sync_id);
    if was_pending {
        services.ledger.write_membership(completed.synced_group, &membership, Some(&etag)).await?;
    }
    Ok(was_pending)
}
