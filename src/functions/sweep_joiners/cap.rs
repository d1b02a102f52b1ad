//! SWEEP_MAX: a sweep that would serve more people than usual serves none of them before an admin approves.
//!
//! One mistake in an import can give a thousand employees a hire date, or take it from a hundred joiners. Whoever was
//! mailed in the last day counts too, so that hourly sweeps do not let through bit by bit what one would hold back.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    budget,
    ledger::{
        ConditionName, HeldKind, HeldList, HeldPerson, JoinerResult, LedgerError, Overview, Purpose, Urgency,
    },
    pass::{alert::Alert, condition},
};

/// A person, and the day one that a pass would be mailed or taken back for.
pub(super) type Start = (Uuid, NaiveDate);

/// How long a mail counts.
const COUNTED: TimeDelta = TimeDelta::hours(24);
/// The names that an alert has. The list in the ledger has all.
const NAMES_IN_ALERT: usize = 20;
/// Whoever starts within this many days is named first.
const SOON: TimeDelta = TimeDelta::days(2);

/// Who would be mailed: joiners without a mail for this day one. A job that was blocked has mailed nobody.
pub(super) fn to_be_mailed(joiners: &BTreeSet<(NaiveDate, Uuid)>, overview: &Overview) -> BTreeSet<Start> {
    let is_new = |(day, user): &&(NaiveDate, Uuid)| match overview.results.get(user) {
        Some(JoinerResult::Mailed(mailed, _)) => mailed != day,
        Some(JoinerResult::Blocked) => false,
        None => true,
    };
    joiners.iter().filter(is_new).map(|(day, user)| (*user, *day)).collect()
}

/// Who was mailed within the last day.
fn just_mailed(overview: &Overview, now: DateTime<Utc>) -> BTreeSet<Start> {
    let recent = |(user, result): (&Uuid, &JoinerResult)| match result {
        JoinerResult::Mailed(day, at) if now - *at < COUNTED => Some((*user, *day)),
        _ => None,
    };
    overview.results.iter().filter_map(recent).collect()
}

/// Whose pass would be taken back: it can still work, it was mailed for a day that has not passed, and there is no joiner
/// any more.
pub(super) fn to_be_withdrawn(
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    overview: &Overview,
    now: DateTime<Utc>,
) -> BTreeSet<Start> {
    let joiners: BTreeSet<&Uuid> = joiners.iter().map(|(_, user)| user).collect();
    let delivered =
        overview.open.iter().filter(|(user, _)| !joiners.contains(user)).filter_map(|(user, record)| {
            let delivered =
                record.delivered.as_ref().filter(|d| d.purpose == Purpose::Joiner && d.pass.ends_at > now)?;
            Some((*user, delivered.day_one?))
        });
    delivered.filter(|(_, day)| *day >= now.date_naive()).collect()
}

/// Of `wanted`, who is held back: everyone who was not approved, if these and those who `count` anyway are too many.
fn held_back(
    wanted: &BTreeSet<Start>,
    counted: &BTreeSet<Start>,
    approved: &BTreeSet<Start>,
    max: usize,
) -> BTreeSet<Start> {
    let not_approved: BTreeSet<Start> = wanted.difference(approved).copied().collect();
    let count = counted.difference(approved).chain(&not_approved).collect::<BTreeSet<_>>().len();
    if count > max { not_approved } else { BTreeSet::new() }
}

/// Who must wait for an approval.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) joiners: BTreeSet<Start>,
    pub(super) withdrawals: BTreeSet<Start>,
}

