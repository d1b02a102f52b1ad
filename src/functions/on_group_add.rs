//! OnGroupAdd: one queue message. A job runs; what somebody else wrote becomes jobs first.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    app::App,
    graph::GraphError,
    hash::sha256,
    pass::{
        ChangeNotification, GroupSync, Job, MembershipEvent, Outcome, ParsedMessage,
        alert::{self, Alert},
        group_sync::{complete_sync, sync_group},
        issue::{JobResult, issue},
        replication::resolve_user,
    },
};

/// How often the host delivers a message before it gives it up; `maxDequeueCount` in host.json.
pub const MAX_DELIVERIES: u32 = 5;

/// For finding a user by name, with the patience for a new one.
const FINDING_TIME: Duration = Duration::from_secs(90);
/// For reading the on-demand group.
const READING_TIME: Duration = Duration::from_secs(240);

/// A message that is being delivered.
#[derive(Clone, Debug)]
pub struct QueueDelivery {
    /// The message.
    pub message: Value,
    /// The same as it lay in the queue.
    pub raw: String,
    /// The queue's name for it; of a message that has an `id` of its own, that.
    pub id: String,
    /// When it was put there.
    pub inserted: DateTime<Utc>,
    /// For how often it is delivered, this time included.
    pub count: u32,
}

