//! SWEEP_MAX for the on-demand group: one mistake in a dynamic rule can add a thousand people.
//!
//! Additions are found in two ways: by comparing the group with the membership snapshot, and in messages that name users.
//! Both count the additions of the last day in the snapshot and the deliveries on demand in the ledger. Messages can come to
//! several instances within a minute, so there the limit is not sharp.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use uuid::Uuid;

use super::{
    cap::{COUNTED, Start, approved, held_back, hold},
    services::{KnownAdditions, Services},
};
use crate::ledger::{HeldKind, LedgerError, MembershipSnapshot, Standing};

/// How long what was read of the ledger is used.
const READ_FOR: TimeDelta = TimeDelta::minutes(1);

/// Of `users`, who must wait for an approval: none or all who were not approved. The others count from now on.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn held(
    services: &Services,
    membership: Option<&MembershipSnapshot>,
    users: &BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>, LedgerError> {
    let now = services.clock.now();
    let mut known = services.additions.lock().await;
    let Compared { wanted, held } = compare(services, &mut known, membership, users).await?;
    known.users.extend(wanted.difference(&held).map(|(user, _)| (*user, now)));
    Ok(held.into_iter().map(|(user, _)| user).collect())
}

/// The same, and nobody counts from now on.
///
/// # Errors
/// As there.
pub(super) async fn would_hold(
    services: &Services,
    membership: Option<&MembershipSnapshot>,
    users: &BTreeSet<Uuid>,
) -> Result<BTreeSet<Uuid>, LedgerError> {
    let mut known = services.additions.lock().await;
    let Compared { held, .. } = compare(services, &mut known, membership, users).await?;
    Ok(held.into_iter().map(|(user, _)| user).collect())
}

/// Who does not count yet, and who of them must wait.
struct Compared {
    wanted: BTreeSet<Start>,
    held: BTreeSet<Start>,
}

async fn compare(
    services: &Services,
    known: &mut KnownAdditions,
    membership: Option<&MembershipSnapshot>,
    users: &BTreeSet<Uuid>,
) -> Result<Compared, LedgerError> {
    let now = services.clock.now();
    if known.read_at.is_none_or(|at| now - at >= READ_FOR || at > now) {
        let users = &mut known.users;
        let mut keep = |user, standing: Standing| users.extend(standing.on_demand_at.map(|at| (user, at)));
        services.ledger.standings(&mut keep).await?;
        users.retain(|_, at| *at > now - COUNTED);
        known.read_at = Some(now);
    }
    let recently = membership.into_iter().flat_map(|membership| membership.added_recently(now));
    let counted: BTreeSet<Uuid> = known.users.keys().copied().chain(recently.map(|(user, _)| user)).collect();
    let today = now.date_naive();
    let on_list =
        |users: BTreeSet<Uuid>| -> BTreeSet<Start> { users.into_iter().map(|user| (user, today)).collect() };
    let (wanted, counted) = (on_list(users - &counted), on_list(counted));
    let max = services.settings.sweep_max;
    let mut held = held_back(&wanted, &counted, &BTreeSet::new(), max);
    if !held.is_empty() {
        let approved = approved(services).await?.remove(&HeldKind::Additions).unwrap_or_default();
        // An addition has no day of its own: any list with the user is good.
        let approved = approved.into_iter().map(|(user, _)| (user, today)).collect();
        held = held_back(&wanted, &counted, &approved, max);
    }
    Ok(Compared { wanted, held })
}

/// Keeps the list of those who wait, and tells an admin; ends the condition if nobody waits.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn tell(services: &Services, held: &BTreeSet<Uuid>) -> Result<(), LedgerError> {
    /// The users whose name is looked up.
    const NAMED: usize = 20;
    let now = services.clock.now();
    let mut names = BTreeMap::new();
    for user in held.iter().take(NAMED) {
        if let Ok(Some(name)) = services.graph.sign_in_name(*user).await {
            names.insert(*user, name);
        }
    }
    let held = held.iter().map(|user| (*user, now.date_naive())).collect();
    hold(services, HeldKind::Additions, &held, &names, now).await
}
