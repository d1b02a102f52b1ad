//! A claim on a user: while we hold it, no other job makes a pass for them.
//!
//! The record says `issuing` before anything changes in the tenant, and what became of it afterwards. Every
//! write is conditional on the one before; whoever loses starts afresh later.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{
    decide::{Facts, Plan},
    job::Job,
    outcome::{Block, Failure, Outcome},
};
use crate::{
    app::App,
    code::Code,
    graph::{GraphError, Kind, Pass, Usability},
    ledger::{Claim, ETag, Handed, LedgerError, Record, State},
};

/// How long deleting a pass that nobody was handed may take: the next job would replace it anyway.
const CLEANING_TIME: Duration = Duration::from_secs(60);
/// Waits before a new account that a replica does not know is tried again.
const REPLICATION_WAITS: [u64; 4] = [2, 4, 8, 16];

/// A claim that we hold.
pub struct Claimed<'a> {
    app: &'a App,
    user: Uuid,
    record: Record,
    etag: ETag,
    /// Nothing that cannot be undone starts after this. Monotonic.
    pub deadline: Instant,
}

impl<'a> Claimed<'a> {
    /// Claims the user for `job`, to be done within `working_time`.
    ///
    /// # Errors
    /// When another job was faster, or may have been: the next delivery sorts it out.
    pub async fn take(
        app: &'a App,
        job: &Job,
        plan: &Plan,
        facts: &Facts<'_>,
        etag: Option<&ETag>,
        working_time: Duration,
    ) -> Result<Self, Outcome> {
        let deadline = Instant::now() + working_time;
        let mut record = facts.record.cloned().unwrap_or_else(|| Record::new(plan.purpose, facts.now));
        record.state = State::Issuing;
        record.purpose = plan.purpose;
        record.day_one = plan.day_one;
        record.reissued = plan.reissued;
        record.enabled = facts.reading.user.is_enabled();
        record.updated_at = facts.now;
        record.claim = Some(Claim {
            job_key: job.key.clone(),
            since: app.clock.now(),
            opens_at: plan.window.as_new_pass().opens_at,
            lifetime_minutes: plan.window.lifetime_minutes,
        });
        let etag = app.ledger.write(job.user_id, &record, etag).await?;
        Ok(Self { app, user: job.user_id, record, etag, deadline })
    }

    /// Makes the pass. When it cannot be made, the claim is given back with the reason.
    ///
    /// # Errors
    /// `Blocked` when Graph refuses for good, `Failed` otherwise.
    pub async fn make_pass(mut self, plan: &Plan) -> Result<(Self, Pass, Code), Outcome> {
        match self.post(plan).await {
            Ok((pass, _)) if pass.usability(self.app.clock.now()) == Usability::Disabled => {
                self.remember(&pass);
                self.delete(&pass).await;
                Err(self.block(Block::DisabledByPolicy).await)
            }
            Ok((pass, code)) => {
                self.remember(&pass);
                Ok((self, pass, code))
            }
            Err(error) if error.kind == Kind::Refused => Err(self.block(Block::Refused(error)).await),
            Err(error) => Err(self.fail(Failure::Graph(error)).await),
        }
    }

    /// POST, with what is safe to do about its failures: it replaces, so a lost answer is met by a second POST.
    async fn post(&self, plan: &Plan) -> Result<(Pass, Code), GraphError> {
        let mut waits = REPLICATION_WAITS.iter();
        let mut lost_answers = 0;
        let mut cleared = false;
        loop {
            let error =
                match self.app.graph.create_pass(self.user, plan.window.as_new_pass(), self.deadline).await {
                    Ok(made) => return Ok(made),
                    Err(error) => error,
                };
            match error.kind {
                Kind::Ambiguous if lost_answers == 0 => lost_answers += 1,
                Kind::NotFound => match waits.next() {
                    Some(seconds) => sleep(Duration::from_secs(*seconds)).await,
                    None => return Err(error),
                },
                Kind::Refused if !cleared && says_one_exists(&error) => {
                    cleared = true;
                    if !self.delete_what_stands_in_the_way().await? {
                        return Err(error);
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Deletes a listed pass that is ours or dead. A working pass of somebody else stays.
    async fn delete_what_stands_in_the_way(&self) -> Result<bool, GraphError> {
        let now = self.app.clock.now();
        let known = self.record.pass.as_ref().map(|handed| handed.pass_id.as_str());
        let mut deleted = false;
        for pass in self.app.graph.list_passes(self.user).await? {
            if known == Some(pass.id.as_str()) || !pass.is_alive(now) {
                self.app.graph.delete_pass(self.user, &pass.id).await?;
                deleted = true;
            }
        }
        Ok(deleted)
    }

    fn remember(&mut self, pass: &Pass) {
        self.record.pass = Some(Handed {
            pass_id: pass.id.clone(),
            opens_at: pass.start_date_time,
            ends_at: pass.ends_at(),
        });
    }

    /// Deletes a pass that we just made and that nobody was handed. If that fails, it is on record as ours, and
    /// the next job replaces it.
    pub async fn delete(&self, pass: &Pass) {
        match timeout(CLEANING_TIME, self.app.graph.delete_pass(self.user, &pass.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(event = "pass.delete_failed", user = %self.user, %error),
            Err(_) => tracing::warn!(event = "pass.delete_failed", user = %self.user, error = "no time left"),
        }
    }

    /// Writes down that the pass was delivered.
    ///
    /// # Errors
    /// When the record was changed meanwhile, or the ledger is away: the next delivery looks afresh.
    pub async fn settle(
        &mut self,
        language: Option<&str>,
        recipients: Vec<String>,
    ) -> Result<(), LedgerError> {
        self.record.mailed_at = Some(self.app.clock.now());
        self.record.mailed_day_one = self.record.day_one.or(self.record.mailed_day_one);
        self.record.language = language.map(str::to_owned);
        self.record.recipients = recipients;
        self.record.reason = None;
        self.write(State::Mailed).await
    }

    /// Gives the claim back: something went wrong.
    pub async fn fail(mut self, failure: Failure) -> Outcome {
        self.record.reason = Some(failure.word().to_owned());
        self.give_back(State::Failed).await;
        Outcome::Failed(failure)
    }

    async fn block(mut self, block: Block) -> Outcome {
        self.record.reason = Some(block.word().to_owned());
        self.give_back(State::Blocked).await;
        Outcome::Blocked(block)
    }

    /// A claim that could not be given back ends by itself, five minutes after it was made.
    async fn give_back(&mut self, state: State) {
        if let Err(error) = self.write(state).await {
            tracing::warn!(event = "ledger.write_failed", user = %self.user, ?state, %error);
        }
    }

    async fn write(&mut self, state: State) -> Result<(), LedgerError> {
        self.record.state = state;
        self.record.updated_at = self.app.clock.now();
        self.etag = self.app.ledger.write(self.user, &self.record, Some(&self.etag)).await?;
        Ok(())
    }
}

/// Graph's documentation says that a POST replaces; some tenants were seen to refuse while a pass exists. All 400s
/// of passes share one code, so only the words tell.
fn says_one_exists(error: &GraphError) -> bool {
    let words = error.message.to_ascii_lowercase();
    error.status == Some(409) || words.contains("already exist") || words.contains("already has")
}
