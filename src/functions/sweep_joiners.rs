//! SweepJoiners: once a day, one job for everyone whose first day is near, and for every record that is not settled.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::{Alert, App},
    graph::{GraphError, users::Candidate},
    ledger::{Purpose, Record, State},
    pass::{
        Job,
        day_one::{Distance, day_one, distance, stamps},
    },
    settings::JoinerSource,
    zone::zone_for,
};

/// For all pages of candidates: the host kills the process after ten minutes.
const SEARCH_TIME: Duration = Duration::from_secs(8 * 60);

/// Finds the jobs of the day, the earliest day one first. `retries_left` is how often the host would run this again,
/// where it says so.
///
/// # Errors
/// When Graph cannot be asked for joiners. A person is told when waiting will not help or nobody will try again.
pub async fn sweep_joiners(app: &App, retries_left: Option<u32>) -> Result<Vec<Job>, GraphError> {
    let result = sweep(app).await;
    if let Err(error) = &result
        && retries_left.map_or(!error.is_transient(), |left| left == 0)
    {
        app.alert(&Alert {
            headline: "The sweep found nobody: it could not read the tenant".into(),
            who: "every joiner of the next days".into(),
            what_happened: error.to_string(),
            what_to_do: format!(
                "To do: {}. The next sweep takes up everyone who was missed.",
                error.advice()
            ),
            reference: format!("sweep of {:.0}", app.clock.now()),
        })
        .await;
    }
    result
}

async fn sweep(app: &App) -> Result<Vec<Job>, GraphError> {
    let now = app.clock.now();
    let candidates = timeout(SEARCH_TIME, candidates(app, now))
        .await
        .unwrap_or_else(|_| Err(GraphError::no_time("looking for joiners")))?;
    let without_date = candidates.iter().filter(|user| user.employee_hire_date.is_none()).count();
    let joiners: BTreeSet<(NaiveDate, Uuid)> =
        candidates.iter().filter_map(|user| near_day_one(app, user, now).map(|day| (day, user.id))).collect();
    let served: BTreeSet<Uuid> = joiners.iter().map(|(_, user)| *user).collect();
    let mut jobs: Vec<Job> = joiners.into_iter().map(|(day, user)| Job::joiner(user, day)).collect();
    let found = jobs.len();
    jobs.extend(rechecks(app, &served, now).await);
    tracing::info!(
        event = "sweep.done",
        seen = candidates.len(),
        without_date,
        joiners = found,
        rechecks = jobs.len() - found
    );
    Ok(jobs)
}

async fn candidates(app: &App, now: DateTime<Utc>) -> Result<Vec<Candidate>, GraphError> {
    match app.settings.joiners {
        JoinerSource::Group(group) => app.graph.members(group).await,
        JoinerSource::HireDate => {
            let (from, to) = stamps(app.settings.lead_days, now);
            app.graph.hired_between(from, to).await
        }
    }
}

fn near_day_one(app: &App, user: &Candidate, now: DateTime<Utc>) -> Option<NaiveDate> {
    let zone = zone_for(user.usage_location.as_deref(), app.settings.pass.time_zone);
    let day = day_one(user.employee_hire_date?, zone);
    (distance(day, zone, app.settings.lead_days, now) == Distance::Near).then_some(day)
}

/// Records that need a second look: unfinished ones, and delivered passes of people who are no candidates any
/// more. Joiners come first: without the ledger they are still queued, and the second looks wait a day.
async fn rechecks(app: &App, served: &BTreeSet<Uuid>, now: DateTime<Utc>) -> Vec<Job> {
    match app.ledger.list().await {
        Ok(records) => records
            .into_iter()
            .filter(|(user, record)| !served.contains(user) && is_open(record, now))
            .map(|(user, _)| Job::recheck(user, now.date_naive()))
            .collect(),
        Err(error) => {
            app.alert(&Alert {
                headline: "The sweep could not read the ledger".into(),
                who: "every joiner whose first day moved or was cancelled".into(),
                what_happened: error.to_string(),
                what_to_do:
                    "Check that the storage account can be reached and that the app's identity may read \
                             and write its blobs. Joiners of today are served all the same."
                        .into(),
                reference: format!("sweep of {now:.0}"),
            })
            .await;
            Vec::new()
        }
    }
}

/// How long an unfinished record is looked at again: longer than anyone waits for a first day.
const UNFINISHED: TimeDelta = TimeDelta::days(60);

/// How long after a pass was taken back another one is looked for.
const STRAGGLERS: TimeDelta = TimeDelta::days(2);

fn is_open(record: &Record, now: DateTime<Utc>) -> bool {
    let delivered = record.delivered.as_ref().filter(|d| d.purpose == Purpose::Joiner);
    let still_works = delivered.is_some_and(|d| d.pass.ends_at > now) && record.state != State::Revoked;
    still_works || is_unfinished(record, now)
}

fn is_unfinished(record: &Record, now: DateTime<Utc>) -> bool {
    match record.state {
        // A caller who got no pass calls again.
        State::Issuing | State::Failed => {
            record.purpose != Purpose::Http
                && record.claim.as_ref().is_none_or(|c| now - c.since < UNFINISHED)
        }
        // A POST that was on its way may have landed since; what is deleted stays so.
        State::Revoked => {
            record.reason.as_deref() != Some(Record::DELETED)
                && record.claim.as_ref().is_some_and(|c| now - c.since < STRAGGLERS)
        }
        State::Mailed | State::Blocked => false,
    }
}
