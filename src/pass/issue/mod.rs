//! The one flow that makes and delivers a pass. All three functions use it.
//!
//! 1. Read the tenant, then the record, so that the record is newer than the snapshot.
//! 2. Respect a live lease of another job.
//! 3. [`decide`].
//! 4. Take the permit to send a mail, and render it, before anything changes in the tenant. After a wait, read again.
//! 5. Take the lease.
//! 6. POST the pass.
//! 7. Send the mail.
//! 8. Record the delivery.
//!
//! Another order of these steps loses a joiner or leaks a pass; `docs/ARCHITECTURE.md` says which.

mod changes;
mod circumstances;
mod delivery;
mod handover;
mod inputs;
mod manager;
mod manager_call;
mod notes;
mod ready;
mod reminder;
mod short_window;
mod webhook;
mod without_pass;

use std::{mem, ops::ControlFlow};

use tokio::time::Instant;
use uuid::Uuid;

pub(super) use self::inputs::{addressed, facts};
use self::{
    inputs::{Inputs, Limits, had},
    manager_call::ManagerNotice,
    ready::Ready,
};
pub use self::{
    manager_call::Notified,
    notes::{NotesEnd, give_up_notes, send_notes},
};
use super::{
    decide::{Decision, Facts, Plan, decide},
    guard::{self, PrivilegeFinding},
    job::Job,
    known_addresses::KnownAddresses,
    lease::HeldLease,
    mailbox,
    notes_due::NotesDue,
    outcome::{Block, DeliveredPass, DeliveryError, Failure, Outcome, Skip, Step},
    person::Person,
    recipients::Recipients,
    request::{NotIssued, PassRequest, PolicyViolation},
    services::Services,
    window::Window,
};
use crate::{
    code::Code,
    graph::{Pass, SnapshotError, TenantSnapshot, User},
    ledger::{Basis, ETag, LedgerError, Record},
    mail::{CodePlace, Draft, JoinerMail, Method, Occasion, Onlooker, PassTimes, Steps},
    mail_limiter::Permit,
    webhook::WebhookError,
};

/// The result of a job.
#[derive(Debug)]
pub struct JobResult {
    /// The outcome.
    pub outcome: Outcome,
    /// The user.
    pub who: Person,
    /// The message to be put into the queue, if others are to be told of what the user was sent.
    pub notes: Option<NotesDue>,
}

/// Runs the flow for a job from the queue.
pub async fn issue(services: &Services, job: &Job) -> JobResult {
    let (mut who, mut notes) = (Person::known_as(job.user_id.to_string()), None);
    let outcome = run(services, job, &mut who, &mut notes).await.unwrap_or_else(Outcome::Failed);
    JobResult { outcome, who, notes }
}

