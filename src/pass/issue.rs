//! The one flow that makes and delivers a pass. All three functions use it.
//!
//! 1. Read the tenant, then the record, so that a record newer than the reading is believed.
//! 2. Respect a live claim of another job.
//! 3. [`decide`].
//! 4. Render the mail, before anything changes in the tenant.
//! 5. Claim.
//! 6. POST the pass.
//! 7. Send the mail.
//! 8. Write down that it was delivered.
//!
//! Each step's order is there because another order lost a joiner or leaked a pass; `docs/ARCHITECTURE.md` tells
//! which.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{
    claim::Claimed,
    decide::{Decision, Facts, Plan, decide},
    job::{Job, Reason},
    outcome::{Block, Failure, Mailed, Outcome, Revoke},
    recipients::Recipients,
};
use crate::{
    app::App,
    code::Code,
    graph::{GraphError, Kind, Message, Pass, ReadError, Reading, User},
    ledger::{ETag, Handed, Record, State},
    mail::{Draft, JoinerMail},
};

/// Waits before an account that is not there is looked for again: a new one takes seconds to reach all replicas.
const REPLICATION_WAITS: [u64; 4] = [2, 4, 8, 16];
/// How often the same mail is sent when nobody knows whether it went out. A second copy of a good code is kinder
/// than a dead one.
const MAX_SENDS: u32 = 3;

/// How long a run may take. Together with what may come after (the last try, a deletion, an alert) it stays below
/// the ten minutes after which the host kills the process and everything else that it is doing.
#[derive(Clone, Copy)]
struct Pace {
    /// For reading the tenant.
    reading: Duration,
    /// From the claim to the last moment at which a pass may be made or mailed. Others respect the claim for a
    /// minute longer than the longest of these.
    working: Duration,
}

/// A job from the queue.
const JOB: Pace = Pace { reading: Duration::from_secs(150), working: Duration::from_secs(240) };
/// A caller; the platform ends HTTP requests after 230 seconds.
const CALL: Pace = Pace { reading: Duration::from_secs(60), working: Duration::from_secs(90) };

/// How a job ended, and for whom.
#[derive(Debug)]
pub struct Ended {
    /// What became of it.
    pub outcome: Outcome,
    /// The account, where it could be read.
    pub user: Option<User>,
    /// Whether a person must be told now: not again for a reason they were told before.
    pub alert: bool,
}

/// Runs the flow for a job from the queue.
pub async fn issue(app: &App, job: &Job) -> Ended {
    let mut ended = Ended { outcome: Outcome::Failed(Failure::Missing), user: None, alert: false };
    ended.outcome = match Case::open(app, job, JOB, &mut ended.user).await {
        Ok(case) => case.deliver_by_mail(&mut ended.alert).await.unwrap_or_else(|outcome| outcome),
        Err(outcome) => outcome,
    };
    ended.alert |= matches!(ended.outcome, Outcome::Revoked(_));
    ended
}

/// A pass made for a caller who gets its code in the answer.
#[derive(Debug)]
pub struct Issued {
    /// The account.
    pub user: User,
    /// The pass.
    pub pass: Pass,
    /// Its code.
    pub code: Code,
}

/// Runs the flow for a caller.
///
/// # Errors
/// The outcome, which is then never `Mailed`.
pub async fn issue_to_caller(app: &App, job: &Job) -> Result<Issued, Outcome> {
    let case = Case::open(app, job, CALL, &mut None).await?;
    let plan = case.plan(&mut false).await?;
    let (mut claimed, pass, code) = case.claim(&plan).await?.make_pass(&plan).await?;
    if let Err(error) = claimed.settle(None, Vec::new()).await {
        // Someone else may have made a newer pass: the caller must not get a code that is dead already.
        claimed.delete(&pass).await;
        return Err(error.into());
    }
    Ok(Issued { user: case.reading.user, pass, code })
}

/// One run: the job, and all that was read for it.
struct Case<'a> {
    app: &'a App,
    job: &'a Job,
    pace: Pace,
    reading: Reading,
    record: Option<Record>,
    etag: Option<ETag>,
    recipients: Result<Recipients, String>,
}

