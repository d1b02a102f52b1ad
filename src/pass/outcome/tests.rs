use std::collections::BTreeSet;

use super::*;
use crate::{pass::account_use::Age, zone::Tz};

fn graph() -> GraphError {
    GraphError::timed_out("making the pass")
}

fn blocks() -> [(Block, &'static str, &'static str); 9] {
    [
        (
            Block::Privileged(PrivilegeFinding::RoleGroup("Tier 0".into())),
            "the account is in the role-assignable group",
            "Give this person their first sign-in in person",
        ),
        (
            Block::Privileged(PrivilegeFinding::Unknown(crate::graph::Unread {
                why: "403".into(),
                is_permission: true,
            })),
            "the privileges of the account could not be read",
            "Grant the app the permissions",
        ),
        (
            Block::NoAddress("none".into()),
            "there is no address to send the pass to: none",
            "Give the account an address where MAIL_TO looks",
        ),
        (Block::PassesOff, "the tenant's policy has", "Enable the Temporary Access Pass method"),
        (Block::DisabledByPolicy, "the policy does not let this user", "Include this user"),
        (
            Block::Refused(graph()),
            "Graph error while making the pass",
            "To do: wait until Graph answers again",
        ),
        (
            Block::TooManyCodes,
            "four passes were mailed for this day one",
            "Find out why the passes do not help",
        ),
        (
            Block::StillDisabled("2026-11-27T07:00:00Z".parse().unwrap()),
            "the first day has begun, and the pass can be used since 2026-11-27 07:00 UTC",
            "Enable the account",
        ),
        (
            Block::MailUnclear(Box::new(UnclearMail {
                to: "e…@home.example".into(),
                window: window(),
                error: graph().into(),
            })),
            "the mail to e…@home.example with the pass that works 2026-11-27 07:00 to 08:00 UTC may or may not have",
            "Ask this person whether a mail with a code has come",
        ),
    ]
}

fn failures() -> [(Failure, &'static str, &'static str); 6] {
    let until = "2026-11-27T07:00:00Z".parse().unwrap();
    let unknown = MailError::UnknownLanguage { language: "xx".into(), available: vec![] };
    [
        (
            Failure::Busy(Some(until)),
            "another job is working on this user, until 2026-11-27 07:00:00 UTC",
            "Wait five minutes",
        ),
        (Failure::Busy(None), "another job changed the same record or group", "Wait five minutes"),
        (Failure::Missing, "there is no such user in the tenant", "Check whether the account"),
        (
            Failure::Graph(graph()),
            "Graph error while making the pass",
            "To do: wait until Graph answers again",
        ),
        (Failure::Ledger(LedgerError::Conflict), "another job changed", "Check the storage account"),
        (Failure::Mail(unknown), "there are no mails in", "Fix the mail templates"),
    ]
}

fn window() -> Window {
    Window {
        opens_at: "2026-11-27T07:00:00Z".parse().unwrap(),
        opens_now: false,
        lifetime_minutes: 60,
        one_time: true,
        zone: Tz::UTC,
        too_short: None,
        follows_on: None,
    }
}

#[track_caller]
fn check(outcome: &Outcome, name: &str, what_happened: &str, what_to_do: &str) {
    assert_eq!(outcome.name(), name);
    assert!(outcome.to_string().starts_with(what_happened), "{outcome}");
    let advice = outcome.advice().unwrap_or_default();
    assert!(advice.starts_with(what_to_do) && !advice.is_empty(), "{outcome}: {advice}");
}

#[test]
fn an_outcome_that_needs_a_person_says_what_happened_and_what_to_do() {
    for (block, what_happened, what_to_do) in blocks() {
        check(&Outcome::Blocked(block), "blocked", what_happened, what_to_do);
    }
    for (failure, what_happened, what_to_do) in failures() {
        check(&Outcome::Failed(failure), "failed", what_happened, what_to_do);
    }
    for (revoke, what_happened, what_to_do) in [
        (Revoke::Deleted, "the account was deleted", "Nothing, if the account was deleted on purpose."),
        (
            Revoke::OutOfScope(Skip::Disabled),
            "pass revoked: the account is disabled",
            "If this person still starts, enable the account",
        ),
        (
            Revoke::OutOfScope(Skip::NoHireDate),
            "pass revoked: the account has no hire date",
            "If this person still starts, set the hire date",
        ),
    ] {
        check(&Outcome::Revoked(revoke), "revoked", what_happened, what_to_do);
    }
}

#[test]
fn a_delivery_says_its_window_and_why_it_is_not_the_first() {
    let window = window();
    for (occasion, words) in [
        (Occasion::First, "pass mailed to e…@home.example, open 2026-11-27 07:00 to 08:00 UTC"),
        (
            Occasion::Moved,
            "day one moved, new pass mailed to e…@home.example, open 2026-11-27 07:00 to 08:00 UTC",
        ),
    ] {
        let outcome = Outcome::Delivered(DeliveredPass { window, to: "e…@home.example".into(), occasion });
        assert_eq!(
            (outcome.name(), outcome.to_string().as_str(), outcome.advice()),
            ("delivered", words, None)
        );
    }
}

