//! What became of a job, in words for an admin.
//!
//! Each outcome has a cause: one fixed word that the log prints, that the record keeps, and by which
//! `docs/TROUBLESHOOTING.md` explains it.

mod advice;

use std::{fmt, ops::ControlFlow};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    account_use::{Age, Evidence},
    follow_up::NotArrived,
    guard::PrivilegeFinding,
    window::Window,
};
use crate::{
    graph::{GraphError, Unread, users::SignIn},
    ledger::{ConditionName, LedgerError, Purpose},
    mail::{MailError, Occasion},
    settings::{Mode, PassSettings},
    webhook::WebhookError,
};

/// A step of the flow: the flow continues with `T`, or the job ends with an outcome, or it fails.
pub type Step<T> = Result<ControlFlow<Outcome, T>, Failure>;

/// What became of a job. Every job ends in exactly one outcome.
#[derive(Debug)]
pub enum Outcome {
    /// The pass exists and Exchange accepted its mail.
    Delivered(DeliveredPass),
    /// There was nothing to do.
    Skipped(Skip),
    /// This job made no pass, or nobody knows whether its mail arrived, and a person must act.
    Blocked(Block),
    /// A pass of ours was deleted.
    Revoked(Revoke),
    /// The job did not succeed this time; the host delivers it again.
    Failed(Failure),
}

/// A pass that was delivered by mail.
#[derive(Clone, Debug)]
pub struct DeliveredPass {
    /// When it works.
    pub window: Window,
    /// The recipient, masked.
    pub to: String,
    /// What the mail said of it.
    pub occasion: Occasion,
}

/// Why there was nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The account is a guest of this tenant.
    Guest,
    /// The user signs in to another tenant, where no pass of this one can be used.
    External,
    /// The account has no hire date.
    NoHireDate,
    /// Day one is after the horizon.
    BeyondHorizon(NaiveDate),
    /// Day one is over.
    DayOnePast(NaiveDate),
    /// The account is disabled, and such accounts are not served.
    Disabled,
    /// The last day, which is the first of these, is on day one or before it.
    Rescinded(NaiveDate, NaiveDate),
    /// A pass was delivered minutes ago; what was read may be older.
    JustDelivered,
    /// The pass for this day one was delivered.
    AlreadyServed,
    /// A pass on demand was delivered since the user was added to the group.
    ServedSince,
    /// The user has a working pass that this job did not make; with why we delivered it, if we did.
    HasWorkingPass(Option<Purpose>),
    /// The pass was delivered and used, although the job that made it could not record it.
    WasUsed,
    /// The user is not a member of the on-demand group.
    NotInGroup,
    /// The record has nothing that a recheck must finish.
    NothingOpen,
    /// The joiner is in the account.
    Arrived,
    /// No pass was due, and the joiner was reminded of the delivered one.
    Reminded,
    /// No pass was due, and somebody was told of a change: the joiner of a new sign-in name, or a new manager of the mail.
    ToldOfChange,
    /// The pass ended, and nothing can show whether the joiner is in.
    ArrivalUnknown,
    /// The mail with the last code may have arrived, and there is time before another one is made.
    MailUnclear,
    /// The app only reports (REPORT_ONLY). Nothing was read.
    ReportOnly,
    /// The app is paused (PAUSED). Nothing was read.
    Paused,
    /// An admin revoked the pass by hand, so that none follows by itself.
    RevokedByAdmin,
}

