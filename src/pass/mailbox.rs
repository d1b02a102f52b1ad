//! The mailbox that sends: permits for it, and a circuit breaker.
//!
//! If the mailbox refuses a mail because of itself (it is full, the app may not use it, it is blocked from sending), it refuses all
//! of them, and a pass that is made then has to be deleted. So the first such refusal opens the breaker, in the ledger for all
//! processes: jobs that need a mail end without one, and sweeps queue one probe. The first mail that is accepted closes it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{
    alert::Alert, condition, domains, job::Job, known_mailbox::Known, ledger_tenant, outcome::Failure,
    services::Services,
};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, NotSent, OutgoingMail},
    ledger::{Conditions, LedgerError, Purpose, Record, ShutMailbox, State},
    mail_limiter::{Content, Permit},
};

/// The least time between two tries. Exchange keeps what it has found out about an app's rights as long as it is asked, and so it
/// may go on refusing although the rights are there (Test-ServicePrincipalAuthorization page: "between 30 minutes and 2 hours").
const TRY_EVERY: TimeDelta = TimeDelta::minutes(45);

impl Services {
    /// Waits for the permit to send a mail from `from`; `None` if it does not come until `deadline`.
    pub(crate) async fn mail_permit(
        &self,
        from: &Address,
        content: Content,
        deadline: Instant,
    ) -> Option<Permit> {
        self.mail_limiter.permit(from, content, deadline, self.salt).await
    }

    /// Sends `message`, and notes if the mailbox itself is refused, or is not any more.
    ///
    /// # Errors
    /// As [`crate::graph::Graph::send_mail`].
    pub(crate) async fn send_mail(
        &self,
        permit: &mut Permit,
        from: &Address,
        message: &OutgoingMail,
        deadline: Instant,
    ) -> Result<(), NotSent> {
        let sent = self.graph.send_mail(permit, from, message, deadline).await;
        let error = sent.as_ref().err().map(|unsent| &unsent.error);
        self.note_mailbox(from, error, deadline + budget::NOTE_MAILBOX).await;
        sent
    }

    /// Sends `message` to those of its recipients whom Exchange does not refuse, and returns the others. Notes the same.
    ///
    /// # Errors
    /// As [`crate::graph::Graph::send_mail_to_valid`].
    pub(super) async fn send_mail_to_valid(
        &self,
        permit: &mut Permit,
        message: OutgoingMail,
        deadline: Instant,
    ) -> Result<Vec<Address>, GraphError> {
        let from = &self.settings.mail.from;
        let sent = self.graph.send_mail_to_valid(permit, from, message, deadline).await;
        self.note_mailbox(from, sent.as_ref().err(), deadline).await;
        sent
    }

    async fn note_mailbox(&self, from: &Address, error: Option<&GraphError>, deadline: Instant) {
        // Calls may send from others.
        if !from.to_string().eq_ignore_ascii_case(&self.settings.mail.from.to_string()) {
            return;
        }
        let noting = async {
            match error {
                None if self.mailbox.is_shut() => open(self).await,
                Some(error) if error.is_about_sender() => shut(self, error).await,
                _ => {}
            }
        };
        // What is not noted now is noted with the next mail.
        let _ = timeout_at(deadline, noting).await;
    }
}

/// Closes the breaker: the mailbox has accepted a mail.
async fn open(services: &Services) {
    let is_open = condition::change(services, |conditions| {
        conditions.mailbox.as_ref()?;
        Some((Conditions { mailbox: None, ..conditions.clone() }, ()))
    });
    if is_open.await.is_some() {
        tracing::info!(
            event = "mailbox.accepts",
            "The mailbox that sends accepts mails again; a sweep queues everybody who waits"
        );
    }
    services.mailbox.opened();
}

/// Opens the breaker. Who waits is told by the next sweep; the mailbox that would send the alert is the one that refuses.
async fn shut(services: &Services, error: &GraphError) {
    if services.ledger_tenant.is_other() {
        return;
    }
    let now = services.clock.now();
    let next = |before: Option<&ShutMailbox>| ShutMailbox {
        since: before.map_or(now, |before| before.since),
        refusal: error.to_string(),
        advice: error.advice(),
        tried_at: now,
        probe: None,
        alerted_at: before.map_or(now, |before| before.alerted_at),
        unknown: before.map(|before| before.unknown.clone()).unwrap_or_default(),
    };
    let written = condition::change(services, |conditions| {
        let before = conditions.mailbox.as_ref();
        Some((Conditions { mailbox: Some(next(before)), ..conditions.clone() }, before.is_none()))
    });
    let is_first = written.await;
    services.mailbox.set(Some(next(None)));
    if is_first.unwrap_or_else(|| services.alert_lines.is_due()) {
        alert(&next(None), "everybody who is to get a pass by mail".to_owned(), now).log();
    }
}

