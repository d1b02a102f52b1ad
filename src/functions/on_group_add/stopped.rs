//! Messages that arrive while the app serves nobody (REPORT_ONLY, PAUSED). They are done, and nobody is lost: the next sweep that acts
//! finds joiners by their dates and records, and members of the on-demand group by the membership snapshot.

use std::{collections::BTreeMap, ops::ControlFlow};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Handled, QueueDelivery, failed, finish, no_group, queued, unreadable};
use crate::{
    app::App,
    budget,
    graph::within,
    pass::{
        ChangeNotification, Job, MembershipEvent, Outcome, ParsedMessage, Person, Reason, Skip, domains,
        issue::JobResult, ledger_tenant, named_members::find_again, replication::resolve_user,
    },
    telemetry::context,
};

/// Ends a message that would make or mail something, because of `why`. Others are handled as ever.
pub(super) async fn handle(
    app: &App,
    delivery: &QueueDelivery,
    parsed: ParsedMessage,
    why: Skip,
) -> ControlFlow<Handled, ParsedMessage> {
    let explained = |what: &str| queued(Vec::new(), format!("{what}: {why}"));
    ControlFlow::Break(match parsed {
        ParsedMessage::Job(job) => {
            context::set_job(&job.key, job.user_id);
            if let Reason::GroupAdd = job.reason
                && let Some(group) = app.services.settings.on_demand_group
                && let Err(handled) =
                    keep(app, delivery, group, &[(job.user_id, job.since)].into(), false).await
            {
                return ControlFlow::Break(handled);
            }
            skipped(app, delivery, &job.key, job.user_id.to_string(), why).await
        }
        ParsedMessage::Notification(notification) => {
            notified(app, delivery, notification, why).await.unwrap_or_else(|handled| handled)
        }
        ParsedMessage::SweepContinues(_) => {
            explained("the next sweep that acts finds the rest of the joiners")
        }
        ParsedMessage::SyncContinues(_) => {
            explained("the next sweep that acts finds the rest of the members")
        }
        // The jobs before it may have been skipped.
        ParsedMessage::DailyLook(_) => explained("the next sweep that acts looks at everyone"),
        ParsedMessage::NotesDue(_) => explained("the next sweep that acts has others told"),
        ParsedMessage::DigestDue => explained("the first digest after it tells of the whole time"),
        ParsedMessage::SweepDue(_) => explained("no sweep is needed for the mailbox"),
        // Its jobs have run, or their users are not among those whom it completes.
        other @ (ParsedMessage::SyncCompleted(_)
        | ParsedMessage::AlertsDue
        | ParsedMessage::ExaminationDue) => {
            return ControlFlow::Continue(other);
        }
    })
}

/// The users of a change notification, each as skipped.
async fn notified(
    app: &App,
    delivery: &QueueDelivery,
    notification: ChangeNotification,
    why: Skip,
) -> Result<Handled, Handled> {
    let Some(group) = app.services.settings.on_demand_group else {
        app.services.alert(&no_group(delivery)).await;
        return Ok(queued(Vec::new(), "nothing done: ON_DEMAND_GROUP_ID is not set".to_owned()));
    };
    let ChangeNotification { added, named, changed, problems, .. } = notification;
    let mut users: Vec<(Uuid, MembershipEvent)> = added.into_iter().collect();
    // Each of several names becomes a message of its own, as ever.
    let (alone, several): (Vec<_>, Vec<_>) = match named.len() {
        0 | 1 => (named.into_iter().collect(), Vec::new()),
        _ => (Vec::new(), named.into_keys().collect()),
    };
    for (name, event) in alone {
        let looking = resolve_user(&app.services, &name, delivery.inserted);
        match within(budget::RESOLVE_USER, "looking for the user", looking).await {
            Ok(user) => users.push((user, event)),
            Err(failure) => {
                let name = domains::shown_name(&app.services, &name).await;
                return Err(finish(app, delivery, &event.key, failed(failure, name)).await);
            }
        }
    }
    let new = users.iter().map(|(user, event)| (*user, Some(event.at))).collect();
    keep(app, delivery, group, &new, changed.is_some()).await?;
    if !problems.is_empty() {
        app.services.alert(&unreadable(delivery, &problems)).await;
    }
    let mut last = None;
    for (user, event) in users {
        let job = Job::group_add(user, event.at, &event.key);
        last = Some(skipped(app, delivery, &job.key, user.to_string(), why).await);
    }
    let unnamed = changed.map_or("nothing done", |_| "the next sweep that acts finds the new members");
    match last {
        Some(last) if several.is_empty() => Ok(last),
        _ => Ok(queued(several, format!("{unnamed}: {why}"))),
    }
}

/// Has those of `added` who were not served found when the app acts again.
async fn keep(
    app: &App,
    delivery: &QueueDelivery,
    group: Uuid,
    added: &BTreeMap<Uuid, Option<DateTime<Utc>>>,
    are_others_new: bool,
) -> Result<(), Handled> {
    let keeping = async {
        ledger_tenant::check(&app.services).await?;
        find_again(&app.services, group, added, are_others_new).await
    };
    match within(budget::GROUP_SYNC, "reading the on-demand group", keeping).await {
        Ok(()) => Ok(()),
        Err(failure) => {
            let who = "new members of the on-demand group".to_owned();
            Err(finish(app, delivery, "on-demand group", failed(failure, who)).await)
        }
    }
}

async fn skipped(app: &App, delivery: &QueueDelivery, reference: &str, who: String, why: Skip) -> Handled {
    let result = JobResult { outcome: Outcome::Skipped(why), who: Person::known_as(who), notes: None };
    finish(app, delivery, reference, result).await
}
