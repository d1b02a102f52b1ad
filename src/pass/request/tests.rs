use serde_json::Map;

use super::*;
use crate::{
    budget,
    graph::{GraphError, Pass},
    ledger::{Lease, Purpose, State},
    pass::fixtures::{self, GROUP, now, snapshot},
    settings::{Callers, Deliver},
};

fn fingerprint(key: &str, body: &str) -> Fingerprint {
    Fingerprint { key: key.into(), body: body.into() }
}

/// A call with the key `k`, that asks for nothing special.
fn request() -> PassRequest {
    PassRequest { fingerprint: Some(fingerprint("k", "b")), ..fixtures::request() }
}

fn made_pass() -> PassRecord {
    PassRecord {
        pass_id: "made".into(),
        opens_at: now(),
        ends_at: now() + TimeDelta::hours(4),
        one_time: true,
        unknown: Map::new(),
    }
}

/// The record of one user with calls so many minutes ago.
fn record(calls: Vec<(i64, Option<CallResult>)>) -> Record {
    let calls = calls.into_iter().map(|(minutes, end)| IdempotencyEntry {
        job_key: format!("http/{minutes}"),
        since: now() - TimeDelta::minutes(minutes),
        fingerprint: Some(fingerprint("k", "b")),
        result: end,
        unknown: Map::new(),
    });
    Record { calls: calls.collect(), ..Record::new(State::Delivered, Purpose::Http, now()) }
}

/// What `order` is answered, a so-and-so long time after [`now`].
fn answered(
    request: &PassRequest,
    record: &Record,
    snapshot: Option<&TenantSnapshot>,
    later: TimeDelta,
) -> String {
    match request.check_idempotency(Some(record), snapshot, now() + later) {
        Ok(()) => "new".into(),
        Err(NotIssued::Refused(Refusal::Repeated { made, .. })) => format!("repeated: {}", made.pass_id),
        Err(NotIssued::Refused(refusal)) => format!("{refusal:?}"),
        Err(NotIssued::Outcome(Outcome::Failed(Failure::Busy(Some(until))))) => {
            format!("busy until {}", until.format("%H:%M"))
        }
        Err(NotIssued::Outcome(outcome)) => format!("{outcome:?}"),
    }
}

const AT_ONCE: TimeDelta = TimeDelta::zero();
const LEASE: TimeDelta = TimeDelta::seconds(budget::LEASE.as_secs().cast_signed());
const A_BIT: TimeDelta = TimeDelta::milliseconds(1);

#[test]
fn a_key_is_remembered_for_a_quarter_of_an_hour_and_stands_for_one_body() {
    let record = record(vec![(0, Some(CallResult::Issued(made_pass())))]);
    let answered = |request: &PassRequest, later| answered(request, &record, None, later);
    assert_eq!(answered(&request(), IDEMPOTENCY_WINDOW - A_BIT), "repeated: made");
    assert_eq!(answered(&request(), IDEMPOTENCY_WINDOW), "new");
    let other = |key, body| PassRequest { fingerprint: Some(fingerprint(key, body)), ..request() };
    assert_eq!(answered(&other("k", "other"), AT_ONCE), "KeyReused");
    assert_eq!(answered(&other("other", "b"), AT_ONCE), "new");
    assert_eq!(answered(&PassRequest { fingerprint: None, ..request() }, AT_ONCE), "new");
}

#[test]
fn a_call_that_is_at_work_or_made_nothing_is_told_apart_from_one_whose_worker_died() {
    let nothing = record(vec![(0, Some(CallResult::Nothing))]);
    assert_eq!(answered(&request(), &nothing, None, AT_ONCE), "new");
    let at_work = record(vec![(0, None)]);
    assert_eq!(answered(&request(), &at_work, None, LEASE - A_BIT), "busy until 05:05");
    assert_eq!(answered(&request(), &at_work, None, LEASE), "new", "an answer would have come by now");
}

#[test]
fn where_a_dead_workers_mail_may_have_gone_out_its_pass_is_waited_for() {
    let request = PassRequest { by_mail: true, ..request() };
    let mut record = record(vec![(0, None)]);
    let lease = |job_key: &str, lifetime_minutes| Lease {
        job_key: job_key.into(),
        purpose: Purpose::Http,
        since: now(),
        opens_at: None,
        told_at: None,
        lifetime_minutes,
        unknown: Map::new(),
    };
    record.lease = Some(lease("http/of somebody else", 60));
    record.earlier_leases = vec![lease("http/0", 240)];
    let mut snapshot = snapshot();
    let mut answered = |passes: Vec<Pass>, later| {
        snapshot.passes = passes;
        answered(&request, &record, Some(&snapshot), later)
    };
    let pass = |lifetime_in_minutes| Pass {
        id: "late".into(),
        created_date_time: now(),
        start_date_time: now(),
        lifetime_in_minutes,
        is_usable_once: true,
        method_usability_reason: None,
    };
    assert_eq!(answered(vec![pass(240)], LEASE), "repeated: late");
    assert_eq!(answered(vec![pass(60)], LEASE), "busy until 05:10", "another call's pass");
    assert_eq!(answered(vec![], REPLICA_LAG - A_BIT), "busy until 05:10");
    assert_eq!(answered(vec![], REPLICA_LAG), "new");
}

fn settings() -> CreateTapSettings {
    CreateTapSettings {
        open: vec![],
        lifetime_minutes: 240,
        one_time: true,
        notify_user: false,
        deliver: Deliver::Response,
        allowed_group: None,
        callers: Callers::Everyone,
        ticket_hosts: vec![],
        limit_per_user: 2,
        limit_per_caller: 2,
        platform_authentication: false,
    }
}

