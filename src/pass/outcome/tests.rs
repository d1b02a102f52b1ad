use std::collections::BTreeSet;

use super::*;
use crate::zone::Tz;

fn graph() -> GraphError {
    GraphError::timed_out("making the pass")
}

fn blocks() -> [(Block, &'static str, &'static str); 7] {
    [
        (
            Block::Privileged(PrivilegeFinding::RoleGroup("Tier 0".into())),
            "the account is in the role-assignable group",
            "Give this person their first sign-in yourself",
        ),
        (
            Block::Privileged(PrivilegeFinding::Unknown("403".into())),
            "cannot tell whether",
            "Grant the services the permissions",
        ),
        (Block::NoAddress("none".into()), "nobody to write to: none", "Put a private mail address"),
        (Block::PassesOff, "the tenant's policy has", "Enable the Temporary Access Pass method"),
        (Block::DisabledByPolicy, "the policy does not let this user", "Include this user"),
        (Block::Refused(graph()), "Graph error while making the pass", "To do: nothing"),
        (Block::KeepsVanishing, "their pass was deleted or replaced", "Find out who deletes"),
    ]
}

fn failures() -> [(Failure, &'static str, &'static str); 6] {
    let until = "2026-11-27T07:00:00Z".parse().unwrap();
    let unknown = MailError::UnknownLanguage { language: "xx".into(), available: vec![] };
    [
        (
            Failure::Busy(Some(until)),
            "another job is at work on this user, until 2026-11-27 07:00:00 UTC",
            "Nothing, unless",
        ),
        (Failure::Busy(None), "another job is at work on this user", "Nothing, unless"),
        (Failure::Missing, "no such user in the tenant", "Check that the account"),
        (Failure::Graph(graph()), "Graph error while making the pass", "To do: nothing"),
        (Failure::Ledger(LedgerError::Conflict), "another job changed", "Nothing, unless"),
        (Failure::Mail(unknown), "there are no mails in", "Mend the mail templates"),
    ]
}

#[track_caller]
fn check(outcome: &Outcome, name: &str, what_happened: &str, what_to_do: &str) {
    assert_eq!(outcome.name(), name);
    assert!(outcome.to_string().starts_with(what_happened), "{outcome}");
    let advice = outcome.advice().unwrap_or_default();
    assert!(advice.starts_with(what_to_do) && !advice.is_empty(), "{outcome}: {advice}");
}

#[test]
fn where_a_person_must_act_they_read_what_happened_and_what_to_do() {
    for (block, what_happened, what_to_do) in blocks() {
        check(&Outcome::Blocked(block), "blocked", what_happened, what_to_do);
    }
    for (failure, what_happened, what_to_do) in failures() {
        check(&Outcome::Failed(failure), "failed", what_happened, what_to_do);
    }
    for (revoke, what_happened, what_to_do) in [
        (Revoke::Deleted, "the account is gone", "Nothing, if that was meant."),
        (
            Revoke::OutOfScope(Skip::Disabled),
            "pass taken back: the account is disabled",
            "If they still start, enable the account",
        ),
        (
            Revoke::OutOfScope(Skip::NoHireDate),
            "pass taken back: no hire date",
            "If they still start, set their hire date",
        ),
    ] {
        check(&Outcome::Revoked(revoke), "revoked", what_happened, what_to_do);
    }
}

#[test]
fn a_mailed_pass_is_told_with_its_window_and_whether_day_one_moved() {
    let opens_at = "2026-11-27T07:00:00Z".parse().unwrap();
    let window = Window { opens_at, opens_now: false, lifetime_minutes: 60, one_time: true, zone: Tz::UTC };
    for (moved, words) in [
        (false, "pass mailed to e…@home.example, open 2026-11-27 07:00 to 08:00 UTC"),
        (true, "day one moved, new pass mailed to e…@home.example, open 2026-11-27 07:00 to 08:00 UTC"),
    ] {
        let outcome = Outcome::Delivered(DeliveredPass { window, to: "e…@home.example".into(), moved });
        assert_eq!(
            (outcome.name(), outcome.to_string().as_str(), outcome.advice()),
            ("delivered", words, None)
        );
    }
}

#[test]
fn whoever_is_skipped_is_skipped_for_a_reason_in_words_of_its_own() {
    let day = "2026-11-27".parse().unwrap();
    let mut words = BTreeSet::new();
    for skip in [
        Skip::Guest,
        Skip::NoHireDate,
        Skip::BeyondHorizon(day),
        Skip::DayOnePast(day),
        Skip::Disabled,
        Skip::JustDelivered,
        Skip::AlreadyServed,
        Skip::HasWorkingPass,
        Skip::WasUsed,
        Skip::NotInGroup,
        Skip::NothingOpen,
    ] {
        let outcome = Outcome::from(skip);
        assert_eq!((outcome.name(), outcome.advice()), ("skipped", None));
        assert_eq!(outcome.to_string().contains("2026-11-27"), format!("{skip:?}").contains("2026-11-27"));
        assert!(words.insert(outcome.to_string()) && outcome.to_string().contains(' '), "{outcome}");
    }
}

/// An alert goes out when the word changes: two reasons with one word would hide the second.
#[test]
fn each_reason_has_a_word_of_its_own() {
    let words = blocks().map(|(block, ..)| block.word());
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), blocks().len(), "{words:?}");
    let words = failures().map(|(failure, ..)| failure.word());
    assert_eq!(words, ["busy", "busy", "missing", "graph", "ledger", "mail"]);
}
