//! A lease on a user: while we hold it, no other job makes a pass for them.
//!
//! The record says `issuing` before anything changes in the tenant, and what became of it afterwards. Every
//! write is conditional on the one before; whoever loses starts afresh later.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    alert,
    decide::{Facts, Plan},
    job::{Job, Reason},
    outcome::{Block, Failure, Outcome},
    ownership::{delivered, pass_record, purpose_of},
    replication::REPLICATION_RETRY_DELAYS,
    services::Services,
};
use crate::{
    code::Code,
    graph::{GraphError, GraphErrorKind, Pass, Usability, User},
    ledger::{CallResult, Delivered, ETag, IdempotencyEntry, Lease, LedgerError, Purpose, Record, State},
};

/// How long deleting a pass that nobody was delivery may take: the next job would replace it anyway.
const CLEANING_TIME: Duration = Duration::from_secs(60);
/// The same while a caller waits.
const CALLERS_CLEANING_TIME: Duration = Duration::from_secs(20);

/// A lease that we hold.
pub struct HeldLease<'a> {
    services: &'a Services,
    job: &'a Job,
    user: &'a User,
    record: Record,
    etag: ETag,
    /// The record before the lease.
    before: Option<&'a Record>,
    /// Whether a pass was made or deleted, or may have been: then what was there before may be gone.
    touched: bool,
    /// Nothing that cannot be undone starts after this. Monotonic.
    pub deadline: Instant,
}

impl<'a> HeldLease<'a> {
    /// Leases the user for `job`. Nothing that cannot be undone is to start after `deadline`.
    ///
    /// # Errors
    /// When another job was faster, or may have been: the next delivery sorts it out.
    pub async fn take(
        services: &'a Services,
        job: &'a Job,
        plan: &Plan,
        facts: &Facts<'a>,
        etag: Option<&ETag>,
        deadline: Instant,
    ) -> Result<Self, Outcome> {
        let new = || Record::new(State::Issuing, plan.purpose, facts.now);
        let mut record = facts.record.cloned().unwrap_or_else(new);
        // An earlier lease may have made a pass and died: the new lease must not hide whose it is.
        record.pass = facts.listed_of_ours().map(pass_record).or(record.pass);
        record.state = State::Issuing;
        record.purpose = plan.purpose;
        record.day_one = plan.day_one;
        record.updated_at = facts.now;
        let lease = Lease {
            job_key: job.key.clone(),
            purpose: plan.purpose,
            since: services.clock.now(),
            opens_at: plan.window.as_new_pass().opens_at,
            lifetime_minutes: plan.window.lifetime_minutes,
        };
        if let Some(request) = facts.request {
            let call = IdempotencyEntry {
                job_key: job.key.clone(),
                since: lease.since,
                fingerprint: request.fingerprint.clone(),
                result: None,
            };
            record.add_call(call, lease.since);
        }
        record.add_lease(lease, facts.now);
        let etag = services.ledger.write(job.user_id, &record, etag).await?;
        let (before, user) = (facts.record, &facts.snapshot.user);
        Ok(Self { services, job, user, record, etag, before, touched: false, deadline })
    }

    /// Makes the pass. When it cannot be made, the lease is given back with the reason.
    ///
    /// # Errors
    /// `Blocked` when Graph refuses for good, `Failed` otherwise.
    pub async fn make_pass(mut self, plan: &Plan) -> Result<(Self, Pass, Code), Outcome> {
        let mut answer_lost = false;
        let posted = self.post(plan, &mut answer_lost).await;
        // What a pass for somebody else's purpose replaced did not vanish.
        if self.touched
            && plan.purpose != Purpose::Joiner
            && let Some(delivered) = &mut self.record.delivered
        {
            delivered.reissued = 0;
        }
        match posted {
            Ok((pass, _)) if pass.usability(self.services.clock.now()) == Usability::DisabledByPolicy => {
                self.record.pass = Some(pass_record(&pass));
                self.delete(&pass).await;
                Err(self.block(Block::DisabledByPolicy).await)
            }
            Ok((pass, code)) => {
                self.record.pass = Some(pass_record(&pass));
                Ok((self, pass, code))
            }
            // Unless a pass may be out there that has to be looked after.
            Err(error) if error.kind == GraphErrorKind::Refused && !answer_lost => {
                Err(self.block(Block::Refused(error)).await)
            }
            Err(error) => Err(self.fail(Failure::Graph(error), false).await),
        }
    }

