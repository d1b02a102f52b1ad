//! SweepJoiners: once a day, one job for each joiner whose day one is near, and for each record that is not finished.

mod cap;
mod poison;
mod subscription;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use self::cap::Held;
use crate::{
    app::App,
    budget,
    graph::{GraphError, users::Candidate, within},
    ledger::{ConditionName, Overview, Purpose, Record, Urgency},
    pass::{
        GroupSync, Job,
        alert::Alert,
        condition,
        day_one::{Distance, day_one, distance, stamps},
        group_sync::sync_group,
    },
    settings::JoinerSource,
    zone::zone_for,
};

/// The host fires a timer up to two milliseconds early (observed on host 4.1037). At midnight, that would be the day before.
const TIMER_TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// Finds the jobs of the day, the earliest day one first. `retries_left` is how often the host will run this again;
/// `None` without a retry policy.
///
/// # Errors
/// When the search for joiners fails. An alert is sent if it does not help to run the sweep again, or if sweeps have
/// failed for a while.
pub(crate) async fn sweep_joiners(app: &App, retries_left: Option<u32>) -> Result<GroupSync, GraphError> {
    let result = sweep(app).await;
    if let Err(error) = &result {
        let advice = error.advice();
        tracing::warn!(
            event = "sweep.failed",
            error = error as &dyn Error,
            advice,
            retries_left,
            "The sweep could not read the joiners, and the invocation fails"
        );
        report(app, error, retries_left).await;
    }
    result
}

/// Sends the alert about a failed sweep, if one is due.
async fn report(app: &App, error: &GraphError, retries_left: Option<u32>) {
    // Without a retry, the next try is the next scheduled sweep.
    let is_repeated = error.is_transient() && retries_left.is_some_and(|left| left > 0);
    let urgency = if is_repeated { Urgency::WhenLasting } else { Urgency::Now };
    let alert = Alert {
        headline: "The sweep could not read the tenant and found no joiners".into(),
        who: "all joiners of the next days".into(),
        what_happened: error.to_string(),
        what_to_do: format!("To do: {}. The next sweep serves everyone who was missed.", error.advice()),
        reference: format!("sweep of {:.0}", app.services.clock.now()),
    };
    condition::report(&app.services, ConditionName::SweepFails, urgency, &alert).await;
}

async fn sweep(app: &App) -> Result<GroupSync, GraphError> {
    let now = app.services.clock.now() + TIMER_TOLERANCE;
    let candidates = within(budget::SWEEP_SEARCH, "searching for joiners", candidates(app, now)).await?;
    condition::end(&app.services, ConditionName::SweepFails).await;
    let without_date = candidates.iter().filter(|user| user.employee_hire_date.is_none()).count();
    let joiners: BTreeSet<(NaiveDate, Uuid)> =
        candidates.iter().filter_map(|user| near_day_one(app, user, now).map(|day| (day, user.id))).collect();
    let found = joiners.len();
    let overview = overview(app, now).await;
    let name = |user: &Candidate| Some((user.id, user.user_principal_name.clone()?));
    let names = candidates.iter().filter_map(name).collect();
    let held = match &overview {
        Some(overview) => cap::apply(app, &joiners, &names, overview, now).await,
        // Every job needs the ledger too.
        None => Held::default(),
    };
    let overview = overview.unwrap_or_default();
    let rechecks = rechecks(&joiners, &overview, &held, now);
    let rechecked: BTreeSet<Uuid> = rechecks.iter().map(|job| job.user_id).collect();
    let is_due =
        |(day, user): &(NaiveDate, Uuid)| !rechecked.contains(user) && !held.joiners.contains(&(*user, *day));
    let mut jobs: Vec<Job> =
        joiners.into_iter().filter(is_due).map(|(day, user)| Job::joiner(user, day)).collect();
    jobs.extend(rechecks);
    let GroupSync { jobs: added, completion } =
        timeout(budget::SWEEP_OTHER, other_duties(app)).await.unwrap_or_else(|_| {
            tracing::warn!(
                event = "sweep.shortened",
                "The sweep had no time for the poison queue and the on-demand group; the next one has"
            );
            GroupSync::default()
        });
    tracing::info!(
        event = "sweep.done",
        seen = candidates.len(),
        without_date,
        joiners = found,
        rechecks = rechecked.len(),
        added = added.len(),
        "The sweep has found its jobs"
    );
    jobs.extend(added);
    Ok(GroupSync { jobs, completion })
}

