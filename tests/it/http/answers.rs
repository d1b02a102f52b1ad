//! The answers of CreateTap that are not a pass: status, problem and effects.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use firstpass::ledger::LedgerError;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, Person, Untargeted, roles};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, call, call_for};
use crate::{
    helpers::{NOW, PASS_PATH, TestApp, fail_with, tenant_with_emma, throttle, time, timed},
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

/// Asserts what all problems have in common.
fn assert_is_problem(answer: &HandlerResponse) {
    let HandlerResponse { status, headers, body } = answer;
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(body["status"], *status);
    for name in ["type", "title", "detail", "instance", "invocationId"] {
        assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {body}");
    }
    assert!(body.get("temporaryAccessPass").is_none());
}

#[tokio::test(start_paused = true)]
async fn privileged_guest_disabled_and_unknown_users_get_no_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    let person = |name| Person::named(name);
    let holder = tenant.add(person("Holds Role"));
    tenant.assign_role(holder, roles::GLOBAL_ADMINISTRATOR);
    let eligible = tenant.add(person("May Activate"));
    tenant.make_eligible(eligible, roles::GLOBAL_ADMINISTRATOR);
    let grouped = tenant.add(person("In Group"));
    tenant.add_group(Group::named("Tier 0").role_assignable().members([grouped]));
    let guest = tenant.add(person("Guy Est").external_guest("guy@elsewhere.example"));
    tenant.add_pass(emma, PassSpec::opening(time(NOW)));
    let app = TestApp::new(tenant, &[("SERVE_DISABLED", "false")]);
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
    for (user, status, word) in [
        (holder, 403, "privileged-account"),
        (eligible, 403, "privileged-account"),
        (grouped, 403, "privileged-account"),
        (guest, 403, "account-not-served"),
        (emma, 403, "account-not-served"),
        (Uuid::from_u128(1), 404, "no-such-user"),
    ] {
        let answer = call_for(&app, user, json!({})).await;
        assert_eq!(answer.problem(), (status, word, None), "{answer:?}");
        assert_is_problem(&answer);
    }
    assert_eq!(
        (app.sandbox.passes().len(), app.count_requests("POST", PASS_PATH)),
        (1, 0),
        "the existing pass is kept"
    );
    assert_eq!(app.ledger().list().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn unreadable_privileges_block_a_call() {
    for path in ["transitiveMemberOf", "roleAssignments", "roleEligibilityScheduleInstances"] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("GET", path, fail_with(403)).always());
        let answer = call_for(&app, emma, json!({})).await;
        assert_eq!(answer.problem(), (403, "privilege-unknown", None), "{path}");
        assert!(answer.detail().contains("PERMISSIONS.md") && app.sandbox.passes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_forbids_passes_is_a_409_with_a_remedy() {
    for (enabled, untargeted, word) in [
        (false, Untargeted::Refused, "passes-off"),
        (true, Untargeted::Refused, "refused-by-policy"),
        (true, Untargeted::Unusable, "not-in-policy"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.enabled = enabled;
        tenant.policy.include.clear();
        tenant.policy.untargeted = untargeted;
        let app = TestApp::new(tenant, &[]);
        let answer = call_for(&app, emma, json!({})).await;
        assert_eq!(answer.problem(), (409, word, None), "{answer:?}");
        assert!(answer.detail().contains("authentication methods policy"), "{answer:?}");
        assert_is_problem(&answer);
        assert_eq!((app.sandbox.passes().len(), app.alerts().len()), (0, 0), "only the caller is informed");
    }
}

#[tokio::test(start_paused = true)]
async fn graph_errors_are_passed_on_with_retry_after() {
    for (method, path, kind, times, expected) in [
        ("POST", PASS_PATH, throttle("37"), 9, (429, "graph-busy", Some(37))),
        ("POST", PASS_PATH, FaultKind::Throttle { retry_after: None }, 9, (429, "graph-busy", Some(60))),
        ("POST", PASS_PATH, FaultKind::LoseAnswer, 2, (504, "graph-no-answer", Some(60))),
        ("POST", PASS_PATH, fail_with(500), 2, (504, "graph-no-answer", Some(60))),
        ("POST", PASS_PATH, fail_with(400), 1, (409, "refused-by-policy", None)),
        ("POST", PASS_PATH, fail_with(403), 1, (502, "graph-refused", None)),
        ("GET", "/users/", throttle("5"), 9, (429, "graph-busy", Some(5))),
        ("GET", "/users/", fail_with(403), 9, (502, "graph-refused", None)),
        ("GET", "/users/", fail_with(401), 9, (502, "graph-refused", None)),
        ("POST", "$batch", fail_with(503), 99, (429, "graph-busy", Some(60))),
        ("POST", "$batch", FaultKind::LoseAnswer, 99, (504, "graph-no-answer", Some(60))),
    ] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on(method, path, kind.clone()).times(times));
        let answer = call_for(&app, emma, json!({})).await;
        assert_eq!(answer.problem(), expected, "{method} {path} {kind:?} {answer:?}");
        assert_is_problem(&answer);
        if matches!(kind, FaultKind::Fail { .. }) {
            let id = answer.body["requestId"].as_str().unwrap_or_default();
            assert!(id.parse::<Uuid>().is_ok() && answer.detail().contains(id), "{answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leased_user_is_a_409_with_retry_after() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(20))));
    let (end, answer) = tokio::join!(app.run_job(emma), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        call_for(&app, emma, json!({})).await
    });
    assert_eq!((end.outcome.as_str(), answer.problem()), ("delivered", (409, "busy", Some(295))));
    app.assert_newest_mail_has_live_code(emma);
}

/// Every operation but `List` takes time, and fails when no answers are left.
#[derive(Debug)]
struct SlowLedger {
    delay: Duration,
    answers_left: AtomicU32,
}

impl SlowLedger {
    fn new(seconds: u64, answers: u32) -> Arc<FaultyLedger<Self>> {
        FaultyLedger::with_fault(Self {
            delay: Duration::from_secs(seconds),
            answers_left: AtomicU32::new(answers),
        })
    }
}

#[async_trait]
impl LedgerFault for SlowLedger {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        if operation == Operation::List {
            return Ok(());
        }
        tokio::time::sleep(self.delay).await;
        let left =
            self.answers_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| LedgerError::Unavailable("no answer within 15 s".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_ledger_is_a_503_without_a_pass() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::with_ledger(tenant, &[], SlowLedger::new(0, 1));
    let answer = call_for(&app, emma, json!({})).await;
    assert_eq!((answer.problem(), app.sandbox.passes().len()), ((503, "ledger-unavailable", Some(60)), 0));
    assert_is_problem(&answer);
}

/// App Service ends a request after 230 seconds, and the code in its answer is lost.
#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_with_a_slow_ledger_and_a_slow_graph() {
    let delayed = |seconds: u64| FaultKind::DelayAfter(Duration::from_secs(seconds));
    for deliver in ["response", "mail"] {
        for kind in [delayed(29), delayed(3_600), throttle("40"), throttle("119")] {
            for path in ["/users/", "$batch", "/manager", PASS_PATH, "sendMail", ""] {
                for exists in [false, true] {
                    let (mut tenant, emma) = tenant_with_emma();
                    tenant.policy.refuse_when_exists = exists;
                    tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
                    let app = TestApp::with_ledger(tenant, &[], SlowLedger::new(15, u32::MAX));
                    app.sandbox.inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
                    let body = json!({"Deliver": deliver, "NotifyUser": true});
                    let (answer, took) = timed(&app.sandbox, call_for(&app, emma, body)).await;
                    assert!(took < 230, "{deliver} {path} {kind:?}: {} after {took} s", answer.status);
                }
            }
        }
    }
}

/// Every step succeeds just before its timeout; in one case the ledger fails at the end.
#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_when_every_step_is_slow() {
    let delayed = |seconds| FaultKind::DelayAfter(Duration::from_secs(seconds));
    let never = FaultKind::Delay(Duration::from_secs(3_600));
    for (posts, answers, status) in [
        // The longest POST that still succeeds; the ledger then fails, and the pass is revoked.
        (vec![throttle("20"), delayed(29)], 4, 503),
        // A longer wait exceeds the deadline.
        (vec![throttle("70"), delayed(29)], u32::MAX, 429),
        (vec![throttle("20"), delayed(29)], u32::MAX, 201),
    ] {
        for deliver in ["response", "mail"] {
            let (tenant, emma) = tenant_with_emma();
            let app = TestApp::with_ledger(tenant, &[], SlowLedger::new(15, answers));
            app.sandbox.inject(Fault::on("GET", "/users/", delayed(28)));
            app.sandbox.inject(Fault::on("POST", "$batch", delayed(27)));
            for (n, kind) in (1..).zip(posts.clone()) {
                app.sandbox.inject(Fault::on("POST", PASS_PATH, kind).nth(n));
            }
            app.sandbox.inject(Fault::on("DELETE", PASS_PATH, never.clone()).always());
            let body = json!({"Deliver": deliver, "NotifyUser": true});
            let (answer, took) = timed(&app.sandbox, call_for(&app, emma, body)).await;
            assert!((85..230).contains(&took), "{deliver} {posts:?}: {} after {took} s", answer.status);
            if deliver == "response" {
                assert_eq!(answer.status, status, "{answer:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_lists_every_invalid_parameter() {
    let (app, _) = TestApp::with_emma();
    let bad: Value = json!({
        "UserName": "emma", "LifetimeInMinutes": "long", "OneTimeUseOnly": 2, "NotifyUser": "perhaps",
        "EmailFrom": "x@y.example", "CallerName": "two\nlines", "StartDateTime": "2026-11-22T09:00:00",
        "Reason": ["a"], "Deliver": "pigeon", "ServiceDeskTicketUrl": "http://plain.example",
    });
    let answer = call(&app, bad.clone()).await;
    assert_eq!(answer.problem(), (400, "invalid-request", None));
    assert_is_problem(&answer);
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), bad.as_object().unwrap().len());
    for error in errors {
        assert!(bad.get(error["parameter"].as_str().unwrap()).is_some(), "{error}");
        assert!(answer.detail().contains(error["detail"].as_str().unwrap()));
    }
    assert_eq!(app.sandbox.requests(), []);
}
