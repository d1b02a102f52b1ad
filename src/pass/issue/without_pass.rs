//! The decisions that end a job without a new pass, and what each changes.

use chrono::{DateTime, Utc};

use super::{JobContext, manager::ManagerNews};
use crate::{
    graph::Pass,
    ledger::{Arrival, ConditionName, ETag, LedgerError, Notice, Purpose, Record, State, Urgency},
    pass::{
        Block, Failure, Job, Outcome, Person, Reason, Revoke, Services, Skip,
        alert::{self, Alert},
        condition, mailbox,
        ownership::{delivered, pass_record},
        replication, sign_in_strength,
    },
};

impl JobContext<'_> {
    pub(super) async fn skip(&self, skip: Skip) -> Result<Outcome, Failure> {
        let Some(mut record) = self.record.clone() else { return Ok(Outcome::Skipped(skip)) };
        if matches!(skip, Skip::AlreadyServed | Skip::ServedSince | Skip::Arrived | Skip::WasUsed) {
            record.end_wait_for_mailbox();
        }
        if skip == Skip::HasWorkingPass(None) && self.facts().was_replaced() {
            self.report_another_program().await;
        }
        // The joiner is served: the same cause is worth an alert again.
        let is_served = skip == Skip::AlreadyServed;
        let is_removed =
            self.recipients.is_err() && record.cause.as_deref() == Some(Block::AddressRemoved.cause());
        let is_final = !matches!(skip, Skip::JustDelivered | Skip::MailUnclear);
        let waited = self.record.as_ref().is_some_and(Record::waits_for_mailbox);
        let has_waited = is_final && waited && !self.services.mailbox.is_shut();
        if let Skip::DayOnePast(day) = skip
            && has_waited
            && record.delivered.is_none()
        {
            let why = format!("it did so until the first day, {day}, was over");
            self.alert(&Outcome::Blocked(Block::MailboxShut(why))).await;
        }
        let is_served_again = has_waited || is_served && record.cause.is_some() && !is_removed;
        let settled = self.settled_announcement().filter(|_| is_served);
        // A start that is held stays so, wherever it moves.
        let day =
            self.facts().day_one().filter(|_| skip == Skip::RevokedByAdmin && record.held_for.is_some());
        let is_moved = day.is_some() && record.held_for != day;
        record.held_for = day.or(record.held_for);
        if is_served_again || is_moved || settled.is_some() || self.is_seen_anew() {
            let cause = record.cause.clone().filter(|_| !is_served_again);
            let announcement = settled.or(record.announcement);
            self.write(Record { cause, announcement, ..record }).await?;
        }
        Ok(Outcome::Skipped(skip))
    }

    pub(super) async fn block(&self, block: Block) -> Result<Outcome, Failure> {
        if let Block::NotArrived(_) = block {
            return self.report_not_arrived(block).await;
        }
        let cause = block.cause();
        // An account that became privileged must not keep a pass that was not delivered: its code may be known to others.
        // So may one that came late in place of the last that may be mailed.
        if matches!(block, Block::Privileged(_) | Block::TooManyCodes | Block::NoAddress(_))
            && self.job.reason != Reason::Http
            && let Some(pass) = self.facts().listed_undelivered()
        {
            self.services.graph.delete_pass(self.job.user_id, &pass.id).await?;
        }
        // A later sweep serves a joiner; others have to be added to the group again, each by name.
        let is_on_demand = || self.record.as_ref().is_some_and(|record| record.purpose == Purpose::OnDemand);
        let is_joiner = match self.job.reason {
            Reason::Joiner => true,
            Reason::Recheck => !is_on_demand(),
            Reason::GroupAdd | Reason::Http => false,
        };
        let condition = block.condition().filter(|_| is_joiner);
        let is_about_delivered =
            matches!(block, Block::StillDisabled(_) | Block::StaysOnDemand(_) | Block::AddressRemoved);
        let is_held = matches!(block, Block::AddressChanged);
        let is_removed = matches!(block, Block::AddressRemoved);
        let is_disabled = matches!(block, Block::StillDisabled(_));
        let outcome = Outcome::Blocked(block);
        let alerted = self.record.as_ref().and_then(|r| r.cause.as_deref());
        // A caller has the answer, and one alert is enough.
        if self.job.reason == Reason::Http || alerted == Some(cause) {
            // A start that is held stays so, wherever it moves.
            let is_moved =
                is_held && self.record.as_ref().is_some_and(|r| r.held_for != self.facts().day_one());
            if let Some(record) = self.record.clone().filter(|_| is_moved) {
                self.write(Record { held_for: self.facts().day_one(), ..record }).await?;
            } else if self.is_seen_anew()
                && let Some(record) = self.record.clone()
            {
                self.write(record).await?;
            }
            return Ok(outcome);
        }
        let is_told = match condition {
            Some(name) => {
                let alert = self.alert_for_everybody(&outcome);
                condition::report(self.services, name, Urgency::Now, &alert).await;
                true
            }
            None => self.alert(&outcome).await,
        };
        let purpose = if self.job.reason == Reason::GroupAdd { Purpose::OnDemand } else { Purpose::Joiner };
        let new = || Record::new(State::Blocked, purpose, self.services.clock.now());
        let mut record = self.record.clone().unwrap_or_else(new);
        // A delivered pass still exists, and a later sweep must be able to revoke it.
        if record.state != State::Delivered && !is_about_delivered {
            record.state = State::Blocked;
        }
        record.pass = self.facts().listed_of_ours().map(pass_record).or(record.pass);
        if is_told {
            record.cause = Some(cause.to_owned());
        }
        if is_held {
            record.held_for = self.facts().day_one();
        }
        if let Some(told) = record.announcement.as_mut().filter(|_| is_removed && is_told) {
            told.removal_told = true;
        }
        self.write(record).await?;
        if is_disabled {
            self.tell_manager(self.manager_note(ManagerNews::Disabled), None).await;
        }
        Ok(outcome)
    }

    /// Ends the job because the mailbox that sends refuses all mails. A caller has the answer; of others the record says that they
    /// wait.
    pub(super) async fn wait_for_mailbox(&self, refusal: String) -> Result<Outcome, Failure> {
        let now = self.services.clock.now();
        let is_call = self.job.reason == Reason::Http;
        if let Some(record) = mailbox::waiting(self.record.clone(), self.job, now).filter(|_| !is_call) {
            self.write(record).await?;
        }
        Ok(Outcome::Blocked(Block::MailboxShut(refusal)))
    }

    /// Tells an admin once for each pass. The state stays: another job may have to finish.
    async fn report_not_arrived(&self, block: Block) -> Result<Outcome, Failure> {
        let cause = block.cause();
        let outcome = Outcome::Blocked(block);
        let is_told = self.alert(&outcome).await;
        if let Some(mut record) = self.record.clone().filter(|_| is_told) {
            record.cause = Some(cause.to_owned());
            record.forget_address();
            record.reported_pass = record.delivered.as_ref().map(|delivered| delivered.pass.pass_id.clone());
            self.write(record).await?;
        }
        Ok(outcome)
    }

    /// Notes that nobody can tell whether the joiner is in. That is no alert: it is so for each joiner of this app.
    pub(super) async fn record_unknown_arrival(&self) -> Result<Outcome, Failure> {
        if let Some(mut record) = self.record.clone() {
            record.reported_pass = record.delivered.as_ref().map(|delivered| delivered.pass.pass_id.clone());
            record.forget_address();
            record.add_notice(Notice::ARRIVAL_UNKNOWN, self.services.clock.now().date_naive());
            self.write(record).await?;
            tracing::info!(
                event = "joiner.arrival_unknown",
                "The pass has ended, and the app may not read what would show whether the joiner is in"
            );
        }
        Ok(Outcome::Skipped(Skip::ArrivalUnknown))
    }

    pub(super) async fn revoke(&self, pass_id: &str, why: Revoke) -> Result<Outcome, Failure> {
        self.services.graph.delete_pass(self.job.user_id, pass_id).await?;
        let outcome = Outcome::Revoked(why);
        self.alert(&outcome).await;
        if let Some(mut record) = self.record.clone() {
            record.record_revocation(pass_id, why.cause());
            if let Revoke::OutOfScope(_) = why {
                record.forget_address();
            }
            if why == Revoke::AddressChanged {
                record.held_for = self.facts().day_one();
            }
            self.write(record).await?;
        }
        Ok(outcome)
    }

    /// Records that the joiner is in the account.
    pub(super) async fn record_arrival(&self, at: DateTime<Utc>) -> Result<Outcome, Failure> {
        // Somebody late who was never sent a pass: later sweeps leave them alone.
        let new = || Record::new(State::Blocked, Purpose::Joiner, self.services.clock.now());
        let mut record = self.record.clone().unwrap_or_else(new);
        let found = Arrival::new(self.services.clock.now(), sign_in_strength::kinds(&self.snapshot.usage));
        record.record_arrival(at, found);
        let hours = record.opened_by(at).map(|opened| (at - opened).num_minutes() as f64 / 60.0);
        self.write(record).await?;
        tracing::info!(event = "joiner.arrived", hours, "The joiner is in the account");
        Ok(Outcome::Skipped(Skip::Arrived))
    }

    pub(super) async fn record_used(&self, pass: &Pass) -> Result<Outcome, Failure> {
        if let Some(mut record) = self.record.clone() {
            let delivered = delivered(&record, pass, self.services.clock.now());
            record.record_delivery(delivered, self.snapshot.user.account.is_enabled());
            self.write(record).await?;
        }
        Ok(Outcome::Skipped(Skip::WasUsed))
    }

    /// Alerts once that somebody else's pass took the place of a delivered one.
    async fn report_another_program(&self) {
        let alert = Alert {
            kind: "another-program",
            headline: "Another program makes passes for the same people".into(),
            who: self.who().description,
            what_happened: "The pass that was mailed to this person was replaced by one that firstpass did not make, or has no \
                            record of. The code in the mail does not work any more. firstpass leaves the other pass alone."
                .into(),
            what_to_do: "If the helpdesk made it for this person, nothing. If another installation of firstpass, an old app or \
                         a script serves the same people, stop one of the two: each makes codes of the other useless. This \
                         alert does not come again."
                .into(),
            reference: self.job.key.clone(),
        };
        condition::report(self.services, ConditionName::AnotherProgram, Urgency::Once, &alert).await;
    }

    fn alert_for_everybody(&self, outcome: &Outcome) -> Alert {
        Alert {
            kind: outcome.cause().unwrap_or(outcome.name()),
            headline: "No joiner gets a pass".into(),
            who: format!("all joiners; the first was {}", self.who().description),
            what_happened: outcome.to_string(),
            what_to_do: outcome.advice().unwrap_or_default(),
            reference: self.job.key.clone(),
        }
    }

    /// Returns whether a person is told.
    async fn alert(&self, outcome: &Outcome) -> bool {
        alert::send_outcome(self.services, self.job, &self.who(), outcome).await
    }

    pub(super) async fn write(&self, mut record: Record) -> Result<ETag, Failure> {
        record.seen = self.facts().seen().or(record.seen);
        write(self.services, self.job, record, self.etag.as_ref()).await
    }

    /// Whether the user differs from the one of the last decision, as a listing shows them.
    fn is_seen_anew(&self) -> bool {
        self.facts()
            .seen()
            .is_some_and(|seen| self.record.as_ref().is_none_or(|r| r.seen.as_ref() != Some(&seen)))
    }
}

