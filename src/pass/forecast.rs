//! What the flow would do for one user, without doing anything: a dry run, and what REPORT_ONLY logs.
//!
//! It reads the tenant and the record as [`super::issue`] does and decides by the same rules, but takes no permit and no lease, writes
//! nothing and alerts nobody.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::{
    clock_skew,
    decide::{Decision, Facts, Plan, decide},
    domains,
    issue::{addressed, facts},
    job::{Job, Reason},
    ledger_tenant,
    outcome::{Block, Failure, Outcome, Revoke, Skip},
    person::Person,
    recipients::Recipients,
    replication,
    services::Services,
    window::Window,
};
use crate::{
    address::Address,
    budget,
    graph::{
        GraphError, Pass, SnapshotError, TenantSnapshot,
        snapshot::{OF_PRIVILEGES, POLICY},
        within,
    },
    ledger::{HeldKind, LedgerError, PassRecord, Purpose, Record},
    mail::Occasion,
};

/// What the flow would do for one user.
#[derive(Debug)]
pub struct Forecast {
    /// The user, as logs and alerts name them.
    pub who: Person,
    /// The first day, if the account has one.
    pub day_one: Option<NaiveDate>,
    /// What it would do.
    pub would: Would,
    /// What was not asked, because the token of this process may not read it: it is that of an admin, and the app's own may. The
    /// forecast assumes what does not stop a pass.
    pub not_asked: Vec<&'static str>,
}

/// What the flow would do.
#[derive(Debug)]
pub enum Would {
    /// Make a pass and mail it.
    Issue(Box<PlannedPass>),
    /// Send a mail without a code.
    Mail(Note),
    /// End without a pass and without a mail to the joiner: skipped, blocked, or a pass revoked.
    End(Outcome),
    /// Nothing before an admin approves: SWEEP_MAX. Only a sweep knows.
    Held(HeldKind),
    /// Nothing: a sweep has no job for the user. Only a sweep knows.
    LeaveOut(LeaveOut),
    /// What the token of this process may not read decides.
    NotAsked,
}

/// Why a sweep has no job for somebody who has, or had, a first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveOut {
    /// Day one is more than LATE_DAYS ago.
    TooLate,
    /// Day one was before the first sweep of the installation.
    BeforeFirst,
    /// The only private address is one that several people have.
    AddressShared,
    /// The account gets no pass for any reason.
    Account(Skip),
}

/// A pass that would be made.
#[derive(Clone, Debug)]
pub struct PlannedPass {
    /// When it would work.
    pub window: Window,
    /// Where its mail would go, masked.
    pub to: String,
    /// In copy, masked.
    pub cc: Vec<String>,
    /// Who would get a note without the code, masked.
    pub told: Vec<String>,
    /// The language of the mail.
    pub language: String,
    /// Why it would be made.
    pub purpose: Purpose,
    /// The day one that it is for.
    pub day_one: Option<NaiveDate>,
    /// What the mail would say of it.
    pub occasion: Occasion,
    /// Whether day one is past.
    pub is_late: bool,
}

/// A mail without a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The joiner is reminded of the pass.
    Reminder,
    /// The joiner is told of another sign-in name.
    SignInName,
    /// The joiner is told at another private address how to sign in.
    Address,
    /// A new manager is told that the joiner was sent a pass.
    NewManager,
}