/// What a person must act on.
#[derive(Clone, Debug)]
pub enum Block {
    /// The account is privileged, or its privileges could not be read.
    Privileged(PrivilegeFinding),
    /// There is no address to send the pass to.
    NoAddress(String),
    /// The tenant's policy has Temporary Access Passes disabled.
    PassesOff,
    /// The policy does not let this user sign in with a pass.
    DisabledByPolicy,
    /// Graph refuses to create the pass.
    Refused(GraphError),
    /// As many passes were mailed for this day one as may be.
    TooManyCodes,
    /// The mailbox that sends refuses all mails, in this way. Everybody waits for it, and one alert is for all.
    MailboxShut(String),
    /// Authentication methods are registered, so the account is in use and no joiner's.
    AlreadyHasMethods(Evidence),
    /// Someone has signed in, likewise.
    AlreadySignedIn(Evidence),
    /// The account is too old for a joiner's.
    TooOld(Age),
    /// It could not be read whether the account is in use.
    UseUnknown(Unread),
    /// The joiner could use the delivered pass since this time, but the account is disabled.
    StillDisabled(DateTime<Utc>),
    /// The pass ended, and nothing shows that the joiner got in.
    NotArrived(NotArrived),
    /// The leave date says that the start is cancelled.
    Rescinded(Skip),
    /// The private address was removed; the delivered pass still works.
    AddressRemoved,
    /// The private address changed so late, or so often, that a person decides about the next pass.
    AddressChanged,
    /// The start is withdrawn, but the user is a member of the on-demand group, and keeps the pass from there.
    StaysOnDemand(Skip),
    /// Exchange left open whether it took the mails with as many codes as may be. The last pass stays.
    MailUnclear(Box<UnclearMail>),
    /// The document about this user in the ledger is not a record.
    RecordUnreadable(LedgerError),
    /// The endpoint that delivers codes refused this one.
    WebhookRefused(WebhookError),
}

/// A mail with a code that may or may not have arrived.
#[derive(Clone, Debug)]
pub struct UnclearMail {
    /// The recipient, masked.
    pub to: String,
    /// When its pass works.
    pub window: Window,
    /// What Exchange or Graph answered, or the endpoint.
    pub error: DeliveryError,
}

/// Why a code was not, or maybe not, delivered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeliveryError {
    /// By mail.
    #[error(transparent)]
    Mail(#[from] GraphError),
    /// By the endpoint.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
}

impl From<DeliveryError> for Failure {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Mail(error) => Self::Graph(error),
            DeliveryError::Webhook(error) => Self::Webhook(error),
        }
    }
}

/// Why a pass was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// The account is no joiner's account any more.
    OutOfScope(Skip),
    /// The account was deleted, and its passes with it.
    Deleted,
    /// The private address changed so late, or so often, that a person decides about the next pass.
    AddressChanged,
    /// The account had authentication methods before the pass was delivered.
    HasMethods,
    /// Someone had signed in to the account before the pass was delivered.
    SignedIn,
    /// An admin revoked the pass by hand, and it appeared later, or still worked.
    ByAdmin,
}

/// Why a job must run again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Another job holds the lease on this user, at most until this time; or, without a time, changed the same document.
    #[error("{}", busy(.0))]
    Busy(Option<DateTime<Utc>>),
    /// The user does not exist, or is not replicated yet.
    #[error("there is no such user in the tenant; a new account takes some seconds to appear")]
    Missing,
    /// A request to Graph failed.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The mail could not be rendered.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The endpoint that delivers codes did not, or maybe not, take one.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The mailbox takes no more mails at present. Nothing was changed.
    #[error(
        "the mailbox that sends takes no more mails at present (MAILS_PER_MINUTE), and the job waits in the queue"
    )]
    MailboxBusy,
    /// This machine's clock is ahead of Graph's by so much, or behind.
    #[error("{}", wrong_clock(.0))]
    Clock(TimeDelta),
}

fn wrong_clock(skew: &TimeDelta) -> String {
    let direction = if *skew > TimeDelta::zero() { "ahead of" } else { "behind" };
    let seconds = skew.abs().num_seconds();
    format!("this machine's clock is {} min {} s {direction} Microsoft Graph's", seconds / 60, seconds % 60)
}

fn busy(until: &Option<DateTime<Utc>>) -> String {
    match until {
        Some(until) => format!("another job is working on this user, until {until:.0} at most"),
        None => "another job changed the same record or group meanwhile".to_owned(),
    }
}

const ADDRESS_CHANGED: &str = "the private address is another than the one that a pass was mailed to, and it changed less \
    than a day before the pass opens, or after that, or for the second time";

