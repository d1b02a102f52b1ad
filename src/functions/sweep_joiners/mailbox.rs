//! A sweep while the mailbox that sends refuses all mails: one probe, and an alert once a day.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use tokio::time::{Instant, timeout_at};

use super::{Found, part::DueJob};
use crate::{
    app::App,
    ledger::{Record, ShutMailbox, Standing},
    pass::{Position, mailbox},
};

/// The time between two alerts. A daily sweep that runs a little earlier than the day before alerts too.
const ALERT_EVERY: TimeDelta = TimeDelta::minutes(23 * 60 + 30);

/// The jobs to queue, of those that are due, in their order. `shut` is the mailbox as the sweep has read it. What is not known by
/// `deadline` waits for the next sweep.
pub(super) async fn hold_back(
    app: &App,
    shut: Option<&ShutMailbox>,
    found: &Found<'_>,
    due: Vec<DueJob>,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Vec<DueJob> {
    let Some(shut) = shut else { return due };
    let (waiting, mut jobs): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|job| needs_mail(job.at.day, found.standings.get(&job.at.user), now));
    let (services, first) = (&app.services, waiting.first());
    let trying = async {
        if now - shut.alerted_at >= ALERT_EVERY {
            services.alert_by_probe(&mailbox::alert(shut, who(found, &waiting), now)).await;
            mailbox::record_alert(services, now).await;
        }
        // The mailbox may have accepted the alert.
        match first {
            Some(probe) if mailbox::is_shut(services) => {
                mailbox::choose_probe(services, probe.at.user, now).await
            }
            _ => false,
        }
    };
    let is_probed = timeout_at(deadline, trying).await.unwrap_or(false);
    if !mailbox::is_shut(services) {
        // This is the sweep that the app would be woken for.
        mailbox::take_wake_up(services);
        jobs.extend(waiting);
    } else if is_probed {
        tracing::info!(
            event = "mailbox.probed",
            user = first.map(|probe| probe.at.user.to_string()),
            waiting = waiting.len(),
            "The mailbox that sends has refused all mails; the job of the nearest first day tries again"
        );
        jobs.extend(first);
    } else if !waiting.is_empty() {
        tracing::info!(
            event = "mailbox.waits",
            waiting = waiting.len(),
            "The mailbox that sends has refused all mails; nobody is queued who needs one"
        );
    }
    jobs.sort_by_key(|job| job.at);
    jobs
}

/// Whether the job can only be one that needs a mail. Whoever has a pass of ours may have one that revokes it, once: then the
/// record says that they wait.
fn needs_mail(day: Option<NaiveDate>, standing: Option<&Standing>, now: DateTime<Utc>) -> bool {
    let Some(standing) = standing else { return true };
    let has_pass = standing.pass.as_ref().is_some_and(|pass| pass.ends_at > now);
    let waits = standing.cause.as_deref() == Some(Record::MAILBOX_SHUT);
    !has_pass || (waits && day.is_some())
}

/// How many wait, and whose day is next.
fn who(found: &Found<'_>, waiting: &[DueJob]) -> String {
    let Some(DueJob { at: Position { day, user }, .. }) = waiting.first() else {
        return "nobody at present".to_owned();
    };
    let candidate = found.candidates.iter().find(|candidate| candidate.id == *user);
    let name = candidate.map_or_else(|| user.to_string(), |candidate| candidate.name().to_string());
    let day = day.map(|day| format!(", who starts on {day}")).unwrap_or_default();
    format!("{} people; the next is {name}{day}", waiting.len())
}
