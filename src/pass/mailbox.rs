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
    graph::{GraphError, NotSent, OutgoingMail, SenderRefusal},
    ledger::{Conditions, LedgerError, Purpose, Record, ShutMailbox, State},
    mail_limiter::{Content, Permit},
};

impl Services {
    /// Whether the mailbox that sends refuses all mails, as this process knows it.
    pub(crate) fn mailbox_is_shut(&self) -> bool {
        self.mailbox.is_shut()
    }

    /// Waits for the permit to send so many mails from `from`; `None` if it does not come until `deadline`.
    pub(crate) async fn mail_permit(
        &self,
        from: &Address,
        content: Content,
        mails: usize,
        deadline: Instant,
    ) -> Option<Permit> {
        self.mail_limiter.permit(from, content, mails, deadline, self.salt).await
    }

    /// A permit for no mail yet: each waits for its own.
    pub(super) fn mail_permit_later(&self, from: &Address) -> Permit {
        self.mail_limiter.permit_later(from, self.salt)
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
    pub(crate) async fn send_mail_to_valid(
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
        if !from.same_as(&self.settings.mail.from.to_string()) {
            return;
        }
        let noting = async {
            match error.map(GraphError::sender_refusal) {
                None => {
                    self.mailbox.forget_doubt();
                    if self.mailbox.is_shut() {
                        open(self).await;
                    }
                }
                Some(Some(SenderRefusal::Certain)) => shut(self, error).await,
                // One odd answer, of a proxy for example, must not stop everybody.
                Some(Some(SenderRefusal::Likely)) if self.mailbox.is_in_doubt() => shut(self, error).await,
                Some(_) => {}
            }
        };
        // What is not noted now is noted with the next mail.
        let _ = timeout_at(deadline, noting).await;
    }
}

/// Changes what the ledger says of the mailbox, as [`condition::change`] does. In the ledger of another tenant nothing is written.
async fn change<T>(
    services: &Services,
    change: impl Fn(Option<&ShutMailbox>) -> Option<(Option<ShutMailbox>, T)>,
) -> Option<T> {
    if services.ledger_tenant.is_other() {
        return None;
    }
    condition::change(services, |conditions| {
        let (mailbox, result) = change(conditions.mailbox.as_ref())?;
        Some((Conditions { mailbox, ..conditions.clone() }, result))
    })
    .await
}

/// Closes the breaker: the mailbox has accepted a mail.
async fn open(services: &Services) {
    if services.ledger_tenant.is_other() {
        return;
    }
    if change(services, |shut| shut.map(|_| (None, ()))).await.is_some() {
        tracing::info!(
            event = "mailbox.accepts",
            "The mailbox that sends accepts mails again; a sweep queues everybody who waits"
        );
    }
    services.mailbox.opened();
}

/// Opens the breaker. Who waits is told by the next sweep; the mailbox that would send the alert is the one that refuses.
async fn shut(services: &Services, error: Option<&GraphError>) {
    let Some(error) = error else { return };
    if services.ledger_tenant.is_other() {
        return;
    }
    let (now, own) = (services.clock.now(), Uuid::new_v4());
    let next = |before: Option<&ShutMailbox>| ShutMailbox {
        since: before.map_or(now, |before| before.since),
        refusal: error.to_string(),
        advice: error.advice(),
        tried_at: now,
        probe: None,
        alerted_at: before.map_or(now, |before| before.alerted_at),
        noted_by: before.map_or(own, |before| before.noted_by),
        unknown: before.map(|before| before.unknown.clone()).unwrap_or_default(),
    };
    let is_first = change(services, |before| {
        Some((Some(next(before)), before.is_none_or(|before| before.noted_by == own)))
    })
    .await;
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
            ShutMailbox::TRY_EVERY.num_minutes()
        ),
        reference: format!("mailbox-shut, {now:.0}"),
    }
}

/// Notes what a sweep has read.
pub(crate) fn note_read(services: &Services, conditions: &Conditions) {
    services.mailbox.set(conditions.mailbox.clone());
}

/// After how long a sweep is due between those of the timer; `None` if none is, or it is arranged already. Then it is. One that
/// tries the mailbox is only arranged where jobs run (`is_for_jobs`): one process is enough.
pub(crate) fn take_wake_up(services: &Services, is_for_jobs: bool) -> Option<Duration> {
    services.mailbox.take_wake_up(services.clock.now(), is_for_jobs)
}

/// The work that a wake-up was arranged for: it was not.
pub(crate) fn give_wake_up_back(services: &Services, hidden: Duration) {
    services.mailbox.give_wake_up_back(hidden);
}