impl Outcome {
    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Skipped(_) => "skipped",
            Self::Blocked(_) => "blocked",
            Self::Revoked(_) => "revoked",
            Self::Failed(_) => "failed",
        }
    }

    /// The fixed word for why; none for a delivery.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Delivered(_) => None,
            Self::Skipped(skip) => Some(skip.cause()),
            Self::Blocked(block) => Some(block.cause()),
            Self::Revoked(revoke) => Some(revoke.cause()),
            Self::Failed(failure) => Some(failure.cause()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(delivered) => delivered.fmt(f),
            Self::Skipped(skip) => skip.fmt(f),
            Self::Blocked(block) => block.fmt(f),
            Self::Revoked(revoke) => revoke.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for DeliveredPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pass = match self.occasion {
            Occasion::First => "pass",
            Occasion::Moved => "day one moved, new pass",
            Occasion::Corrected => "private address corrected, new pass",
            Occasion::Retimed => "place of work changed, new pass",
            Occasion::Again => "the last pass ended unused, new pass",
        };
        write!(f, "{pass} mailed to {}, open {}", self.to, self.window)
    }
}

impl Skip {
    /// Why an account gets no pass for any reason; `None` if it may have one.
    pub(crate) fn of_account(sign_in: SignIn, settings: &PassSettings) -> Option<Self> {
        match sign_in {
            SignIn { is_guest: true, is_external, .. } if is_external || !settings.serve_guests => {
                Some(Self::Guest)
            }
            SignIn { is_external: true, .. } => Some(Self::External),
            SignIn { is_enabled: false, .. } if !settings.serve_disabled => Some(Self::Disabled),
            _ => None,
        }
    }

    /// Why nobody gets a pass; `None` if the app acts.
    pub(crate) fn of_mode(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Live => None,
            Mode::ReportOnly => Some(Self::ReportOnly),
            Mode::Paused => Some(Self::Paused),
        }
    }

    /// A fixed word.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::External => "external",
            Self::NoHireDate => "no-hire-date",
            Self::BeyondHorizon(_) => "beyond-horizon",
            Self::DayOnePast(_) => "day-one-past",
            Self::Disabled => "disabled",
            Self::Rescinded(..) => "rescinded",
            Self::JustDelivered => "just-delivered",
            Self::AlreadyServed => "already-served",
            Self::ServedSince => "served-since",
            Self::HasWorkingPass(_) => "has-working-pass",
            Self::WasUsed => "was-used",
            Self::NotInGroup => "not-in-group",
            Self::NothingOpen => "nothing-open",
            Self::Arrived => "arrived",
            Self::Reminded => "reminded",
            Self::ToldOfChange => "told-of-change",
            Self::ArrivalUnknown => "arrival-unknown",
            Self::MailUnclear => "mail-unclear",
            Self::ReportOnly => "report-only",
            Self::Paused => "paused",
            Self::RevokedByAdmin => "revoked-by-admin",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest => f.write_str("the account is a guest: guests sign in to their own tenant"),
            Self::External => {
                f.write_str("the user signs in to another tenant, where a pass of this one cannot be used")
            }
            Self::NoHireDate => f.write_str("the account has no hire date"),
            Self::BeyondHorizon(day) => write!(f, "day one, {day}, is beyond the horizon (LEAD_DAYS)"),
            Self::DayOnePast(day) => write!(f, "day one, {day}, is past"),
            Self::Disabled => f.write_str("the account is disabled"),
            Self::Rescinded(last_day, day) => write!(
                f,
                "the leave date, {last_day}, is not after the first day, {day}: the start is cancelled"
            ),
            Self::JustDelivered => f.write_str("a pass was delivered minutes ago"),
            Self::AlreadyServed => f.write_str("the pass for this day one was delivered"),
            Self::ServedSince => f.write_str("a pass was delivered since the user was added to the group"),
            Self::HasWorkingPass(purpose) => {
                let origin = match purpose {
                    None => "that firstpass did not make, or has no record of",
                    Some(Purpose::Joiner) => "that was mailed for day one",
                    Some(Purpose::OnDemand) => "that was mailed for the on-demand group",
                    Some(Purpose::Http) => "that a call of CreateTap made",
                };
                write!(f, "the user has a working pass {origin}")
            }
            Self::WasUsed => f.write_str("the pass was delivered and used"),
            Self::NotInGroup => f.write_str("the user is not a member of the on-demand group"),
            Self::NothingOpen => f.write_str("the record has nothing to finish"),
            Self::Arrived => f.write_str("the joiner is in the account"),
            Self::Reminded => f.write_str("the joiner has not used the pass and was reminded of it"),
            Self::ToldOfChange => f.write_str("nothing was due but a mail about a change"),
            Self::MailUnclear => f.write_str(
                "the mail with the last code may have arrived, and a sweep some hours later mails another one",
            ),
            Self::ReportOnly => f.write_str("REPORT_ONLY is set: nothing is made, mailed or revoked"),
            Self::Paused => f.write_str("PAUSED is set: nothing is made, mailed or revoked"),
            Self::RevokedByAdmin => {
                f.write_str("an admin revoked the pass by hand, and no other one follows by itself")
            }
            Self::ArrivalUnknown => {
                f.write_str("the pass ended, and nothing that the app reads shows whether the joiner is in")
            }
        }
    }
}

