//! SweepJoiners: once a day, one job for everyone whose first day is near, and for every record that is not settled.

mod poison;
mod subscription;

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    graph::{GraphError, users::Candidate},
    ledger::{Purpose, Record},
    pass::{
        GroupSync, Job,
        alert::Alert,
        day_one::{Distance, day_one, distance, stamps},
        group_sync::sync_group,
    },
    settings::JoinerSource,
    zone::zone_for,
};

/// For all pages of candidates. With the ledger (two and a half minutes, an alert included) and what else there is to
/// do, a sweep has to stay below the ten minutes after which the host kills the process.
const SEARCH_TIME: Duration = Duration::from_secs(4 * 60);
/// For all that has nothing to do with joiners.
const OTHER_TIME: Duration = Duration::from_secs(3 * 60);
/// For reading the on-demand group.
const GROUP_TIME: Duration = Duration::from_secs(60);

/// Finds the jobs of the day, the earliest day one first. `retries_left` is how often the host would run this again,
/// where it says so.
///
/// # Errors
/// When Graph cannot be asked for joiners. A person is told when waiting will not help or nobody will try again.
pub async fn sweep_joiners(app: &App, retries_left: Option<u32>) -> Result<GroupSync, GraphError> {
    let result = sweep(app).await;
    if let Err(error) = &result
        && retries_left.map_or(!error.is_transient(), |left| left == 0)
    {
        app.services
            .alert(&Alert {
                headline: "The sweep found nobody: it could not read the tenant".into(),
                who: "every joiner of the next days".into(),
                what_happened: error.to_string(),
                what_to_do: format!(
                    "To do: {}. The next sweep takes up everyone who was missed.",
                    error.advice()
                ),
                reference: format!("sweep of {:.0}", app.services.clock.now()),
            })
            .await;
    }
    result
}

async fn sweep(app: &App) -> Result<GroupSync, GraphError> {
    let now = app.services.clock.now();
    let candidates = timeout(SEARCH_TIME, candidates(app, now))
        .await
        .unwrap_or_else(|_| Err(GraphError::timed_out("looking for joiners")))?;
    let without_date = candidates.iter().filter(|user| user.employee_hire_date.is_none()).count();
    let joiners: BTreeSet<(NaiveDate, Uuid)> =
        candidates.iter().filter_map(|user| near_day_one(app, user, now).map(|day| (day, user.id))).collect();
    let found = joiners.len();
    let rechecks = rechecks(app, &joiners, now).await;
    let rechecked: BTreeSet<Uuid> = rechecks.iter().map(|job| job.user_id).collect();
    let joiners = joiners.into_iter().filter(|(_, user)| !rechecked.contains(user));
    let mut jobs: Vec<Job> = joiners.map(|(day, user)| Job::joiner(user, day)).collect();
    jobs.extend(rechecks);
    let GroupSync { jobs: added, completion } =
        timeout(OTHER_TIME, other_duties(app)).await.unwrap_or_else(|_| {
            tracing::warn!(event = "sweep.out_of_time", what = "given-up messages and the on-demand group");
            GroupSync::default()
        });
    tracing::info!(
        event = "sweep.done",
        seen = candidates.len(),
        without_date,
        joiners = found,
        rechecks = rechecked.len(),
        added = added.len()
    );
    jobs.extend(added);
    Ok(GroupSync { jobs, completion })
}

/// What a sweep sees to beside joiners. Whoever is found here and lost is found again by the next.
async fn other_duties(app: &App) -> GroupSync {
    poison::alert_poison_messages(app).await;
    on_demand(app).await
}

/// Who came into the on-demand group without anybody telling: notifications get lost, and connectors are switched off.
/// The first time, it only sees who is there; from then on Graph may tell.
async fn on_demand(app: &App) -> GroupSync {
    let Some(group) = app.services.settings.on_demand_group else { return GroupSync::default() };
    let late = |_| Err(GraphError::timed_out("reading the on-demand group").into());
    let sync_id = format!("sweep of {}", app.services.clock.now().to_rfc3339());
    match timeout(GROUP_TIME, sync_group(&app.services, group, None, &sync_id)).await.unwrap_or_else(late) {
        Ok(found) => {
            subscription::keep_alive(app).await;
            found
        }
        Err(outcome) => {
            app.services
                .alert(&Alert {
                    headline: "The sweep could not look into the on-demand group".into(),
                    who: "whoever was added since the last sweep, where no message said so".into(),
                    what_happened: outcome.to_string(),
                    what_to_do: format!(
                        "{} Joiners of today are served all the same.",
                        outcome.advice().unwrap_or_default()
                    ),
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

/// Records that need a second look: unfinished ones, and delivered passes of people who are no candidates any more.
/// Today's joiners are looked at anyway, but for those who were promised a pass on demand: their second look comes
/// in place of their job, and includes it. Without the ledger joiners are still queued, and second looks wait.
async fn rechecks(app: &App, joiners: &BTreeSet<(NaiveDate, Uuid)>, now: DateTime<Utc>) -> Vec<Job> {
    let joiners: BTreeSet<&Uuid> = joiners.iter().map(|(_, user)| user).collect();
    let is_promised =
        |record: &Record| record.purpose == Purpose::OnDemand && record.unfinished_until() > Some(now);
    match app.services.ledger.open(now).await {
        Ok(records) => records
            .into_iter()
            .filter(|(user, record)| !joiners.contains(user) || is_promised(record))
            .map(|(user, _)| Job::recheck(user, now.date_naive()))
            .collect(),
        Err(error) => {
            app.services
                .alert(&Alert {
                    headline: "The sweep could not read the ledger".into(),
                    who: "every joiner whose first day moved or was cancelled".into(),
                    what_happened: error.to_string(),
                    what_to_do: CHECK_STORAGE.into(),
                    reference: format!("sweep of {now:.0}"),
                })
                .await;
            Vec::new()
        }
    }
}

const CHECK_STORAGE: &str = "Check that the storage account can be reached and that the app's identity may read and \
    write its blobs. Joiners of today are served all the same.";
