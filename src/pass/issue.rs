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

use tokio::time::{Instant, timeout};

use super::{
    alert,
    claim::{Claimed, delivered, made},
    decide::{Decision, Facts, Plan, decide},
    job::{Job, Reason},
    order::{Beyond, NotIssued, Order},
    outcome::{Block, Failure, Mailed, Outcome, Revoke, Skip},
    patience,
    recipients::Recipients,
    window::Window,
};
use crate::{
    app::App,
    code::Code,
    graph::{GraphError, Kind, Message, Pass, ReadError, Reading, User},
    ledger::{ETag, Purpose, Record, State},
    mail::{Draft, JoinerMail},
};

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
    /// The sign-in name, or the object id where the account could not be read.
    pub who: String,
}

/// Runs the flow for a job from the queue.
pub async fn issue(app: &App, job: &Job) -> Ended {
    let mut who = job.user_id.to_string();
    let outcome = match Case::open(app, job, &mut who).await {
        Ok(case) => case.deliver_by_mail().await.unwrap_or_else(|outcome| outcome),
        Err(outcome) => outcome,
    };
    Ended { outcome, who }
}

/// A pass made for a caller.
#[derive(Debug)]
pub struct Issued {
    /// The account.
    pub user: User,
    /// The pass.
    pub pass: Pass,
    /// When it works, as planned.
    pub window: Window,
    /// Where its code went.
    pub handed: Handed,
    /// The pass that was listed before, if any: whether it still worked, or would have.
    pub replaced: Option<bool>,
    /// What the policy made of the defaults.
    pub bent: Vec<Beyond>,
    /// The caller is waiting: nothing more is to start after this.
    pub deadline: Instant,
}

/// Where a code went.
#[derive(Debug)]
pub enum Handed {
    /// It is for the caller.
    ToCaller(Code),
    /// The joiner's mail is on its way to these addresses, masked.
    ByMail(Vec<String>),
}

/// Runs the flow for a caller. `who` becomes the sign-in name as soon as it is known.
///
/// # Errors
/// Why there is no pass; of the outcomes, it is never `Mailed`.
pub async fn issue_to_caller(
    app: &App,
    job: &Job,
    order: &Order,
    who: &mut String,
) -> Result<Issued, NotIssued> {
    let read = Read::both(app, job, CALL, who).await?;
    order.is_new(read.record.as_ref(), read.reading.as_ref().ok(), app.clock.now())?;
    let case = Case { order: Some(order), ..Case::of(app, job, CALL, read).await? };
    let plan = case.plan().await?;
    order.admit(&app.settings.create_tap, &case.reading, case.record.as_ref(), app.clock.now())?;
    let (pass, handed, deadline) =
        if order.by_mail { case.mail(&plan).await? } else { case.hand_to_caller(&plan).await? };
    Ok(Issued {
        window: plan.window,
        pass,
        handed,
        replaced: case.reading.passes.first().map(|pass| pass.is_alive(app.clock.now())),
        bent: order.bent(&case.reading.policy),
        deadline,
        user: case.reading.user,
    })
}

/// What was read: the tenant, then the record.
struct Read {
    reading: Result<Reading, ReadError>,
    record: Option<Record>,
    etag: Option<ETag>,
}

impl Read {
    /// Step 1. `who` becomes the sign-in name as soon as it is known.
    async fn both(app: &App, job: &Job, pace: Pace, who: &mut String) -> Result<Self, Outcome> {
        let reading = match timeout(pace.reading, patience::read(app, job)).await {
            Ok(reading) => reading,
            Err(_) => Err(GraphError::no_time("reading the user").into()),
        };
        if let Ok(reading) = &reading {
            who.clone_from(&reading.user.user_principal_name);
        }
        let (record, etag) = app.ledger.read(job.user_id).await?.unzip();
        Ok(Self { reading, record, etag })
    }
}

