//! SweepJoiners: daily or hourly, one job for each user with whom something has to be done: a new joiner, a change, a pass
//! that was used or not, a record that is not finished.

mod ahead;
mod cap;
mod due;
mod found;
mod late;
mod mailbox;
mod part;
mod poison;
mod search;
mod shared;
mod standing;
mod stopped;
mod subscription;

use std::error::Error;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::ahead::{DryRun, dry_run};
use self::{
    cap::Held,
    found::{Found, report_changed_reading},
    late::Late,
    part::Part,
    search::{People, candidates},
};
use crate::{
    app::App,
    budget,
    graph::{GraphError, GroupMembers, within},
    ledger::{ConditionName, LedgerError, Urgency},
    pass::{
        Failure, GroupSync, Skip, SweepContinues,
        alert::Alert,
        broken_templates, clock_skew, condition, digest_due, domains, examined,
        group_sync::{self, Additions, sync_group},
        ledger_tenant,
        mailbox::note_read,
        malformed,
        nested::{self, GroupInSettings},
    },
    settings::JoinerSource,
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
    let shut = last.as_ref().and_then(|last| last.mailbox.clone());
    let search = async {
        if let Some(last) = &last {
            ledger_tenant::check_conditions(&app.services, last).await?;
            note_read(&app.services, last);
            examined::note_read(&app.services, Some(last));
            digest_due::note_read(&app.services, last);
        }
        Ok::<_, Failure>(candidates(app, last.as_ref(), now).await?)
    };
    let GroupMembers { users: candidates, groups: nested, malformed } =
        within(budget::SWEEP_SEARCH, "searching for joiners", search).await?;
    condition::end(&app.services, ConditionName::SweepFails).await;
    clock_skew::check(&app.services).await?;
    let standings = match search::standings(app, &candidates, now).await {
        Ok(standings) => Some(standings),
        Err(error) if continued.is_some() => return Err(error.into()),
        // Joiners are still queued, and everyone else waits for the next sweep.
        Err(error) => {
            app.services.alert(&ledger_unreadable(&error, now)).await;
            None
        }
    };
    let knows_records = standings.is_some();
    let without_date = candidates.iter().filter(|user| user.account.employee_hire_date.is_none()).count();
    let after = continued.map(SweepContinues::after);
    let mut people = People::find(app, candidates, standings, last.as_ref(), after, now).await;
    let stopped = Skip::of_mode(settings.mode);
    // Whom the first sweep leaves out is the same whether it acts. Of whoever is too late meanwhile, the next one that acts tells.
    if let Some(late) = people.late.as_mut().filter(|late| stopped.is_none() || late.is_first()) {
        late.tell(app).await;
    }
    let held = match stopped {
        // Every job needs the ledger too.
        _ if !knows_records => Held::default(),
        None => cap::apply(app, &people, now).await,
        Some(_) => stopped::held(app, &people, now).await,
    };
    let was_malformed = last.as_ref().is_some_and(|last| last.has(ConditionName::JoinersMalformed));
    let malformed = (was_malformed || !malformed.is_empty()).then_some(&*malformed);
    let were_broken = last.as_ref().is_some_and(|last| last.has(ConditionName::TemplatesBroken));
    let is_today = |at: DateTime<Utc>| at.date_naive() == now.date_naive();
    let is_daily = match continued {
        Some(continued) => continued.is_first_of_day,
        None => !last.and_then(|last| last.looked_at).is_some_and(is_today),
    };
    let found = Found { people: &people, held };
    if is_daily && continued.is_none() {
        report_changed_reading(settings, &found);
        found.report_odd_stamps(app, now);
    }
    let (jobs, looks) = found.jobs(app, is_daily, after, now).await;
    let deadline = Instant::now() + budget::SWEEP_OTHER;
    let (jobs, others_wait) = match stopped {
        None => mailbox::hold_back(app, shut.as_ref(), &people.candidates, jobs, now, deadline).await,
        Some(_) => (jobs, false),
    };
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
    let queued = if stopped.is_some() { 0 } else { due };
    // Nor has the host anything to put out.
    let deadline = if stopped.is_some() { deadline + budget::OUTPUT } else { deadline };
    let duties = async {
        other_duties(app, &people, queued, is_daily, malformed).await;
        broken_templates::report(&app.services, were_broken).await;
        let added = on_demand(app, stopped.is_some()).await;
        if let JoinerSource::Group(group) = settings.joiners {
            nested::report(&app.services, GroupInSettings::Joiners, group, nested).await;
        }
        match stopped {
            None => stopped::end(app).await,
            Some(why) => stopped::tell(app, &found, &jobs, &added.look, why, now).await,
        }
        added
    };
    let added = timeout_at(deadline, duties).await.unwrap_or_else(|_| {
        tracing::warn!(
            event = "sweep.shortened",
            "The sweep had no time for the poison queue and the on-demand group; the next one has"
        );
        Added::default()
    });
    tracing::info!(
        event = "sweep.done",
        seen = people.candidates.len(),
        records = people.standings.records(),
        kept = people.standings.kept(),
        without_date,
        joiners = people.joiners.len(),
        unserved = people.unserved.len(),
        late = people.late_due.len(),
        looked = looks.looked,
        due,
        queued = if stopped.is_some() { 0 } else { part.jobs.len() },
        added = added.sync.jobs.len(),
        "The sweep has found its jobs"
    );
    Ok(if stopped.is_some() { GroupSync::default() } else { part.with(added.sync) })
}