impl Block {
    /// A fixed word. An alert is sent when it changes.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Privileged(PrivilegeFinding::Unknown(_)) => "privilege-unknown",
            Self::Privileged(_) => "privileged",
            Self::NoAddress(_) => "no-address",
            Self::PassesOff => "passes-off",
            Self::DisabledByPolicy => "disabled-by-policy",
            Self::Refused(_) => "refused",
            Self::TooManyCodes => "too-many-codes",
            Self::MailboxShut(_) => "mailbox-shut",
            Self::AlreadyHasMethods(_) => "already-has-methods",
            Self::AlreadySignedIn(_) => "already-signed-in",
            Self::TooOld(_) => "account-too-old",
            Self::UseUnknown(_) => "use-unknown",
            Self::StillDisabled(_) => "still-disabled",
            Self::NotArrived(_) => "not-arrived",
            Self::StaysOnDemand(_) => "stays-on-demand",
            Self::Rescinded(_) => "rescinded",
            Self::AddressRemoved => "address-removed",
            Self::AddressChanged => "address-changed",
            Self::MailUnclear(_) => "mail-unclear",
            Self::RecordUnreadable(_) => "record-unreadable",
            Self::WebhookRefused(_) => "webhook-refused",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileged(finding) => finding.fmt(f),
            Self::NoAddress(why) => write!(f, "there is no address to send the pass to: {why}"),
            Self::PassesOff => f.write_str("the tenant's policy has Temporary Access Passes disabled"),
            Self::DisabledByPolicy => f.write_str("the policy does not let this user sign in with a pass"),
            Self::Refused(error) => error.fmt(f),
            Self::MailboxShut(refusal) => write!(
                f,
                "the mailbox that sends refuses all mails, and no pass is made that could not be sent: {refusal}"
            ),
            Self::TooManyCodes => f.write_str("four passes were mailed for this day one, and no more are"),
            Self::AlreadyHasMethods(evidence) | Self::AlreadySignedIn(evidence) => evidence.fmt(f),
            Self::TooOld(age) => age.fmt(f),
            Self::UseUnknown(why) => write!(f, "whether the account is in use could not be read: {why}"),
            Self::StillDisabled(since) => {
                let since = since.format("%Y-%m-%d %H:%M UTC");
                write!(
                    f,
                    "the first day has begun, and the pass can be used since {since}, but the account is disabled"
                )
            }
            Self::NotArrived(not_arrived) => not_arrived.fmt(f),
            Self::Rescinded(why) => why.fmt(f),
            Self::AddressRemoved => f.write_str(
                "the private address was removed from the account after a pass was mailed to it; the pass still works",
            ),
            Self::AddressChanged => f.write_str(ADDRESS_CHANGED),
            Self::StaysOnDemand(why) => write!(
                f,
                "the start is withdrawn ({why}), but the account is in the on-demand group and keeps its pass from there"
            ),
            Self::MailUnclear(unclear) => unclear.fmt(f),
            Self::RecordUnreadable(error) => error.fmt(f),
            Self::WebhookRefused(error) => {
                write!(f, "the endpoint that delivers codes took none, and no pass is left: {error}")
            }
        }
    }
}

