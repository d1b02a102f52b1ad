//! What became of a job, in words for an admin.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

use super::{guard::PrivilegeFinding, window::Window};
use crate::{graph::GraphError, ledger::LedgerError, mail::MailError};

/// What became of a job. Every job ends in exactly one.
#[derive(Debug)]
pub enum Outcome {
    /// The pass is made and its mail is on the way.
    Delivered(DeliveredPass),
    /// Nothing was to be done.
    Skipped(Skip),
    /// Nothing was done, and a person must see why.
    Blocked(Block),
    /// A pass that we had made was taken back.
    Revoked(Revoke),
    /// It did not work this time; the job is delivered again.
    Failed(Failure),
}

/// A delivered pass.
#[derive(Clone, Debug)]
pub struct DeliveredPass {
    /// When it works.
    pub window: Window,
    /// Who got the mail, masked.
    pub to: String,
    /// Whether it replaced a pass for another day one.
    pub moved: bool,
}

/// Why there was nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The account belongs to another organisation.
    Guest,
    /// There is no hire date.
    NoHireDate,
    /// Day one is further away than the horizon.
    BeyondHorizon(NaiveDate),
    /// Day one is over.
    DayOnePast(NaiveDate),
    /// The account is disabled, and such accounts are not served.
    Disabled,
    /// A mail went out minutes ago; what we read may be older.
    JustDelivered,
    /// The pass for this day one was delivered.
    AlreadyServed,
    /// A pass on demand was delivered since they were added to the group.
    ServedSince,
    /// A pass of somebody else works.
    HasWorkingPass,
    /// The pass was delivered and used, though an earlier job could not know.
    WasUsed,
    /// The user is not a member of the on-demand group (any more).
    NotInGroup,
    /// The record needs no second look.
    NothingOpen,
}

/// What a person must see to.
#[derive(Clone, Debug)]
pub enum Block {
    /// The account is too powerful, or we cannot tell.
    Privileged(PrivilegeFinding),
    /// There is nobody to write to.
    NoAddress(String),
    /// The tenant's policy has passes switched off.
    PassesOff,
    /// The policy does not let this user sign in with a pass.
    DisabledByPolicy,
    /// Graph will not make this pass.
    Refused(GraphError),
    /// Someone keeps deleting what we make.
    KeepsVanishing,
}

/// Why a pass was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// The account left the scope of joiners.
    OutOfScope(Skip),
    /// The account is gone, and its pass with it.
    Deleted,
}

/// Why a job must run again.
#[derive(Debug)]
pub enum Failure {
    /// Another job is at work on this user, until this time at the latest.
    Busy(Option<DateTime<Utc>>),
    /// There is no such user (yet).
    Missing,
    /// Graph failed.
    Graph(GraphError),
    /// The ledger failed.
    Ledger(LedgerError),
    /// The mail could not be written.
    Mail(MailError),
}

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

    /// What a person should do about it, if anything.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Delivered(_) | Self::Skipped(_) => None,
            Self::Blocked(block) => Some(block.advice()),
            Self::Revoked(Revoke::OutOfScope(Skip::Disabled)) => {
                Some("If they still start, enable the account: the next sweep makes a new pass.".into())
            }
            Self::Revoked(Revoke::Deleted) => Some("Nothing, if that was meant.".into()),
            Self::Revoked(Revoke::OutOfScope(_)) => Some(
                "If they still start, set their hire date again: the next sweep makes a new pass.".into(),
            ),
            Self::Failed(Failure::Missing) => Some("Check that the account still exists.".into()),
            Self::Failed(Failure::Mail(_)) => Some("Mend the mail templates and deploy again.".into()),
            Self::Failed(Failure::Graph(error)) => Some(format!("To do: {}.", error.advice())),
            Self::Failed(_) => {
                Some("Nothing, unless it happens again: the next sweep takes the joiner up.".into())
            }
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
        let verb = if self.moved { "day one moved, new pass" } else { "pass" };
        write!(f, "{verb} mailed to {}, open {}", self.to, self.window)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest => f.write_str("guests sign in at home"),
            Self::NoHireDate => f.write_str("no hire date"),
            Self::BeyondHorizon(day) => write!(f, "day one, {day}, is beyond the horizon"),
            Self::DayOnePast(day) => write!(f, "day one, {day}, is past"),
            Self::Disabled => f.write_str("the account is disabled"),
            Self::JustDelivered => f.write_str("a pass was delivered minutes ago"),
            Self::AlreadyServed => f.write_str("the pass for this day one was delivered"),
            Self::ServedSince => f.write_str("a pass was delivered since they were added to the group"),
            Self::HasWorkingPass => f.write_str("somebody gave them a pass that works"),
            Self::WasUsed => f.write_str("the pass was delivered and used"),
            Self::NotInGroup => f.write_str("not a member of the on-demand group"),
            Self::NothingOpen => f.write_str("nothing is open"),
        }
    }
}