    /// POST, with what is safe to do about its failures: it replaces, so a lost answer is met by a second POST.
    async fn post(&mut self, plan: &Plan, answer_lost: &mut bool) -> Result<(Pass, Code), GraphError> {
        let (services, user, deadline) = (self.services, self.user, self.deadline);
        let mut waits = REPLICATION_RETRY_DELAYS.iter();
        let mut cleared = false;
        loop {
            let error = match services.graph.create_pass(user.id, plan.window.as_new_pass(), deadline).await {
                Ok(made) => {
                    self.touched = true;
                    return Ok(made);
                }
                Err(error) => error,
            };
            match error.kind {
                GraphErrorKind::Ambiguous if !*answer_lost => (*answer_lost, self.touched) = (true, true),
                GraphErrorKind::NotFound => match waits.next() {
                    Some(seconds) => sleep(Duration::from_secs(*seconds)).await,
                    None => return Err(error),
                },
                GraphErrorKind::Refused if !cleared && says_one_exists(&error) => {
                    (cleared, self.touched) = (true, true);
                    // In time: whoever comes after us may have made what would be listed later.
                    let deleted = timeout_at(deadline, self.delete_what_stands_in_the_way()).await;
                    if !deleted.unwrap_or_else(|_| Err(GraphError::timed_out("making room for the pass")))? {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Deletes a listed pass that is ours or dead. A working pass of somebody else stays.
    async fn delete_what_stands_in_the_way(&self) -> Result<bool, GraphError> {
        let now = self.services.clock.now();
        let mut deleted = false;
        for pass in self.services.graph.list_passes(self.user.id).await? {
            if purpose_of(&self.record, &pass).is_some() || !pass.can_be_used(now) {
                self.services.graph.delete_pass(self.user.id, &pass.id).await?;
                deleted = true;
            }
        }
        Ok(deleted)
    }

    /// Deletes a pass that we just made and that nobody was delivery. If that fails, it is on record as ours, and
    /// the next job replaces it.
    pub async fn delete(&self, pass: &Pass) {
        let user = self.user.id;
        let time = if self.job.reason == Reason::Http { CALLERS_CLEANING_TIME } else { CLEANING_TIME };
        match timeout(time, self.services.graph.delete_pass(user, &pass.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(event = "pass.delete_failed", %user, %error),
            Err(_) => tracing::warn!(event = "pass.delete_failed", %user, error = "no time left"),
        }
    }

    /// Writes down that `pass` was delivered.
    ///
    /// # Errors
    /// When the record was changed meanwhile, or the ledger is away: the next delivery looks afresh.
    pub async fn record_delivery(
        &mut self,
        pass: &Pass,
        language: Option<&str>,
        recipients: Vec<String>,
    ) -> Result<(), LedgerError> {
        let delivered = delivered(&self.record, pass, self.services.clock.now());
        self.record.record_delivery(
            Delivered { language: language.map(str::to_owned), recipients, ..delivered },
            self.user.is_enabled(),
        );
        self.record.end_call(&self.job.key, CallResult::Issued(pass_record(pass)));
        match self.write(State::Delivered).await {
            // Written, and only the answer was lost.
            Err(_) if self.is_recorded(pass).await => Ok(()),
            result => result,
        }
    }

    /// Whether the ledger has it that `pass` was delivered.
    async fn is_recorded(&self, pass: &Pass) -> bool {
        let written = self.services.ledger.read(self.user.id).await.ok().flatten();
        written.and_then(|(record, _)| record.delivered).is_some_and(|d| d.pass.pass_id == pass.id)
    }

    /// Gives the lease back: something went wrong. The code `may_have_arrived` all the same.
    pub async fn fail(mut self, failure: Failure, may_have_arrived: bool) -> Outcome {
        let made = self.record.pass.clone().filter(|_| may_have_arrived);
        self.record.end_call(&self.job.key, made.map_or(CallResult::Nothing, CallResult::Issued));
        self.record.cause = self.cause(failure.word());
        self.give_back(State::Failed).await;
        Outcome::Failed(failure)
    }

    async fn block(mut self, block: Block) -> Outcome {
        let word = block.word();
        let outcome = Outcome::Blocked(block);
        // A caller has the answer.
        if self.alerted_cause() != Some(word) && self.job.reason != Reason::Http {
            alert::send_outcome(self.services, self.job, &self.user.user_principal_name, &outcome).await;
        }
        self.record.end_call(&self.job.key, CallResult::Nothing);
        self.record.cause = self.cause(word);
        self.give_back(State::Blocked).await;
        outcome
    }

    /// What the record gives as the reason: of a call, what it gave before, for nobody but the caller was told.
    fn cause(&self, word: &str) -> Option<String> {
        if self.job.reason == Reason::Http { self.alerted_cause() } else { Some(word) }.map(str::to_owned)
    }

    /// The reason that a person was told of before.
    fn alerted_cause(&self) -> Option<&'a str> {
        self.before.and_then(|record| record.cause.as_deref())
    }

    /// A lease that could not be given back ends by itself, five minutes after it was made.
    async fn give_back(&mut self, state: State) {
        let state = self.after_a_call(state);
        if let Err(error) = self.write(state).await {
            tracing::warn!(event = "ledger.write_failed", user = %self.user.id, ?state, %error);
        }
    }

    /// A caller who got no pass calls again. What others were promised must not be forgotten for that: a call that
    /// changed nothing leaves the record as it was, and one that did leaves a pass on demand that is still to come.
    fn after_a_call(&mut self, state: State) -> State {
        let Some(before) = self.before.filter(|_| self.job.reason == Reason::Http) else { return state };
        if !self.touched {
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
        self.etag = self.services.ledger.write(self.user.id, &self.record, Some(&self.etag)).await?;
        Ok(())
    }
}

/// Graph's documentation says that a POST replaces; some tenants were seen to refuse while a pass exists. All 400s
/// of passes share one code, so only the words tell.
fn says_one_exists(error: &GraphError) -> bool {
    let words = error.message.to_ascii_lowercase();
    error.status == Some(409) || words.contains("already exist") || words.contains("already has")
}