/// One run: the job, and all that was read for it.
struct Case<'a> {
    app: &'a App,
    job: &'a Job,
    order: Option<&'a Order>,
    pace: Pace,
    reading: Reading,
    record: Option<Record>,
    etag: Option<ETag>,
    recipients: Result<Recipients, String>,
}

impl<'a> Case<'a> {
    async fn open(app: &'a App, job: &'a Job, who: &mut String) -> Result<Self, Outcome> {
        Self::of(app, job, JOB, Read::both(app, job, JOB, who).await?).await
    }

    /// Step 2.
    async fn of(app: &'a App, job: &'a Job, pace: Pace, read: Read) -> Result<Self, Outcome> {
        let Read { reading, record, etag } = read;
        if let Some(until) = record.as_ref().and_then(|r| r.claimed_until(app.clock.now())) {
            return Err(Outcome::Failed(Failure::Busy(Some(until))));
        }
        let reading = match reading {
            Ok(reading) => reading,
            Err(ReadError::Graph(error)) => return Err(error.into()),
            Err(ReadError::Missing) => return Err(missing(app, job, record, etag).await),
        };
        let recipients = Recipients::choose(&reading.user, reading.manager.as_ref(), &app.settings.mail);
        Ok(Self { app, job, order: None, pace, reading, record, etag, recipients })
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            reason: self.job.reason,
            since: self.job.since,
            reading: &self.reading,
            record: self.record.as_ref(),
            no_address: self.recipients.as_ref().err().map(String::as_str),
            order: self.order,
            pass: &self.app.settings.pass,
            lead_days: self.app.settings.lead_days,
            on_demand_group: self.app.settings.on_demand_group,
            now: self.app.clock.now(),
        }
    }

    /// Step 3; all decisions but to issue are carried out here.
    async fn plan(&self) -> Result<Plan, Outcome> {
        Err(match decide(&self.facts()) {
            Decision::Issue(plan) => return Ok(plan),
            Decision::Skip(skip) => self.skip(skip).await?,
            Decision::Block(block) => self.block(block).await?,
            Decision::Revoke { pass_id, why } => self.revoke(&pass_id, why).await?,
            Decision::Settle(pass) => self.settle_used(&pass).await?,
        })
    }

    /// Steps 3 to 8.
    async fn deliver_by_mail(&self) -> Result<Outcome, Outcome> {
        let plan = self.plan().await?;
        self.mail(&plan).await?;
        let to = self.recipients.as_ref().map_or_else(|_| String::new(), |r| r.to.masked());
        Ok(Outcome::Mailed(Mailed { window: plan.window, to, moved: plan.moved }))
    }

    /// Steps 4 to 8.
    async fn mail(&self, plan: &Plan) -> Result<(Pass, Handed, Instant), Outcome> {
        let recipients =
            self.recipients.as_ref().map_err(|why| Outcome::Blocked(Block::NoAddress(why.clone())))?;
        let draft = self.draft(plan, recipients)?;
        let (mut claimed, pass, code) = self.claim(plan).await?.make_pass(plan).await?;
        let content = draft.with_code(&code);
        let message = Message { to: vec![recipients.to.clone()], cc: recipients.cc.clone(), content };
        if let Err(unsent) = self.send(&claimed, &message, &code).await {
            if !unsent.maybe_sent {
                claimed.delete(&pass).await;
            }
            return Err(claimed.fail(Failure::Graph(unsent.error), unsent.maybe_sent).await);
        }
        claimed.settle(&pass, Some(draft.language()), recipients.masked()).await?;
        Ok((pass, Handed::ByMail(recipients.masked()), claimed.deadline))
    }

    /// Steps 5 to 8 where the code goes into an answer.
    async fn hand_to_caller(&self, plan: &Plan) -> Result<(Pass, Handed, Instant), Outcome> {
        let (mut claimed, pass, code) = self.claim(plan).await?.make_pass(plan).await?;
        if let Err(error) = claimed.settle(&pass, None, Vec::new()).await {
            // Someone else may have made a newer pass: the caller must not get a code that is dead already.
            claimed.delete(&pass).await;
            return Err(error.into());
        }
        Ok((pass, Handed::ToCaller(code), claimed.deadline))
    }

    async fn claim(&self, plan: &Plan) -> Result<Claimed<'_>, Outcome> {
        let deadline = Instant::now() + self.pace.working;
        let deadline = self.order.map_or(deadline, |order| deadline.min(order.deadline));
        Claimed::take(self.app, self.job, plan, &self.facts(), self.etag.as_ref(), deadline).await
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

    async fn skip(&self, skip: Skip) -> Result<Outcome, Outcome> {
        // What stood in the way of a joiner who is served is over; if it comes back, it is news again.
        if skip == Skip::AlreadyServed
            && let Some(record) = self.record.clone().filter(|r| r.reason.is_some())
        {
            self.write(Record { reason: None, ..record }).await?;
        }
        Ok(skip.into())
    }

    async fn block(&self, block: Block) -> Result<Outcome, Outcome> {
        let word = block.word();
        // Whoever came into power meanwhile must not keep a pass that came late: its code may be anybody's.
        if matches!(block, Block::Privileged(_))
            && self.job.reason != Reason::Http
            && let Some(pass) = self.facts().listed_undelivered()
        {
            self.app.graph.delete_pass(self.job.user_id, &pass.id).await?;
        }
        let outcome = Outcome::Blocked(block);
        let told = self.record.as_ref().and_then(|r| r.reason.as_deref());
        // A caller has the answer; a person who was told knows.
        if self.job.reason == Reason::Http || told == Some(word) {
            return Ok(outcome);
        }
        self.tell(&outcome).await;
        let purpose = if self.job.reason == Reason::GroupAdd { Purpose::OnDemand } else { Purpose::Joiner };
        let new = || Record::new(State::Blocked, purpose, self.app.clock.now());
        let mut record = self.record.clone().unwrap_or_else(new);
        // What was mailed stays mailed: the pass is still out there, and still ours to take back.
        if record.state != State::Mailed {
            record.state = State::Blocked;
        }
        record.pass = self.facts().listed_of_ours().map(made).or(record.pass);
        record.reason = Some(word.to_owned());
        self.write(record).await?;
        Ok(outcome)
    }

    async fn revoke(&self, pass_id: &str, why: Revoke) -> Result<Outcome, Outcome> {
        self.app.graph.delete_pass(self.job.user_id, pass_id).await?;
        let outcome = Outcome::Revoked(why);
        self.tell(&outcome).await;
        if let Some(mut record) = self.record.clone() {
            record.take_back(pass_id);
            self.write(record).await?;
        }
        Ok(outcome)
    }

    async fn settle_used(&self, pass: &Pass) -> Result<Outcome, Outcome> {
        if let Some(mut record) = self.record.clone() {
            record.settle(delivered(&record, pass, self.app.clock.now()), self.reading.user.is_enabled());
            self.write(record).await?;
        }
        Ok(Skip::WasUsed.into())
    }

    async fn tell(&self, outcome: &Outcome) {
        alert::tell(self.app, self.job, &self.reading.user.user_principal_name, outcome).await;
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

/// An account that is not there: deleted, where a record asks for a second look; not there yet, otherwise.
async fn missing(app: &App, job: &Job, record: Option<Record>, etag: Option<ETag>) -> Outcome {
    let Some(record) = record.filter(|_| job.reason == Reason::Recheck) else {
        return Outcome::Failed(Failure::Missing);
    };
    let outcome = Outcome::Revoked(Revoke::Deleted);
    alert::tell(app, job, &job.user_id.to_string(), &outcome).await;
    let record =
        Record { state: State::Revoked, reason: Some(Record::DELETED.into()), delivered: None, ..record };
    match write(app, job, record, etag.as_ref()).await {
        Ok(()) => outcome,
        Err(outcome) => outcome,
    }
}
