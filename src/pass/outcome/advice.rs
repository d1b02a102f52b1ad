//! What an admin should do about an outcome. Each text is true in every situation that leads to it.

use super::{Block, Failure, Outcome, Revoke, Skip};
use crate::{
    graph::{GRANTED_LATE, Unread},
    ledger::LedgerError,
    pass::{account_use::Age, guard::PrivilegeFinding},
};

/// What a person decides about an account with a hire date that is no joiner's.
const IF_IT_IS_A_JOINER: &str = "Was its hire date changed by mistake? Then correct it. If this person does start, on an \
    account that exists already, add it to the on-demand group or call CreateTap: that is for a person to decide.";
const REGISTERED_AHEAD: &str =
    "If the company registers such methods for joiners ahead, set JOINER_CHECK_IGNORES.";
const TESTED: &str =
    "If admins try the accounts of joiners before the first day, choose other checks with JOINER_CHECK.";
/// What happens when the reason of a block is gone.
const THEN: &str = "Sweeps serve joiners then: the next one whoever starts within two days, the first one of a day (UTC) \
    everyone. Add others to the on-demand group again.";
/// A later sweep decides anew.
const DECIDED_ANEW: &str = "a sweep makes a new pass, or an alert says why not";
/// What to do about an address that changed so late or so often.
const CHECK_ADDRESS: &str = "Ask this person, by a telephone number that you know, whether the address in the account is theirs; it \
    may have been changed by somebody who wants the code. If it is, give them a pass: add the account to the on-demand group, or \
    call CreateTap. If it is not, correct it, and find out who changed it (audit log). firstpass mails no more passes for this \
    start by itself.";
/// Who gets a pass that sweeps do not make.
const BY_HAND: &str =
    "If this person still needs a pass, add the account to the on-demand group or call CreateTap.";

impl Outcome {
    /// What a person should do about it, if anything.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::Delivered(_) | Self::Skipped(_) => None,
            Self::Blocked(block) => Some(block.advice()),
            Self::Revoked(revoke) => Some(revoke.advice()),
            Self::Failed(failure) => Some(failure.advice()),
        }
    }
}

