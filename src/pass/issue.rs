//! The one flow that makes and delivers a pass. All three functions use it.
//!
//! 1. Read the tenant, then the record, so that a record newer than the snapshot is believed.
//! 2. Respect a live lease of another job.
//! 3. [`decide`].
//! 4. Render the mail, before anything changes in the tenant.
//! 5. Lease.
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
    decide::{Decision, Facts, Plan, decide},
    job::{Job, Reason},
    lease::HeldLease,
    outcome::{Block, DeliveredPass, Failure, Outcome, Revoke, Skip},
    ownership::{delivered, pass_record},
    recipients::Recipients,
    replication,
    request::{NotIssued, PassRequest, PolicyViolation},
    services::Services,
    window::Window,
};
use crate::{
    code::Code,
    graph::{GraphError, GraphErrorKind, OutgoingMail, Pass, SnapshotError, TenantSnapshot, User},
    ledger::{ETag, Purpose, Record, State},
    mail::{Draft, JoinerMail, PassTimes},
};

/// How often the same mail is sent when nobody knows whether it went out. A second copy of a good code is kinder
/// than a dead one.
const MAX_SENDS: u32 = 3;

/// How long a run may take. Together with what may come after (the last try, a deletion, an alert) it stays below
/// the ten minutes after which the host kills the process and everything else that it is doing.
#[derive(Clone, Copy)]
struct Pace {
    /// For reading the tenant.
    snapshot: Duration,
    /// From the lease to the last moment at which a pass may be made or mailed. Others respect the lease for a
    /// minute longer than the longest of these.
    working: Duration,
}

/// A job from the queue.
const JOB: Pace = Pace { snapshot: Duration::from_secs(150), working: Duration::from_secs(240) };
/// A caller; the platform ends HTTP requests after 230 seconds.
const CALL: Pace = Pace { snapshot: Duration::from_secs(60), working: Duration::from_secs(90) };

/// How a job ended, and for whom.
#[derive(Debug)]
pub struct JobResult {
    /// What became of it.
    pub outcome: Outcome,
    /// The sign-in name, or the object id where the account could not be read.
    pub who: String,
}

/// Runs the flow for a job from the queue.
pub async fn issue(services: &Services, job: &Job) -> JobResult {
    let mut who = job.user_id.to_string();
    let outcome = match JobContext::open(services, job, &mut who).await {
        Ok(context) => context.deliver_by_mail().await.unwrap_or_else(|outcome| outcome),
        Err(outcome) => outcome,
    };
    JobResult { outcome, who }
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
    pub delivery: Delivery,
    /// The pass that was listed before, if any: whether it still worked, or would have.
    pub replaced: Option<bool>,
    /// What the policy made of the defaults.
    pub clamped: Vec<PolicyViolation>,
    /// The caller is waiting: nothing more is to start after this.
    pub deadline: Instant,
}

/// Where a code went.
#[derive(Debug)]
pub enum Delivery {
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
    services: &Services,
    job: &Job,
    request: &PassRequest,
    who: &mut String,
) -> Result<Issued, NotIssued> {
    let read = Inputs::read(services, job, CALL, who).await?;
    request.check_idempotency(read.record.as_ref(), read.snapshot.as_ref().ok(), services.clock.now())?;
    let context = JobContext { request: Some(request), ..JobContext::of(services, job, CALL, read).await? };
    let plan = context.plan().await?;
    request.authorize(
        &services.settings.create_tap,
        &context.snapshot,
        context.record.as_ref(),
        services.clock.now(),
    )?;
    let (pass, delivery, deadline) =
        if request.by_mail { context.mail(&plan).await? } else { context.hand_to_caller(&plan).await? };
    Ok(Issued {
        window: plan.window,
        pass,
        delivery,
        replaced: context.snapshot.passes.first().map(|pass| pass.can_be_used(services.clock.now())),
        clamped: request.clamped(&context.snapshot.policy),
        deadline,
        user: context.snapshot.user,
    })
}

/// What was read: the tenant, then the record.
struct Inputs {
    snapshot: Result<TenantSnapshot, SnapshotError>,
    record: Option<Record>,
    etag: Option<ETag>,
}

impl Inputs {
    /// Step 1. `who` becomes the sign-in name as soon as it is known.
    async fn read(services: &Services, job: &Job, pace: Pace, who: &mut String) -> Result<Self, Outcome> {
        let snapshot = match timeout(pace.snapshot, replication::snapshot(services, job)).await {
            Ok(snapshot) => snapshot,
            Err(_) => Err(GraphError::timed_out("reading the user").into()),
        };
        if let Ok(snapshot) = &snapshot {
            who.clone_from(&snapshot.user.user_principal_name);
        }
        let (record, etag) = services.ledger.read(job.user_id).await?.unzip();
        Ok(Self { snapshot, record, etag })
    }
}

