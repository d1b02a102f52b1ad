//! Every answer of CreateTap that is not a pass: which status, in which words, and that nothing was changed.

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

use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::{NOW, PASS, World, refuse, seconds, tenant_with_emma, throttle, time},
    http::{Answer, ask, ask_for},
};

/// The form that all problems have.
fn assert_is_problem(answer: &Answer) {
    let Answer { status, headers, body } = answer;
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(body["status"], *status);
    for name in ["type", "title", "detail", "instance", "invocationId"] {
        assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {body}");
    }
    assert!(body.get("temporaryAccessPass").is_none());
}

#[tokio::test(start_paused = true)]
async fn who_must_not_have_a_pass_gets_none() {
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
    let world = World::new(tenant, &[("SERVE_DISABLED", "false")]);
    world.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
    for (user, status, word) in [
        (holder, 403, "privileged-account"),
        (eligible, 403, "privileged-account"),
        (grouped, 403, "privileged-account"),
        (guest, 403, "account-not-served"),
        (emma, 403, "account-not-served"),
        (Uuid::from_u128(1), 404, "no-such-user"),
    ] {
        let answer = ask_for(&world, user, json!({})).await;
        assert_eq!(answer.problem(), (status, word, None), "{answer:?}");
        assert_is_problem(&answer);
    }
    assert_eq!((world.sandbox.passes().len(), world.count("POST", PASS)), (1, 0), "what was there stays");
    assert_eq!(world.app.services.ledger.list().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn where_power_cannot_be_read_nobody_gets_a_pass() {
    for path in ["transitiveMemberOf", "roleAssignments", "roleEligibilityScheduleInstances"] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("GET", path, refuse(403)).always());
        let answer = ask_for(&world, emma, json!({})).await;
        assert_eq!(answer.problem(), (403, "privilege-unknown", None), "{path}");
        assert!(answer.detail().contains("PERMISSIONS.md") && world.sandbox.passes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_forbids_is_a_409_that_says_how_to_allow_it() {
    for (enabled, untargeted, word) in [
        (false, Untargeted::Refused, "passes-off"),
        (true, Untargeted::Refused, "refused-by-policy"),
        (true, Untargeted::Unusable, "not-in-policy"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.enabled = enabled;
        tenant.policy.include.clear();
        tenant.policy.untargeted = untargeted;
        let world = World::new(tenant, &[]);
        let answer = ask_for(&world, emma, json!({})).await;
        assert_eq!(answer.problem(), (409, word, None), "{answer:?}");
        assert!(answer.detail().contains("authentication methods policy"), "{answer:?}");
        assert_is_problem(&answer);
        assert_eq!((world.sandbox.passes().len(), world.alerts().len()), (0, 0), "the caller has the answer");
    }
}

#[tokio::test(start_paused = true)]
async fn graph_in_trouble_is_passed_on_with_its_words_and_its_patience() {
    for (method, path, kind, times, expected) in [
        ("POST", PASS, throttle("37"), 9, (429, "graph-busy", Some(37))),
        ("POST", PASS, FaultKind::Throttle { retry_after: None }, 9, (429, "graph-busy", Some(60))),
        ("POST", PASS, FaultKind::LoseAnswer, 2, (504, "graph-no-answer", Some(60))),
        ("POST", PASS, refuse(500), 2, (504, "graph-no-answer", Some(60))),
        ("POST", PASS, refuse(400), 1, (409, "refused-by-policy", None)),
        ("POST", PASS, refuse(403), 1, (502, "graph-refused", None)),
        ("GET", "/users/", throttle("5"), 9, (429, "graph-busy", Some(5))),
        ("GET", "/users/", refuse(403), 9, (502, "graph-refused", None)),
        ("GET", "/users/", refuse(401), 9, (502, "graph-refused", None)),
        ("POST", "$batch", refuse(503), 99, (429, "graph-busy", Some(60))),
        ("POST", "$batch", FaultKind::LoseAnswer, 99, (504, "graph-no-answer", Some(60))),
    ] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on(method, path, kind.clone()).times(times));
        let answer = ask_for(&world, emma, json!({})).await;
        assert_eq!(answer.problem(), expected, "{method} {path} {kind:?} {answer:?}");
        assert_is_problem(&answer);
        if matches!(kind, FaultKind::Fail { .. }) {
            let id = answer.body["requestId"].as_str().unwrap_or_default();
            assert!(id.parse::<Uuid>().is_ok() && answer.detail().contains(id), "{answer:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_at_work_on_the_user_is_a_409_that_says_how_long() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(20))));
    let (end, answer) = tokio::join!(world.deliver(emma), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        ask_for(&world, emma, json!({})).await
    });
    assert_eq!((end.outcome.as_str(), answer.problem()), ("delivered", (409, "busy", Some(295))));
    world.assert_newest_mail_opens(emma);
}

/// A ledger is slow, and then is away.
#[derive(Debug)]
struct Slow {
    takes: Duration,
    /// So many times it answers.
    answers: AtomicU32,
}

impl Slow {
    fn ledger(seconds: u64, answers: u32) -> Arc<FaultyLedger<Self>> {
        FaultyLedger::by(Self { takes: Duration::from_secs(seconds), answers: AtomicU32::new(answers) })
    }
}

#[async_trait]
impl LedgerFault for Slow {
    async fn before(&self, call: Operation) -> Result<(), LedgerError> {
        if call == Operation::List {
            return Ok(());
        }
        tokio::time::sleep(self.takes).await;
        let left =
            self.answers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| LedgerError::Unavailable("no answer within 15 s".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_there_is_no_pass() {
    let (tenant, emma) = tenant_with_emma();
    let world = World::on(tenant, &[], Slow::ledger(0, 1));
    let answer = ask_for(&world, emma, json!({})).await;
    assert_eq!((answer.problem(), world.sandbox.passes().len()), ((503, "ledger-away", Some(60)), 0));
    assert_is_problem(&answer);
}

/// 230 seconds end a request, and the code in its answer is lost.
#[tokio::test(start_paused = true)]
async fn every_call_is_answered_in_time_with_ledger_and_graph_as_slow_as_can_be() {
    let slow = |takes: u64| FaultKind::DelayAfter(Duration::from_secs(takes));
    for deliver in ["response", "mail"] {
        for kind in [slow(29), slow(3_600), throttle("40"), throttle("119")] {
            for path in ["/users/", "$batch", "/manager", PASS, "sendMail", ""] {
                for exists in [false, true] {
                    let (mut tenant, emma) = tenant_with_emma();
                    tenant.policy.refuse_when_exists = exists;
                    tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
                    let world = World::on(tenant, &[], Slow::ledger(15, u32::MAX));
                    world
                        .sandbox
                        .inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
                    let body = json!({"Deliver": deliver, "NotifyUser": true});
                    let (answer, took) = seconds(&world.sandbox, ask_for(&world, emma, body)).await;
                    assert!(took < 230, "{deliver} {path} {kind:?}: {} after {took} s", answer.status);
                }
            }
        }
    }
}

/// Every step takes nearly as long as it may, and works; and at the end the ledger is away.
#[tokio::test(start_paused = true)]
async fn a_call_is_answered_in_time_if_every_step_uses_up_its_time() {
    let delayed = |seconds| FaultKind::DelayAfter(Duration::from_secs(seconds));
    let never = FaultKind::Delay(Duration::from_secs(3_600));
    for (posts, answers, status) in [
        // The POST that waits longest and still comes; then the ledger does not take it, and the pass has to go.
        (vec![throttle("20"), delayed(29)], 2, 503),
        // One that would wait longer.
        (vec![throttle("70"), delayed(29)], u32::MAX, 429),
        (vec![throttle("20"), delayed(29)], u32::MAX, 201),
    ] {
        for deliver in ["response", "mail"] {
            let (tenant, emma) = tenant_with_emma();
            let world = World::on(tenant, &[], Slow::ledger(15, answers));
            world.sandbox.inject(Fault::on("GET", "/users/", delayed(28)));
            world.sandbox.inject(Fault::on("POST", "$batch", delayed(27)));
            for (n, kind) in (1..).zip(posts.clone()) {
                world.sandbox.inject(Fault::on("POST", PASS, kind).nth(n));
            }
            world.sandbox.inject(Fault::on("DELETE", PASS, never.clone()).always());
            let body = json!({"Deliver": deliver, "NotifyUser": true});
            let (answer, took) = seconds(&world.sandbox, ask_for(&world, emma, body)).await;
            assert!((100..230).contains(&took), "{deliver} {posts:?}: {} after {took} s", answer.status);
            if deliver == "response" {
                assert_eq!(answer.status, status, "{answer:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_bad_request_lists_every_bad_parameter() {
    let (world, _) = World::with_emma();
    let bad: Value = json!({
        "UserName": "emma", "LifetimeInMinutes": "long", "OneTimeUseOnly": 2, "NotifyUser": "perhaps",
        "EmailFrom": "x@y.example", "CallerName": "two\nlines", "StartDateTime": "2026-11-22T09:00:00",
        "Reason": ["a"], "Deliver": "pigeon", "ServiceDeskTicketUrl": "http://plain.example",
    });
    let answer = ask(&world, bad.clone()).await;
    assert_eq!(answer.problem(), (400, "invalid-request", None));
    assert_is_problem(&answer);
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), bad.as_object().unwrap().len());
    for error in errors {
        assert!(bad.get(error["parameter"].as_str().unwrap()).is_some(), "{error}");
        assert!(answer.detail().contains(error["detail"].as_str().unwrap()));
    }
    assert_eq!(world.sandbox.requests(), []);
}
