//! SWEEP_MAX: whoever is one of too many waits until an admin approves their list.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::Map;
use uuid::Uuid;

use super::{alert::Alert, condition, services::Services};
use crate::ledger::{ConditionName, HeldKind, HeldList, HeldPerson, LedgerError, Urgency};

/// A person, and the day one that a pass would be mailed or taken back for; for additions, nothing depends on the day.
pub(crate) type Start = (Uuid, NaiveDate);

/// How long a mail counts.
pub(crate) const COUNTED: TimeDelta = TimeDelta::hours(24);
/// The names that an alert has. The list in the ledger has all.
pub(crate) const NAMES_IN_ALERT: usize = 20;
/// How long a user whose addition to the on-demand group was approved may be added.
const ADDITIONS_APPROVED: TimeDelta = TimeDelta::days(30);
/// Whoever starts within this many days is named first.
const SOON: TimeDelta = TimeDelta::days(2);

/// Of `wanted`, who is held back: everyone who was not approved, if these and those who `count` anyway are too many.
pub(crate) fn held_back(
    wanted: &BTreeSet<Start>,
    counted: &BTreeSet<Start>,
    approved: &BTreeSet<Start>,
    max: usize,
) -> BTreeSet<Start> {
    if wanted.len() + counted.len() <= max {
        return BTreeSet::new();
    }
    let not_approved: BTreeSet<Start> = wanted.difference(approved).copied().collect();
    let count = counted.difference(approved).chain(&not_approved).collect::<BTreeSet<_>>().len();
    if count > max { not_approved } else { BTreeSet::new() }
}

/// Who was approved, by what for.
pub(crate) async fn approved(
    services: &Services,
) -> Result<BTreeMap<HeldKind, BTreeSet<Start>>, LedgerError> {
    let mut approved = BTreeMap::from(HeldKind::ALL.map(|kind| (kind, BTreeSet::new())));
    let now = services.clock.now();
    // Others are approved for one day one.
    let has_ended = |list: &HeldList| {
        list.kind == HeldKind::Additions && list.approved_at < Some(now - ADDITIONS_APPROVED)
    };
    for (_, list) in services.ledger.held_lists().await?.into_iter().filter(|(_, list)| !has_ended(list)) {
        approved.entry(list.kind).or_default().extend(list.approved());
    }
    Ok(approved)
}

/// Keeps the list of those who are held back, and tells an admin.
pub(crate) async fn hold(
    services: &Services,
    kind: HeldKind,
    held: &BTreeSet<Start>,
    names: &BTreeMap<Uuid, String>,
    now: DateTime<Utc>,
) -> Result<(), LedgerError> {
    let condition = match kind {
        HeldKind::Joiners => ConditionName::TooManyJoiners,
        HeldKind::Withdrawals => ConditionName::TooManyWithdrawals,
        HeldKind::Additions => ConditionName::TooManyAdditions,
    };
    if held.is_empty() {
        condition::end(services, condition).await;
        return Ok(());
    }
    let person = |(user_id, day_one): &Start| HeldPerson {
        day_one: *day_one,
        user_id: *user_id,
        name: names.get(user_id).cloned(),
        unknown: Map::new(),
    };
    let list = HeldList::new(kind, held.iter().map(person).collect(), now);
    let reference = list.reference();
    match services.ledger.write_held_list(&reference, &list, None).await {
        // An earlier sweep found the same people.
        Ok(_) | Err(LedgerError::Conflict) => {}
        Err(error) => return Err(error),
    }
    tracing::warn!(
        event = "sweep.held",
        kind = ?kind,
        people = list.people.len(),
        reference,
        "The sweep found more people than SWEEP_MAX and serves none of them"
    );
    let alert = alert(kind, &list, services.settings.sweep_max, now);
    condition::report(services, condition, Urgency::Now, &alert).await;
    Ok(())
}

fn alert(kind: HeldKind, list: &HeldList, max: usize, now: DateTime<Utc>) -> Alert {
    let count = list.people.len();
    let soon = list.people.iter().filter(|person| person.day_one <= (now + SOON).date_naive());
    let name = |person: &HeldPerson| {
        let name = person.name.clone().unwrap_or_else(|| person.user_id.to_string());
        if kind == HeldKind::Additions { name } else { format!("{name} ({})", person.day_one) }
    };
    let mut who: Vec<String> = soon.take(NAMES_IN_ALERT).map(name).collect();
    let more = count - who.len();
    if more > 0 {
        who.push(format!("{more} more"));
    }
    let would = match kind {
        HeldKind::Joiners => "be mailed a pass",
        HeldKind::Withdrawals => "lose their pass",
        HeldKind::Additions => "get a pass on demand",
    };
    let reference = list.reference();
    let alert = Alert {
        kind: "",
        headline: String::new(),
        who: who.join(", "),
        what_happened: format!(
            "{count} people would {would}. With those of the last 24 hours that is more than SWEEP_MAX, {max}. Was an \
             import or a rule wrong?"
        ),
        what_to_do: format!(
            "If it was, correct it: sweeps go on when no more than SWEEP_MAX are left. If not, `firstpass sweep --approve {reference}` lets \
             these people through, with --only some of them; `firstpass sweep --held` lists them all. Or raise SWEEP_MAX."
        ),
        reference,
    };
    match kind {
        HeldKind::Joiners => Alert {
            kind: "too-many-joiners",
            headline: "Too many passes to mail at once: none was mailed".into(),
            ..alert
        },
        HeldKind::Withdrawals => Alert {
            kind: "too-many-withdrawals",
            headline: "Too many passes to take back at once: none was taken back".into(),
            ..alert
        },
        HeldKind::Additions => Alert {
            kind: "too-many-additions",
            headline: "Too many people were added to the on-demand group: they get no pass yet".into(),
            ..alert
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    fn starts(ids: &BTreeSet<u128>) -> BTreeSet<Start> {
        let day = "2026-11-27".parse().unwrap();
        ids.iter().map(|id| (Uuid::from_u128(*id), day)).collect()
    }

    proptest! {
        /// All or none of those who were not approved; never more than the maximum in a day without approval.
        #[test]
        fn more_than_the_maximum_needs_an_approval(
            wanted in btree_set(0u128..12, 0..12), counted in btree_set(0u128..12, 0..12),
            approved in btree_set(0u128..12, 0..12), max in 0usize..12,
        ) {
            let (wanted, counted, approved) = (starts(&wanted), starts(&counted), starts(&approved));
            let held = held_back(&wanted, &counted, &approved, max);
            let served: BTreeSet<Start> = wanted.difference(&held).copied().collect();
            prop_assert!(held.is_disjoint(&approved));
            prop_assert!(held.is_empty() || held == wanted.difference(&approved).copied().collect());
            let unapproved = served.union(&counted).filter(|start| !approved.contains(start)).count();
            prop_assert!(unapproved <= max || served.is_subset(&approved), "{} of {}", unapproved, max);
        }
    }
}