impl QueueDelivery {
    /// The same for all deliveries of a message, and hardly for another's.
    fn name(&self) -> String {
        sha256(&format!("{} {}", self.inserted, self.id))[..32].to_owned()
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Handled {
    /// A job ran, or what was to become jobs could not be read; with what to search the log for.
    Ran(String, Box<JobResult>),
    /// It became these messages; and why, in words.
    Queued(Vec<String>, String),
    /// Nothing in it can be understood; these are its problems. Delivering it again would not help.
    Unreadable(Vec<String>),
}

/// Handles a message.
pub async fn on_group_add(app: &App, delivery: &QueueDelivery) -> Handled {
    match ParsedMessage::parse(&delivery.message, app.services.settings.on_demand_group, delivery.inserted) {
        Ok(ParsedMessage::Job(job)) => run(app, &job, delivery).await,
        Ok(ParsedMessage::SyncCompleted(read)) => match complete_sync(&app.services, &read).await {
            Ok(true) => {
                queued(Vec::new(), "the jobs of all whom the sync_id found are in the queue".to_owned())
            }
            Ok(false) => queued(Vec::new(), "nobody waits for this".to_owned()),
            Err(outcome) => {
                let who = "new members of the on-demand group, who have their jobs".to_owned();
                finish(app, delivery, &read.sync_id, JobResult { outcome, who }).await
            }
        },
        Ok(ParsedMessage::Notification(notification)) => {
            handle_notification(app, delivery, notification).await
        }
        Err(problems) => {
            app.services.alert(&unreadable(delivery, &problems)).await;
            Handled::Unreadable(problems)
        }
    }
}

async fn run(app: &App, job: &Job, delivery: &QueueDelivery) -> Handled {
    let result = issue(&app.services, job).await;
    finish(app, delivery, &job.key, result).await
}

/// Tells the log, and on the last delivery a person.
async fn finish(app: &App, delivery: &QueueDelivery, reference: &str, result: JobResult) -> Handled {
    let JobResult { outcome, who } = &result;
    let count = delivery.count;
    tracing::info!(event = "job.done", job = reference, user = who, outcome = outcome.name(), delivery = count, why = %outcome);
    if matches!(outcome, Outcome::Failed(_)) && count >= MAX_DELIVERIES {
        alert::send_poisoned(&app.services, reference, who, outcome, MAX_DELIVERIES).await;
    }
    Handled::Ran(reference.to_owned(), Box::new(result))
}

/// What somebody else says becomes jobs: one is run at once, several are queued, so that each is tried by itself.
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
    let jobs: Vec<Job> =
        added.iter().map(|(user, event)| Job::group_add(*user, event.at, &event.key)).collect();
    if changed.is_none() && problems.is_empty() {
        match (jobs.as_slice(), named.first_key_value()) {
            ([job], None) => return run(app, job, delivery).await,
            ([], Some((name, event))) if named.len() == 1 => {
                return run_by_name(app, name, event, delivery).await;
            }
            _ => {}
        }
    }
    let mut found = match &changed {
        None => GroupSync::default(),
        Some(event) => match sync(app, group, event, &delivery.name()).await {
            Ok(found) => found,
            Err(outcome) => {
                let who = format!("whoever is new in the on-demand group {group}");
                return finish(app, delivery, &event.key, JobResult { outcome, who }).await;
            }
        },
    };
    found.jobs.extend(jobs);
    if !problems.is_empty() {
        app.services.alert(&unreadable(delivery, &problems)).await;
    }
    let count = found.jobs.len() + named.len();
    let nobody = (changed.is_some() && count == 0).then_some("nobody is new in the on-demand group");
    let queued_jobs = (count > 0).then(|| format!("queued {count} jobs"));
    let words = nobody.into_iter().chain(ignored).map(str::to_owned).chain(problems);
    let said: Vec<String> = queued_jobs.into_iter().chain(words).collect();
    // A name becomes a message of its own, and a job when that is delivered.
    queued(named.into_keys().chain(found.to_messages()).collect(), said.join("; "))
}

async fn run_by_name(app: &App, name: &str, event: &MembershipEvent, delivery: &QueueDelivery) -> Handled {
    match timeout(FINDING_TIME, resolve_user(&app.services, name))
        .await
        .unwrap_or_else(|_| Err(no_time("looking for the user")))
    {
        Ok(user) => run(app, &Job::group_add(user, event.at, &event.key), delivery).await,
        Err(outcome) => finish(app, delivery, &event.key, JobResult { outcome, who: name.to_owned() }).await,
    }
}

async fn sync(app: &App, group: Uuid, event: &MembershipEvent, sync_id: &str) -> Result<GroupSync, Outcome> {
    let found = timeout(READING_TIME, sync_group(&app.services, group, Some(event), sync_id)).await;
    found.unwrap_or_else(|_| Err(no_time("reading the on-demand group")))
}

fn no_time(what: &'static str) -> Outcome {
    GraphError::timed_out(what).into()
}

fn queued(messages: Vec<String>, said: String) -> Handled {
    tracing::info!(event = "message.done", queued = messages.len(), why = said);
    Handled::Queued(messages, said)
}

/// The message itself stays out of it: who knows what it holds.
fn unreadable(delivery: &QueueDelivery, problems: &[String]) -> Alert {
    Alert {
        headline: "A message on the queue pass-jobs cannot be understood".into(),
        who: "nobody: the message, or a part of it, names no user that we can read".into(),
        what_happened: format!("{} ({})", problems.join("; "), looks(delivery)),
        what_to_do:
            "Find out who writes to the queue; docs/ON-DEMAND.md lists what is understood. The message was \
            removed and will not come back."
                .into(),
        reference: "OnGroupAdd".into(),
    }
}

fn no_group(delivery: &QueueDelivery) -> Alert {
    Alert {
        headline: "Somebody asks for a pass on demand, and there is no on-demand group".into(),
        who: "nobody: without ON_DEMAND_GROUP_ID nobody may have one".into(),
        what_happened: format!(
            "A message about a group was put onto the queue pass-jobs ({})",
            looks(delivery)
        ),
        what_to_do:
            "Set ON_DEMAND_GROUP_ID to the group's object id, or find out who writes to the queue. The \
            message was removed; whoever is meant has to be added again."
                .into(),
        reference: "OnGroupAdd".into(),
    }
}

/// Enough to recognise a message by, without a word of it.
fn looks(delivery: &QueueDelivery) -> String {
    let QueueDelivery { raw, inserted, .. } = delivery;
    format!("{} bytes, SHA-256 {}, put there {inserted:.0}", raw.len(), sha256(raw))
}