impl Block {
    fn advice(&self) -> String {
        match self {
            Self::Privileged(PrivilegeFinding::Unknown(unread)) => privileges_unknown(unread),
            Self::Privileged(_) => {
                "Give this person their first sign-in in person, if they start: a pass for a privileged account must not be \
                 sent by mail. If not, correct the hire date, or take the account out of the on-demand group. If an earlier \
                 pass still works, delete it."
                    .into()
            }
            Self::NoAddress(_) => format!(
                "Give the account an address where MAIL_TO looks (by default otherMails): a private one, which this person can \
                 open without a pass. If the manager could not be read, do what the message says. {THEN}"
            ),
            Self::PassesOff => format!(
                "Enable the Temporary Access Pass method in the tenant's authentication methods policy. {THEN}"
            ),
            Self::DisabledByPolicy => format!(
                "Include this user in the Temporary Access Pass method of the authentication methods policy. {THEN}"
            ),
            Self::Refused(error) if error.status == Some(403) && !error.is_about_restricted_unit() => format!(
                "Grant the app UserAuthMethod-TAP.ReadWrite.All (docs/PERMISSIONS.md); if it has it already, wait: \
                 {GRANTED_LATE}. If it has the role Authentication Administrator instead, this account is privileged, or \
                 not in the role's administrative unit: then give this person their first sign-in in person, or add the \
                 account to the unit. If an earlier pass must not work any more, delete it yourself. {THEN}"
            ),
            Self::Refused(error) if error.status == Some(400) => format!(
                "Do what Graph's message says. If its policy refuses the pass, include this user in the Temporary Access Pass \
                 method of the authentication methods policy. If a pass exists, delete it. {THEN}"
            ),
            Self::Refused(error) => format!("To do: {}. {THEN}", error.advice()),
            Self::TooManyCodes => {
                "Find out why the passes do not help: they are not used, their mails do not arrive, or someone deletes or \
                 replaces them (audit log, \"Deleted authentication method\"). Then give this person a pass yourself."
                    .into()
            }
            Self::MailboxShut(_) => format!(
                "Make the mailbox of MAIL_FROM able to send, as the alert about it says. {THEN} If this person has started \
                 already: {BY_HAND}"
            ),
            Self::AlreadyHasMethods(_) => format!("{IF_IT_IS_A_JOINER} {REGISTERED_AHEAD}"),
            Self::AlreadySignedIn(_) => format!("{IF_IT_IS_A_JOINER} {TESTED}"),
            Self::TooOld(Age::Created(_)) => {
                format!("{IF_IT_IS_A_JOINER} If accounts are made so early here, raise JOINER_MAX_AGE_DAYS.")
            }
            Self::TooOld(Age::Unknown | Age::Told(_) | Age::Returns(_)) => IF_IT_IS_A_JOINER.into(),
            Self::UseUnknown(unread) => use_unknown(unread),
            Self::StillDisabled(_) => {
                "Enable the account if this person has started: the code that was mailed works until the pass ends. If \
                 not, correct the hire date."
                    .into()
            }
            Self::NotArrived(_) => {
                "Ask the manager whether this person has started. If so, enable the account if it is disabled, and give \
                 them a new pass: add the account to the on-demand group, or call CreateTap. If not, correct the hire \
                 date: a later first day gets a pass of its own."
                    .into()
            }
            Self::Rescinded(_) => rescinded(),
            Self::AddressRemoved => format!(
                "If it was removed by mistake, put it back: nothing changes then. If it was wrong, put in the right one: the old \
                 pass ends, and {DECIDED_ANEW}. If this person does not start, remove the hire date."
            ),
            Self::AddressChanged => CHECK_ADDRESS.into(),
            Self::MailUnclear(_) => {
                "Ask this person whether a mail with a code has come, or look at Exchange's message trace; only the newest \
                 code works. If none has come, delete the pass: then the next sweep mails a joiner another one, and others \
                 have to be added to the on-demand group again."
                    .into()
            }
            Self::RecordUnreadable(_) => {
                "Correct the document, or delete it if nobody can: then the next sweep knows nothing of what this person was sent, \
                 and mails a joiner a pass. Find out who writes to the container beside firstpass. Until then this person gets \
                 no pass from the queue; nobody else is concerned."
                    .into()
            }
            Self::WebhookRefused(error) => format!("{} {THEN}", error.advice("DELIVERY_WEBHOOK_URL")),
            Self::StaysOnDemand(_) => {
                "If this person does not start, remove the account from the on-demand group and delete the pass.".into()
            }
        }
    }
}

/// A leave date cancels a start.
fn rescinded() -> String {
    format!(
        "If this person still starts, correct or remove the leave date (employeeLeaveDateTime) of the account: {DECIDED_ANEW}. If \
         not, remove the hire date."
    )
}

/// No way leads to a pass until then, not even a call.
fn privileges_unknown(unread: &Unread) -> String {
    let remedy = if unread.is_permission {
        format!(
            "Grant the app the permissions to read roles and groups (docs/PERMISSIONS.md); if it has them already, wait: \
             {GRANTED_LATE}. If the message is about the group of PROTECTED_GROUP_ID, check that the group exists and shows \
             its members."
        )
    } else {
        "Do what Graph's message says. If Graph contradicts itself or leaves something out, wait for the next sweep, and if that \
         stays, report it to Microsoft."
            .to_owned()
    };
    format!(
        "{remedy} Until then no account whose privileges are unknown gets a pass: whoever needs one now gets it from an admin. \
         {THEN}"
    )
}

fn use_unknown(unread: &Unread) -> String {
    let remedy = if unread.is_permission {
        format!(
            "Grant the app the permission to read authentication methods (docs/PERMISSIONS.md), and the one to read sign-ins or \
             the report, if the message is about these; if it has them already, wait: {GRANTED_LATE}. If the tenant lacks the \
             licence, Entra ID P1, choose other checks with JOINER_CHECK."
        )
    } else {
        "Do what the message says, or choose other checks with JOINER_CHECK; `methods` reads the account itself.".to_owned()
    };
    format!(
        "{remedy} Until then joiners get no pass: whoever needs one now gets it by the on-demand group or CreateTap, which do not \
         check this. {THEN}"
    )
}

