//! Who is new in the on-demand group, where nobody says who: it is read, and compared with what the ledger knows.
//!
//! There is no transaction over the ledger and the queue. So the membership, written first, says whose jobs may be missing;
//! a last message behind the jobs says that they are not. Nobody is lost between the two, whatever dies.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    job::Job,
    outcome::{Failure, Outcome},
    replication::{MEMBERSHIP_LAG, REPLICA_LAG},
    services::Services,
};
use crate::ledger::{LedgerError, MembershipSnapshot};

/// Something that happened in the on-demand group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipEvent {
    /// What tells it from others.
    pub key: String,
    /// When it happened, or when it was told of: never later.
    pub at: DateTime<Utc>,
}

/// The message behind the jobs of all who were found in a sync_id of the group.
///
/// As with a [`Job`], no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncCompleted {
    /// The group.
    pub synced_group: Uuid,
    /// Which sync_id.
    pub sync_id: String,
}

impl SyncCompleted {
    /// The message.
    pub fn to_message(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Those who are new, as messages for the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSync {
    /// A job for each.
    pub jobs: Vec<Job>,
    /// What goes into the queue behind the jobs.
    pub completion: Option<SyncCompleted>,
}

impl GroupSync {
    /// In the order in which they have to go out.
    pub fn to_messages(&self) -> impl Iterator<Item = String> {
        let completion = self.completion.as_ref().map(SyncCompleted::to_message);
        self.jobs.iter().map(Job::to_message).chain(completion)
    }
}

/// Seconds to wait before a group that shows nothing new just after an event is read again. Few, for the event may have
/// been about something else; what comes to light later is the next sweep's.
const WAITS: [u64; 2] = [2, 4];
/// How often a sync_id starts afresh when another was faster.
const TRIES: u32 = 4;
/// How many records are read at the same time.
const AT_ONCE: usize = 8;

/// Reads `group` because of `event`, or, without one, because it is time for a sweep. Whoever is there when the first
/// sweep looks was there before; whoever is there at a first event may be new. `sync_id` is a name for this, the same
/// whenever it is done again.
///
/// # Errors
/// `Failed`: nobody is lost by trying again.
pub async fn sync_group(
    services: &Services,
    group: Uuid,
    event: Option<&MembershipEvent>,
    sync_id: &str,
) -> Result<GroupSync, Outcome> {
    for _ in 1..TRIES {
        match read(services, group, event, sync_id).await {
            // Perhaps with our own write, whose answer was lost: then the next try finds the same people.
            Err(Outcome::Failed(Failure::Busy(_))) => {}
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
) -> Result<GroupSync, Outcome> {
    // The membership first: whoever writes it meanwhile has read the group later, or makes us start afresh.
    let (membership, etag) = services.ledger.membership(group).await?.unzip();
    let may_come_yet = event.is_some_and(|event| may_come_yet(services, membership.as_ref(), event));
    let mut waits = WAITS.iter().filter(|_| may_come_yet);
    let next = loop {
        let members = services.graph.users_in(group).await?;
        let next = following(membership.as_ref(), members, event, sync_id, services.clock.now());
        if membership.as_ref() != Some(&next) || next.found_by(sync_id).next().is_some() {
            break next;
        }
        match waits.next() {
            Some(seconds) => sleep(Duration::from_secs(*seconds)).await,
            None => return Ok(GroupSync::default()),
        }
    };
    let new: Vec<(Uuid, DateTime<Utc>)> = next.found_by(sync_id).collect();
    let jobs: Vec<Option<Job>> = stream::iter(new)
        .map(|(user, since)| job(services, user, since, event))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let completion = next.found_by(sync_id).next();
    let completion = completion.map(|_| SyncCompleted { synced_group: group, sync_id: sync_id.to_owned() });
    // Last: from here to the queue nothing can fail but the whole process.
    if membership.as_ref() != Some(&next) {
        services.ledger.write_membership(group, &next, etag.as_ref()).await?;
    }
    Ok(GroupSync { jobs: jobs.into_iter().flatten().collect(), completion })
}

fn following(
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

/// The job of somebody who is new, unless they were given a pass since: another message may have named them.
async fn job(
    services: &Services,
    user: Uuid,
    since: DateTime<Utc>,
    event: Option<&MembershipEvent>,
) -> Result<Option<Job>, LedgerError> {
    let record = services.ledger.read(user).await?;
    if record.is_some_and(|(record, _)| record.was_served_on_demand_since(since - REPLICA_LAG)) {
        return Ok(None);
    }
    let key =
        event.map_or_else(|| since.to_rfc3339_opts(SecondsFormat::Secs, true), |event| event.key.clone());
    Ok(Some(Job::group_add(user, since, &key)))
}

/// Whether a replica may not show yet what the event is about: it is young, and nobody has found anything since.
fn may_come_yet(
    services: &Services,
    membership: Option<&MembershipSnapshot>,
    event: &MembershipEvent,
) -> bool {
    let is_young = services.clock.now() - event.at < MEMBERSHIP_LAG;
    is_young && membership.is_none_or(|membership| membership.changed_at <= event.at)
}

/// Writes down that the jobs of all whom a sync_id found are in the queue. Whether that was news.
///
/// # Errors
/// `Failed`: until it succeeds, the same people are found again, and those who were served are left out.
pub async fn complete_sync(services: &Services, read: &SyncCompleted) -> Result<bool, Outcome> {
    let Some((mut membership, etag)) = services.ledger.membership(read.synced_group).await? else {
        return Ok(false);
    };
    let is_news = membership.complete(&read.sync_id);
    if is_news {
        services.ledger.write_membership(read.synced_group, &membership, Some(&etag)).await?;
    }
    Ok(is_news)
}
