//! How often a pass may be asked for, and what makes a call the same call. All of it holds over lost answers, dead
//! workers and several instances.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use firstpass::ledger::LedgerError;
use firstpass_sandbox::tenant::{Fault, FaultKind, Person};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::{PASS, World, refuse, tenant_with_emma, throttle},
    http::{Answer, ask, ask_for, logged, send},
};

const OID: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";

async fn keyed(world: &World, user: Uuid, key: &str, mut parameters: Value) -> Answer {
    parameters["UserName"] = json!(user);
    send(world, &parameters.to_string(), &[("idempotency-KEY", key)]).await
}

#[tokio::test(start_paused = true)]
async fn a_user_gets_so_many_passes_in_an_hour_whichever_instance_is_asked() {
    let (tenant, emma) = tenant_with_emma();
    let world = World::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "2")]);
    let other = world.another_instance();
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 201);
    world.later(TimeDelta::minutes(10));
    assert_eq!(ask_for(&other, emma, json!({})).await.status, 201);
    let held = world.live_code(emma);
    for instance in [&world, &other] {
        let answer = ask_for(instance, emma, json!({})).await;
        assert_eq!(answer.problem(), (429, "too-many-passes", Some(3_000)), "{answer:?}");
    }
    assert_eq!((world.live_code(emma), world.count("POST", PASS)), (held, 2), "nothing was leased or made");
    world.later(TimeDelta::minutes(50));
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 201, "an hour after the first");
    assert_eq!(ask_for(&world, emma, json!({})).await.problem(), (429, "too-many-passes", Some(600)));
}

