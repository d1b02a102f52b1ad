//! New members of the on-demand group whom a message names and who get no job now: the next sweep has to find them in the group.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    additions,
    group_sync::{MembershipEvent, is_served},
    outcome::Failure,
    services::Services,
};
use crate::{
    budget,
    ledger::{LedgerError, MembershipSnapshot},
};

/// Of `added`, whom a message names as new members, those who get a job now. The others wait: the next sweep finds them in
/// the group, and tells an admin. Without an answer of the ledger in time nobody waits; their jobs need the ledger too.
pub(crate) async fn without_held(
    services: &Services,
    group: Uuid,
    added: &BTreeMap<Uuid, MembershipEvent>,
) -> BTreeSet<Uuid> {
    let users: BTreeSet<Uuid> = added.keys().copied().collect();
    if users.is_empty() {
        return users;
    }
    let work = async {
        // Before the first sweep nobody is held: it would take them as known.
        let Some((membership, _)) = services.ledger.membership(group).await? else {
            return Ok(BTreeSet::new());
        };
        let held = additions::held(services, Some(&membership), &users).await?;
        let since = |user: &Uuid| Some((*user, added.get(user)?.at));
        forget(services, group, &held.iter().filter_map(since).collect()).await?;
        Ok(held)
    };
    let late = |_| Err(LedgerError::Unavailable("no answer in time".into()));
    match timeout(budget::ADMISSION, work).await.unwrap_or_else(late) {
        Ok(held) => &users - &held,
        Err(error) => {
            tracing::warn!(
                event = "additions.not_counted",
                error = &error as &dyn Error,
                "The ledger does not show how many users were added to the on-demand group; those of this message are served"
            );
            users
        }
    }
}

/// Has the next sweep that acts find those of `added` who are members then: messages name them while the app serves nobody (REPORT_ONLY,
/// PAUSED), with the earliest time of the addition, if it is known. A message that is delivered again may name somebody who was served.
/// Before the first sweep it is not known who else is new; `are_others_new` says that a message tells of somebody else.
///
/// # Errors
/// When Graph or the ledger fails.
pub(crate) async fn find_again(
    services: &Services,
    group: Uuid,
    added: &BTreeMap<Uuid, Option<DateTime<Utc>>>,
    are_others_new: bool,
) -> Result<(), Failure> {
    let now = services.clock.now();
    let mut users = BTreeMap::new();
    for (user, since) in added {
        if !is_served(services, *user, *since).await? {
            users.insert(*user, since.map_or(now, |since| since.min(now)));
        }
    }
    if services.ledger.membership(group).await?.is_none() {
        // The first sweep would take them as known.
        let known = match are_others_new {
            true => BTreeSet::new(),
            false => &services.graph.users_in(group).await?.users - &users.keys().copied().collect(),
        };
        let first = MembershipSnapshot::new(known, now);
        match services.ledger.write_membership(group, &first, None).await {
            Err(LedgerError::Conflict) => {}
            written => drop(written?),
        }
    }
    Ok(forget(services, group, &users).await?)
}

/// Takes `users` out of the snapshot, so that the next sweep finds them as new: who left and came back between two sweeps is
/// still known there.
async fn forget(
    services: &Services,
    group: Uuid,
    users: &BTreeMap<Uuid, DateTime<Utc>>,
) -> Result<(), LedgerError> {
    loop {
        let Some((mut membership, etag)) = services.ledger.membership(group).await? else { return Ok(()) };
        if !membership.forget(users) {
            return Ok(());
        }
        match services.ledger.write_membership(group, &membership, Some(&etag)).await {
            // The time-out of the caller bounds this.
            Err(LedgerError::Conflict) => sleep(Duration::from_millis(100)).await,
            result => return result.map(|_| ()),
        }
    }
}
