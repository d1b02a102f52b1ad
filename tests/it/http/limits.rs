//! Rate limits, allowed callers and idempotency keys, with lost answers, dead workers and several instances.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::TimeDelta;
use firstpass::ledger::LedgerError;
use firstpass_sandbox::tenant::{Fault, FaultKind, Person};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, call, call_for, send, send_with_key, signed_in};
use crate::{
    helpers::{
        PASS_PATH, TestApp, abort_after, fail_with, log_capture::capture_log, tenant_with_emma, throttle,
    },
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

const OID: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";

/// Calls CreateTap with an idempotency key.
async fn call_with_key(app: &TestApp, user: Uuid, key: &str, mut parameters: Value) -> HandlerResponse {
    parameters["UserName"] = json!(user);
    send(app, &parameters.to_string(), &[("idempotency-KEY", key)]).await
}

#[tokio::test(start_paused = true)]
async fn the_limit_per_user_holds_across_instances() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "2")]);
    let other = app.another_instance();
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201);
    app.advance(TimeDelta::minutes(10));
    assert_eq!(call_for(&other, emma, json!({})).await.status, 201);
    let code = app.live_code(emma);
    for instance in [&app, &other] {
        let answer = call_for(instance, emma, json!({})).await;
        assert_eq!(answer.problem(), (429, "too-many-passes", Some(3_000)), "{answer:?}");
    }
    assert_eq!(
        (app.live_code(emma), app.count_requests("POST", PASS_PATH)),
        (code, 2),
        "the pass is unchanged"
    );
    app.advance(TimeDelta::minutes(50));
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201, "an hour after the first call");
    assert_eq!(call_for(&app, emma, json!({})).await.problem(), (429, "too-many-passes", Some(600)));
}

#[tokio::test(start_paused = true)]
async fn failed_calls_do_not_count_towards_the_limit_per_user() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_USER", "1")]);
    for kind in [throttle("1"), fail_with(400), FaultKind::LoseAnswer] {
        app.sandbox.inject(Fault::on("POST", PASS_PATH, kind).times(4));
        assert!(call_for(&app, emma, json!({})).await.status > 201);
        app.sandbox.clear_faults();
    }
    assert_eq!(call_for(&app, emma, json!({})).await.status, 201);
    assert_eq!(call_for(&app, emma, json!({})).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_caller_are_limited_per_hour() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_CALLER", "2"), ("WEBSITE_AUTH_ENABLED", "True")]);
    let by = async |id: &str, user: Uuid| {
        let (name, principal) = signed_in(id, &[]);
        send(&app, &json!({"UserName": user}).to_string(), &[(name, &principal)]).await
    };
    assert_eq!(call(&app, json!({"UserName": 7})).await.status, 400, "invalid calls do not count");
    assert_eq!(by(OID, emma).await.status, 201);
    assert_eq!(by(OID, Uuid::from_u128(1)).await.status, 404);
    let requests = app.sandbox.requests().len();
    assert_eq!(by(OID, other).await.problem(), (429, "too-many-calls", Some(3_600)));
    assert_eq!(app.sandbox.requests().len(), requests, "Graph is not called");
    assert_eq!(
        by("22222222-2222-2222-2222-222222222222", other).await.status,
        201,
        "another caller has its own limit"
    );
    app.advance(TimeDelta::hours(1));
    assert_eq!(by(OID, other).await.status, 201);
}

/// Where Entra says nobody, the host says whose key it was.
#[tokio::test(start_paused = true)]
async fn callers_without_a_token_are_limited_and_audited_by_their_function_key() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_CALLER", "1"), ("WEBSITE_AUTH_ENABLED", "True")]);
    let by = async |key: &str, user: Uuid, headers: &[(&str, &str)]| {
        send_with_key(&app, &json!({"UserName": user}).to_string(), headers, key).await.status
    };
    let calls = async {
        assert_eq!(by("helpdesk", emma, &[]).await, 201);
        assert_eq!(by("helpdesk", other, &[]).await, 429);
        assert_eq!(by("flow", other, &[]).await, 201, "another key has its own limit");
        let (name, principal) = signed_in(OID, &[]);
        assert_eq!(by("helpdesk", other, &[(name, &principal)]).await, 201, "so has a token");
    };
    let ((), log) = capture_log("info", calls).await;
    let callers: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("create_tap.audit"))
        .filter_map(|line| line.split(" caller=").nth(1)?.split(" caller_name=").next())
        .collect();
    assert_eq!(
        callers,
        ["\"function key helpdesk\"", "\"function key helpdesk\"", "\"function key flow\"", OID]
    );
}