#[tokio::test(start_paused = true)]
async fn calls_that_made_nothing_do_not_use_up_a_users_passes() {
    let (tenant, emma) = tenant_with_emma();
    let world = World::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "1")]);
    for kind in [throttle("1"), refuse(400), FaultKind::LoseAnswer] {
        world.sandbox.inject(Fault::on("POST", PASS, kind).times(4));
        assert!(ask_for(&world, emma, json!({})).await.status > 201);
        world.sandbox.clear_faults();
    }
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 201);
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_call_so_often_in_an_hour() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let world = World::new(tenant, &[("CREATE_TAP_LIMIT_PER_CALLER", "2"), ("WEBSITE_AUTH_ENABLED", "True")]);
    let by = async |id: &str, user: Uuid| {
        send(&world, &json!({"UserName": user}).to_string(), &[("X-MS-CLIENT-PRINCIPAL-ID", id)]).await
    };
    assert_eq!(ask(&world, json!({"UserName": 7})).await.status, 400, "what cannot be read costs nothing");
    assert_eq!(by(OID, emma).await.status, 201);
    assert_eq!(by(OID, Uuid::from_u128(1)).await.status, 404);
    let requests = world.sandbox.requests().len();
    assert_eq!(by(OID, other).await.problem(), (429, "too-many-calls", Some(3_600)));
    assert_eq!(world.sandbox.requests().len(), requests, "the tenant is not even asked");
    assert_eq!(by("22222222-2222-2222-2222-222222222222", other).await.status, 201, "another caller may");
    world.later(TimeDelta::hours(1));
    assert_eq!(by(OID, other).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn only_callers_on_the_list_may_call_and_headers_count_only_behind_the_platform() {
    for (auth, headers, status) in [
        ("True", vec![("X-MS-CLIENT-PRINCIPAL-ID", OID)], 201),
        ("True", vec![("x-ms-client-principal-id", OID), ("X-MS-CLIENT-PRINCIPAL-NAME", "desk")], 201),
        ("True", vec![("X-MS-CLIENT-PRINCIPAL-ID", "22222222-2222-2222-2222-222222222222")], 403),
        ("True", vec![], 403),
        ("False", vec![("X-MS-CLIENT-PRINCIPAL-ID", OID)], 403),
    ] {
        let (tenant, emma) = tenant_with_emma();
        let world =
            World::new(tenant, &[("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", auth)]);
        let answer = send(&world, &json!({"UserName": emma}).to_string(), &headers).await;
        assert_eq!(answer.status, status, "{auth} {headers:?} {answer:?}");
        if status == 403 {
            assert_eq!(answer.problem(), (403, "caller-not-allowed", None));
            assert_eq!(world.sandbox.requests(), [], "the tenant is not even asked");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_call_makes_one_pass_and_is_then_told_what_it_made() {
    for deliver in ["response", "mail"] {
        let (world, emma) = World::with_emma();
        let asked = json!({"LifetimeInMinutes": 60, "Deliver": deliver});
        let first = keyed(&world, emma, "k-1", asked.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        let code = world.live_code(emma).unwrap();
        world.later(TimeDelta::minutes(14));
        for instance in [&world, &world.another_instance()] {
            let again = keyed(instance, emma, "k-1", asked.clone()).await;
            assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
            let made = &again.body["made"];
            assert_eq!(made["passId"], first.body["passId"]);
            assert_eq!(
                (&made["startDateTime"], &made["validUntil"]),
                (&first.body["startDateTime"], &first.body["validUntil"])
            );
            assert!(!again.body.to_string().contains(&code));
        }
        assert_eq!((world.count("POST", PASS), world.live_code(emma)), (1, Some(code)));
        assert_eq!(keyed(&world, emma, "k-1", json!({})).await.problem(), (422, "key-reused", None));
        assert_eq!(
            keyed(&world, emma, "k-2", asked.clone()).await.status,
            201,
            "another key is another call"
        );
        world.later(TimeDelta::minutes(2));
        assert_eq!(
            keyed(&world, emma, "k-1", asked).await.status,
            201,
            "after a quarter of an hour it is forgotten"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_call_while_the_first_is_at_work_is_told_to_wait() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(20))));
    let (first, (again, other)) = tokio::join!(keyed(&world, emma, "k", json!({})), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        (
            keyed(&world, emma, "k", json!({})).await,
            keyed(&world, emma, "k", json!({"OneTimeUseOnly": false})).await,
        )
    });
    assert_eq!((first.status, world.count("POST", PASS)), (201, 1));
    assert_eq!(again.problem(), (409, "busy", Some(295)));
    assert_eq!(other.problem(), (422, "key-reused", None));
    assert_eq!(keyed(&world, emma, "k", json!({})).await.problem().1, "already-made");
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_without_a_pass_the_same_call_is_tried_again() {
    for (path, kind, deliver) in [
        ("users", refuse(403), "response"),
        ("$batch", refuse(400), "response"),
        (PASS, refuse(400), "response"),
        (PASS, throttle("1"), "response"),
        (PASS, FaultKind::LoseAnswer, "response"),
        ("sendMail", refuse(400), "mail"),
    ] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
        let first = keyed(&world, emma, "k", json!({"Deliver": deliver})).await;
        assert!(first.status > 201, "{path} {first:?}");
        world.sandbox.clear_faults();
        let again = keyed(&world, emma, "k", json!({"Deliver": deliver})).await;
        assert_eq!((again.status, world.sandbox.passes().len()), (201, 1), "{path} {kind:?} {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_stands_for_its_body_also_where_the_call_made_nothing() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::minutes(20));
    world.sandbox.inject(Fault::on("POST", PASS, refuse(400)));
    assert!(keyed(&world, emma, "k", json!({})).await.status > 201);
    let other = keyed(&world, emma, "k", json!({"OneTimeUseOnly": false})).await;
    assert_eq!(other.problem(), (422, "key-reused", None), "{other:?}");
}

/// A mail whose answer is lost may have arrived: a second pass would kill the code in it.
#[tokio::test(start_paused = true)]
async fn where_a_mail_may_have_arrived_the_same_call_makes_no_second_pass() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::LoseAnswer).times(3));
    let asked = json!({"Deliver": "mail"});
    let first = keyed(&world, emma, "k", asked.clone()).await;
    assert_eq!(first.problem(), (504, "graph-no-answer", Some(60)));
    let again = keyed(&world, emma, "k", asked.clone()).await;
    assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_died_with_its_mail_sent_does_not_lead_to_a_second_pass() {
    let (world, emma) = World::with_emma();
    // The mail goes out, and the worker never hears of it.
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::DelayAfter(Duration::from_secs(86_400))));
    let asked = json!({"Deliver": "mail"});
    let dies = tokio::time::timeout(Duration::from_secs(1), keyed(&world, emma, "k", asked.clone())).await;
    assert!(dies.is_err());
    assert_eq!(keyed(&world, emma, "k", asked.clone()).await.problem().1, "busy");
    world.later(TimeDelta::minutes(6));
    // A replica that does not show the pass yet is no proof that there is none.
    let hidden = world.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    assert_eq!(keyed(&world, emma, "k", asked.clone()).await.problem().1, "busy");
    world.sandbox.edit(|t| t.passes.insert(emma, hidden));
    let again = keyed(&world, emma, "k", asked).await;
    assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
    assert_eq!(world.count("POST", PASS), 1);
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_died_before_it_answered_is_followed_by_one_that_does() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(86_400))));
    assert!(tokio::time::timeout(Duration::from_secs(1), keyed(&world, emma, "k", json!({}))).await.is_err());
    assert_eq!(keyed(&world, emma, "k", json!({})).await.problem().1, "busy");
    world.later(TimeDelta::minutes(6));
    let again = keyed(&world, emma, "k", json!({})).await;
    assert_eq!((again.status, again.code()), (201, world.live_code(emma).as_deref()), "{again:?}");
}