/// The alert that nobody gets a mail.
pub(crate) fn alert(shut: &ShutMailbox, who: String, now: DateTime<Utc>) -> Alert {
    let ShutMailbox { since, refusal, advice, .. } = shut;
    Alert {
        kind: "mailbox-shut",
        headline: "The mailbox that sends refuses all mails, and nobody gets a pass".into(),
        who,
        what_happened: format!("Since {since:.0} Exchange accepts no mail from MAIL_FROM: {refusal}"),
        what_to_do: format!(
            "To do: {advice}. No pass is made meanwhile. One mail is tried at most every {} minutes; when one is accepted, \
             everybody who waits is queued, the nearest first day first.",
            TRY_EVERY.num_minutes()
        ),
        reference: format!("mailbox-shut, {now:.0}"),
    }
}

/// Notes what a sweep has read.
pub(crate) fn note_read(services: &Services, conditions: &Conditions) {
    services.mailbox.set(conditions.mailbox.clone());
}

/// After how long a sweep is due between those of the timer; `None` if none is, or it is arranged already. Then it is.
pub(crate) fn take_wake_up(services: &Services) -> Option<Duration> {
    services.mailbox.take_wake_up(services.clock.now())
}

/// Whether a sweep is due for a message that was put into the queue at `asked`: whether none has run since, or lately if the mailbox
/// is shut.
pub(crate) fn needs_sweep(conditions: &Conditions, asked: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let since = if conditions.mailbox.is_some() { now - TRY_EVERY } else { asked };
    conditions.last_sweep.as_ref().is_none_or(|last| last.at <= since)
}

/// Whether the mailbox is shut, as far as this process knows.
pub(crate) fn is_shut(services: &Services) -> bool {
    services.mailbox.is_shut()
}

/// Ends a job before anything is read from the tenant, if it can only be one that needs a mail: returns how the mailbox refuses.
/// Whoever has a pass from us has a job that reads, because the pass may have to be revoked.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn shut_out(services: &Services, job: &Job) -> Result<Option<String>, Failure> {
    // If the mailbox was open, its state is read beside the tenant.
    if !matches!(services.mailbox.get(), Known::Open) {
        // Without an answer in time, likewise.
        let _ = timeout(budget::READ_MAILBOX, domains::known(services)).await;
    }
    let Some(refusal) = services.mailbox.refusal(job) else { return Ok(None) };
    ledger_tenant::check(services).await?;
    let (record, etag) = match services.ledger.read(job.user_id).await {
        Ok(read) => read.unzip(),
        // The flow tells of it.
        Err(LedgerError::Unreadable(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let now = services.clock.now();
    let record = record.map(|record: Record| record.seen_at(now));
    let has_pass = |record: &Record| {
        record.delivered.as_ref().is_some_and(|delivered| delivered.pass.ends_at > now)
            || record.leased_until(now).is_some()
    };
    if record.as_ref().is_some_and(has_pass) {
        return Ok(None);
    }
    if let Some(record) = waiting(record, job, now) {
        services.ledger.write(job.user_id, &record, etag.as_ref()).await?;
    }
    Ok(Some(refusal))
}

/// The record of a user whose job needs a mail and cannot send it: like one of a job that failed. `None` if it says so already.
pub(super) fn waiting(record: Option<Record>, job: &Job, now: DateTime<Utc>) -> Option<Record> {
    let purpose = job.purpose().or(record.as_ref().map(|record| record.purpose)).unwrap_or(Purpose::Joiner);
    let record = record.unwrap_or_else(|| Record::new(State::Failed, purpose, now));
    let says_so = record.state == State::Failed
        && record.purpose == purpose
        && record.cause.as_deref() == Some(Record::MAILBOX_SHUT);
    (!says_so).then(|| Record {
        state: State::Failed,
        purpose,
        cause: Some(Record::MAILBOX_SHUT.to_owned()),
        updated_at: now,
        ..record
    })
}

/// Chooses the user whose job may try, if it is time. Returns whether it is so; then the ledger says it.
pub(crate) async fn choose_probe(services: &Services, user: Uuid, now: DateTime<Utc>) -> bool {
    let chosen = condition::change(services, |conditions| {
        let shut = conditions.mailbox.as_ref()?;
        if now - shut.tried_at < TRY_EVERY {
            return None;
        }
        let shut = ShutMailbox { probe: Some(user), tried_at: now, ..shut.clone() };
        Some((Conditions { mailbox: Some(shut), ..conditions.clone() }, ()))
    });
    chosen.await.is_some()
}

/// Records that a person was told.
pub(crate) async fn record_alert(services: &Services, now: DateTime<Utc>) {
    let told = condition::change(services, |conditions| {
        let shut = conditions.mailbox.clone()?;
        Some((
            Conditions { mailbox: Some(ShutMailbox { alerted_at: now, ..shut }), ..conditions.clone() },
            (),
        ))
    });
    let _ = told.await;
}