#[test]
fn only_members_of_the_allowed_group_may_have_a_pass_where_there_is_one() {
    let mut snapshot = snapshot();
    let admit = |settings: &CreateTapSettings, snapshot: &TenantSnapshot| {
        request().authorize(settings, snapshot, None, now())
    };
    assert_eq!(admit(&settings(), &snapshot), Ok(()));
    let only = CreateTapSettings { allowed_group: Some(GROUP), ..settings() };
    assert_eq!(admit(&only, &snapshot), Err(Refusal::NotInGroup));
    snapshot.privileges.groups.push(GROUP);
    assert_eq!(admit(&only, &snapshot), Ok(()));
}

#[test]
fn a_user_is_made_so_many_passes_in_an_hour_and_calls_that_made_nothing_do_not_count() {
    let admit =
        |calls, later| request().authorize(&settings(), &snapshot(), Some(&record(calls)), now() + later);
    let made = || Some(CallResult::Issued(made_pass()));
    let too_many = Err(Refusal::TooMany { again_at: now() + TimeDelta::minutes(20) });
    assert_eq!(admit(vec![(40, made())], AT_ONCE), Ok(()));
    assert_eq!(admit(vec![(40, made()), (5, made())], AT_ONCE), too_many);
    assert_eq!(admit(vec![(40, made()), (5, None)], AT_ONCE), too_many, "its worker may be making one");
    assert_eq!(
        admit(vec![(50, made()), (40, made()), (5, made())], AT_ONCE),
        too_many,
        "two, not one, must go"
    );
    assert_eq!(admit(vec![(40, made()), (5, Some(CallResult::Nothing))], AT_ONCE), Ok(()));
    assert_eq!(admit(vec![(40, made()), (5, made())], TimeDelta::minutes(20) - A_BIT), too_many);
    assert_eq!(admit(vec![(40, made()), (5, made())], TimeDelta::minutes(20)), Ok(()));
}

#[test]
fn what_was_asked_for_is_had_or_refused_and_only_defaults_are_bent() {
    let mut snapshot = snapshot();
    let lifetime = PolicyViolation::Lifetime { minimum: 60, maximum: 480 };
    let refused = |request: &PassRequest, snapshot: &TenantSnapshot| {
        request.authorize(&settings(), snapshot, None, now()).err()
    };
    for (minutes, beyond) in [(59, true), (60, false), (480, false), (481, true)] {
        let asked = PassRequest { lifetime_minutes: Choice::Explicit(minutes), ..request() };
        let refusal = beyond.then(|| Refusal::PolicyViolation(vec![lifetime]));
        assert_eq!(
            (refused(&asked, &snapshot), asked.clamped(&snapshot.policy)),
            (refusal, vec![]),
            "{minutes}"
        );
        let default = PassRequest { lifetime_minutes: Choice::Default(minutes), ..request() };
        let clamped = if beyond { vec![lifetime] } else { vec![] };
        assert_eq!(
            (refused(&default, &snapshot), default.clamped(&snapshot.policy)),
            (None, clamped),
            "{minutes}"
        );
    }
    let asked = PassRequest { one_time: Choice::Explicit(false), ..request() };
    assert_eq!(refused(&asked, &snapshot), None);
    snapshot.policy.is_usable_once = true;
    assert_eq!(
        refused(&asked, &snapshot),
        Some(Refusal::PolicyViolation(vec![PolicyViolation::SeveralTimes]))
    );
    assert_eq!(refused(&PassRequest { one_time: Choice::Explicit(true), ..request() }, &snapshot), None);
    let default = PassRequest { one_time: Choice::Default(false), ..request() };
    assert_eq!(
        (refused(&default, &snapshot), default.clamped(&snapshot.policy)),
        (None, vec![PolicyViolation::SeveralTimes])
    );
}

#[test]
fn why_a_call_is_refused_is_told_in_words() {
    let beyond = vec![PolicyViolation::Lifetime { minimum: 60, maximum: 480 }, PolicyViolation::SeveralTimes];
    for (refusal, words) in [
        (
            Refusal::PolicyViolation(beyond),
            "the tenant's policy allows 60 to 480 minutes; the tenant's policy allows only passes that work once",
        ),
        (Refusal::NotInGroup, "the user is not in the group whose members may have a pass by CreateTap"),
        (
            Refusal::TooMany { again_at: now() },
            "this user has had as many passes as an hour allows; the next one is possible at 2026-11-22 05:00:00 UTC",
        ),
        (Refusal::KeyReused, "this Idempotency-Key came minutes ago with another body"),
        (Refusal::Repeated { made: made_pass(), at: now() }, "this call came before, and made the pass made"),
    ] {
        assert_eq!(NotIssued::from(refusal).to_string(), words);
    }
    let outcome = Outcome::Failed(Failure::Missing);
    let words = outcome.to_string();
    assert_eq!(NotIssued::from(outcome).to_string(), words);
}

/// Whatever depends on the account and does not end by itself would show a manager something about it.
#[test]
fn only_what_ends_by_itself_may_pass() {
    let failed = |failure: Failure| NotIssued::from(failure).may_pass();
    assert!(failed(Failure::Busy(None)));
    assert!(failed(Failure::Graph(GraphError::timed_out("reading"))));
    assert!(failed(Failure::Ledger(LedgerError::Unavailable("no answer".into()))));
    assert!(!failed(Failure::Ledger(LedgerError::Unreadable("a document".into()))));
    assert!(!failed(Failure::Missing));
    assert!(!NotIssued::from(Refusal::NotInGroup).may_pass());
}