impl Revoke {
    fn advice(self) -> String {
        match self {
            Self::HasMethods => format!("{IF_IT_IS_A_JOINER} {REGISTERED_AHEAD}"),
            Self::SignedIn => format!("{IF_IT_IS_A_JOINER} {TESTED}"),
            Self::Deleted => format!(
                "Nothing, if the account was deleted on purpose. If not, restore it: Entra admin center, Users, Deleted users, \
                 where the object id finds it for 30 days. Then {DECIDED_ANEW}, unless the first day is past."
            ),
            Self::AddressChanged => CHECK_ADDRESS.into(),
            Self::ByAdmin => {
                "Nothing. If this person is to get another pass: `firstpass issue` (docs/COMMANDS.md).".into()
            }
            Self::OutOfScope(Skip::Rescinded(..)) => rescinded(),
            Self::OutOfScope(Skip::Disabled) => format!(
                "If this person still starts, enable the account: {DECIDED_ANEW}, unless the first day is past by then. \
                 {BY_HAND}"
            ),
            Self::OutOfScope(Skip::BeyondHorizon(day)) => format!(
                "Nothing, if the start was moved to {day}: when that is at most LEAD_DAYS days ahead, {DECIDED_ANEW}. If it was \
                 moved by mistake, correct the hire date."
            ),
            Self::OutOfScope(Skip::DayOnePast(_)) => {
                format!("Nobody was sent this pass. {BY_HAND} If the first day is another one, correct the hire date.")
            }
            Self::OutOfScope(Skip::Arrived) => {
                "Nothing: this person is in the account, and the pass was not delivered.".into()
            }
            Self::OutOfScope(Skip::NotInGroup) => {
                "If this person still needs a pass, add the account to the on-demand group again (ON_DEMAND_GROUP_ID).".into()
            }
            Self::OutOfScope(Skip::Guest) => {
                "Nothing, if the account is a guest on purpose: guests sign in to their own tenant. If this one signs in here, \
                 set SERVE_GUESTS=internal, or make the account a member."
                    .into()
            }
            Self::OutOfScope(Skip::External) => format!(
                "Nothing, if this person is to sign in to another tenant. If they are to sign in here, convert the account to an \
                 internal user: {DECIDED_ANEW}, unless the first day is past by then."
            ),
            Self::OutOfScope(_) => format!(
                "If this person still starts, set the hire date again: when it is at most LEAD_DAYS days ahead, {DECIDED_ANEW}. \
                 {BY_HAND}"
            ),
        }
    }
}

impl Failure {
    /// What a person should do about it.
    pub(crate) fn advice(&self) -> String {
        match self {
            Self::Missing => {
                "Check whether the account exists, and that the message has its object id or its user principal name. If it was \
                 deleted, there is nothing to do for it."
                    .into()
            }
            Self::Webhook(error) => error.advice("DELIVERY_WEBHOOK_URL"),
            Self::Mail(_) => "Fix the mail templates and deploy again.".into(),
            Self::Graph(error) => format!("To do: {}.", error.advice()),
            Self::Ledger(LedgerError::Unreadable(_)) => {
                "Correct the document in the ledger. docs/TROUBLESHOOTING.md (cause `ledger`) says what happens if \
                 you delete it."
                    .into()
            }
            Self::Ledger(LedgerError::OtherTenant(_)) => {
                "Set LEDGER_URL to the container of this tenant's ledger, or to a new one.".into()
            }
            Self::Ledger(_) => "Check the storage account of the ledger (LEDGER_URL).".into(),
            Self::Clock(_) => "Restart the function app, so that it runs on another machine, and look at Azure's status page. Sweeps and \
                messages are tried again, and the next sweep finds the joiners who were missed; whoever else was missed is in the poison \
                queue. If the app does not run in Azure, synchronise the machine's clock."
                .into(),
            Self::MailboxBusy => "Wait: the next delivery, or the next sweep, mails it. If it happens often, raise MAILS_PER_MINUTE \
                if the mailbox accepts more, or spread the first days."
                .into(),
            Self::Busy(_) => "Wait five minutes: the other job has ended then.".into(),
        }
    }
}