impl<'a> Case<'a> {
    /// Steps 1 and 2.
    async fn open(app: &'a App, job: &'a Job, pace: Pace, seen: &mut Option<User>) -> Result<Self, Outcome> {
        let read = match timeout(pace.reading, read_patiently(app, job)).await {
            Ok(read) => read,
            Err(_) => Err(GraphError::no_time("reading the user").into()),
        };
        if let Ok(reading) = &read {
            *seen = Some(reading.user.clone());
        }
        let (record, etag) = app.ledger.read(job.user_id).await?.unzip();
        if let Some(until) = record.as_ref().and_then(|r| r.claimed_until(app.clock.now())) {
            return Err(Outcome::Failed(Failure::Busy(Some(until))));
        }
        let reading = match read {
            Ok(reading) => reading,
            Err(ReadError::Graph(error)) => return Err(error.into()),
            Err(ReadError::Missing) => return Err(missing(app, job, record, etag).await),
        };
        let recipients = Recipients::choose(&reading.user, reading.manager.as_ref(), &app.settings.mail);
        Ok(Self { app, job, pace, reading, record, etag, recipients })
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            reason: self.job.reason,
            reading: &self.reading,
            record: self.record.as_ref(),
            no_address: self.recipients.as_ref().err().map(String::as_str),
            pass: &self.app.settings.pass,
            lead_days: self.app.settings.lead_days,
            on_demand_group: self.app.settings.on_demand_group,
            now: self.app.clock.now(),
        }
    }

    /// Step 3; all decisions but to issue are carried out here.
    async fn plan(&self, alert: &mut bool) -> Result<Plan, Outcome> {
        Err(match decide(&self.facts()) {
            Decision::Issue(plan) => return Ok(plan),
            Decision::Skip(skip) => skip.into(),
            Decision::Block(block) => self.block(block, alert).await?,
            Decision::Revoke { pass_id, why } => self.revoke(&pass_id, why).await?,
            Decision::Settle(pass) => self.settle_used(&pass).await?,
        })
    }

    /// Steps 3 to 8.
    async fn deliver_by_mail(&self, alert: &mut bool) -> Result<Outcome, Outcome> {
        let plan = self.plan(alert).await?;
        let recipients =
            self.recipients.as_ref().map_err(|why| Outcome::Blocked(Block::NoAddress(why.clone())))?;
        let draft = self.draft(&plan, recipients)?;
        let made = self.claim(&plan).await?.make_pass(&plan).await;
        let (mut claimed, pass, code) = made.inspect_err(|outcome| *alert |= self.is_news(outcome))?;
        let content = draft.with_code(&code);
        let message = Message { to: vec![recipients.to.clone()], cc: recipients.cc.clone(), content };
        if let Err(unsent) = self.send(&claimed, &message, &code).await {
            if !unsent.maybe_sent {
                claimed.delete(&pass).await;
            }
            return Err(claimed.fail(Failure::Graph(unsent.error)).await);
        }
        claimed.settle(Some(draft.language()), recipients.masked()).await?;
        Ok(Outcome::Mailed(Mailed { window: plan.window, to: recipients.to.masked(), moved: plan.moved }))
    }

    async fn claim(&self, plan: &Plan) -> Result<Claimed<'a>, Outcome> {
        Claimed::take(self.app, self.job, plan, &self.facts(), self.etag.as_ref(), self.pace.working).await
    }

    fn draft(&self, plan: &Plan, recipients: &Recipients) -> Result<Draft, Outcome> {
        let Reading { user, .. } = &self.reading;
        let mailer = &self.app.mailer;
        let language =
            mailer.language_for(user.preferred_language.as_deref(), user.usage_location.as_deref());
        Ok(mailer.joiner(&JoinerMail {
            language: &language,
            usage_location: user.usage_location.as_deref(),
            given_name: user.given_name.as_deref(),
            display_name: user.name(),
            user_principal_name: &user.user_principal_name,
            manager: recipients.manager.as_deref(),
            day_one: plan.day_one,
            opens_at: plan.window.opens_at,
            opens_now: plan.window.opens_now,
            closes_at: plan.window.ends_at(),
            zone: plan.window.zone,
            one_time: plan.window.one_time,
            made_at: self.app.clock.now(),
            moved: plan.moved,
        })?)
    }

    /// Sends the mail; again only where nobody knows whether it went out.
    async fn send(&self, claimed: &Claimed<'_>, message: &Message, code: &Code) -> Result<(), Unsent> {
        let mut maybe_sent = false;
        for send in 1.. {
            let from = &self.app.settings.mail.from;
            let Err(mut error) = self.app.graph.send_mail(from, message, claimed.deadline).await else {
                break;
            };
            // Exchange may quote what it did not like.
            error.message = code.redact(&error.message);
            let unclear = error.kind == Kind::Ambiguous;
            maybe_sent |= unclear;
            if !unclear || send == MAX_SENDS {
                return Err(Unsent { maybe_sent, error });
            }
        }
        Ok(())
    }

    fn is_news(&self, outcome: &Outcome) -> bool {
        let told = self.record.as_ref().and_then(|r| r.reason.as_deref());
        matches!(outcome, Outcome::Blocked(block) if told != Some(block.word()))
    }

    async fn block(&self, block: Block, alert: &mut bool) -> Result<Outcome, Outcome> {
        let outcome = Outcome::Blocked(block.clone());
        if self.job.reason == Reason::Http || !self.is_news(&outcome) {
            return Ok(outcome);
        }
        let facts = self.facts();
        let mut record =
            self.record.clone().unwrap_or_else(|| Record::new(crate::ledger::Purpose::Joiner, facts.now));
        // What was mailed stays mailed: the pass is still out there, and still ours to take back.
        if record.state != State::Mailed {
            record.state = State::Blocked;
        }
        record.reason = Some(block.word().to_owned());
        self.write(record).await?;
        *alert = true;
        Ok(outcome)
    }

    async fn revoke(&self, pass_id: &str, why: Revoke) -> Result<Outcome, Outcome> {
        self.app.graph.delete_pass(self.job.user_id, pass_id).await?;
        if let Some(record) = self.record.clone() {
            self.write(Record { state: State::Revoked, reason: Some("out-of-scope".into()), ..record })
                .await?;
        }
        Ok(Outcome::Revoked(why))
    }

    async fn settle_used(&self, pass: &Pass) -> Result<Outcome, Outcome> {
        if let Some(record) = self.record.clone() {
            let handed =
                Handed { pass_id: pass.id.clone(), opens_at: pass.start_date_time, ends_at: pass.ends_at() };
            let settled = Record {
                state: State::Mailed,
                pass: Some(handed),
                mailed_at: Some(self.app.clock.now()),
                mailed_day_one: record.day_one,
                reason: None,
                ..record
            };
            self.write(settled).await?;
        }
        Ok(super::Skip::WasUsed.into())
    }

    async fn write(&self, record: Record) -> Result<(), Outcome> {
        write(self.app, self.job, record, self.etag.as_ref()).await
    }
}