/// Whether a sweep is due that was `asked` for: whether none has run since, or lately if the mailbox is shut.
pub(crate) fn needs_sweep(conditions: &Conditions, asked: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    /// A sweep is dated a second later than it began.
    const TOLERANCE: TimeDelta = TimeDelta::seconds(1);
    let since = if conditions.mailbox.is_some() { now - ShutMailbox::TRY_EVERY } else { asked };
    conditions.last_sweep.as_ref().is_none_or(|last| last.at <= since + TOLERANCE)
}

/// Whether the mailbox is shut, as far as this process knows.
pub(crate) fn is_shut(services: &Services) -> bool {
    services.mailbox.is_shut()
}

/// Ends a job before anything is read from the tenant, if it can only be one that needs a mail: returns how the mailbox refuses.
/// Whoever was ever sent a pass has a job that reads: they may be served already, or the pass may have to be revoked.
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
    let was_served = |record: &Record| {
        let served_at = record.delivered.as_ref().map(|delivered| delivered.at);
        served_at.or(record.on_demand_at).or(record.arrived_at).is_some()
            || record.pass.is_some()
            || record.leases().next().is_some()
    };
    if record.as_ref().is_some_and(was_served) {
        return Ok(None);
    }
    // A person was told why they get no pass: that stays so.
    let is_blocked = record.as_ref().is_some_and(|record| record.state == State::Blocked);
    if let Some(record) = waiting(record, job, now).filter(|_| !is_blocked) {
        services.ledger.write(job.user_id, &record, etag.as_ref()).await?;
    }
    Ok(Some(refusal))
}

/// The record of a user whose job needs a mail and cannot send it: like one of a job that failed. `None` if it says so already.
pub(super) fn waiting(record: Option<Record>, job: &Job, now: DateTime<Utc>) -> Option<Record> {
    // A recheck of a pass on demand includes the joiner's.
    let kept =
        record.as_ref().filter(|record| record.waits_for_mailbox() && record.purpose == Purpose::OnDemand);
    let known = record.as_ref().map(|record| record.purpose);
    let purpose = kept.map(|record| record.purpose).or(job.purpose()).or(known).unwrap_or(Purpose::Joiner);
    let record = record.unwrap_or_else(|| Record::new(State::Failed, purpose, now));
    let says_so = record.state == State::Failed && record.purpose == purpose && record.waits_for_mailbox();
    (!says_so).then(|| Record {
        state: State::Failed,
        purpose,
        cause: Some(Record::MAILBOX_SHUT.to_owned()),
        updated_at: now,
        ..record
    })
}

/// Chooses whose job may try, if it is time: the first of `waiting`. If the job of the last one has sent no mail at all, the one after
/// them: it may never send one. Returns who it is; then the ledger says it.
pub(crate) async fn choose_probe(services: &Services, waiting: &[Uuid], now: DateTime<Utc>) -> Option<Uuid> {
    let chosen = change(services, |shut| {
        let shut = shut?;
        // Our own write, whose answer was lost.
        if shut.tried_at == now && shut.probe.is_some_and(|probe| waiting.contains(&probe)) {
            return Some((Some(shut.clone()), shut.clone()));
        }
        if !shut.may_be_tried(now) {
            return None;
        }
        let last = waiting.iter().position(|user| shut.probe == Some(*user));
        let next = last.map_or(0, |last| last + 1);
        let probe = *waiting.get(next).or_else(|| waiting.first())?;
        let shut = ShutMailbox { probe: Some(probe), tried_at: now, ..shut.clone() };
        Some((Some(shut.clone()), shut))
    });
    let shut = chosen.await?;
    services.mailbox.set(Some(shut.clone()));
    shut.probe
}

/// Whether a mail about this user may be sent for a caller: the mailbox is not shut, or it is time to try.
pub(crate) async fn may_try(services: &Services, user: Uuid) -> bool {
    !services.mailbox.is_shut() || choose_probe(services, &[user], services.clock.now()).await.is_some()
}

/// Whether an alert of the day is due. If so, this process sends it. Its mail is a try, so it waits for the time of one.
pub(crate) async fn claim_alert(services: &Services, now: DateTime<Utc>) -> bool {
    let is_due = |shut: &&ShutMailbox| {
        now - shut.alerted_at >= ShutMailbox::ALERT_EVERY
            && (shut.may_be_tried(now) || services.settings.mail.alert_to.is_empty())
    };
    let claimed = change(services, |shut| {
        let shut = shut.filter(is_due)?.clone();
        Some((Some(ShutMailbox { alerted_at: now, ..shut }), ()))
    });
    claimed.await.is_some()
}
