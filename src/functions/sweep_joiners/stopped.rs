//! A sweep that does not act: with REPORT_ONLY it says who would get what, with PAUSED how many wait. It queues nothing and leaves nothing
//! in a record, so that the next one that acts finds the same people as if there had been none before it.

use std::{collections::BTreeMap, error::Error};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::{Instant, timeout};

use super::{
    ahead::{all_jobs, held_additions, look_at},
    cap::{self, Held},
    found::Found,
    mailbox,
    part::{DueJob, Mail},
    search::People,
};
use crate::{
    app::App,
    budget,
    ledger::{ConditionName, Urgency},
    pass::{
        Failure, Job, Outcome, Skip,
        alert::Alert,
        cap::NAMES_IN_ALERT,
        condition,
        forecast::{Forecast, Would},
        group_sync::Additions,
    },
};

/// How many people a sweep names. `firstpass sweep --dry-run` names all.
const NAMED: usize = 200;

/// Whom SWEEP_MAX would hold back. Without an answer of the ledger in time, nobody is said to be.
pub(super) async fn held(app: &App, people: &People, now: DateTime<Utc>) -> Held {
    match timeout(budget::SWEEP_CAP, cap::find(app, people, now)).await {
        Ok(Ok(held)) => held,
        Ok(Err(_)) | Err(_) => Held::default(),
    }
}

/// The app acts again, or always did.
pub(super) async fn end(app: &App) {
    condition::end(&app.services, ConditionName::Paused).await;
    condition::end(&app.services, ConditionName::ReportOnly).await;
}

/// Says what the sweep would do, or who waits.
pub(super) async fn tell(
    app: &App,
    found: &Found<'_>,
    due: &[DueJob],
    added: &Additions,
    why: Skip,
    now: DateTime<Utc>,
) {
    match why {
        Skip::Paused => tell_waiting(app, found, due, added, now).await,
        _ => report(app, found, due, added, now).await,
    }
}

/// Logs who would get what.
async fn report(app: &App, found: &Found<'_>, due: &[DueJob], added: &Additions, now: DateTime<Utc>) {
    if condition::claim(&app.services, ConditionName::ReportOnly).await {
        tracing::warn!(
            event = "report_only.on",
            "REPORT_ONLY is set: sweeps say who would get what, and nothing is made, mailed or revoked"
        );
    }
    let mut named = all_jobs(due, added, now);
    let total = named.len();
    let mut forecasts = found.left_out(&named);
    forecasts.extend(held_additions(added));
    named.truncate(NAMED);
    let looks = look_at(app, found.people, named, Instant::now() + budget::SWEEP_REPORT, now).await;
    let not_looked_at = total - looks.len();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failed = 0;
    for (name, looked) in looks {
        match looked {
            Ok(forecast) => forecasts.push(forecast),
            Err(failure) => {
                failed += 1;
                log_failure(&name, &failure);
            }
        }
    }
    for forecast in &forecasts {
        *counts.entry(forecast.would.name()).or_default() += 1;
    }
    // Of whom nothing would change there is nothing to say.
    forecasts.retain(|forecast| !matches!(forecast.would, Would::End(Outcome::Skipped(_))));
    let days_off = |day: NaiveDate| (day - now.date_naive()).num_days().abs();
    forecasts.sort_by_key(|forecast| (forecast.day_one.is_none(), forecast.day_one.map(days_off)));
    forecasts.iter().take(NAMED).for_each(log);
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    tracing::info!(
        event = "report_only.done",
        due = total,
        issue = count("issue"),
        mail = count("mail"),
        revoked = count("revoked"),
        blocked = count("blocked"),
        skipped = count("skipped"),
        held = found.held.joiners.len() + found.held.withdrawals.len() + added.held.len(),
        left_out = count("left-out"),
        failed,
        not_looked_at,
        "The sweep has said what it would do, and did nothing"
    );
}

fn log(forecast: &Forecast) {
    let pass = match &forecast.would {
        Would::Issue(pass) => Some(pass),
        _ => None,
    };
    tracing::info!(
        event = "report_only.would",
        user = forecast.who.name,
        would = forecast.would.name(),
        cause = forecast.would.cause(),
        day_one = forecast.day_one.map(|day| day.to_string()),
        opens = pass.map(|pass| pass.window.opens_at.to_rfc3339()),
        ends = pass.map(|pass| pass.window.ends_at().to_rfc3339()),
        to = pass.map(|pass| pass.to.as_str()),
        why = %forecast.would,
        "A sweep that acts would do this"
    );
}

fn log_failure(name: &str, failure: &Failure) {
    tracing::warn!(
        event = "report_only.unknown",
        user = name,
        error = failure as &dyn Error,
        "What a sweep that acts would do for this person could not be found out"
    );
}

/// Tells an admin once a day how many wait, whose day is next, and who keeps a pass that would be taken back.
async fn tell_waiting(app: &App, found: &Found<'_>, due: &[DueJob], added: &Additions, now: DateTime<Utc>) {
    let people = found.people;
    let waiting: Vec<DueJob> = due.iter().filter(|job| job.mail != Mail::Not).copied().collect();
    // A pass that could be used is revoked by none of the others.
    let with_pass = due.iter().filter(|job| matches!(job.mail, Mail::Also | Mail::Not)).take(NAMED);
    let with_pass: Vec<Job> = with_pass.map(|job| job.to_job(now)).collect();
    let looks = look_at(app, people, with_pass, Instant::now() + budget::SWEEP_REPORT, now).await;
    let forecasts = looks.into_iter().filter_map(|(_, looked)| looked.ok());
    let is_revoked = |forecast: &Forecast| matches!(forecast.would, Would::End(Outcome::Revoked(_)));
    let revoked: Vec<String> = forecasts.filter(is_revoked).map(|forecast| forecast.who.name).collect();
    let (held, added) = (found.held.joiners.len(), added.jobs.len() + added.held.len());
    tracing::info!(
        event = "sweep.paused",
        waiting = waiting.len(),
        held,
        added,
        revocations = revoked.len(),
        "PAUSED is set: nothing is made, mailed or revoked"
    );
    let mut what_happened = format!(
        "PAUSED is set, so that nothing is made, mailed or revoked. {} joiners wait, {held} of them for an approval too, and {added} \
         who were added to the on-demand group.",
        waiting.len() + held
    );
    if !revoked.is_empty() {
        what_happened += &format!(
            " {} passes that were mailed would be taken back, because the start is withdrawn or for another reason, and still work: {}.",
            revoked.len(),
            revoked.iter().take(NAMES_IN_ALERT).map(String::as_str).collect::<Vec<_>>().join(", ")
        );
    }
    let alert = Alert {
        kind: "paused",
        headline: "firstpass is paused, and nobody gets a pass".into(),
        who: mailbox::who(&people.candidates, &waiting),
        what_happened,
        what_to_do: "Remove PAUSED, or set it to false, when the reason is gone: the next sweep serves everybody who waits, those \
                     included whose first day is at most LATE_DAYS ago. A pass that must not work until then is deleted in the Entra \
                     admin center, under the authentication methods of the user."
            .into(),
        reference: format!("paused, {now:.0}"),
    };
    condition::report(&app.services, ConditionName::Paused, Urgency::Now, &alert).await;
}