/// A mail that did not go out, or may have.
struct Unsent {
    maybe_sent: bool,
    error: GraphError,
}

async fn write(app: &App, job: &Job, mut record: Record, etag: Option<&ETag>) -> Result<(), Outcome> {
    record.updated_at = app.clock.now();
    app.ledger.write(job.user_id, &record, etag).await?;
    Ok(())
}

async fn read_patiently(app: &App, job: &Job) -> Result<Reading, ReadError> {
    for seconds in REPLICATION_WAITS {
        match app.graph.read(job.user_id).await {
            Err(ReadError::Missing) => sleep(Duration::from_secs(seconds)).await,
            read => return read,
        }
    }
    app.graph.read(job.user_id).await
}

/// An account that is not there: deleted, where we have served it; not there yet, otherwise.
async fn missing(app: &App, job: &Job, record: Option<Record>, etag: Option<ETag>) -> Outcome {
    match record {
        Some(record) if job.reason == Reason::Recheck => {
            let record = Record { state: State::Revoked, reason: Some("deleted".into()), ..record };
            match write(app, job, record, etag.as_ref()).await {
                Ok(()) => Outcome::Revoked(Revoke::Deleted),
                Err(outcome) => outcome,
            }
        }
        _ => Outcome::Failed(Failure::Missing),
    }
}