/// Says what the flow would do for `job` at `as_of`, if the tenant and the record were as they are now. A time before now counts as
/// now.
///
/// # Errors
/// [`Failure`], as the flow: whoever has failed is found again by a later sweep.
pub async fn forecast(services: &Services, job: &Job, as_of: DateTime<Utc>) -> Result<Forecast, Failure> {
    // Nobody waits for a replica.
    let job = &Job { queued_at: Some(DateTime::UNIX_EPOCH), ..job.clone() };
    let as_of = as_of.max(services.clock.now());
    let reading = within(budget::SNAPSHOT, "reading the user", replication::snapshot_in_part(services, job));
    let (read, is_ours) = tokio::join!(reading, ledger_tenant::look(services));
    is_ours?;
    clock_skew::compare(services)?;
    let known = domains::known(services).await;
    // Like the flow: the tenant before the record.
    let record = match services.ledger.read(job.user_id).await {
        Ok(read) => read.map(|(record, _)| record.seen_at(services.clock.now())),
        Err(error @ LedgerError::Unreadable(_)) => {
            let who = read.as_ref().map(|(snapshot, _)| Person::read(snapshot, &services.settings.pass));
            let who = who.unwrap_or_else(|_| Person::known_as(job.user_id.to_string()));
            return Ok(Forecast::of(who, Would::End(Outcome::Blocked(Block::RecordUnreadable(error)))));
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(until) = record.as_ref().and_then(|record| record.leased_until(as_of)) {
        return Err(Failure::Busy(Some(until)));
    }
    // Of the app's own token a refusal counts as it does for the flow.
    let is_admins = !services.settings.identity.managed;
    let (mut snapshot, forbidden) = match read {
        Ok((snapshot, forbidden)) if is_admins => (snapshot, forbidden),
        Ok((snapshot, forbidden)) => match forbidden.into_iter().find(|error| error.operation == POLICY) {
            Some(error) => return Err(error.into()),
            None => (snapshot, Vec::new()),
        },
        Err(SnapshotError::Missing) => {
            let record = record.filter(|_| job.reason == Reason::Recheck).ok_or(Failure::Missing)?;
            let who = Person::deleted(job.user_id, Some(&record), None);
            return Ok(Forecast::of(who, Would::End(Outcome::Revoked(Revoke::Deleted))));
        }
        Err(SnapshotError::Graph(error)) if is_admins && error.status == Some(403) => {
            let who = Person::known_as(job.user_id.to_string());
            return Ok(Forecast { not_asked: vec![error.operation], ..Forecast::of(who, Would::NotAsked) });
        }
        Err(SnapshotError::Graph(error)) => return Err(error.into()),
    };
    let assumed = Assumed::of(services, job, &mut snapshot, record.as_ref(), &forbidden);
    let (recipients, basis) = addressed(services, job, (&snapshot, record.as_ref()), &known?);
    let read = (&snapshot, record.as_ref());
    let no_address = recipients.as_ref().err().map(String::as_str);
    let told_at = recipients.as_ref().ok().and_then(Recipients::told_at);
    let facts = Facts { no_address, told_at, now: as_of, ..facts(services, job, None, read, &basis) };
    let decision = decide(&facts);
    let would = if assumed.decides(&decision, record.as_ref(), as_of) {
        Would::NotAsked
    } else {
        Would::of(services, job, &snapshot, decision, &recipients)
    };
    Ok(Forecast {
        who: Person::read(&snapshot, &services.settings.pass),
        day_one: facts.day_one(),
        would,
        not_asked: forbidden.iter().map(|error| error.operation).collect(),
    })
}

/// What is assumed in the place of what an admin's token may not read.
struct Assumed {
    /// No other authentication methods, and no pass but the one that was delivered.
    use_of_account: bool,
    /// No manager.
    manager: bool,
}

impl Assumed {
    /// Puts it into the snapshot.
    fn of(
        services: &Services,
        job: &Job,
        snapshot: &mut TenantSnapshot,
        record: Option<&Record>,
        forbidden: &[GraphError],
    ) -> Self {
        let is_403 = |error: &GraphError| error.status == Some(403);
        let is_forbidden = |error: Option<&GraphError>| !forbidden.is_empty() && error.is_some_and(is_403);
        let privileges = &mut snapshot.privileges;
        if forbidden.iter().any(|error| OF_PRIVILEGES.contains(&error.operation)) {
            privileges.unknown = privileges.unknown.take().filter(|unread| !unread.is_permission);
            // Whoever has such a job was seen in the group.
            let group = services.settings.on_demand_group.filter(|_| job.reason == Reason::GroupAdd);
            privileges.groups.extend(group);
        }
        let mut use_of_account = false;
        if is_forbidden(snapshot.passes_refused.as_ref()) {
            snapshot.passes_refused = None;
            snapshot.passes = record.and_then(delivered_pass).into_iter().collect();
            use_of_account = true;
        }
        let usage = &mut snapshot.usage;
        let methods = usage.methods.as_ref().and_then(|read| read.as_ref().err());
        let registration = usage.registration.as_ref().and_then(|read| read.as_ref().err());
        if is_forbidden(methods) || is_forbidden(registration) {
            (usage.methods, usage.registration) = (None, None);
            use_of_account = true;
        }
        if is_forbidden(usage.last_sign_in.as_ref().and_then(|read| read.as_ref().err())) {
            usage.last_sign_in = None;
        }
        Self { use_of_account, manager: is_forbidden(snapshot.manager_refused.as_ref()) }
    }

    /// Whether the decision is about what was assumed.
    fn decides(&self, decision: &Decision, record: Option<&Record>, as_of: DateTime<Utc>) -> bool {
        let has_ended = |record: &Record| {
            let delivered = record.delivered.as_ref();
            delivered.is_some_and(|d| d.pass.ends_at <= as_of && !record.is_reported(d))
        };
        match decision {
            Decision::Skip(Skip::DayOnePast(_) | Skip::AlreadyServed) => {
                self.use_of_account && record.is_some_and(has_ended)
            }
            Decision::Block(Block::NotArrived(_))
            | Decision::RecordUnknownArrival
            | Decision::Remind
            | Decision::Issue(Plan { unused: Some(_), .. }) => self.use_of_account,
            Decision::Block(Block::NoAddress(_)) => self.manager,
            _ => false,
        }
    }
}

/// The delivered pass, as the record has it.
fn delivered_pass(record: &Record) -> Option<Pass> {
    let delivered = record.delivered.as_ref()?;
    let PassRecord { pass_id, opens_at, ends_at, one_time, unknown: _ } = &delivered.pass;
    Some(Pass {
        id: pass_id.clone(),
        created_date_time: delivered.at,
        start_date_time: *opens_at,
        lifetime_in_minutes: u32::try_from((*ends_at - *opens_at).num_minutes()).unwrap_or_default(),
        is_usable_once: *one_time,
        method_usability_reason: None,
    })
}

impl Forecast {
    /// Of somebody whom only a sweep knows something about.
    pub(crate) fn of(who: Person, would: Would) -> Self {
        Self { who, day_one: None, would, not_asked: Vec::new() }
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        let would = match &self.would {
            Would::Issue(pass) => json!({
                "opensAt": pass.window.opens_at,
                "endsAt": pass.window.ends_at(),
                "zone": pass.window.zone.name(),
                "to": pass.to,
                "cc": pass.cc,
                "told": pass.told,
                "language": pass.language,
                "purpose": pass.purpose,
                "late": pass.is_late,
            }),
            _ => Value::Null,
        };
        json!({
            "user": self.who.name,
            "dayOne": self.day_one,
            "would": self.would.name(),
            "cause": self.would.cause(),
            "why": self.would.to_string(),
            "advice": self.would.advice(),
            "pass": would,
            "notAsked": self.not_asked,
        })
    }
}

impl Would {
    fn of(
        services: &Services,
        job: &Job,
        snapshot: &TenantSnapshot,
        decision: Decision,
        recipients: &Result<Recipients, String>,
    ) -> Self {
        let shut = || services.mailbox.refusal(job).map(Block::MailboxShut);
        let note = |note| shut().map_or(Self::Mail(note), |block| Self::End(Outcome::Blocked(block)));
        Self::End(match decision {
            Decision::Issue(plan) => match (shut().filter(|_| services.endpoint().is_none()), recipients) {
                (Some(block), _) => Outcome::Blocked(block),
                (None, Err(why)) => Outcome::Blocked(Block::NoAddress(why.clone())),
                (None, Ok(recipients)) => {
                    let user = &snapshot.user;
                    let country = user.account.usage_location.as_deref();
                    let language = services.mailer.language_for(user.preferred_language.as_deref(), country);
                    return Self::Issue(Box::new(PlannedPass::new(plan, recipients, language)));
                }
            },
            Decision::Remind => return note(Note::Reminder),
            Decision::TellSignInName => return note(Note::SignInName),
            Decision::TellAddress => return note(Note::Address),
            Decision::TellNewManager => return note(Note::NewManager),
            Decision::Skip(skip) => Outcome::Skipped(skip),
            Decision::Block(block) => Outcome::Blocked(block),
            Decision::Revoke { why, .. } => Outcome::Revoked(why),
            Decision::RecordDelivery(_) => Outcome::Skipped(Skip::WasUsed),
            Decision::RecordArrival(_) => Outcome::Skipped(Skip::Arrived),
            Decision::RecordUnknownArrival => Outcome::Skipped(Skip::ArrivalUnknown),
        })
    }

    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Issue(_) => "issue",
            Self::Mail(_) => "mail",
            Self::End(outcome) => outcome.name(),
            Self::Held(_) => "held",
            Self::LeaveOut(_) => "left-out",
            Self::NotAsked => "not-asked",
        }
    }

    /// The fixed word for why; none for a pass.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Issue(_) | Self::NotAsked => None,
            Self::Mail(Note::Reminder) => Some(Skip::Reminded.cause()),
            Self::Mail(Note::SignInName | Note::Address | Note::NewManager) => {
                Some(Skip::ToldOfChange.cause())
            }
            Self::End(outcome) => outcome.cause(),
            Self::LeaveOut(LeaveOut::TooLate) => Some("too-late"),
            Self::LeaveOut(LeaveOut::BeforeFirst) => Some("first-sweep"),
            Self::LeaveOut(LeaveOut::AddressShared) => Some("addresses-shared"),
            Self::LeaveOut(LeaveOut::Account(skip)) => Some(skip.cause()),
            Self::Held(HeldKind::Joiners) => Some("too-many-joiners"),
            Self::Held(HeldKind::Withdrawals) => Some("too-many-withdrawals"),
            Self::Held(HeldKind::Additions) => Some("too-many-additions"),
        }
    }

    /// What a person should do about it, if anything.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::End(outcome) => outcome.advice(),
            Self::Held(_) => Some(
                "Sweeps tell ALERT_TO the reference of the list: `firstpass sweep --approve` lets these people through.".into(),
            ),
            Self::LeaveOut(LeaveOut::TooLate | LeaveOut::BeforeFirst) => {
                Some("Whoever cannot sign in gets a pass by the on-demand group or by CreateTap.".into())
            }
            Self::LeaveOut(LeaveOut::AddressShared) => {
                Some("Put the address of this person into the account, or name it in ADDRESS_SHARED_ALLOWED.".into())
            }
            Self::Issue(_) | Self::Mail(_) | Self::NotAsked | Self::LeaveOut(LeaveOut::Account(_)) => None,
        }
    }

    /// Whether it is so because day one is past.
    pub fn is_late(&self) -> bool {
        match self {
            Self::Issue(pass) => pass.is_late,
            Self::LeaveOut(why) => matches!(why, LeaveOut::TooLate | LeaveOut::BeforeFirst),
            _ => false,
        }
    }
}

