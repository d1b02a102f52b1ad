//! The causes that records keep, in words for a person.

/// What a cause means, and what a person has to do about it, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// What happened.
    pub(crate) what: &'static str,
    /// What a person has to do.
    pub(crate) to_do: Option<&'static str>,
}

const fn told(what: &'static str, to_do: &'static str) -> Words {
    Words { what, to_do: Some(to_do) }
}

const fn only(what: &'static str) -> Words {
    Words { what, to_do: None }
}

const ON_DEMAND: &str = "if this person starts on this account, use the on-demand group or CreateTap; if not, correct the hire date";

/// The words of a cause; a newer version may have others.
pub(crate) fn of(cause: &str) -> Words {
    match cause {
        "privileged" => told("the account is privileged", "give this person their first sign-in in person"),
        "privilege-unknown" => told(
            "the privileges of the account could not be read",
            "grant what docs/PERMISSIONS.md lists, or wait for the next sweep",
        ),
        "no-address" => told("there is no usable private address", "put one into the account"),
        "passes-off" => told("the tenant's policy has passes disabled", "enable them in the policy"),
        "disabled-by-policy" => {
            told("the policy does not let this user sign in with a pass", "include the user in the policy")
        }
        "refused" => told("Graph refused the pass", "do what the alert says"),
        "too-many-codes" => {
            told("four passes were mailed for this first day", "find out why they do not help")
        }
        "mailbox-shut" => only("the mailbox that sends refuses all mails"),
        "already-has-methods" => {
            told("authentication methods are registered: the account is in use", ON_DEMAND)
        }
        "already-signed-in" => told("someone has signed in: the account is in use", ON_DEMAND),
        "account-too-old" => told("the account is too old for a joiner's", ON_DEMAND),
        "use-unknown" => told(
            "whether the account is in use could not be read",
            "grant what docs/PERMISSIONS.md lists, or choose other checks with JOINER_CHECK",
        ),
        "still-disabled" => {
            told("the first day has begun, and the account is disabled", "enable the account")
        }
        "not-arrived" => {
            told("the pass has ended, and nothing shows that this person got in", "ask the manager")
        }
        "stays-on-demand" => told(
            "the start is withdrawn, and the pass on demand still works",
            "take the account out of the on-demand group, if this person does not start",
        ),
        "rescinded" => told(
            "the leave date says that the start is cancelled",
            "correct the leave date, or remove the hire date",
        ),
        "address-removed" => told(
            "the private address was removed after a pass was mailed to it",
            "put it back, or put in the right one",
        ),
        "address-changed" => told(
            "the private address changed late, or again",
            "ask this person, by a telephone number that you know, whether the address is theirs",
        ),
        "mail-unclear" => {
            told("it is not known whether the mail with the code arrived", "ask this person whether it did")
        }
        "record-unreadable" => told("the document is not a record", "correct the document, or delete it"),
        "webhook-refused" => told(
            "the endpoint of DELIVERY_WEBHOOK_URL refused the code",
            "do what the alert says: the endpoint does not know the app, or cannot deliver",
        ),
        "out-of-scope" => only("the start was cancelled or moved, or the account changed"),
        "deleted" => only("the account was deleted"),
        "revoked-by-admin" => only("an admin revoked the pass with firstpass revoke"),
        "busy" => only("another job worked on the same user"),
        "missing" => only("the account was not in the tenant"),
        "graph" => only("Microsoft Graph did not do what was asked"),
        "ledger" => only("the ledger could not be used"),
        "mail" => only("a mail template could not be rendered"),
        "webhook" => only("the endpoint of DELIVERY_WEBHOOK_URL did not do what was asked"),
        "mailbox-busy" => only("the mailbox took no more mails at that time"),
        "clock" => only("the clock of the machine was wrong"),
        _ => only("for a reason that this version does not know"),
    }
}

/// A kind of notice in words.
pub(crate) fn of_notice(kind: &str) -> &'static str {
    use crate::ledger::Notice;
    match kind {
        Notice::ARRIVAL_UNKNOWN => {
            "the pass had ended, and nothing that the app may read shows whether this person is in"
        }
        Notice::MANAGER_REFUSED => {
            "Graph refused to show the manager, and the mail went without a copy for them"
        }
        Notice::ODD_HIRE_DATE => {
            "the hire date is no midnight as HIRE_DATE_ZONE reads it: the first day may be a day off"
        }
        Notice::SHORT_WINDOW => {
            "the policy does not allow a pass that works long enough in all zones of the country"
        }
        Notice::MANAGER_LEFT => "the manager's account is disabled: they got no copy",
        Notice::MANAGER_CALL => "the manager had the pass made by CreateTap",
        Notice::MANAGER_UNFIT => {
            "the manager is no enabled member with a mailbox of the tenant: they got no copy"
        }
        Notice::LATE => "the first pass went out after the first day",
        Notice::ADDRESS_REFUSED => {
            "Exchange refused an address of this person, and the mail went to the next one"
        }
        Notice::ADDRESS_CORRECTED => "the private address was corrected, and a new pass went to the new one",
        Notice::MAIL_UNCLEAR => "it is not known whether the mail with the code arrived",
        Notice::COPY_REFUSED => "Exchange refused a recipient of the copy",
        _ => "a notice that this version does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page has exactly the causes of the code (`tests/it/troubleshooting.rs`).
    #[test]
    fn every_cause_that_a_record_keeps_has_words() {
        let page = include_str!("../../docs/TROUBLESHOOTING.md");
        let mut count = 0;
        for outcome in ["blocked", "revoked", "failed"] {
            for line in page.lines().filter(|line| line.starts_with(&format!("| `{outcome}` | `"))) {
                let cause = line.split('`').nth(3).unwrap_or_default();
                assert_ne!(of(cause), of("another"), "{outcome}: {cause}");
                count += 1;
            }
        }
        assert!(count > 25, "{count}");
        assert_ne!(of_notice("mail-unclear"), of_notice("another"));
    }
}
