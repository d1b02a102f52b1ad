//! The lease on a user: while a job holds it, no other job makes a pass for that user.
//!
//! It is an entry in the user's record, not a lease of the blob. It lasts for five minutes ([`budget::LEASE`]). Step 2 of the flow respects
//! it, and so does a repeated call of CreateTap (`request/mod.rs`).
//! The record says `issuing` before anything changes in the tenant, and the result afterwards. Every write is
//! conditional on the version before. A conflict when the lease is taken or the delivery is recorded ends the job as
//! `busy`: the queue delivers it again, a call of CreateTap answers 409. A conflict when it is released is only logged.

use serde_json::Map;

use std::{error::Error, ops::ControlFlow, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{
    alert,
    decide::{Facts, Plan},
    job::{Job, Reason},
    notes_due::NotesDue,
    outcome::{Block, DeliveryError, Failure, Outcome, Step, UnclearMail},
    ownership::{delivered, draw, early_start, pass_record, purpose_of},
    person::Person,
    recipients::Recipients,
    replication::REPLICATION_RETRY_DELAYS,
    services::Services,
};
use crate::{
    budget,
    code::Code,
    graph::{GraphError, GraphErrorKind, NewPass, Pass, TenantSnapshot, Usability, says_one_exists, within},
    ledger::{
        Basis, CallResult, DueNotes, ETag, IdempotencyEntry, Lease, LedgerError, Notice, Purpose, Record,
        State,
    },
    mail::{Draft, Occasion},
};

/// For how many codes of a day the mailbox may leave open whether it took their mail. The last of them stays.
const MAX_UNCLEAR: u32 = 2;

/// A lease that this job holds.
pub struct HeldLease<'a> {
    services: &'a Services,
    job: &'a Job,
    snapshot: &'a TenantSnapshot,
    record: Record,
    etag: ETag,
    /// The record before the lease.
    before: Option<&'a Record>,
    /// Whether the start was withdrawn before the pass was wanted.
    after_withdrawal: bool,
    /// Whether a pass was made or deleted, or may have been: then the pass that existed before may be gone.
    tenant_changed: bool,
    notices: Vec<&'static str>,
    plan: Plan,
    /// What the mail rests on.
    basis: Basis,
    /// No change in the tenant and no mail goes on after this. Monotonic.
    pub deadline: Instant,
}

impl<'a> HeldLease<'a> {
    /// Takes the lease on the user for `job`.
    ///
    /// # Errors
    /// When another job wrote the record, or the answer to our own write was lost: the next delivery finds out.
    pub async fn take(
        services: &'a Services,
        job: &'a Job,
        plan: &Plan,
        facts: &Facts<'a>,
        etag: Option<&ETag>,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let new = || Record::new(State::Issuing, plan.purpose, facts.now);
        let mut record = facts.record.cloned().unwrap_or_else(new);
        // The job of an earlier lease may have made a pass and died: the record must still say that it is ours.
        record.pass = facts.listed_of_ours().map(pass_record).or(record.pass);
        record.state = State::Issuing;
        record.purpose = plan.purpose;
        record.day_one = plan.day_one;
        record.updated_at = facts.now;
        let lease = lease(services, job, plan, facts.record.unwrap_or(&record));
        if let Some(request) = facts.request {
            let call = IdempotencyEntry {
                job_key: job.key.clone(),
                since: lease.since,
                fingerprint: request.fingerprint.clone(),
                result: None,
                unknown: Map::new(),
            };
            record.add_call(call, lease.since);
        }
        record.add_lease(lease, facts.now);
        record.seen = facts.seen().or(record.seen);
        if plan.unused.is_some() {
            record.reported_pass = record.delivered.as_ref().map(|delivered| delivered.pass.pass_id.clone());
        }
        let etag = services.ledger.write(job.user_id, &record, etag).await?;
        let (before, snapshot) = (facts.record, facts.snapshot);
        let after_withdrawal = plan.purpose != Purpose::Joiner && facts.is_withdrawn();
        Ok(Self {
            services,
            job,
            snapshot,
            record,
            etag,
            before,
            after_withdrawal,
            tenant_changed: false,
            notices: Vec::new(),
            plan: plan.clone(),
            basis: facts.basis.clone(),
            deadline,
        })
    }

