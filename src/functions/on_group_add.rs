//! OnGroupAdd: one queue message. A job runs; a message from outside becomes jobs first.

mod stopped;

use std::{collections::BTreeMap, error::Error, ops::ControlFlow};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::{App, Look},
    budget, digest, doctor,
    functions::sweep_joiners::{continue_sweep, sweep_joiners},
    graph::within,
    hash::sha256,
    ledger::LedgerError,
    pass::{
        ChangeNotification, Failure, GroupSync, Job, MembershipEvent, NotesDue, Outcome, ParsedMessage,
        Person, Reason, Skip, SweepContinues, SyncCompleted, SyncContinues,
        alert::{self, Alert},
        condition, domains, examined,
        group_sync::{complete_sync, continue_sync, sync_group},
        issue::{JobResult, NotesEnd, give_up_notes, issue, send_notes},
        ledger_tenant, mailbox,
        named_members::without_held,
        replication::{self, resolve_user},
    },
    telemetry::context,
};

/// How long a message has waited if the queue is long.
const WAITED: TimeDelta = TimeDelta::minutes(2);

/// One delivery of a message.
#[derive(Clone, Debug)]
pub struct QueueDelivery {
    /// The message.
    pub message: Value,
    /// The message as it was stored in the queue.
    pub raw: String,
    /// The queue's id for it, or the message's own `id`.
    pub id: String,
    /// When it was put into the queue.
    pub inserted: DateTime<Utc>,
    /// How often it has been delivered, this delivery included.
    pub count: u32,
}

impl QueueDelivery {
    /// Identifies the message in all its deliveries.
    fn fingerprint(&self) -> String {
        sha256(&format!("{} {}", self.inserted, self.id))[..32].to_owned()
    }