impl fmt::Display for UnclearMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, window, error } = self;
        write!(
            f,
            "the mail to {to} with the pass that works {window} may or may not have arrived, nor is that known of an earlier \
             one: {error}. The pass stays, and no other one is made"
        )
    }
}

impl Revoke {
    /// A fixed word.
    pub fn cause(self) -> &'static str {
        match self {
            Self::OutOfScope(Skip::Rescinded(..)) => "rescinded",
            Self::OutOfScope(_) => "out-of-scope",
            Self::Deleted => "deleted",
            Self::AddressChanged => "address-changed",
            Self::HasMethods => "already-has-methods",
            Self::SignedIn => "already-signed-in",
            Self::ByAdmin => "revoked-by-admin",
        }
    }
}

impl Block {
    /// What affects every account and not only this one, if that is the reason.
    pub(crate) fn condition(&self) -> Option<ConditionName> {
        match self {
            Self::PassesOff => Some(ConditionName::PassesOff),
            Self::Privileged(PrivilegeFinding::Unknown(unread)) if unread.is_permission => {
                Some(ConditionName::PrivilegesUnreadable)
            }
            Self::UseUnknown(unread) if unread.is_permission => Some(ConditionName::UseUnreadable),
            _ => None,
        }
    }
}

impl From<Evidence> for Block {
    fn from(evidence: Evidence) -> Self {
        if evidence.is_sign_in() {
            Self::AlreadySignedIn(evidence)
        } else {
            Self::AlreadyHasMethods(evidence)
        }
    }
}

impl From<&Evidence> for Revoke {
    fn from(evidence: &Evidence) -> Self {
        if evidence.is_sign_in() { Self::SignedIn } else { Self::HasMethods }
    }
}

impl fmt::Display for Revoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfScope(why) => write!(f, "pass revoked: {why}"),
            Self::Deleted => f.write_str("the account was deleted, and its pass with it"),
            Self::AddressChanged => write!(f, "pass revoked: {ADDRESS_CHANGED}"),
            Self::HasMethods => {
                f.write_str("pass revoked: authentication methods were registered before the pass was mailed")
            }
            Self::SignedIn => f.write_str("pass revoked: someone had signed in before the pass was mailed"),
            Self::ByAdmin => {
                f.write_str("pass revoked: an admin had revoked it by hand, and it still worked")
            }
        }
    }
}

impl Failure {
    /// A fixed word.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Missing => "missing",
            Self::Graph(_) => "graph",
            Self::Ledger(_) => "ledger",
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::MailboxBusy => "mailbox-busy",
            Self::Clock(_) => "clock",
        }
    }

    /// What happened in a few words, without names of users and without text of other systems.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::Busy(_) => "another job is working on the same user".into(),
            Self::Missing => "the account is not in the tenant, or not yet".into(),
            Self::Graph(error) => error.summary(),
            Self::Ledger(LedgerError::Unreadable(_)) => "a document in the ledger is not a record".into(),
            Self::Ledger(LedgerError::OtherTenant(_)) => "the ledger belongs to another tenant".into(),
            Self::Ledger(_) => "the storage account of the ledger cannot be used".into(),
            Self::Mail(_) => "a mail template cannot be rendered".into(),
            Self::Webhook(_) => "the endpoint that delivers codes took none, or did not say so".into(),
            Self::MailboxBusy => "the mailbox takes no more mails at present".into(),
            Self::Clock(_) => "this machine's clock is wrong".into(),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        match error {
            // The conflict may be with our own write, whose answer was lost: the next delivery finds out.
            LedgerError::Conflict => Self::Busy(None),
            LedgerError::Unavailable(_) | LedgerError::Unreadable(_) | LedgerError::OtherTenant(_) => {
                Self::Ledger(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