impl Block {
    /// A word that stays the same as long as the reason does: an alert goes out when it changes.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Privileged(PrivilegeFinding::Unknown(_)) => "privilege-unknown",
            Self::Privileged(_) => "privileged",
            Self::NoAddress(_) => "no-address",
            Self::PassesOff => "passes-off",
            Self::DisabledByPolicy => "disabled-by-policy",
            Self::Refused(_) => "refused",
            Self::KeepsVanishing => "keeps-vanishing",
        }
    }

    fn advice(&self) -> String {
        match self {
            Self::Privileged(PrivilegeFinding::Unknown(_)) => {
                "Grant the services the permissions to read roles and groups (docs/PERMISSIONS.md); until then nobody \
                 whose power is unknown gets a pass."
                    .into()
            }
            Self::Privileged(_) => {
                "Give this person their first sign-in yourself, face to face; a pass for an account like this must \
                 not travel by mail. If an earlier pass still works, delete it."
                    .into()
            }
            Self::NoAddress(_) => {
                "Put a private mail address into the account (otherMails, or what MAIL_TO names). The next sweep \
                 serves joiners; for others, add them to the on-demand group again."
                    .into()
            }
            Self::PassesOff => {
                "Enable the Temporary Access Pass method in the tenant's authentication methods policy.".into()
            }
            Self::DisabledByPolicy => {
                "Include this user in the Temporary Access Pass method of the authentication methods policy.".into()
            }
            Self::Refused(error) => format!("To do: {}.", error.advice()),
            Self::KeepsVanishing => {
                "Find out who deletes or replaces this joiner's passes (audit log, \"Deleted authentication \
                 method\"), and give them a pass yourself."
                    .into()
            }
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileged(finding) => finding.fmt(f),
            Self::NoAddress(why) => write!(f, "nobody to write to: {why}"),
            Self::PassesOff => f.write_str("the tenant's policy has Temporary Access Passes switched off"),
            Self::DisabledByPolicy => f.write_str("the policy does not let this user sign in with a pass"),
            Self::Refused(error) => error.fmt(f),
            Self::KeepsVanishing => f.write_str("their pass was deleted or replaced again and again"),
        }
    }
}

impl fmt::Display for Revoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfScope(why) => write!(f, "pass taken back: {why}"),
            Self::Deleted => f.write_str("the account is gone, and its pass with it"),
        }
    }
}

impl Failure {
    /// A word for the record.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Missing => "missing",
            Self::Graph(_) => "graph",
            Self::Ledger(_) => "ledger",
            Self::Mail(_) => "mail",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy(Some(until)) => {
                write!(f, "another job is at work on this user, until {until:.0} at most")
            }
            Self::Busy(None) => f.write_str("another job is at work on this user"),
            Self::Missing => {
                f.write_str("no such user in the tenant (or not yet: new accounts take a while)")
            }
            Self::Graph(error) => error.fmt(f),
            Self::Ledger(error) => error.fmt(f),
            Self::Mail(error) => error.fmt(f),
        }
    }
}

impl From<Skip> for Outcome {
    fn from(skip: Skip) -> Self {
        Self::Skipped(skip)
    }
}

impl From<GraphError> for Outcome {
    fn from(error: GraphError) -> Self {
        Self::Failed(Failure::Graph(error))
    }
}

impl From<LedgerError> for Outcome {
    fn from(error: LedgerError) -> Self {
        match error {
            // Even if the conflict is with our own write, whose answer was lost: the next delivery sorts it out.
            LedgerError::Conflict => Self::Failed(Failure::Busy(None)),
            LedgerError::Unavailable(_) | LedgerError::Unreadable(_) => Self::Failed(Failure::Ledger(error)),
        }
    }
}

impl From<MailError> for Outcome {
    fn from(error: MailError) -> Self {
        Self::Failed(Failure::Mail(error))
    }
}

#[cfg(test)]
mod tests;