    /// The queue's name for it. What a message has put in its place can be anything, and is not to be logged.
    fn queue_id(&self) -> Option<Uuid> {
        self.id.trim_matches(['"', '\\']).parse().ok()
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Handled {
    /// A job ran, or reading the group failed; with the reference to search the log for.
    Ran(String, Box<JobResult>),
    /// It became these messages; with an explanation.
    Queued(Vec<String>, String),
    /// No part of it has a known form; with all its problems. Another delivery would not help.
    Unreadable(Vec<String>),
}

/// Handles a message.
pub async fn on_group_add(app: &App, delivery: &QueueDelivery) -> Handled {
    context::set_delivery(delivery.count);
    let parsed =
        ParsedMessage::parse(&delivery.message, app.services.settings.on_demand_group, delivery.inserted);
    if !matches!(parsed, Ok(ParsedMessage::Job(_)))
        && let Some(id) = delivery.queue_id()
    {
        context::set_message(id);
    }
    let parsed = match (parsed, Skip::of_mode(app.services.settings.mode)) {
        (Ok(parsed), Some(why)) => match stopped::handle(app, delivery, parsed, why).await {
            ControlFlow::Break(handled) => return handled,
            ControlFlow::Continue(parsed) => Ok(parsed),
        },
        (parsed, _) => parsed,
    };
    match parsed {
        Ok(ParsedMessage::Job(job)) => {
            run(app, &Job { queued_at: Some(delivery.inserted), ..job }, delivery).await
        }
        Ok(ParsedMessage::SyncCompleted(completed)) => match completed_sync(app, &completed).await {
            Ok(true) => queued(Vec::new(), "all jobs of the group sync are in the queue".to_owned()),
            Ok(false) => queued(Vec::new(), "the group sync has no pending members".to_owned()),
            Err(failure) => {
                let who = "new members of the on-demand group, whose jobs are queued".to_owned();
                finish(app, delivery, &completed.sync_id, failed(failure, who)).await
            }
        },
        Ok(ParsedMessage::DailyLook(look)) => {
            // A time in the future would switch off the daily look until then.
            let at = look.daily_look.min(app.services.clock.now());
            if let Err(error) = ledger_tenant::check(&app.services).await {
                return finish(app, delivery, "daily look", failed(error.into(), "everybody".into())).await;
            }
            condition::end_daily_look(&app.services, at).await;
            queued(Vec::new(), "all jobs of the sweep are in the queue".to_owned())
        }
        Ok(ParsedMessage::SweepContinues(continued)) => continued_sweep(app, delivery, &continued).await,
        Ok(ParsedMessage::SyncContinues(continued)) => continued_sync(app, delivery, &continued).await,
        Ok(ParsedMessage::NotesDue(due)) => notes(app, delivery, due).await,
        Ok(ParsedMessage::AlertsDue) => {
            app.send_summary(Look::Now).await;
            queued(Vec::new(), "the summary of alerts was sent if there is one".to_owned())
        }
        Ok(ParsedMessage::SweepDue(asked)) => sweep_between(app, delivery, asked).await,
        Ok(ParsedMessage::ExaminationDue) => examine(app).await,
        Ok(ParsedMessage::DigestDue) => send_digest(app).await,
        Ok(ParsedMessage::Notification(notification)) => {
            handle_notification(app, delivery, notification).await
        }
        Err(problems) => {
            app.services.alert(&unreadable(delivery, &problems)).await;
            Handled::Unreadable(problems)
        }
    }
}

async fn completed_sync(app: &App, completed: &SyncCompleted) -> Result<bool, Failure> {
    ledger_tenant::check(&app.services).await?;
    complete_sync(&app.services, completed).await
}

/// Sweeps between the sweeps of the timer: the mailbox that sends accepts mails again, or has to be tried.
async fn sweep_between(app: &App, delivery: &QueueDelivery, asked: DateTime<Utc>) -> Handled {
    let now = app.services.clock.now();
    let read = timeout(budget::READ_MAILBOX, condition::of_sweeps(&app.services)).await;
    let conditions = read.ok().flatten();
    if let Some(conditions) = &conditions {
        // So that the next try is arranged, whichever process this is.
        mailbox::note_read(&app.services, conditions);
    }
    // The answer of the delivery before may be lost, with the jobs of a sweep that ended well.
    let is_first = delivery.count <= 1;
    if is_first && conditions.is_some_and(|conditions| !mailbox::needs_sweep(&conditions, asked, now)) {
        return queued(Vec::new(), "another sweep has run meanwhile".to_owned());
    }
    match sweep_joiners(app, Some(budget::DELIVERIES.saturating_sub(delivery.count))).await {
        Ok(found) => queued_next(&found, "joiners of a sweep for the mailbox"),
        Err(failure) => {
            let who = "joiners who wait for the mailbox that sends: the next sweep finds them".to_owned();
            finish(app, delivery, "sweep", failed(failure, who)).await
        }
    }
}

/// Examines the app, if nobody else has done it meanwhile.
async fn examine(app: &App) -> Handled {
    if !examined::is_due_now(&app.services).await {
        return queued(Vec::new(), "another process has examined the app meanwhile".to_owned());
    }
    match doctor::run(app).await {
        Ok(()) => queued(Vec::new(), "the app has examined itself".to_owned()),
        // The log says so, and the next sweep asks again: a message that fails would be noise.
        Err(error) => queued(Vec::new(), format!("the examination is not in the ledger: {error}")),
    }
}

/// Sends the digest, if nobody else has done it meanwhile.
async fn send_digest(app: &App) -> Handled {
    match digest::run(app).await {
        Ok(what) => queued(Vec::new(), what.to_owned()),
        // The next sweep asks again: a message that fails would be noise.
        Err(error) => {
            tracing::warn!(
                event = "digest.failed",
                error = &error as &dyn Error,
                "The digest could not be made; the next sweep asks for it again"
            );
            queued(Vec::new(), format!("there is no digest: {error}"))
        }
    }
}

async fn continued_sweep(app: &App, delivery: &QueueDelivery, continued: &SweepContinues) -> Handled {
    match continue_sweep(app, continued).await {
        Ok(found) => queued_next(&found, "joiners of the sweep"),
        Err(failure) => {
            let who = "joiners whose jobs are not in the queue yet: the next sweep finds them".to_owned();
            finish(app, delivery, "sweep", failed(failure, who)).await
        }
    }
}

async fn continued_sync(app: &App, delivery: &QueueDelivery, continued: &SyncContinues) -> Handled {
    let next = async {
        ledger_tenant::check(&app.services).await?;
        continue_sync(&app.services, continued).await
    };
    match within(budget::GROUP_SYNC, "reading the new members of the on-demand group", next).await {
        Ok(found) => queued_next(&found, "new members of the on-demand group"),
        Err(failure) => {
            let who = "new members of the on-demand group: the next sweep finds them".to_owned();
            finish(app, delivery, &continued.sync_id, failed(failure, who)).await
        }
    }
}

fn queued_next(found: &GroupSync, whom: &str) -> Handled {
    queued(found.to_messages().collect(), format!("queued the next {} jobs, of {whom}", found.jobs.len()))
}

async fn run(app: &App, job: &Job, delivery: &QueueDelivery) -> Handled {
    context::set_job(&job.key, job.user_id);
    if job.reason == Reason::GroupAdd && goes_behind(app, delivery).await {
        let why = "a sweep has queued joiners behind it meanwhile: they go first";
        return queued(vec![job.to_message()], why.to_owned());
    }
    let mut result = issue(&app.services, job).await;
    if matches!(result.outcome, Outcome::Failed(Failure::Missing)) && delivery.count >= budget::DELIVERIES {
        result.who = replication::deleted(&app.services, job.user_id, None).await;
    }
    finish(app, delivery, &job.key, result).await
}

/// Has others told of what a user was sent. Nobody waits for these notes: when all deliveries of the message failed, they are given up.
async fn notes(app: &App, delivery: &QueueDelivery, due: NotesDue) -> Handled {
    context::set_job(&due.key(), due.notes_due);
    let again = || vec![due.to_message()];
    if goes_behind(app, delivery).await {
        return queued(again(), "a sweep has queued joiners behind it meanwhile: they go first".to_owned());
    }
    match send_notes(&app.services, due).await {
        Ok(NotesEnd::Done(why) | NotesEnd::Stay(why)) => queued(Vec::new(), why.to_owned()),
        Ok(NotesEnd::More) => queued(again(), "there was no time to tell everybody".to_owned()),
        Err(failure) if delivery.count >= budget::DELIVERIES => {
            tracing::warn!(
                event = "notes.given_up",
                error = &failure as &dyn Error,
                "The notes that a joiner was sent a code could not be sent, and are not sent any more"
            );
            // Otherwise a sweep tries again.
            let ended = give_up_notes(&app.services, due).await;
            queued(Vec::new(), ended.map_or_else(|error| error.to_string(), |()| "given up".to_owned()))
        }
        Err(failure) => finish(app, delivery, &due.key(), failed(failure, due.notes_due.to_string())).await,
    }
}

/// Whether a sweep has queued jobs since this message was queued. A message about many people must not hold up those who start
/// today, so it goes behind them, once for each sweep.
async fn goes_behind(app: &App, delivery: &QueueDelivery) -> bool {
    let is_old = app.services.clock.now() - delivery.inserted >= WAITED;
    if !is_old || delivery.count > 1 {
        return false;
    }
    let read = timeout(budget::GOES_BEHIND, condition::of_sweeps(&app.services)).await;
    let last = read.ok().flatten().and_then(|conditions| conditions.last_sweep);
    last.is_some_and(|last| last.jobs > 0 && last.ended_at.unwrap_or(last.at) >= delivery.inserted)
}

/// Logs the result, and sends an alert if the last delivery failed.
async fn finish(app: &App, delivery: &QueueDelivery, reference: &str, result: JobResult) -> Handled {
    let JobResult { outcome, who, .. } = &result;
    let (name, cause, count) = (outcome.name(), outcome.cause(), delivery.count);
    let has_failed = matches!(outcome, Outcome::Failed(_));
    if has_failed {
        tracing::warn!(
            event = "job.done",
            job = reference,
            user = who.name,
            outcome = name,
            cause,
            delivery = count,
            why = %outcome,
            "The job failed"
        );
    } else {
        tracing::info!(
            event = "job.done",
            job = reference,
            user = who.name,
            outcome = name,
            cause,
            delivery = count,
            why = %outcome,
            "The job ended"
        );
    }
    // There is one alert for all about the clock and about the ledger of another tenant.
    let is_told =
        matches!(outcome, Outcome::Failed(Failure::Clock(_) | Failure::Ledger(LedgerError::OtherTenant(_))));
    if has_failed && !is_told && count >= budget::DELIVERIES {
        alert::send_poisoned(&app.services, reference, who, outcome, budget::DELIVERIES).await;
    }
    Handled::Ran(reference.to_owned(), Box::new(result))
}

/// Turns a change notification into jobs. A single job runs at once; several are queued, so that each is retried alone.
async fn handle_notification(
    app: &App,
    delivery: &QueueDelivery,
    notification: ChangeNotification,
) -> Handled {
    let Some(group) = app.services.settings.on_demand_group else {
        app.services.alert(&no_group(delivery)).await;
        return queued(Vec::new(), "nothing done: ON_DEMAND_GROUP_ID is not set".to_owned());
    };
    let ChangeNotification { added, named, changed, ignored, problems } = notification;
    let admission = without_held(&app.services, group, &added);
    let (admitted, is_ours) = tokio::join!(admission, ledger_tenant::check(&app.services));
    if let Err(error) = is_ours {
        let who = format!("the new members of the on-demand group {group}");
        return finish(app, delivery, "change notification", failed(error.into(), who)).await;
    }
    let waiting = added.len() - admitted.len();
    let is_admitted = |(user, _): &(&Uuid, &MembershipEvent)| admitted.contains(user);
    let jobs: Vec<Job> = added
        .iter()
        .filter(is_admitted)
        .map(|(user, event)| Job::group_add(*user, event.at, &event.key))
        .collect();
    if changed.is_none() && problems.is_empty() && waiting == 0 {
        match (jobs.as_slice(), named.first_key_value()) {
            ([job], None) => return run(app, job, delivery).await,
            ([], Some((name, event))) if named.len() == 1 => {
                return run_by_name(app, group, name, event, delivery).await;
            }
            _ => {}
        }
    }
    let mut found = match &changed {
        None => GroupSync::default(),
        Some(event) => {
            let sync_id = delivery.fingerprint();
            let sync = sync_group(&app.services, group, Some(event), &sync_id);
            match within(budget::GROUP_SYNC, "reading the on-demand group", sync).await {
                Ok(found) => found,
                Err(failure) => {
                    let who = format!("the new members of the on-demand group {group}");
                    return finish(app, delivery, &event.key, failed(failure, who)).await;
                }
            }
        }
    };
    found.jobs.extend(jobs);
    if !problems.is_empty() {
        app.services.alert(&unreadable(delivery, &problems)).await;
    }
    let count = found.jobs.len() + named.len();
    let unchanged = (changed.is_some() && count == 0).then_some("the on-demand group has no new members");
    let queued_jobs = (count > 0).then(|| format!("queued {count} jobs"));
    let held = (waiting > 0).then(|| wait_for_approval(waiting));
    let queued_jobs = queued_jobs.into_iter().chain(held);
    let words = unchanged.into_iter().chain(ignored).map(str::to_owned).chain(problems);
    let explanation: Vec<String> = queued_jobs.chain(words).collect();
    // Each name becomes a message of its own, and a job when that message is delivered.
    queued(named.into_keys().chain(found.to_messages()).collect(), explanation.join("; "))
}

async fn run_by_name(
    app: &App,
    group: Uuid,
    name: &str,
    event: &MembershipEvent,
    delivery: &QueueDelivery,
) -> Handled {
    let looking = resolve_user(&app.services, name, delivery.inserted);
    let looking = within(budget::RESOLVE_USER, "looking for the user", looking);
    match looking.await {
        Ok(user) => {
            let added = BTreeMap::from([(user, event.clone())]);
            match without_held(&app.services, group, &added).await.is_empty() {
                true => queued(Vec::new(), wait_for_approval(1)),
                false => run(app, &Job::group_add(user, event.at, &event.key), delivery).await,
            }
        }
        Err(failure) => {
            let name = domains::shown_name(&app.services, name).await;
            finish(app, delivery, &event.key, failed(failure, name)).await
        }
    }
}

fn wait_for_approval(people: usize) -> String {
    format!(
        "{people} wait for an approval, because more people than SWEEP_MAX were added: the next sweep lists them"
    )
}

fn failed(failure: Failure, who: String) -> JobResult {
    JobResult { outcome: Outcome::Failed(failure), who: Person::known_as(who), notes: None }
}

fn queued(messages: Vec<String>, explanation: String) -> Handled {
    tracing::info!(
        event = "message.done",
        queued = messages.len(),
        why = explanation,
        "The message was processed; it was not a job itself"
    );
    Handled::Queued(messages, explanation)
}

/// The alert does not quote the message, which may hold anything.
fn unreadable(delivery: &QueueDelivery, problems: &[String]) -> Alert {
    Alert {
        kind: "unknown-message",
        headline: "A message in the queue pass-jobs was not accepted".into(),
        who: "unknown: the message, or a part of it, names no user in a known form".into(),
        what_happened: format!("{} ({})", problems.join("; "), identified(delivery)),
        what_to_do:
            "Find out who writes to the queue; docs/ON-DEMAND.md lists the known forms. The message was removed \
            and will not be delivered again."
                .into(),
        reference: "OnGroupAdd".into(),
    }
}

fn no_group(delivery: &QueueDelivery) -> Alert {
    Alert {
        kind: "no-on-demand-group",
        headline: "A message asks for a pass on demand, but there is no on-demand group".into(),
        who: "unknown: without ON_DEMAND_GROUP_ID no user may have a pass on demand".into(),
        what_happened: format!(
            "A message about a group was put into the queue pass-jobs ({})",
            identified(delivery)
        ),
        what_to_do:
            "Set ON_DEMAND_GROUP_ID to the group's object id, or find out who writes to the queue. The \
            message was removed; add its users to the group again."
                .into(),
        reference: "OnGroupAdd".into(),
    }
}

/// Identifies a message without quoting it.
fn identified(delivery: &QueueDelivery) -> String {
    let QueueDelivery { raw, inserted, .. } = delivery;
    format!("{} bytes, SHA-256 {}, queued at {inserted:.0}", raw.len(), sha256(raw))
}
