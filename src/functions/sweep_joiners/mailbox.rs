//! A sweep while the mailbox that sends refuses all mails: one probe, and an alert once a day.

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    due::{Known, seen},
    part::{DueJob, Mail},
};
use crate::{
    app::App,
    graph::users::Candidate,
    ledger::{Record, ShutMailbox},
    pass::{Position, mailbox},
    settings::Delivery,
};

/// The jobs to queue, of those that are due, in their order, and whether others wait. `shut` is the mailbox as the sweep has read it.
/// What is not known by `deadline` waits for the next sweep.
pub(super) async fn hold_back(
    app: &App,
    shut: Option<&ShutMailbox>,
    candidates: &[Candidate],
    due: Vec<DueJob>,
    now: DateTime<Utc>,
    deadline: Instant,
) -> (Vec<DueJob>, bool) {
    // An endpoint delivers codes without the mailbox.
    let needs_mailbox = app.services.settings.mail.delivery != Delivery::Webhook;
    let Some(shut) = shut.filter(|_| needs_mailbox) else { return (due, false) };
    // Whose job has been blocked for another reason may send none.
    let of = |mail: Mail| due.iter().filter(move |job| job.mail == mail).map(|job| job.at.user);
    let probes = [Mail::Likely, Mail::Also, Mail::Unlikely].map(|mail| of(mail).collect::<Vec<Uuid>>());
    let probes = probes.into_iter().find(|users| !users.is_empty()).unwrap_or_default();
    let waiting: Vec<DueJob> = due.iter().filter(|job| job.mail != Mail::Not).copied().collect();
    let (mut jobs, held): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|job| matches!(job.mail, Mail::Also | Mail::Not));
    if waiting.is_empty() {
        return (jobs, false);
    }
    let services = &app.services;
    let trying = async {
        // Two sweeps at the same time are one alert.
        if mailbox::claim_alert(services, now).await {
            services.alert_by_probe(&mailbox::alert(shut, who(candidates, &waiting), now)).await;
        }
        // It may have accepted the alert.
        if mailbox::is_shut(services) { mailbox::choose_probe(services, &probes, now).await } else { None }
    };
    let probe = timeout_at(deadline, trying).await.ok().flatten();
    if !mailbox::is_shut(services) {
        // This is the sweep that the app would be woken for.
        mailbox::take_wake_up(services, false);
        jobs.extend(held);
        jobs.sort_by_key(|job| job.at);
        return (jobs, false);
    }
    if let Some(probe) = probe {
        tracing::info!(
            event = "mailbox.probed",
            user = %probe,
            waiting = waiting.len(),
            "The mailbox that sends has refused all mails; the job of a joiner whose first day is near tries again"
        );
        jobs.extend(held.iter().find(|job| job.at.user == probe));
        jobs.sort_by_key(|job| job.at);
    } else {
        tracing::info!(
            event = "mailbox.waits",
            waiting = waiting.len(),
            "The mailbox that sends has refused all mails; nobody is queued who needs one"
        );
    }
    (jobs, !held.is_empty())
}

/// Whether the job sends a mail. Whoever has or may have a pass of ours, or differs from what the last job saw, has a job all the
/// same: it may revoke.
pub(super) fn mail_of(known: &Known<'_>, now: DateTime<Utc>) -> Mail {
    let Some(standing) = known.standing else { return Mail::Likely };
    let waits = standing.has_cause(Record::MAILBOX_SHUT);
    let has_pass = standing.pass.as_ref().is_some_and(|pass| pass.ends_at > now);
    let is_changed =
        standing.seen.is_some() && known.candidate.is_some_and(|user| standing.seen != Some(seen(user)));
    let may_have_pass = known.day.is_none() && (standing.was_leased || standing.pass.is_some());
    if has_pass || is_changed || may_have_pass || standing.is_unreadable {
        if waits { Mail::Also } else { Mail::Not }
    } else if waits || !standing.is_blocked {
        Mail::Likely
    } else {
        Mail::Unlikely
    }
}

/// How many wait, and whose day is next.
pub(super) fn who(candidates: &[Candidate], waiting: &[DueJob]) -> String {
    let Some(DueJob { at: Position { day, user }, .. }) = waiting.first() else {
        return "nobody at present".to_owned();
    };
    let candidate = candidates.iter().find(|candidate| candidate.id == *user);
    let name = candidate.map_or_else(|| user.to_string(), |candidate| candidate.name().to_string());
    let day = day.map(|day| format!(", who starts on {day}")).unwrap_or_default();
    format!("{} people; the next is {name}{day}", waiting.len())
}