/// What a sweep does beside joiners. If it is cut off, the next sweep finds the same again. So does the next one if the jobs
/// are lost with this one's answer: whoever is late and has no record is found anew.
async fn other_duties(
    app: &App,
    people: &People,
    queued: usize,
    is_daily: bool,
    malformed: Option<&[String]>,
) {
    let People { candidates, shared, .. } = people;
    if let Some(Late { sweep, .. }) = &people.late {
        let mut sweep = sweep.clone();
        if is_daily || sweep.domains.is_empty() && !candidates.is_empty() {
            let known = sweep.domains.clone();
            let found = domains::found(&app.services, known, candidates);
            sweep.domains = timeout(budget::SWEEP_DOMAINS, found).await.unwrap_or(sweep.domains);
        }
        (sweep.jobs, sweep.ended_at) = (queued, Some(app.services.clock.now()));
        sweep.shared.clone_from(&shared.known.shared);
        condition::end_sweep(&app.services, sweep).await;
        shared::report(app, shared, candidates, app.services.clock.now()).await;
    }
    if let Some(malformed) = malformed {
        let reference = format!("sweep of {:.0}", app.services.clock.now());
        malformed::report(&app.services, malformed, reference).await;
    }
    poison::alert_poison_messages(app).await;
}

/// What a sweep has found of the on-demand group.
#[derive(Default)]
struct Added {
    /// The jobs of a sweep that acts.
    sync: GroupSync,
    /// What another one sees.
    look: Additions,
}

/// Finds new members of the on-demand group whose notification was lost. The first sweep records who is a member, and
/// then creates the subscription to notifications. One that does not act (`is_stopped`) leaves later members for the next that does.
async fn on_demand(app: &App, is_stopped: bool) -> Added {
    let (services, settings) = (&app.services, &app.services.settings);
    let Some(group) = settings.on_demand_group else { return Added::default() };
    let sync_id = format!("sweep of {}", services.clock.now().to_rfc3339());
    let finding = async {
        if is_stopped && services.ledger.membership(group).await?.is_some() {
            let look = group_sync::look(services, group).await?;
            return Ok((look.nested_groups, Added { look, ..Added::default() }));
        }
        let sync = sync_group(services, group, None, &sync_id).await?;
        Ok::<_, Failure>((sync.nested_groups, Added { sync, ..Added::default() }))
    };
    match within(budget::SWEEP_GROUP_SYNC, "reading the on-demand group", finding).await {
        Ok((nested_groups, found)) => {
            condition::end(services, ConditionName::GroupUnreadable).await;
            subscription::keep_alive(app).await;
            nested::report(services, GroupInSettings::OnDemand, group, nested_groups).await;
            found
        }
        Err(failure) => {
            let alert = Alert {
                kind: "group-unreadable",
                headline: "The sweep could not read the on-demand group".into(),
                who: "users who were added since the last sweep, if their notification was lost".into(),
                what_happened: failure.to_string(),
                what_to_do: format!("{} Joiners are queued all the same.", failure.advice()),
                reference: format!("sweep of {:.0}", services.clock.now()),
            };
            condition::report(services, ConditionName::GroupUnreadable, Urgency::Now, &alert).await;
            Added::default()
        }
    }
}

fn ledger_unreadable(error: &LedgerError, now: DateTime<Utc>) -> Alert {
    Alert {
        kind: "ledger-unreadable",
        headline: "The sweep could not read the ledger".into(),
        who: "joiners whose day one moved or was cancelled".into(),
        what_happened: error.to_string(),
        what_to_do: "Check that the storage account can be reached and that the app's identity may read and write its blobs. \
                     Joiners are queued all the same, but no pass is made without the ledger."
            .into(),
        reference: format!("sweep of {now:.0}"),
    }
}