impl PlannedPass {
    fn new(plan: Plan, recipients: &Recipients, language: String) -> Self {
        let Plan { window, purpose, day_one, occasion, is_late, .. } = plan;
        let masked = |addresses: &[Address]| addresses.iter().map(Address::masked).collect::<Vec<_>>();
        let (to, cc) = (recipients.place(), masked(&recipients.cc));
        let joiner = recipients.joiner.iter().filter(|_| recipients.giver.is_some()).map(Address::masked);
        let told = joiner.chain(masked(&recipients.told)).collect();
        Self { window, to, cc, told, language, purpose, day_one, occasion, is_late }
    }
}

impl fmt::Display for Would {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issue(pass) => pass.fmt(f),
            Self::Mail(Note::Reminder) => f.write_str("a reminder of the pass, without a code"),
            Self::Mail(Note::SignInName) => f.write_str("a mail with the new sign-in name, without a code"),
            Self::Mail(Note::Address) => f.write_str("a mail to the new private address, without a code"),
            Self::Mail(Note::NewManager) => f.write_str("a mail to the new manager, without a code"),
            Self::End(Outcome::Revoked(why)) => why.fmt(f),
            Self::End(outcome) => outcome.fmt(f),
            Self::LeaveOut(LeaveOut::TooLate) => {
                f.write_str("the first day was more than LATE_DAYS ago when a sweep first saw it")
            }
            Self::LeaveOut(LeaveOut::BeforeFirst) => {
                f.write_str("started before the first sweep, which serves nobody who has started")
            }
            Self::LeaveOut(LeaveOut::AddressShared) => {
                f.write_str("has no private address but one that several people have (ADDRESS_SHARED_BY)")
            }
            Self::LeaveOut(LeaveOut::Account(skip)) => skip.fmt(f),
            Self::Held(_) => f.write_str("waits for an approval: more people than SWEEP_MAX"),
            Self::NotAsked => {
                f.write_str("not known: it depends on what the token of this command may not read")
            }
        }
    }
}

impl fmt::Display for PlannedPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pass = match self.occasion {
            Occasion::First if self.is_late => "pass, late",
            Occasion::First => "pass",
            Occasion::Moved => "new pass, day one moved",
            Occasion::Corrected => "new pass, private address corrected",
            Occasion::Retimed => "new pass, place of work changed",
            Occasion::Again => "new pass, the last one ended unused",
        };
        write!(f, "{pass} to {}", self.to)?;
        if !self.cc.is_empty() {
            write!(f, ", copy to {}", self.cc.join(" and "))?;
        }
        if !self.told.is_empty() {
            write!(f, ", note to {}", self.told.join(" and "))?;
        }
        write!(f, ", open {}", self.window)
    }
}