    /// Makes the pass. When that is not possible, releases the lease and records the cause.
    pub async fn make_pass(mut self, plan: &Plan) -> Step<(Self, Pass, Code)> {
        let mut answer_lost = false;
        match self.post(plan, &mut answer_lost).await {
            Ok((pass, _)) if pass.usability(self.services.clock.now()) == Usability::DisabledByPolicy => {
                self.record.pass = Some(pass_record(&pass));
                self.delete(&pass).await;
                Ok(ControlFlow::Break(self.block(Block::DisabledByPolicy).await))
            }
            Ok((pass, code)) => {
                self.record.pass = Some(pass_record(&pass));
                Ok(ControlFlow::Continue((self, pass, code)))
            }
            // After a lost answer a pass may exist, which a later job has to look for.
            Err(error) if error.kind == GraphErrorKind::Refused && !answer_lost => {
                Ok(ControlFlow::Break(self.block(Block::Refused(error)).await))
            }
            Err(error) => Err(self.fail(Failure::Graph(error), false).await),
        }
    }

    /// Sends the POST. It replaces the user's pass, so after a lost answer it is sent once more.
    async fn post(&mut self, plan: &Plan, answer_lost: &mut bool) -> Result<(Pass, Code), GraphError> {
        let (services, user, deadline) = (self.services, &self.snapshot.user, self.deadline);
        let mut waits = REPLICATION_RETRY_DELAYS.iter();
        let mut cleared = false;
        let opens_at = self.record.lease.as_ref().and_then(|lease| lease.opens_at);
        let new = NewPass { opens_at, ..plan.window.as_new_pass() };
        loop {
            let error = match services.graph.create_pass(user.id, new, deadline).await {
                Ok(made) => {
                    self.tenant_changed = true;
                    return Ok(made);
                }
                Err(error) => error,
            };
            match error.kind {
                GraphErrorKind::Ambiguous if !*answer_lost => {
                    (*answer_lost, self.tenant_changed) = (true, true)
                }
                // Not replicated yet, or being changed.
                GraphErrorKind::NotFound | GraphErrorKind::Unavailable
                    if matches!(error.status, Some(404 | 409)) =>
                {
                    match waits.next() {
                        Some(seconds) => sleep(Duration::from_secs(*seconds)).await,
                        None => return Err(error),
                    }
                }
                GraphErrorKind::Refused if !cleared && says_one_exists(&error) => {
                    (cleared, self.tenant_changed) = (true, true);
                    // Before the deadline: after it another job may hold the lease, and the listed pass may be its own.
                    let limit = deadline.saturating_duration_since(Instant::now());
                    if !within(limit, "deleting the pass that exists", self.delete_replaceable()).await? {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Deletes a listed pass that is ours or does not work any more. A working pass of another issuer stays.
    async fn delete_replaceable(&self) -> Result<bool, GraphError> {
        let now = self.services.clock.now();
        let mut deleted = false;
        for pass in self.services.graph.list_passes(self.snapshot.user.id).await? {
            if purpose_of(&self.record, &pass).is_some() || !pass.can_be_used(now) {
                self.services.graph.delete_pass(self.snapshot.user.id, &pass.id).await?;
                deleted = true;
            }
        }
        Ok(deleted)
    }

    /// Deletes a pass that was just made and not delivered. If that fails, the record says that it is ours, and the next
    /// job replaces it.
    pub async fn delete(&self, pass: &Pass) {
        let user = self.snapshot.user.id;
        let time = if self.job.reason == Reason::Http { budget::CALL_CLEANUP } else { budget::CLEANUP };
        match timeout(time, self.services.graph.delete_pass(user, &pass.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(
                event = "pass.delete_failed",
                %user,
                error = &error as &dyn Error,
                "An undelivered pass could not be deleted; the next job replaces it"
            ),
            Err(_) => tracing::warn!(
                event = "pass.delete_failed",
                %user,
                error = "no answer in time",
                "An undelivered pass could not be deleted; the next job replaces it"
            ),
        }
    }

    /// Records that `pass` was delivered.
    ///
    /// # Errors
    /// When another job wrote the record, or the ledger fails: the next delivery reads everything again.
    pub async fn record_delivery(
        &mut self,
        pass: &Pass,
        mail: Option<(&Draft, &Recipients)>,
    ) -> Result<(), LedgerError> {
        self.complete(pass, mail);
        match self.write(State::Delivered).await {
            // The write arrived, and only its answer was lost.
            Err(_) if self.is_recorded(pass).await => Ok(()),
            result => result,
        }
    }

    /// Makes the record that of a delivered pass.
    fn complete(&mut self, pass: &Pass, mail: Option<(&Draft, &Recipients)>) {
        let mut delivered = delivered(&self.record, pass, self.services.clock.now());
        delivered.after_withdrawal = self.after_withdrawal;
        if let Some((draft, recipients)) = mail {
            let joiner = recipients.giver.is_some() && recipients.joiner.is_some();
            let occasion = self.plan.occasion.word().to_owned();
            let notes = DueNotes { occasion, joiner, ..DueNotes::default() };
            delivered.notes = (joiner || !recipients.told.is_empty()).then_some(notes);
            delivered.language = Some(draft.language().to_owned());
            delivered.recipients = recipients.masked();
            delivered.address = recipients.fingerprint(self.snapshot.user.id);
            delivered.follows_on = self.plan.window.follows_on;
        }
        self.record.record_delivery(delivered, self.snapshot.user.account.is_enabled());
        if let (Purpose::Joiner, Some((_, recipients))) = (self.plan.purpose, mail) {
            self.record.record_basis(self.basis.clone());
            if let Some(told) = &mut self.record.announcement {
                recipients.record(told);
            }
        }
        if self.plan.occasion == Occasion::Corrected {
            self.record.corrected_for = self.plan.day_one;
        }
        for kind in std::mem::take(&mut self.notices) {
            self.record.add_notice(kind, self.services.clock.now().date_naive());
        }
        self.record.end_call(&self.job.key, CallResult::Issued(pass_record(pass)));
    }

    /// Whether another code may be made after one whose mail may have arrived. A caller decides that for each call.
    pub fn may_repeat_unclear(&mut self) -> bool {
        let day = self.record.day_one.unwrap_or_else(|| self.services.clock.now().date_naive());
        self.job.reason == Reason::Http || self.record.count_unclear(day) < MAX_UNCLEAR
    }

    /// Keeps `pass` although its `mail` may not have arrived: another code could make the arrived one useless. A person is
    /// told, and then the record has it as delivered, with a notice.
    ///
    /// # Errors
    /// When another job wrote the record, or the ledger fails.
    pub async fn keep_unclear(
        mut self,
        pass: &Pass,
        (draft, recipients): (&Draft, &Recipients),
        plan: &Plan,
        error: DeliveryError,
    ) -> Result<Outcome, Failure> {
        let unclear = UnclearMail { to: recipients.place(), window: plan.window, error };
        let outcome = Outcome::Blocked(Block::MailUnclear(Box::new(unclear)));
        let who = Person::read(self.snapshot, &self.services.settings.pass);
        alert::send_outcome(self.services, self.job, &who, &outcome).await;
        self.note(Notice::MAIL_UNCLEAR);
        self.complete(pass, Some((draft, recipients)));
        // Nobody knows whether the joiner has the code.
        if let Some(delivered) = &mut self.record.delivered {
            delivered.notes = None;
        }
        self.write(State::Delivered).await?;
        Ok(outcome)
    }

    /// The message to be put into the queue, if others are to be told.
    pub(super) fn notes_due(&self) -> Option<NotesDue> {
        NotesDue::of(self.job.user_id, Some(&self.record))
    }

    /// Whether the ledger says that `pass` was delivered.
    async fn is_recorded(&self, pass: &Pass) -> bool {
        let written = self.services.ledger.read(self.snapshot.user.id).await.ok().flatten();
        written.and_then(|(record, _)| record.delivered).is_some_and(|d| d.pass.pass_id == pass.id)
    }

    /// Releases the lease after a failure. The mail with the code `may_have_arrived` all the same.
    pub async fn fail(mut self, failure: Failure, may_have_arrived: bool) -> Failure {
        let made = self.record.pass.clone().filter(|_| may_have_arrived);
        self.record.end_call(&self.job.key, made.map_or(CallResult::Nothing, CallResult::Issued));
        self.record.cause = self.recorded_cause(failure.cause());
        self.release(State::Failed).await;
        failure
    }

    /// Releases the lease because the mailbox that sends refuses all mails. A later job begins anew.
    pub async fn wait_for_mailbox(mut self, refusal: String) -> Outcome {
        self.record.end_call(&self.job.key, CallResult::Nothing);
        self.record.cause = self.recorded_cause(Record::MAILBOX_SHUT);
        self.release(State::Failed).await;
        Outcome::Blocked(Block::MailboxShut(refusal))
    }

    /// Adds a notice to the record of the delivery.
    pub fn note(&mut self, kind: &'static str) {
        self.notices.push(kind);
    }

    /// Releases the lease and tells a person why there is no pass.
    pub async fn block(mut self, block: Block) -> Outcome {
        let cause = block.cause();
        let outcome = Outcome::Blocked(block);
        // A caller gets the answer instead of an alert.
        let is_told = self.alerted_cause() == Some(cause) || self.job.reason == Reason::Http || {
            let who = Person::read(self.snapshot, &self.services.settings.pass);
            alert::send_outcome(self.services, self.job, &who, &outcome).await
        };
        self.record.end_call(&self.job.key, CallResult::Nothing);
        if is_told {
            self.record.cause = self.recorded_cause(cause);
        }
        self.release(State::Blocked).await;
        outcome
    }

    /// The cause for the record. A call keeps the one before: no alert was sent about its own.
    fn recorded_cause(&self, cause: &str) -> Option<String> {
        if self.job.reason == Reason::Http { self.alerted_cause() } else { Some(cause) }.map(str::to_owned)
    }

    /// The cause of the last alert.
    fn alerted_cause(&self) -> Option<&'a str> {
        self.before.and_then(|record| record.cause.as_deref())
    }

    /// A lease that cannot be released ends by itself, five minutes after it was taken.
    async fn release(&mut self, state: State) {
        let state = self.state_after_call(state);
        if let Err(error) = self.write(state).await {
            tracing::warn!(
                event = "ledger.write_failed",
                user = %self.snapshot.user.id,
                ?state,
                error = &error as &dyn Error,
                "The record could not be written; the lease ends by itself after five minutes"
            );
        }
    }

    /// A failed call must not change what the record says of other jobs: a caller who got no pass calls again. A call that
    /// changed nothing in the tenant leaves the record as it was; one that did keeps a pass on demand that is still due.
    fn state_after_call(&mut self, state: State) -> State {
        let Some(before) = self.before.filter(|_| self.job.reason == Reason::Http) else { return state };
        if !self.tenant_changed {
            let calls = std::mem::take(&mut self.record.calls);
            self.record = Record { calls, ..before.clone() };
            return before.state;
        }
        if before.purpose == Purpose::OnDemand && before.state != State::Delivered {
            self.record.purpose = Purpose::OnDemand;
        }
        state
    }

    async fn write(&mut self, state: State) -> Result<(), LedgerError> {
        self.record.state = state;
        self.record.updated_at = self.services.clock.now();
        self.etag = self.services.ledger.write(self.snapshot.user.id, &self.record, Some(&self.etag)).await?;
        Ok(())
    }
}

/// The lease for `plan`, after what `before` has of earlier ones.
fn lease(services: &Services, job: &Job, plan: &Plan, before: &Record) -> Lease {
    let (since, lifetime_minutes) = (services.clock.now(), plan.window.lifetime_minutes);
    let told = plan.window.as_new_pass().opens_at;
    let drawn = draw(services.salt, job.user_id, since);
    // A caller gets the start that they ask for.
    let early = told
        .filter(|_| plan.purpose == Purpose::Joiner)
        .and_then(|told| early_start(told, lifetime_minutes, before, drawn, since));
    let job_key = job.key.clone();
    let (opens_at, told_at) = (early.or(told), early.and(told));
    Lease { job_key, purpose: plan.purpose, since, opens_at, told_at, lifetime_minutes, unknown: Map::new() }
}