/// A key names no caller for CREATE_TAP_ALLOWED_CALLERS.
#[tokio::test(start_paused = true)]
async fn a_function_key_is_no_allowed_caller() {
    let (tenant, emma) = tenant_with_emma();
    let settings = [("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "True")];
    let app = TestApp::new(tenant, &settings);
    let answer = send_with_key(&app, &json!({"UserName": emma}).to_string(), &[], OID).await;
    assert_eq!(answer.problem(), (403, "caller-not-allowed", None));
    assert!(answer.detail().contains("without a token"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn only_allowed_callers_authenticated_by_the_platform_are_accepted() {
    let (name, listed) = signed_in(OID, &[]);
    let (_, other) = signed_in("22222222-2222-2222-2222-222222222222", &[]);
    for (auth, headers, status) in [
        ("True", vec![(name, listed.as_str())], 201),
        ("True", vec![("x-ms-client-principal", &listed), ("X-MS-CLIENT-PRINCIPAL-NAME", "desk")], 201),
        ("True", vec![(name, &other)], 403),
        ("True", vec![("X-MS-CLIENT-PRINCIPAL-ID", OID)], 403),
        ("True", vec![], 403),
        ("False", vec![(name, &listed)], 403),
    ] {
        let (tenant, emma) = tenant_with_emma();
        let app =
            TestApp::new(tenant, &[("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", auth)]);
        let answer = send(&app, &json!({"UserName": emma}).to_string(), &headers).await;
        assert_eq!(answer.status, status, "{auth} {headers:?} {answer:?}");
        if status == 403 {
            assert_eq!(answer.problem(), (403, "caller-not-allowed", None));
            assert_eq!(app.sandbox.requests(), [], "Graph is not called");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_makes_one_pass_and_returns_its_details() {
    for deliver in ["response", "mail"] {
        let (app, emma) = TestApp::with_emma();
        let parameters = json!({"LifetimeInMinutes": 60, "Deliver": deliver});
        let first = call_with_key(&app, emma, "k-1", parameters.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        let code = app.live_code(emma).unwrap();
        app.advance(TimeDelta::minutes(14));
        for instance in [&app, &app.another_instance()] {
            let again = call_with_key(instance, emma, "k-1", parameters.clone()).await;
            assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
            let made = &again.body["made"];
            assert_eq!(made["passId"], first.body["passId"]);
            assert_eq!(
                (&made["startDateTime"], &made["validUntil"]),
                (&first.body["startDateTime"], &first.body["validUntil"])
            );
            assert!(!again.body.to_string().contains(&code));
        }
        assert_eq!((app.count_requests("POST", PASS_PATH), app.live_code(emma)), (1, Some(code)));
        assert_eq!(call_with_key(&app, emma, "k-1", json!({})).await.problem(), (422, "key-reused", None));
        assert_eq!(
            call_with_key(&app, emma, "k-2", parameters.clone()).await.status,
            201,
            "another key makes another pass"
        );
        app.advance(TimeDelta::minutes(2));
        assert_eq!(
            call_with_key(&app, emma, "k-1", parameters).await.status,
            201,
            "the entry expires after 15 minutes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_during_the_first_call_is_busy() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(20))));
    let (first, (again, other)) = tokio::join!(call_with_key(&app, emma, "k", json!({})), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        (
            call_with_key(&app, emma, "k", json!({})).await,
            call_with_key(&app, emma, "k", json!({"OneTimeUseOnly": false})).await,
        )
    });
    assert_eq!((first.status, app.count_requests("POST", PASS_PATH)), (201, 1));
    assert_eq!(again.problem(), (409, "busy", Some(295)));
    assert_eq!(other.problem(), (422, "key-reused", None));
    assert_eq!(call_with_key(&app, emma, "k", json!({})).await.problem().1, "already-made");
}

#[tokio::test(start_paused = true)]
async fn a_key_can_be_retried_after_a_failure_without_a_pass() {
    for (path, kind, deliver) in [
        ("users", fail_with(403), "response"),
        ("$batch", fail_with(400), "response"),
        (PASS_PATH, fail_with(400), "response"),
        (PASS_PATH, throttle("1"), "response"),
        (PASS_PATH, FaultKind::LoseAnswer, "response"),
        ("sendMail", fail_with(400), "mail"),
    ] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
        let first = call_with_key(&app, emma, "k", json!({"Deliver": deliver})).await;
        assert!(first.status > 201, "{path} {first:?}");
        app.sandbox.clear_faults();
        let again = call_with_key(&app, emma, "k", json!({"Deliver": deliver})).await;
        assert_eq!((again.status, app.sandbox.passes().len()), (201, 1), "{path} {kind:?} {again:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_bound_to_its_body_after_a_failed_call() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::minutes(20));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(400)));
    assert!(call_with_key(&app, emma, "k", json!({})).await.status > 201);
    let other = call_with_key(&app, emma, "k", json!({"OneTimeUseOnly": false})).await;
    assert_eq!(other.problem(), (422, "key-reused", None), "{other:?}");
}

/// A second pass would invalidate the code in the mail.
#[tokio::test(start_paused = true)]
async fn a_key_whose_mail_may_have_arrived_makes_no_second_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::LoseAnswer).times(3));
    let parameters = json!({"Deliver": "mail"});
    let first = call_with_key(&app, emma, "k", parameters.clone()).await;
    assert_eq!(first.problem(), (504, "graph-no-answer", Some(60)));
    let again = call_with_key(&app, emma, "k", parameters.clone()).await;
    assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_died_after_the_mail_leads_to_no_second_pass() {
    let (app, emma) = TestApp::with_emma();
    // The mail is sent, and the worker dies before the answer.
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::DelayAfter(Duration::from_secs(86_400))));
    let parameters = json!({"Deliver": "mail"});
    abort_after(1, call_with_key(&app, emma, "k", parameters.clone())).await;
    assert_eq!(call_with_key(&app, emma, "k", parameters.clone()).await.problem().1, "busy");
    app.advance(TimeDelta::minutes(6));
    // A lagging replica does not list the pass.
    let hidden = app.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    assert_eq!(call_with_key(&app, emma, "k", parameters.clone()).await.problem().1, "busy");
    app.sandbox.edit(|t| t.passes.insert(emma, hidden));
    let again = call_with_key(&app, emma, "k", parameters).await;
    assert_eq!(again.problem(), (409, "already-made", None), "{again:?}");
    assert_eq!(app.count_requests("POST", PASS_PATH), 1);
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_repeated_after_its_worker_died() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(86_400))));
    abort_after(1, call_with_key(&app, emma, "k", json!({}))).await;
    assert_eq!(call_with_key(&app, emma, "k", json!({})).await.problem().1, "busy");
    app.advance(TimeDelta::minutes(6));
    let again = call_with_key(&app, emma, "k", json!({})).await;
    assert_eq!((again.status, again.code()), (201, app.live_code(emma).as_deref()), "{again:?}");
}

/// Some reads and writes take effect, but their answers are lost.
#[derive(Debug)]
struct LostAnswers {
    /// The numbers of the reads and writes, from 1.
    lost: Vec<u32>,
    count: AtomicU32,
}

impl LedgerFault for LostAnswers {
    fn after(&self, operation: Operation, _: bool) -> Result<(), LedgerError> {
        let is_lost = matches!(operation, Operation::Read | Operation::Write)
            && self.lost.contains(&(self.count.fetch_add(1, Ordering::Relaxed) + 1));
        if is_lost { Err(LedgerError::Unavailable("no answer".into())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_ledger_answers_never_deliver_two_passes_for_one_key() {
    for deliver in ["response", "mail"] {
        // Read, lease, record, read again: single operations and neighbouring ones.
        for lost in [vec![1], vec![2], vec![3], vec![4], vec![2, 3], vec![3, 4], vec![3, 4, 5]] {
            let (tenant, emma) = tenant_with_emma();
            let app = TestApp::with_ledger(
                tenant,
                &[],
                FaultyLedger::with_fault(LostAnswers { lost: lost.clone(), count: AtomicU32::new(0) }),
            );
            let (mut codes, mut problems) = (vec![], vec![]);
            for _ in 0..3 {
                let answer = call_with_key(&app, emma, "k", json!({"Deliver": deliver})).await;
                codes.extend(answer.code().map(str::to_owned));
                problems.push(answer.problem().1.to_owned());
                app.advance(TimeDelta::minutes(6));
            }
            let delivered = codes.len() + app.pass_mails().len();
            assert!(delivered <= 1, "{deliver} {lost:?}: {delivered} codes, {problems:?}");
            if let Some(code) = codes.first() {
                assert_eq!(app.live_code(emma).as_ref(), Some(code), "{lost:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_writes_one_audit_line_that_values_cannot_forge() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.add(Person::named("Other One"));
    let app = TestApp::new(tenant, &[("WEBSITE_AUTH_ENABLED", "True")]);
    let (name, principal) = signed_in(OID, &[]);
    let headers = [(name, principal.as_str()), ("X-MS-CLIENT-PRINCIPAL-NAME", "desk\nevent=forged")];
    let parameters = json!({
        "UserName": emma, "CallerName": "Grace Hall", "Reason": "new phone\" outcome=\"made",
        "ServiceDeskTicketUrl": "https://help.contoso.example/4711",
    });
    let answers = async {
        let made = send(&app, &parameters.to_string(), &headers).await;
        let bad = send(&app, r#"{"UserName": "a\nevent=forged", "Reason": "x\ny"}"#, &headers).await;
        let missing = send(&app, r#"{"UserName": "nobody@contoso.example", "Reason": "typo"}"#, &[]).await;
        (made, bad, missing)
    };
    let ((made, bad, missing), text) = capture_log("firstpass=info", answers).await;
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