#[test]
fn each_skip_has_a_text_of_its_own() {
    let day = "2026-11-27".parse().unwrap();
    let mut words = BTreeSet::new();
    for skip in [
        Skip::Guest,
        Skip::External,
        Skip::NoHireDate,
        Skip::BeyondHorizon(day),
        Skip::DayOnePast(day),
        Skip::Disabled,
        Skip::JustDelivered,
        Skip::AlreadyServed,
        Skip::HasWorkingPass(None),
        Skip::HasWorkingPass(Some(Purpose::Joiner)),
        Skip::HasWorkingPass(Some(Purpose::OnDemand)),
        Skip::HasWorkingPass(Some(Purpose::Http)),
        Skip::WasUsed,
        Skip::NotInGroup,
        Skip::NothingOpen,
        Skip::Reminded,
        Skip::ArrivalUnknown,
        Skip::MailUnclear,
        Skip::RevokedByAdmin,
    ] {
        let outcome = Outcome::Skipped(skip);
        assert_eq!((outcome.name(), outcome.advice()), ("skipped", None));
        assert_eq!(outcome.to_string().contains("2026-11-27"), format!("{skip:?}").contains("2026-11-27"));
        assert!(words.insert(outcome.to_string()) && outcome.to_string().contains(' '), "{outcome}");
    }
}

/// What is known tells the situations apart; what is not known is not claimed.
#[test]
fn each_situation_has_advice_that_is_true_in_it() {
    let day = "2026-11-27".parse().unwrap();
    let revoked = |skip| Outcome::Revoked(Revoke::OutOfScope(skip));
    let unread = |is_permission| Unread { why: "403".into(), is_permission };
    let unknown =
        |permission| Outcome::Blocked(Block::Privileged(PrivilegeFinding::Unknown(unread(permission))));
    let use_unknown = |permission| Outcome::Blocked(Block::UseUnknown(unread(permission)));
    let refused = |status| Outcome::Blocked(Block::Refused(GraphError { status: Some(status), ..graph() }));
    let too_old = |age| Outcome::Blocked(Block::TooOld(age));
    let group = PrivilegeFinding::RoleGroup("Tier 0".into());
    type Case = (&'static str, Outcome, &'static [&'static str], &'static [&'static str]);
    let cases: [Case; 22] = [
        ("moved", revoked(Skip::BeyondHorizon(day)), &["Nothing, if", "2026-11-27"], &["set the hire date"]),
        ("withdrawn", revoked(Skip::NoHireDate), &["set the hire date again", "alert says why not"], &[]),
        ("over", revoked(Skip::DayOnePast(day)), &["Nobody was sent", "CreateTap"], &["set the hire date"]),
        ("disabled", revoked(Skip::Disabled), &["enable the account", "unless the first day is past"], &[]),
        ("left the group", revoked(Skip::NotInGroup), &["on-demand group again"], &["hire date"]),
        ("a guest", revoked(Skip::Guest), &["SERVE_GUESTS=internal"], &["hire date"]),
        ("of another tenant", revoked(Skip::External), &["internal user"], &["SERVE_GUESTS"]),
        ("arrived", revoked(Skip::Arrived), &["Nothing"], &["If"]),
        ("deleted", Outcome::Revoked(Revoke::Deleted), &["on purpose", "restore it", "Deleted users"], &[]),
        ("methods", Outcome::Revoked(Revoke::HasMethods), &["JOINER_CHECK_IGNORES"], &["MAX_AGE"]),
        ("sign-in", Outcome::Revoked(Revoke::SignedIn), &["try the accounts"], &["CHECK_IGNORES"]),
        ("made early", too_old(Age::Created(day)), &["JOINER_MAX_AGE_DAYS"], &["CHECK_IGNORES"]),
        ("told long ago", too_old(Age::Told(day)), &["for a person to decide"], &["JOINER_MAX_AGE_DAYS"]),
        ("an old admin or a new one", Outcome::Blocked(Block::Privileged(group)), &["if they start"], &[]),
        ("no right to roles", unknown(true), &["docs/PERMISSIONS.md", "about a day", "PROTECTED"], &[]),
        ("roles not readable", unknown(false), &["Graph's message", "from an admin"], &["about a day"]),
        ("no right to methods", use_unknown(true), &["about a day", "Entra ID P1", "CreateTap"], &[]),
        ("no row in the report", use_unknown(false), &["`methods` reads the account"], &["about a day"]),
        ("no right to passes", refused(403), &["UserAuthMethod-TAP", "Authentication Administrator"], &[]),
        ("the policy", refused(400), &["include this user", "If a pass exists"], &["UserAuthMethod-TAP"]),
        ("no user", Outcome::Failed(Failure::Missing), &["object id", "If it was deleted"], &["Graph"]),
        ("a conflict", Outcome::Failed(Failure::Busy(None)), &["the other job has ended"], &["nothing"]),
    ];
    for (situation, outcome, expected, wrong) in cases {
        let advice = outcome.advice().unwrap();
        assert!(expected.iter().all(|words| advice.contains(words)), "{situation}: {advice}");
        assert!(!wrong.iter().any(|words| advice.contains(words)), "{situation}: {advice}");
    }
}

/// An alert is sent when the cause changes: two reasons with one cause would hide the second.
#[test]
fn each_block_has_a_cause_of_its_own() {
    let causes = blocks().map(|(block, ..)| block.cause());
    assert_eq!(causes.iter().collect::<BTreeSet<_>>().len(), blocks().len(), "{causes:?}");
    let causes = failures().map(|(failure, ..)| failure.cause());
    assert_eq!(causes, ["busy", "busy", "missing", "graph", "ledger", "mail"]);
}