/// One run: the job, and all that was read for it.
struct JobContext<'a> {
    services: &'a Services,
    job: &'a Job,
    request: Option<&'a PassRequest>,
    pace: Pace,
    snapshot: TenantSnapshot,
    record: Option<Record>,
    etag: Option<ETag>,
    recipients: Result<Recipients, String>,
}

impl<'a> JobContext<'a> {
    async fn open(services: &'a Services, job: &'a Job, who: &mut String) -> Result<Self, Outcome> {
        Self::of(services, job, JOB, Inputs::read(services, job, JOB, who).await?).await
    }

    /// Step 2.
    async fn of(services: &'a Services, job: &'a Job, pace: Pace, inputs: Inputs) -> Result<Self, Outcome> {
        let Inputs { snapshot, record, etag } = inputs;
        if let Some(until) = record.as_ref().and_then(|r| r.leased_until(services.clock.now())) {
            return Err(Outcome::Failed(Failure::Busy(Some(until))));
        }
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::Graph(error)) => return Err(error.into()),
            Err(SnapshotError::Missing) => return Err(missing(services, job, record, etag).await),
        };
        let recipients =
            Recipients::choose(&snapshot.user, snapshot.manager.as_ref(), &services.settings.mail);
        Ok(Self { services, job, request: None, pace, snapshot, record, etag, recipients })
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            reason: self.job.reason,
            since: self.job.since,
            snapshot: &self.snapshot,
            record: self.record.as_ref(),
            no_address: self.recipients.as_ref().err().map(String::as_str),
            request: self.request,
            pass: &self.services.settings.pass,
            lead_days: self.services.settings.lead_days,
            on_demand_group: self.services.settings.on_demand_group,
            now: self.services.clock.now(),
        }
    }

    /// Step 3; all decisions but to issue are carried out here.
    async fn plan(&self) -> Result<Plan, Outcome> {
        Err(match decide(&self.facts()) {
            Decision::Issue(plan) => return Ok(plan),
            Decision::Skip(skip) => self.skip(skip).await?,
            Decision::Block(block) => self.block(block).await?,
            Decision::Revoke { pass_id, why } => self.revoke(&pass_id, why).await?,
            Decision::RecordDelivery(pass) => self.record_used(&pass).await?,
        })
    }

    /// Steps 3 to 8.
    async fn deliver_by_mail(&self) -> Result<Outcome, Outcome> {
        let plan = self.plan().await?;
        self.mail(&plan).await?;
        let to = self.recipients.as_ref().map_or_else(|_| String::new(), |r| r.to.masked());
        Ok(Outcome::Delivered(DeliveredPass { window: plan.window, to, moved: plan.moved }))
    }

    /// Steps 4 to 8.
    async fn mail(&self, plan: &Plan) -> Result<(Pass, Delivery, Instant), Outcome> {
        let recipients =
            self.recipients.as_ref().map_err(|why| Outcome::Blocked(Block::NoAddress(why.clone())))?;
        let draft = self.draft(plan, recipients)?;
        let (mut lease, pass, code) = self.lease(plan).await?.make_pass(plan).await?;
        let content = draft.with_code(&code);
        let message = OutgoingMail { to: vec![recipients.to.clone()], cc: recipients.cc.clone(), content };
        if let Err(unsent) = self.send(&lease, &message, &code).await {
            if !unsent.maybe_sent {
                lease.delete(&pass).await;
            }
            return Err(lease.fail(Failure::Graph(unsent.error), unsent.maybe_sent).await);
        }
        lease.record_delivery(&pass, Some(draft.language()), recipients.masked()).await?;
        Ok((pass, Delivery::ByMail(recipients.masked()), lease.deadline))
    }

    /// Steps 5 to 8 where the code goes into an answer.
    async fn hand_to_caller(&self, plan: &Plan) -> Result<(Pass, Delivery, Instant), Outcome> {
        let (mut lease, pass, code) = self.lease(plan).await?.make_pass(plan).await?;
        if let Err(error) = lease.record_delivery(&pass, None, Vec::new()).await {
            // Someone else may have made a newer pass: the caller must not get a code that is dead already.
            lease.delete(&pass).await;
            return Err(error.into());
        }
        Ok((pass, Delivery::ToCaller(code), lease.deadline))
    }

    async fn lease(&self, plan: &Plan) -> Result<HeldLease<'_>, Outcome> {
        let deadline = Instant::now() + self.pace.working;
        let deadline = self.request.map_or(deadline, |request| deadline.min(request.deadline));
        HeldLease::take(self.services, self.job, plan, &self.facts(), self.etag.as_ref(), deadline).await
    }

    fn draft(&self, plan: &Plan, recipients: &Recipients) -> Result<Draft, Outcome> {
        let TenantSnapshot { user, .. } = &self.snapshot;
        let mailer = &self.services.mailer;
        let language =
            mailer.language_for(user.preferred_language.as_deref(), user.usage_location.as_deref());
        Ok(mailer.joiner(&JoinerMail {
            reader: user.reader(&language),
            times: PassTimes {
                opens_at: plan.window.opens_at,
                opens_now: plan.window.opens_now,
                closes_at: plan.window.ends_at(),
                zone: plan.window.zone,
                one_time: plan.window.one_time,
                made_at: self.services.clock.now(),
            },
            manager: recipients.manager.as_deref(),
            day_one: plan.day_one,
            moved: plan.moved,
        })?)
    }

    /// Sends the mail; again only where nobody knows whether it went out.
    async fn send(&self, lease: &HeldLease<'_>, message: &OutgoingMail, code: &Code) -> Result<(), Unsent> {
        let mut maybe_sent = false;
        for send in 1.. {
            let from = &self.services.settings.mail.from;
            let Err(mut error) = self.services.graph.send_mail(from, message, lease.deadline).await else {
                break;
            };
            // Exchange may quote what it did not like.
            error.redact(code);
            let unclear = error.kind == GraphErrorKind::Ambiguous;
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
            && let Some(record) = self.record.clone().filter(|r| r.cause.is_some())
        {
            self.write(Record { cause: None, ..record }).await?;
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
            self.services.graph.delete_pass(self.job.user_id, &pass.id).await?;
        }
        let outcome = Outcome::Blocked(block);
        let told = self.record.as_ref().and_then(|r| r.cause.as_deref());
        // A caller has the answer; a person who was told knows.
        if self.job.reason == Reason::Http || told == Some(word) {
            return Ok(outcome);
        }
        self.tell(&outcome).await;
        let purpose = if self.job.reason == Reason::GroupAdd { Purpose::OnDemand } else { Purpose::Joiner };
        let new = || Record::new(State::Blocked, purpose, self.services.clock.now());
        let mut record = self.record.clone().unwrap_or_else(new);
        // What was mailed stays mailed: the pass is still out there, and still ours to take back.
        if record.state != State::Delivered {
            record.state = State::Blocked;
        }
        record.pass = self.facts().listed_of_ours().map(pass_record).or(record.pass);
        record.cause = Some(word.to_owned());
        self.write(record).await?;
        Ok(outcome)
    }

    async fn revoke(&self, pass_id: &str, why: Revoke) -> Result<Outcome, Outcome> {
        self.services.graph.delete_pass(self.job.user_id, pass_id).await?;
        let outcome = Outcome::Revoked(why);
        self.tell(&outcome).await;
        if let Some(mut record) = self.record.clone() {
            record.record_revocation(pass_id);
            self.write(record).await?;
        }
        Ok(outcome)
    }

    async fn record_used(&self, pass: &Pass) -> Result<Outcome, Outcome> {
        if let Some(mut record) = self.record.clone() {
            record.record_delivery(
                delivered(&record, pass, self.services.clock.now()),
                self.snapshot.user.is_enabled(),
            );
            self.write(record).await?;
        }
        Ok(Skip::WasUsed.into())
    }

    async fn tell(&self, outcome: &Outcome) {
        alert::send_outcome(self.services, self.job, &self.snapshot.user.user_principal_name, outcome).await;
    }

    async fn write(&self, record: Record) -> Result<(), Outcome> {
        write(self.services, self.job, record, self.etag.as_ref()).await
    }
}

/// A mail that did not go out, or may have.
struct Unsent {
    maybe_sent: bool,
    error: GraphError,
}

async fn write(
    services: &Services,
    job: &Job,
    mut record: Record,
    etag: Option<&ETag>,
) -> Result<(), Outcome> {
    record.updated_at = services.clock.now();
    services.ledger.write(job.user_id, &record, etag).await?;
    Ok(())
}

/// An account that is not there: deleted, where a record asks for a second look; not there yet, otherwise.
async fn missing(services: &Services, job: &Job, record: Option<Record>, etag: Option<ETag>) -> Outcome {
    let Some(record) = record.filter(|_| job.reason == Reason::Recheck) else {
        return Outcome::Failed(Failure::Missing);
    };
    let outcome = Outcome::Revoked(Revoke::Deleted);
    alert::send_outcome(services, job, &job.user_id.to_string(), &outcome).await;
    let record =
        Record { state: State::Revoked, cause: Some(Record::DELETED.into()), delivered: None, ..record };
    match write(services, job, record, etag.as_ref()).await {
        Ok(()) => outcome,
        Err(outcome) => outcome,
    }
}
