//! SweepJoiners: daily or hourly, one job for each user with whom something has to be done: a new joiner, a change, a pass
//! that was used or not, a record that is not finished.

mod cap;
mod due;
mod found;
mod late;
mod mailbox;
mod part;
mod poison;
mod shared;
mod standing;
mod subscription;

use std::{collections::BTreeSet, error::Error};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use self::{
    cap::Held,
    found::{Found, candidate, report_changed_reading, told_day},
    late::Late,
    part::Part,
    shared::Shared,
    standing::Standings,
};
use crate::{
    app::App,
    budget,
    graph::{GraphError, GroupMembers, page::Readable, users::Candidate, within},
    ledger::{ConditionName, LedgerError, Urgency},
    pass::{
        Failure, GroupSync, Skip, SweepContinues,
        alert::Alert,
        clock_skew, condition,
        day_one::{Distance, day_one, distance, stamps},
        domains, examined,
        group_sync::sync_group,
        known_addresses::KnownAddresses,
        ledger_tenant,
        mailbox::note_read,
        malformed,
        nested::{self, GroupInSettings},
    },
    settings::{JoinerSource, Settings},
    zone::Tz,
};

/// The host fires a timer up to two milliseconds early (observed on host 4.1037). At midnight, that would be the day before.
const TIMER_TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// Finds the jobs of the day, the earliest day one first. `retries_left` is how often the host will run this again;
/// `None` without a retry policy.
///
/// # Errors
/// When the search for joiners fails. An alert is sent if it does not help to run the sweep again, or if sweeps have
/// failed for a while.
pub(crate) async fn sweep_joiners(app: &App, retries_left: Option<u32>) -> Result<GroupSync, Failure> {
    let result = sweep(app, None).await;
    if let Err(error) = &result {
        let advice = error.advice();
        tracing::warn!(
            event = "sweep.failed",
            error = error as &dyn Error,
            advice,
            retries_left,
            "The sweep could not read the joiners, and the invocation fails"
        );
        if let Failure::Graph(error) = error {
            report(app, error, retries_left).await;
        }
    }
    result
}

/// Finds the next jobs of a sweep that has more than one answer may have. By another search, because every stored list of people
/// would be old: the jobs before them can take hours. If the rest of a later sweep has begun, its jobs are all that are due.
///
/// # Errors
/// When the search fails, or the ledger, without which it is not known who was served.
pub(crate) async fn continue_sweep(app: &App, continued: &SweepContinues) -> Result<GroupSync, Failure> {
    ledger_tenant::check(&app.services).await?;
    let began = continued.sweep_continues.min(app.services.clock.now());
    if condition::is_continued_since(&app.services, began).await? {
        return Ok(GroupSync::default());
    }
    sweep(app, Some(continued)).await
}

/// Sends the alert about a failed sweep, if one is due.
async fn report(app: &App, error: &GraphError, retries_left: Option<u32>) {
    // Without a retry, the next try is the next scheduled sweep.
    let is_repeated = error.is_transient() && retries_left.is_some_and(|left| left > 0);
    let urgency = if is_repeated { Urgency::WhenLasting } else { Urgency::Now };
    let alert = Alert {
        kind: "sweep-fails",
        headline: "The sweep could not read the tenant and found no joiners".into(),
        who: "all joiners of the next days".into(),
        what_happened: error.to_string(),
        what_to_do: format!(
            "To do: {}. The first sweep that succeeds finds everyone who was missed, those included who started at most {} days \
             before it (LATE_DAYS).",
            error.advice(),
            app.services.settings.late_days
        ),
        reference: format!("sweep of {:.0}", app.services.clock.now()),
    };
    condition::report(&app.services, ConditionName::SweepFails, urgency, &alert).await;
}