pub(super) async fn write(
    services: &Services,
    job: &Job,
    mut record: Record,
    etag: Option<&ETag>,
) -> Result<ETag, Failure> {
    record.updated_at = services.clock.now();
    Ok(services.ledger.write(job.user_id, &record, etag).await?)
}

/// An account that does not exist: deleted, if a record asked for a recheck; not replicated yet, otherwise.
pub(super) async fn missing(
    services: &Services,
    job: &Job,
    record: Option<Record>,
    etag: Option<ETag>,
) -> Result<Outcome, Failure> {
    let record = record.filter(|_| job.reason == Reason::Recheck).ok_or(Failure::Missing)?;
    let outcome = Outcome::Revoked(Revoke::Deleted);
    let who = replication::deleted(services, job.user_id, Some(&record)).await;
    alert::send_outcome(services, job, &who, &outcome).await;
    let cause = Some(Revoke::Deleted.cause().to_owned());
    let mut record = Record { state: State::Revoked, cause, delivered: None, ..record };
    record.forget_address();
    write(services, job, record, etag.as_ref()).await?;
    Ok(outcome)
}

/// Alerts that the document about the user of `job` is not a record. It has no place to say that a person was told.
pub(super) async fn unreadable(services: &Services, job: &Job, who: &Person, error: LedgerError) -> Outcome {
    let outcome = Outcome::Blocked(Block::RecordUnreadable(error));
    let name = ConditionName::RecordUnreadable(job.user_id);
    condition::report(services, name, Urgency::Now, &alert::of_outcome(job, who, &outcome)).await;
    outcome
}