async fn run(
    services: &Services,
    job: &Job,
    who: &mut Person,
    notes: &mut Option<NotesDue>,
) -> Result<Outcome, Failure> {
    if let Some(skip) = Skip::of_mode(services.settings.mode) {
        return Ok(Outcome::Skipped(skip));
    }
    if services.endpoint().is_none()
        && let Some(refusal) = mailbox::shut_out(services, job).await?
    {
        return Ok(Outcome::Blocked(Block::MailboxShut(refusal)));
    }
    let (limits, mut held) = (Limits::of(None), None);
    loop {
        let inputs = match Inputs::read(services, job, None, limits, who).await {
            Err(Failure::Ledger(error @ LedgerError::Unreadable(_))) => {
                return Ok(without_pass::unreadable(services, job, who, error).await);
            }
            inputs => inputs?,
        };
        let context = match JobContext::new(services, job, None, limits, inputs).await? {
            ControlFlow::Continue(context) => context,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        let plan = match context.plan().await? {
            ControlFlow::Continue(plan) => plan,
            ControlFlow::Break(outcome) => {
                // The message of the job that delivered may be lost.
                *notes = NotesDue::of(job.user_id, context.record.as_ref());
                return Ok(outcome);
            }
        };
        // The address before a correction gets a note.
        let mails = context.mails(1) * (1 + usize::from(plan.occasion == Occasion::Corrected));
        let mut permit = match context.ready(&plan, mails, held.take()).await? {
            ControlFlow::Continue(Ready::Go(permit)) => permit,
            ControlFlow::Continue(Ready::ReadAgain(permit)) => {
                held = Some(permit);
                continue;
            }
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        return Ok(match context.mail(&plan, None, &mut permit).await? {
            ControlFlow::Continue(Handover { recipients, notes: due, .. }) => {
                *notes = due;
                let to = recipients.place();
                Outcome::Delivered(DeliveredPass { window: plan.window, to, occasion: plan.occasion })
            }
            ControlFlow::Break(outcome) => outcome,
        });
    }
}

/// A pass made for a caller.
#[derive(Debug)]
pub struct Issued {
    /// The account.
    pub user: User,
    /// The pass.
    pub pass: Pass,
    /// Its planned window.
    pub window: Window,
    /// The recipient of its code.
    pub delivery: Delivery,
    /// Who was told of a pass that a manager asked for.
    pub notified: Option<Notified>,
    /// Whether the pass that it replaced was still usable; `None` if there was none.
    pub replaced: Option<bool>,
    /// The message to be put into the queue, if others are to be told.
    pub notes: Option<NotesDue>,
    /// The application that the account owns, for the audit line.
    pub owns: Option<PrivilegeFinding>,
    /// The defaults that the policy clamped.
    pub clamped: Vec<PolicyViolation>,
    /// The deadline of the call: no request continues after it.
    pub deadline: Instant,
}

/// The recipient of a code.
#[derive(Debug)]
pub enum Delivery {
    /// The caller, in the answer.
    ToCaller(Code),
    /// The masked addresses of the mail.
    ByMail(Vec<String>),
}

/// Runs the flow for a caller. `who` becomes the sign-in name as soon as the account is read.
///
/// # Errors
/// The reason why no pass was made.
pub(crate) async fn issue_to_caller(
    services: &Services,
    job: &Job,
    request: &PassRequest,
    who: &mut String,
) -> Result<Issued, NotIssued> {
    if let Some(skip) = Skip::of_mode(services.settings.mode) {
        return Err(Outcome::Skipped(skip).into());
    }
    let (limits, mut held) = (Limits::of(Some(request)), None);
    loop {
        let mut person = Person::known_as(mem::take(who));
        let inputs = Inputs::read(services, job, Some(request), limits, &mut person).await;
        *who = person.name;
        let inputs = inputs?;
        let now = services.clock.now();
        inputs.check_manager(services, job, request)?;
        request.check_idempotency(inputs.record.as_ref(), inputs.snapshot.as_ref().ok(), now)?;
        let context = continued(JobContext::new(services, job, Some(request), limits, inputs).await?)?;
        let plan = continued(context.plan().await?)?;
        let JobContext { snapshot, record, .. } = &context;
        request.authorize(&services.settings.create_tap, snapshot, record.as_ref(), services.clock.now())?;
        let notice = context.manager_notice(&plan)?;
        let mut notes = None;
        let (pass, delivery, notified, deadline) = if request.by_mail || notice.is_some() {
            let mails = context.mails(usize::from(request.by_mail)) + usize::from(notice.is_some());
            let mut permit = match continued(context.ready(&plan, mails, held.take()).await?)? {
                Ready::Go(permit) => permit,
                Ready::ReadAgain(permit) => {
                    held = Some(permit);
                    continue;
                }
            };
            if request.by_mail {
                let Handover { pass, recipients, notified, notes: due, deadline } =
                    continued(context.mail(&plan, notice, &mut permit).await?)?;
                notes = due;
                (pass, Delivery::ByMail(recipients.masked()), notified, deadline)
            } else {
                continued(context.hand_to_caller(&plan, notice.zip(Some(permit))).await?)?
            }
        } else {
            continued(context.hand_to_caller(&plan, None).await?)?
        };
        return Ok(Issued {
            window: plan.window,
            pass,
            delivery,
            notified,
            notes,
            replaced: context.snapshot.passes.first().map(|pass| pass.can_be_used(services.clock.now())),
            owns: guard::owned_application(&context.snapshot.privileges),
            clamped: request.clamped(&context.snapshot.policy),
            deadline,
            user: context.snapshot.user,
        });
    }
}

/// For a caller, a job that ends without a pass is an error.
fn continued<T>(flow: ControlFlow<Outcome, T>) -> Result<T, NotIssued> {
    match flow {
        ControlFlow::Continue(value) => Ok(value),
        ControlFlow::Break(outcome) => Err(outcome.into()),
    }
}

/// A pass whose mail was sent.
struct Handover {
    pass: Pass,
    recipients: Recipients,
    notified: Option<Notified>,
    notes: Option<NotesDue>,
    deadline: Instant,
}

/// One run of the flow: the job and its inputs.
struct JobContext<'a> {
    services: &'a Services,
    job: &'a Job,
    request: Option<&'a PassRequest>,
    limits: Limits,
    snapshot: TenantSnapshot,
    record: Option<Record>,
    etag: Option<ETag>,
    read_at: Instant,
    /// Which addresses do not count.
    known: KnownAddresses,
    recipients: Result<Recipients, String>,
    /// What a mail would rest on.
    basis: Basis,
}

impl<'a> JobContext<'a> {
    /// Step 2.
    async fn new(
        services: &'a Services,
        job: &'a Job,
        request: Option<&'a PassRequest>,
        limits: Limits,
        inputs: Inputs,
    ) -> Step<Self> {
        let Inputs { snapshot, known, record, etag, read_at } = inputs;
        if let Some(until) = record.as_ref().and_then(|r| r.leased_until(services.clock.now())) {
            return Err(Failure::Busy(Some(until)));
        }
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::Graph(error)) => return Err(error.into()),
            Err(SnapshotError::Missing) => {
                return without_pass::missing(services, job, record, etag).await.map(ControlFlow::Break);
            }
        };
        let known = known?;
        let (recipients, basis) = addressed(services, job, (&snapshot, record.as_ref()), &known);
        Ok(ControlFlow::Continue(Self {
            services,
            job,
            request,
            limits,
            snapshot,
            record,
            etag,
            read_at,
            known,
            recipients,
            basis,
        }))
    }

    /// The mailbox that got the mails for this start so far.
    fn had(&self) -> Option<&str> {
        had(self.job, &self.snapshot, self.record.as_ref())
    }

    fn facts(&self) -> Facts<'_> {
        let read = (&self.snapshot, self.record.as_ref());
        let no_address = self.recipients.as_ref().err().map(String::as_str);
        let told_at = self.recipients.as_ref().ok().and_then(Recipients::told_at);
        Facts { no_address, told_at, ..facts(self.services, self.job, self.request, read, &self.basis) }
    }

    /// Step 3. Every decision except to issue ends the job (`without_pass.rs`).
    async fn plan(&self) -> Step<Plan> {
        Ok(ControlFlow::Break(match decide(&self.facts()) {
            Decision::Issue(plan) => return Ok(ControlFlow::Continue(plan)),
            Decision::Skip(skip) => self.skip(skip).await?,
            Decision::Block(block) => self.block(block).await?,
            Decision::Revoke { pass_id, why } => self.revoke(&pass_id, why).await?,
            Decision::RecordDelivery(pass) => self.record_used(&pass).await?,
            Decision::RecordArrival(at) => self.record_arrival(at).await?,
            Decision::RecordUnknownArrival => self.record_unknown_arrival().await?,
            Decision::Remind => self.remind().await?,
            Decision::TellSignInName => self.tell_sign_in_name().await?,
            Decision::TellAddress => self.tell_address().await?,
            Decision::TellNewManager => self.tell_new_manager().await?,
        }))
    }

    /// Steps 4 to 8.
    async fn mail(&self, plan: &Plan, notice: Option<ManagerNotice>, permit: &mut Permit) -> Step<Handover> {
        let recipients = match &self.recipients {
            Ok(recipients) => recipients,
            Err(why) => {
                return Ok(ControlFlow::Break(Outcome::Blocked(Block::NoAddress(why.clone()))));
            }
        };
        let draft = self.draft(plan, recipients)?;
        let (lease, pass, code) = match self.lease(plan).await?.make_pass(plan).await? {
            ControlFlow::Continue(made) => made,
            ControlFlow::Break(outcome) => return Ok(ControlFlow::Break(outcome)),
        };
        let (mut lease, mut told) = match notice {
            Some(notice) => {
                let (lease, told) = notice.send_first(self.services, lease, &pass, permit).await?;
                (lease, Some(told))
            }
            None => (lease, None),
        };
        self.note_circumstances(plan, &mut lease);
        let mut mail = (draft, recipients.clone());
        let sent = match self.services.endpoint() {
            Some(endpoint) => self.post(endpoint, &lease, plan, (&pass, &code), &mail).await,
            None => self.send_to_valid(&mut lease, plan, &mut mail, (&code, permit)).await,
        };
        let (draft, recipients) = mail;
        if let Err(unsent) = sent {
            if !unsent.maybe_sent {
                lease.delete(&pass).await;
            } else if !lease.may_repeat_unclear() {
                let kept = lease.keep_unclear(&pass, (&draft, &recipients), plan, unsent.error).await?;
                if plan.occasion == Occasion::Corrected {
                    self.tell_old_address(recipients.reader(), permit).await;
                }
                return Ok(ControlFlow::Break(kept));
            }
            if let (DeliveryError::Webhook(error @ WebhookError::Refused { .. }), false) =
                (&unsent.error, unsent.maybe_sent)
            {
                return Ok(ControlFlow::Break(lease.block(Block::WebhookRefused(error.clone())).await));
            }
            let refusal = self.services.mailbox.refusal(self.job).filter(|_| self.mails(1) > 0);
            if let Some(refusal) = refusal.filter(|_| !unsent.maybe_sent) {
                return Ok(ControlFlow::Break(lease.wait_for_mailbox(refusal).await));
            }
            // Every pass would be made in vain: a person has to hear of it at once.
            if unsent.is_about_recipients() {
                let why = format!("Exchange refuses {}: {}", recipients.place(), unsent.error);
                return Ok(ControlFlow::Break(lease.block(Block::NoAddress(why)).await));
            }
            return Err(lease.fail(unsent.error.into(), unsent.maybe_sent).await);
        }
        lease.record_delivery(&pass, Some((&draft, &recipients))).await?;
        if plan.occasion == Occasion::Corrected {
            self.tell_old_address(recipients.reader(), permit).await;
        }
        if let Some(told) = &mut told {
            told.tell_own(self.services, permit, lease.deadline).await;
        }
        let (notified, deadline) = (told.map(|told| told.notified), lease.deadline);
        let notes = lease.notes_due();
        Ok(ControlFlow::Continue(Handover { pass, recipients, notified, notes, deadline }))
    }

    /// Steps 5 to 8 for a code in an answer.
    async fn hand_to_caller(
        &self,
        plan: &Plan,
        notice: Option<(ManagerNotice, Permit)>,
    ) -> Step<(Pass, Delivery, Option<Notified>, Instant)> {
        let (lease, pass, code) = match self.lease(plan).await?.make_pass(plan).await? {
            ControlFlow::Continue(made) => made,
            ControlFlow::Break(outcome) => return Ok(ControlFlow::Break(outcome)),
        };
        let (mut lease, mut told) = match notice {
            Some((notice, mut permit)) => {
                let (lease, told) = notice.send_first(self.services, lease, &pass, &mut permit).await?;
                (lease, Some((told, permit)))
            }
            None => (lease, None),
        };
        if let Err(error) = lease.record_delivery(&pass, None).await {
            // Another job may have made a newer pass: the caller must not get a code that does not work.
            lease.delete(&pass).await;
            return Err(error.into());
        }
        if let Some((told, permit)) = &mut told {
            told.tell_own(self.services, permit, lease.deadline).await;
        }
        let notified = told.map(|(told, _)| told.notified);
        Ok(ControlFlow::Continue((pass, Delivery::ToCaller(code), notified, lease.deadline)))
    }

    fn who(&self) -> Person {
        Person::read(&self.snapshot, &self.services.settings.pass)
    }

    /// The language of mails to the joiner.
    fn language(&self) -> String {
        let User { preferred_language, account, .. } = &self.snapshot.user;
        self.services.mailer.language_for(preferred_language.as_deref(), account.usage_location.as_deref())
    }

    async fn lease(&self, plan: &Plan) -> Result<HeldLease<'_>, Failure> {
        let deadline = Instant::now() + self.limits.work;
        let deadline = self.request.map_or(deadline, |request| deadline.min(request.deadline));
        HeldLease::take(self.services, self.job, plan, &self.facts(), self.etag.as_ref(), deadline).await
    }

    /// The times of a pass that is about to be made.
    fn times(&self, plan: &Plan) -> PassTimes {
        PassTimes {
            opens_at: plan.window.opens_at,
            opens_now: plan.window.opens_now,
            closes_at: plan.window.ends_at(),
            zone: plan.window.zone,
            one_time: plan.window.one_time,
            made_at: self.services.clock.now(),
        }
    }

    /// What the mails to the joiner tell them to do.
    fn steps(&self) -> Steps {
        let TenantSnapshot { user, privileges, passkeys, .. } = &self.snapshot;
        let ids: Vec<Uuid> = privileges.groups.iter().copied().chain([user.id]).collect();
        let has_passkeys = passkeys.as_ref().is_none_or(|policy| policy.lets_register(&ids));
        let method = if has_passkeys { Method::Passkey } else { Method::Authenticator };
        Steps { device: self.facts().device, method }
    }

    fn draft(&self, plan: &Plan, recipients: &Recipients) -> Result<Draft, Failure> {
        if let Some(giver) = &recipients.giver {
            return self.handover(plan, giver, recipients.joiner.is_some());
        }
        let language = self.language();
        Ok(self.services.mailer.joiner(&JoinerMail {
            reader: self.snapshot.user.reader(&language),
            times: self.times(plan),
            manager: recipients
                .manager
                .as_deref()
                .map(|name| Onlooker { name, has_code: self.services.settings.mail.cc_code }),
            day_one: plan.day_one,
            occasion: plan.occasion,
            follows_on: plan.window.follows_on,
            steps: self.steps(),
            code: CodePlace::Mail { letters: self.snapshot.policy.default_length },
        })?)
    }
}