/// Finds the jobs of a sweep, or of what is left of it.
async fn sweep(app: &App, continued: Option<&SweepContinues>) -> Result<GroupSync, Failure> {
    let now = app.services.clock.now() + TIMER_TOLERANCE;
    let settings = &app.services.settings;
    let last = condition::of_sweeps(&app.services).await;
    let look_back = late::look_back(settings, last.as_ref(), now);
    let shut = last.as_ref().and_then(|last| last.mailbox.clone());
    let search = async {
        if let Some(last) = &last {
            ledger_tenant::check_conditions(&app.services, last).await?;
            note_read(&app.services, last);
            examined::note_read(&app.services, Some(last));
        }
        Ok::<_, Failure>(candidates(app, look_back, now).await?)
    };
    let GroupMembers { users: mut candidates, groups: nested, malformed } =
        within(budget::SWEEP_SEARCH, "searching for joiners", search).await?;
    candidates.sort_unstable_by_key(|user| user.id);
    condition::end(&app.services, ConditionName::SweepFails).await;
    clock_skew::check(&app.services).await?;
    let without_date = candidates.iter().filter(|user| user.account.employee_hire_date.is_none()).count();
    let standings = standings(app, &candidates, now).await;
    if continued.is_some() && standings.is_none() {
        return Err(LedgerError::Unavailable("its records could not be listed".into()).into());
    }
    let after = continued.map(SweepContinues::after);
    let days = days_one(settings, &candidates, standings.as_ref());
    let is_unserved = |user: &Candidate| Skip::of_account(user.sign_in(), &settings.pass).is_some();
    let is_near = |day: NaiveDate, zone: Tz| distance(day, zone, settings.lead_days, now) == Distance::Near;
    let mut joiners: BTreeSet<(NaiveDate, Uuid)> = days
        .iter()
        .filter(|(_, day, zone)| is_near(*day, *zone))
        .map(|(user, day, _)| (*day, user.id))
        .collect();
    // Guests, accounts of other tenants, disabled ones where they are not served: nothing else tells of them.
    let near = days.iter().filter(|(user, day, _)| joiners.contains(&(*day, user.id)));
    let unserved = near.filter(|(user, ..)| is_unserved(user)).count();
    let late = match (&standings, &last) {
        (Some(standings), Some(last)) => Some(late::find(app, &days, standings, last, after, now).await),
        // Without the ledger it is not known who was served.
        _ => None,
    };
    drop(days);
    let mut late_due = late.as_ref().map(|late| late.due.clone()).unwrap_or_default();
    joiners.extend(&late_due);
    let known = KnownAddresses::of(settings, last.as_ref().and_then(|last| last.last_sweep.as_ref()));
    let (records, kept) = standings.as_ref().map(|s| (s.records(), s.kept())).unwrap_or_default();
    let none = Standings::default();
    let of_ledger = standings.as_ref().unwrap_or(&none);
    let mut shared = shared::find(&settings.mail, known, &candidates, &joiners, of_ledger, now);
    shared.was_told = last.as_ref().is_some_and(|last| last.has(ConditionName::AddressesShared));
    // Without the ledger nobody can be told of them; their jobs decide.
    if late.is_none() {
        shared.unserved.clear();
    }
    joiners.retain(|(_, user)| !shared.unserved.contains(user));
    late_due.retain(|(_, user)| !shared.unserved.contains(user));
    let held = match &standings {
        Some(standings) => {
            cap::apply(app, &joiners, &late_due, &candidates, standings, &shared.known, now).await
        }
        // Every job needs the ledger too.
        None => Held::default(),
    };
    let found =
        Found { candidates: &candidates, joiners: &joiners, standings: standings.unwrap_or_default(), held };
    let was_malformed = last.as_ref().is_some_and(|last| last.has(ConditionName::JoinersMalformed));
    let malformed = (was_malformed || !malformed.is_empty()).then_some(&*malformed);
    let is_today = |at: DateTime<Utc>| at.date_naive() == now.date_naive();
    let is_daily = match continued {
        Some(continued) => continued.is_first_of_day,
        None => !last.and_then(|last| last.looked_at).is_some_and(is_today),
    };
    if is_daily && continued.is_none() {
        report_changed_reading(settings, &found);
        found.report_odd_stamps(app, now);
    }
    let (jobs, looks) = found.jobs(app, is_daily, after, now).await;
    let deadline = Instant::now() + budget::SWEEP_OTHER;
    let (jobs, others_wait) = mailbox::hold_back(app, shut.as_ref(), &candidates, jobs, now, deadline).await;
    let due = jobs.len();
    // Whom only this look has found is found again when they need not wait any more.
    let part = Part::new(&jobs, continued, is_daily, looks.is_complete && !others_wait, now);
    if continued.is_some() {
        tracing::info!(
            event = "sweep.continued",
            looked = looks.looked,
            due,
            queued = part.jobs.len(),
            "Another search has found jobs of the sweep that are not in the queue yet"
        );
        return Ok(part.with(GroupSync::default()));
    }
    let added = timeout_at(
        deadline,
        other_duties(app, late, due, shared, is_daily, &candidates, (nested, malformed)),
    )
    .await
    .unwrap_or_else(|_| {
        tracing::warn!(
            event = "sweep.shortened",
            "The sweep had no time for the poison queue and the on-demand group; the next one has"
        );
        GroupSync::default()
    });
    tracing::info!(
        event = "sweep.done",
        seen = candidates.len(),
        records,
        kept,
        without_date,
        joiners = joiners.len(),
        unserved,
        late = late_due.len(),
        looked = looks.looked,
        due,
        queued = part.jobs.len(),
        added = added.jobs.len(),
        "The sweep has found its jobs"
    );
    Ok(part.with(added))
}