/// What a sweep does beside joiners. If it is cut off, the next sweep finds the same again.
async fn other_duties(app: &App) -> GroupSync {
    poison::alert_poison_messages(app).await;
    on_demand(app).await
}

/// Finds new members of the on-demand group whose notification was lost. The first sweep records who is a member, and
/// then creates the subscription to notifications.
async fn on_demand(app: &App) -> GroupSync {
    let Some(group) = app.services.settings.on_demand_group else { return GroupSync::default() };
    let sync_id = format!("sweep of {}", app.services.clock.now().to_rfc3339());
    let sync = sync_group(&app.services, group, None, &sync_id);
    match within(budget::SWEEP_GROUP_SYNC, "reading the on-demand group", sync).await {
        Ok(found) => {
            subscription::keep_alive(app).await;
            found
        }
        Err(failure) => {
            app.services
                .alert(&Alert {
                    headline: "The sweep could not read the on-demand group".into(),
                    who: "users who were added since the last sweep, if their notification was lost".into(),
                    what_happened: failure.to_string(),
                    what_to_do: format!("{} Today's joiners are served all the same.", failure.advice()),
                    reference: format!("sweep of {:.0}", app.services.clock.now()),
                })
                .await;
            GroupSync::default()
        }
    }
}

async fn candidates(app: &App, now: DateTime<Utc>) -> Result<Vec<Candidate>, GraphError> {
    match app.services.settings.joiners {
        JoinerSource::Group(group) => app.services.graph.members(group).await,
        JoinerSource::HireDate => {
            let (from, to) = stamps(app.services.settings.lead_days, now);
            app.services.graph.hired_between(from, to).await
        }
    }
}

fn near_day_one(app: &App, user: &Candidate, now: DateTime<Utc>) -> Option<NaiveDate> {
    let zone = zone_for(user.usage_location.as_deref(), app.services.settings.pass.time_zone);
    let day = day_one(user.employee_hire_date?, zone);
    (distance(day, zone, app.services.settings.lead_days, now) == Distance::Near).then_some(day)
}

/// What the records say. Without the ledger, joiners are still queued, and rechecks wait for the next sweep.
async fn overview(app: &App, now: DateTime<Utc>) -> Option<Overview> {
    match app.services.ledger.overview(now).await {
        Ok(overview) => Some(overview),
        Err(error) => {
            app.services
                .alert(&Alert {
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

/// A recheck for each record that is not finished, and for each delivered pass whose user is no joiner any more. Today's
/// joiners have a job anyway, except those whose pass on demand is due: their recheck replaces and includes the job.
fn rechecks(
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    overview: &Overview,
    held: &Held,
    now: DateTime<Utc>,
) -> Vec<Job> {
    let joiners: BTreeMap<&Uuid, &NaiveDate> = joiners.iter().map(|(day, user)| (user, day)).collect();
    let is_due_on_demand =
        |record: &Record| record.purpose == Purpose::OnDemand && record.unfinished_until() > Some(now);
    let is_held = |user: &Uuid| {
        let as_joiner = joiners.get(user).is_some_and(|day| held.joiners.contains(&(*user, **day)));
        as_joiner || held.withdrawals.iter().any(|(held, _)| held == user)
    };
    overview
        .open
        .iter()
        .filter(|(user, record)| !joiners.contains_key(user) || is_due_on_demand(record))
        .filter(|(user, _)| !is_held(user))
        .map(|(user, _)| Job::recheck(*user, now.date_naive()))
        .collect()
}

const CHECK_STORAGE: &str = "Check that the storage account can be reached and that the app's identity may read and \
    write its blobs. Today's joiners are served all the same.";