/// Answers are lost, though what was asked is done.
#[derive(Debug)]
struct Lossy {
    /// Which operations (reads and writes together, from 1) are done without an answer.
    lost: Vec<u32>,
    seen: AtomicU32,
}

impl LedgerFault for Lossy {
    fn after(&self, call: Operation, _: bool) -> Result<(), LedgerError> {
        let is_lost = matches!(call, Operation::Read | Operation::Write)
            && self.lost.contains(&(self.seen.fetch_add(1, Ordering::Relaxed) + 1));
        if is_lost { Err(LedgerError::Unavailable("no answer".into())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_ledger_never_lead_to_two_delivered_passes_for_one_key() {
    for deliver in ["response", "mail"] {
        // Read, lease, settle, look: each of them, and neighbours together.
        for lost in [vec![1], vec![2], vec![3], vec![4], vec![2, 3], vec![3, 4], vec![3, 4, 5]] {
            let (tenant, emma) = tenant_with_emma();
            let world = World::on(
                tenant,
                &[],
                FaultyLedger::by(Lossy { lost: lost.clone(), seen: AtomicU32::new(0) }),
            );
            let (mut handed, mut words) = (vec![], vec![]);
            for _ in 0..3 {
                let answer = keyed(&world, emma, "k", json!({"Deliver": deliver})).await;
                handed.extend(answer.code().map(str::to_owned));
                words.push(answer.problem().1.to_owned());
                world.later(TimeDelta::minutes(6));
            }
            let delivered = handed.len() + world.pass_mails().len();
            assert!(delivered <= 1, "{deliver} {lost:?}: {delivered} codes, {words:?}");
            if let Some(code) = handed.first() {
                assert_eq!(world.live_code(emma).as_ref(), Some(code), "{lost:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_leaves_one_audit_line_that_no_value_can_break() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.add(Person::named("Other One"));
    let world = World::new(tenant, &[("WEBSITE_AUTH_ENABLED", "True")]);
    let headers = [("X-MS-CLIENT-PRINCIPAL-ID", OID), ("X-MS-CLIENT-PRINCIPAL-NAME", "desk\nevent=forged")];
    let asked = json!({
        "UserName": emma, "CallerName": "Grace Hall", "Reason": "new phone\" outcome=\"made",
        "ServiceDeskTicketUrl": "https://help.contoso.example/4711",
    });
    let answers = async {
        let made = send(&world, &asked.to_string(), &headers).await;
        let bad = send(&world, r#"{"UserName": "a\nevent=forged", "Reason": "x\ny"}"#, &headers).await;
        let missing = send(&world, r#"{"UserName": "nobody@contoso.example", "Reason": "typo"}"#, &[]).await;
        (made, bad, missing)
    };
    let ((made, bad, missing), text) = logged("firstpass=info", answers).await;
    assert_eq!((made.status, bad.status, missing.status), (201, 400, 404));
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("create_tap.audit")).collect();
    assert_eq!((lines.len(), text.lines().any(|line| line.starts_with("event="))), (3, false), "{text}");
    let pass = made.body["passId"].as_str().unwrap();
    for part in [
        "INFO",
        "outcome=made",
        OID,
        "desk\\nevent=forged",
        "caller_name=\"Grace Hall\"",
        "ticket=https://help.contoso.example/4711",
        "user=emma.brooks@contoso.example",
        pass,
        "opens=2026-11-22T05:00:00Z",
        "closes=2026-11-22T09:00:00Z",
        "invocation_id=",
        "new phone\\\" outcome=",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    for (line, parts) in [
        (lines[1], ["WARN", "outcome=invalid-request", OID, "UserName"]),
        (lines[2], ["WARN", "outcome=no-such-user", "caller=unknown", "reason=typo"]),
    ] {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    assert!(!text.contains(made.code().unwrap()));
}