/// What a sweep does beside joiners. If it is cut off, the next sweep finds the same again. So does the next one if the jobs
/// are lost with this one's answer: whoever is late and has no record is found anew.
async fn other_duties(
    app: &App,
    late: Option<Late>,
    due: usize,
    shared: Shared,
    is_daily: bool,
    candidates: &[Candidate],
    (nested, malformed): (usize, Option<&[String]>),
) -> GroupSync {
    if let Some(Late { mut sweep, .. }) = late {
        if is_daily || sweep.domains.is_empty() && !candidates.is_empty() {
            let known = sweep.domains.clone();
            let found = domains::found(&app.services, known, candidates);
            sweep.domains = timeout(budget::SWEEP_DOMAINS, found).await.unwrap_or(sweep.domains);
        }
        (sweep.jobs, sweep.ended_at) = (due, Some(app.services.clock.now()));
        sweep.shared.clone_from(&shared.known.shared);
        condition::end_sweep(&app.services, sweep).await;
        shared::report(app, &shared, candidates, app.services.clock.now()).await;
    }
    let reference = format!("sweep of {:.0}", app.services.clock.now());
    if let Some(malformed) = malformed {
        malformed::report(&app.services, malformed, reference).await;
    }
    poison::alert_poison_messages(app).await;
    let found = on_demand(app).await;
    if let JoinerSource::Group(group) = app.services.settings.joiners {
        nested::report(&app.services, GroupInSettings::Joiners, group, nested).await;
    }
    found
}

/// Finds new members of the on-demand group whose notification was lost. The first sweep records who is a member, and
/// then creates the subscription to notifications.
async fn on_demand(app: &App) -> GroupSync {
    let Some(group) = app.services.settings.on_demand_group else { return GroupSync::default() };
    let sync_id = format!("sweep of {}", app.services.clock.now().to_rfc3339());
    let sync = sync_group(&app.services, group, None, &sync_id);
    match within(budget::SWEEP_GROUP_SYNC, "reading the on-demand group", sync).await {
        Ok(found) => {
            condition::end(&app.services, ConditionName::GroupUnreadable).await;
            subscription::keep_alive(app).await;
            nested::report(&app.services, GroupInSettings::OnDemand, group, found.nested_groups).await;
            found
        }
        Err(failure) => {
            let alert = Alert {
                kind: "group-unreadable",
                headline: "The sweep could not read the on-demand group".into(),
                who: "users who were added since the last sweep, if their notification was lost".into(),
                what_happened: failure.to_string(),
                what_to_do: format!("{} Joiners are queued all the same.", failure.advice()),
                reference: format!("sweep of {:.0}", app.services.clock.now()),
            };
            condition::report(&app.services, ConditionName::GroupUnreadable, Urgency::Now, &alert).await;
            GroupSync::default()
        }
    }
}

async fn candidates(
    app: &App,
    look_back: u64,
    now: DateTime<Utc>,
) -> Result<GroupMembers<Vec<Candidate>>, GraphError> {
    match app.services.settings.joiners {
        JoinerSource::Group(group) => app.services.graph.members(group).await,
        JoinerSource::HireDate => {
            let Settings { lead_days, pass, .. } = &app.services.settings;
            let (from, to) = stamps(look_back, *lead_days, pass.hire_date_zone, now);
            let Readable { items: users, malformed } = app.services.graph.hired_between(from, to).await?;
            Ok(GroupMembers { users, groups: 0, malformed })
        }
    }
}

/// The first days of those who have a hire date, each in its zone. Who was told of a day keeps it as long as the tenant's values
/// are the same, whatever the settings make of them now.
fn days_one<'a>(
    settings: &Settings,
    candidates: &'a [Candidate],
    standings: Option<&Standings>,
) -> Vec<(&'a Candidate, NaiveDate, Tz)> {
    let day = |user: &'a Candidate| {
        let stamp = user.account.employee_hire_date?;
        let zone = settings.pass.zone(user.account.place());
        let told = standings.and_then(|standings| told_day(standings.get(&user.id)?));
        let day = told.unwrap_or_else(|| day_one(stamp, settings.pass.hire_date_zone, zone));
        Some((user, day, zone.zone))
    };
    candidates.iter().filter_map(day).collect()
}

/// What the records say. Without the ledger, joiners are still queued, and everyone else waits for the next sweep.
async fn standings(app: &App, candidates: &[Candidate], now: DateTime<Utc>) -> Option<Standings> {
    let settings = &app.services.settings.pass;
    let mut standings = Standings::default();
    let mut keep = |user: Uuid, standing| {
        standings.add((user, standing), candidate(candidates, user), settings, now);
    };
    match app.services.ledger.standings(&mut keep).await {
        Ok(()) => Some(standings.sorted()),
        Err(error) => {
            app.services
                .alert(&Alert {
                    kind: "ledger-unreadable",
                    headline: "The sweep could not read the ledger".into(),
                    who: "joiners whose day one moved or was cancelled".into(),
                    what_happened: error.to_string(),
                    what_to_do: CHECK_STORAGE.into(),
                    reference: format!("sweep of {now:.0}"),
                })
                .await;
            None
        }
    }
}

const CHECK_STORAGE: &str = "Check that the storage account can be reached and that the app's identity may read and \
    write its blobs. Joiners are queued all the same, but no pass is made without the ledger.";