/// Applies SWEEP_MAX. Without an answer of the ledger in time, nobody above it is served.
pub(super) async fn apply(
    app: &App,
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    names: &BTreeMap<Uuid, String>,
    overview: &Overview,
    now: DateTime<Utc>,
) -> Held {
    let max = app.services.settings.sweep_max;
    let (mail, mailed) = (to_be_mailed(joiners, overview), just_mailed(overview, now));
    let withdraw = to_be_withdrawn(joiners, overview, now);
    let none = BTreeSet::new();
    let mut held = Held {
        joiners: held_back(&mail, &mailed, &none, max),
        withdrawals: held_back(&withdraw, &none, &none, max),
    };
    let work = async {
        if !held.joiners.is_empty() || !held.withdrawals.is_empty() {
            let approved = approved(app).await?;
            held.joiners = held_back(&mail, &mailed, &approved[&HeldKind::Joiners], max);
            held.withdrawals = held_back(&withdraw, &none, &approved[&HeldKind::Withdrawals], max);
        }
        hold(app, HeldKind::Joiners, &held.joiners, names, now).await?;
        hold(app, HeldKind::Withdrawals, &held.withdrawals, names, now).await
    };
    match timeout(budget::SWEEP_CAP, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log_failure(&error),
        Err(_) => log_failure(&LedgerError::Unavailable("no answer in time".into())),
    }
    held
}

/// Who was approved, by what for.
async fn approved(app: &App) -> Result<BTreeMap<HeldKind, BTreeSet<Start>>, LedgerError> {
    let mut approved =
        BTreeMap::from([HeldKind::Joiners, HeldKind::Withdrawals].map(|kind| (kind, BTreeSet::new())));
    for (_, list) in app.services.ledger.held_lists().await? {
        approved.entry(list.kind).or_default().extend(list.approved());
    }
    Ok(approved)
}

/// Keeps the list of those who are held back, and tells an admin.
async fn hold(
    app: &App,
    kind: HeldKind,
    held: &BTreeSet<Start>,
    names: &BTreeMap<Uuid, String>,
    now: DateTime<Utc>,
) -> Result<(), LedgerError> {
    let condition = match kind {
        HeldKind::Joiners => ConditionName::TooManyJoiners,
        HeldKind::Withdrawals => ConditionName::TooManyWithdrawals,
    };
    if held.is_empty() {
        condition::end(&app.services, condition).await;
        return Ok(());
    }
    let person = |(user_id, day_one): &Start| HeldPerson {
        day_one: *day_one,
        user_id: *user_id,
        name: names.get(user_id).cloned(),
    };
    let list = HeldList::new(kind, held.iter().map(person).collect(), now);
    let reference = list.reference();
    match app.services.ledger.write_held_list(&reference, &list, None).await {
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
    let alert = alert(kind, &list, app.services.settings.sweep_max, now);
    condition::report(&app.services, condition, Urgency::Now, &alert).await;
    Ok(())
}

fn alert(kind: HeldKind, list: &HeldList, max: usize, now: DateTime<Utc>) -> Alert {
    let count = list.people.len();
    let soon = list.people.iter().filter(|person| person.day_one <= (now + SOON).date_naive());
    let name = |person: &HeldPerson| {
        let name = person.name.clone().unwrap_or_else(|| person.user_id.to_string());
        format!("{name} ({})", person.day_one)
    };
    let mut who: Vec<String> = soon.take(NAMES_IN_ALERT).map(name).collect();
    let more = count - who.len();
    if more > 0 {
        who.push(format!("{more} more"));
    }
    let would = match kind {
        HeldKind::Joiners => "be mailed a pass",
        HeldKind::Withdrawals => "lose their pass",
    };
    let reference = list.reference();
    let alert = Alert {
        headline: String::new(),
        who: who.join(", "),
        what_happened: format!(
            "{count} people would {would}. With those of the last 24 hours that is more than SWEEP_MAX, {max}. Was an \
             import wrong?"
        ),
        what_to_do: format!(
            "If it was, correct it: the next sweep serves the others. If not, `firstpass sweep --approve {reference}` lets \
             these people through, with --only some of them; `firstpass sweep --held` lists them all. Or raise SWEEP_MAX."
        ),
        reference,
    };
    match kind {
        HeldKind::Joiners => {
            Alert { headline: "Too many passes to mail at once: none was mailed".into(), ..alert }
        }
        HeldKind::Withdrawals => {
            Alert { headline: "Too many passes to take back at once: none was taken back".into(), ..alert }
        }
    }
}

fn log_failure(error: &LedgerError) {
    tracing::error!(
        event = "sweep.held_not_recorded",
        error = error as &dyn Error,
        "The sweep found more people than SWEEP_MAX, and the ledger cannot keep their list; they wait for the next sweep"
    );
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
