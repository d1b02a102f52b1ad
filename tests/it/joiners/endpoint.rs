//! DELIVERY=webhook: the endpoint of another system delivers the code.

use chrono::TimeDelta;
use firstpass::ledger::State;
use firstpass_sandbox::tenant::{
    DELIVERY_KEY, DELIVERY_URL, Fault, FaultKind, Person, SendDenial, WebhookCall,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::follow_up::{MANAGER, change};
use crate::{
    helpers::{
        TestApp, fail_with, html_escaped, log_capture::capture_log, tenant_with_emma, throttle, timed,
        to_address,
    },
    http::call_for,
};

const WEBHOOK: [(&str, &str); 3] =
    [("DELIVERY", "webhook"), ("DELIVERY_WEBHOOK_URL", DELIVERY_URL), ("DELIVERY_WEBHOOK_KEY", DELIVERY_KEY)];

fn app() -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    (TestApp::new(tenant, &WEBHOOK), emma)
}

fn bodies(app: &TestApp) -> Vec<Value> {
    app.sandbox.webhooks().into_iter().map(|WebhookCall { body, .. }| body).collect()
}

fn fault(kind: FaultKind, times: u32) -> Fault {
    Fault { times, ..Fault::on("POST", "/delivery", kind) }
}

/// No mail has the code.
fn assert_not_mailed(app: &TestApp, code: &str) {
    let has_code =
        |mail: &Value| mail.to_string().contains(code) || mail.to_string().contains(&html_escaped(code));
    assert!(!app.pass_mails().iter().chain(&app.notes()).chain(&app.alerts()).any(has_code));
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_gets_the_code_with_all_that_it_needs_and_no_mail_has_it() {
    let (app, emma) = app();
    let (ends, log) = capture_log("trace", app.sweep()).await;
    assert_eq!(ends[0].outcome, "delivered", "{ends:?}");
    assert!(ends[0].why.contains("the endpoint hooks.contoso.example"), "{ends:?}");
    let code = app.live_code(emma).unwrap();
    let pass = app.sandbox.passes().remove(0);
    let bodies = bodies(&app);
    let [body] = bodies.as_slice() else { panic!("{} requests", bodies.len()) };
    assert_eq!(
        (&body["schemaVersion"], &body["event"], &body["id"]),
        (&json!(1), &json!("passIssued"), &json!(pass.id))
    );
    assert_eq!(
        body["user"],
        json!({
            "id": emma,
            "userPrincipalName": "emma.brooks@contoso.example",
            "displayName": "Emma Brooks",
            "givenName": "Emma",
            "language": "en",
        })
    );
    assert_eq!(body["to"], "emma.brooks@mail.example");
    assert_eq!(body["manager"], json!({"name": "Grace Hall", "mail": MANAGER}));
    assert_eq!(
        body["pass"],
        json!({
            "id": pass.id,
            "code": code,
            "startDateTime": "2026-11-27T07:00:00Z",
            "endDateTime": "2026-11-27T15:00:00Z",
            "isUsableOnce": true,
        })
    );
    assert_eq!((&body["dayOne"], &body["occasion"]), (&json!("2026-11-27"), &json!("first")));
    assert!(body["mail"]["html"].as_str().unwrap().contains(&html_escaped(&code)));
    assert!(body["mail"]["text"].as_str().unwrap().contains(&code), "{}", body["mail"]["text"]);
    assert!(body["mail"]["subject"].as_str().unwrap().contains("sign in"));
    assert_not_mailed(&app, &code);
    assert!(!log.contains(&code) && !log.contains(&html_escaped(&code)), "the code is in the log");
    assert!(!log.contains("c2FuZGJveC1kZWxpdmVyeS1zaWc"), "the signature of the URL is in the log");
    let record = app.record(emma).await.unwrap();
    assert_eq!(record.delivered.unwrap().recipients, ["the endpoint hooks.contoso.example"]);
    // Whom MAIL_CC names is told by mail.
    assert_eq!(app.notes().iter().map(to_address).collect::<Vec<_>>(), [MANAGER]);
    app.run_job(emma).await;
    app.sweep_daily(2).await;
    assert_eq!(app.sandbox.webhooks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn neither_a_private_address_nor_a_mailbox_is_needed() {
    let (app, emma) = app();
    change(&app, emma, |person| {
        person.other_mails.clear();
        person.manager = None;
    });
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    let body = bodies(&app).remove(0);
    assert_eq!((&body["to"], &body["manager"]), (&Value::Null, &Value::Null));
    assert_eq!(body["pass"]["code"], app.live_code(emma).unwrap());
    // An address that comes later needs no other code.
    change(&app, emma, |person| person.other_mails = vec!["emma@new.example".into()]);
    app.sweep_daily(2).await;
    assert_eq!(app.sandbox.webhooks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_known_to_be_shut_holds_nobody_up() {
    let (app, emma) = app();
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    // The note to the manager is refused.
    let (_, log) = capture_log("info", app.sweep()).await;
    assert!(log.contains("refuses all mails") && app.notes().is_empty(), "{log}");
    let noah = app.sandbox.edit(|tenant| {
        let manager = tenant.users[&emma].manager.unwrap();
        let noah = Person { display_name: "Noah Fischer".into(), ..crate::helpers::emma(manager) };
        tenant.add(noah.user_principal_name("noah.fischer@contoso.example"))
    });
    let ends = app.sweep_daily(1).await;
    assert!(ends.iter().any(|end| end.outcome == "delivered"), "{ends:?}");
    assert_eq!(bodies(&app)[1]["pass"]["code"], app.live_code(noah).unwrap());
    // When it accepts mails again, both notes follow.
    app.sandbox.edit(|tenant| tenant.send_denied = None);
    for _ in 0..3 {
        app.advance(TimeDelta::hours(3));
        app.sweep().await;
    }
    assert_eq!(app.notes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_leaves_no_pass_and_says_what_to_do() {
    for status in [400, 401, 404, 302] {
        let (app, emma) = app();
        app.sandbox.inject(fault(fail_with(status), 1));
        let ends = app.sweep().await;
        assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{status}: {ends:?}");
        assert_eq!((app.sandbox.passes().len(), app.alerts().len()), (0, 1), "{status}");
        let record = app.record(emma).await.unwrap();
        assert_eq!((record.state, record.cause.as_deref()), (State::Blocked, Some("webhook-refused")));
        app.sweep_daily(1).await;
        assert_eq!(bodies(&app).len(), 1, "{status}: the next day it is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_endpoint_is_waited_for() {
    let (app, emma) = app();
    app.sandbox.inject(fault(throttle("60"), 1));
    let (end, seconds) = timed(&app.sandbox, app.run_job(emma)).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    assert!((60..120).contains(&seconds), "{seconds}");
    // Longer than the lease: the pass is deleted, and the job comes back.
    let (app, emma) = self::app();
    app.sandbox.inject(fault(throttle("110"), 3));
    let end = app.run_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.sandbox.passes().len()), ("failed", 0), "{end:?}");
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    assert_eq!(bodies(&app)[0]["pass"]["code"], app.live_code(emma).unwrap());
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_the_same_request_comes_again() {
    let (app, emma) = app();
    app.sandbox.inject(fault(FaultKind::LoseAnswer, 1));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    let bodies = bodies(&app);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(app.sandbox.passes().len(), 1);
}

/// As with mails: two codes in three requests each, then the last one stays and a person is told.
#[tokio::test(start_paused = true)]
async fn if_no_answer_ever_comes_the_second_code_stays_and_a_person_is_told() {
    let (app, emma) = app();
    app.sandbox.inject(fault(FaultKind::LoseAnswer, 100));
    app.sweep().await;
    app.sweep_daily(1).await;
    let ids: Vec<Value> = bodies(&app).iter().map(|body| body["id"].clone()).collect();
    assert_eq!((ids.len(), ids[..3].iter().all(|id| *id == ids[0])), (6, true), "{ids:?}");
    assert_eq!(bodies(&app)[5]["pass"]["code"], app.live_code(emma).unwrap());
    let alerts = app.alerts();
    assert!(alerts.last().unwrap().to_string().contains("may not have arrived"), "{alerts:?}");
    assert_eq!(app.notes().len(), 0, "nobody knows whether the joiner has it");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_deliver_mail_follows_it() {
    let (app, emma) = app();
    let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
    assert_eq!((answer.status, &answer.body["temporaryAccessPass"]), (201, &Value::Null), "{answer:?}");
    let code = app.live_code(emma).unwrap();
    assert_eq!(bodies(&app)[0]["pass"]["code"], code);
    assert!(!answer.body.to_string().contains(&code));
    assert_not_mailed(&app, &code);
    let (app, emma) = self::app();
    app.sandbox.inject(fault(fail_with(403), 1));
    let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
    assert_eq!(answer.problem(), (502, "webhook-refused", None), "{answer:?}");
    assert_eq!(app.sandbox.passes().len(), 0);
}
