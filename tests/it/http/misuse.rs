//! Calls that must do no harm: to a joiner's pass, to mails and logs, or by forged or unusual input.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Person};
use serde_json::json;

use super::{call_for, send, signed_in};
use crate::helpers::{PASS_PATH, TestApp, fail_with, tenant_with_emma, throttle, time};

#[tokio::test(start_paused = true)]
async fn calls_that_fail_halfway_cost_no_joiner_the_pass() {
    let (app, emma) = TestApp::with_emma();
    for _ in 0..3 {
        app.sweep().await;
        app.assert_newest_mail_has_live_code(emma);
        app.advance(TimeDelta::minutes(20));
        app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
        assert_eq!(call_for(&app, emma, json!({"Deliver": "mail"})).await.status, 502);
        assert_eq!(app.live_code(emma), None);
        app.advance(TimeDelta::hours(6));
    }
    app.sweep().await;
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(app.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_restore_a_deleted_pass() {
    for fault in [fail_with(400), throttle("1")] {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(time("2026-11-27T08:00:00Z") - app.sandbox.now());
        app.sandbox.edit(|t| t.delete_pass(emma));
        app.sweep().await;
        assert_eq!(app.pass_mails().len(), 1, "the window is open");
        app.sandbox.inject(Fault::on("POST", PASS_PATH, fault).times(4));
        assert!(call_for(&app, emma, json!({})).await.status > 201);
        app.sandbox.clear_faults();
        app.advance(TimeDelta::minutes(20));
        app.sweep().await;
        assert_eq!(app.pass_mails().len(), 1, "the call changed nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_cancel_a_pending_on_demand_pass() {
    for (parameters, path, fault) in [
        (json!({}), PASS_PATH, fail_with(400)),
        (json!({}), PASS_PATH, throttle("1")),
        (json!({"Deliver": "mail"}), "sendMail", fail_with(400)),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.hire_date = None);
        let user = tenant.add(Person::named("Max Muster").private_mail("max@mail.example"));
        let group = tenant.add_group(Group::named("On-demand access").members([user]));
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
        assert_eq!(app.run_group_add_job(user).await.outcome, "failed");
        app.advance(TimeDelta::minutes(10));
        app.sandbox.inject(Fault::on("POST", path, fault).times(4));
        assert!(call_for(&app, user, parameters).await.status > 201);
        app.sandbox.clear_faults();
        app.advance(TimeDelta::hours(1));
        let ends = app.sweep().await;
        assert_eq!(app.pass_mails().len(), 1, "{path} {ends:?}");
        app.assert_newest_mail_has_live_code(user);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_lost_answer_sends_no_second_on_demand_mail() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.hire_date = None);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");
    app.advance(TimeDelta::hours(1));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert_eq!(call_for(&app, emma, json!({})).await.status, 504);
    let ends = app.sweep_daily(2).await;
    assert_eq!(app.pass_mails().len(), 1, "only the caller has to retry: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn many_calls_do_not_evict_a_joiners_lease() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1000")]);
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).always());
    for _ in 0..20 {
        assert_eq!(call_for(&app, emma, json!({"Deliver": "mail"})).await.status, 502);
    }
    app.sandbox.clear_faults();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    // The joiner's POST takes effect late, after that of another call.
    let hidden = app.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
    assert_eq!(call_for(&app, emma, json!({"Deliver": "mail"})).await.status, 502);
    app.sandbox.edit(|t| t.passes.insert(emma, hidden));
    app.advance(TimeDelta::hours(1));
    let ends = app.sweep().await;
    assert_eq!(ends[0].outcome, "delivered", "{ends:?}");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_url_must_be_a_plain_https_address() {
    let (app, emma) = TestApp::with_emma();
    for ticket in [
        "https://help.contoso.example/ Your account is locked: call +1 900 5550100",
        "https://help.contoso.example/\u{a0}call\u{2003}us",
        "https://help.contoso.example\\@evil.example/",
        "https:evil.example",
        "https:\\\\evil.example",
        "https:///evil.example",
        "javascript:alert(1)",
        "https://desk@evil.example",
    ] {
        let answer = call_for(&app, emma, json!({"NotifyUser": true, "ServiceDeskTicketUrl": ticket})).await;
        assert_eq!(answer.status, 400, "{ticket}: {answer:?}");
    }
    assert_eq!(app.sandbox.passes().len(), 0);
    let valid = "https://help.contoso.example/t?id=4711&q=%20#c";
    let answer = call_for(&app, emma, json!({"NotifyUser": true, "ServiceDeskTicketUrl": valid})).await;
    assert_eq!(answer.status, 201);
}

const OID: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";

#[tokio::test(start_paused = true)]
async fn a_repeated_identity_header_is_rejected() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "True")]);
    let body = json!({"UserName": emma}).to_string();
    let ((name, listed), (_, other)) = (signed_in(OID, &[]), signed_in(OTHER, &[]));
    for headers in [
        [(name, &listed), ("x-ms-client-principal", &other)],
        [(name, &other), ("x-ms-client-principal", &listed)],
        [(name, &listed), ("X-Ms-Client-Principal", &listed)],
    ] {
        let headers = headers.map(|(name, value)| (name, value.as_str()));
        let answer = send(&app, &body, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_time_is_normalised_for_graph() {
    for (start, opens) in [
        ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00Z"),
        ("2026-11-22T05:00:00.300Z", "2026-11-22T05:00:00Z"),
        ("2026-11-22T05:59:60Z", "2026-11-22T05:59:59Z"),
        ("2026-11-22T05:59:60.5Z", "2026-11-22T05:59:59Z"),
        ("2026-11-23T04:59:00+23:59", "2026-11-22T05:00:00Z"),
        ("2026-11-21T05:02:00-23:59", "2026-11-22T05:01:00Z"),
    ] {
        let (app, emma) = TestApp::with_emma();
        let answer = call_for(&app, emma, json!({"StartDateTime": start})).await;
        assert_eq!(answer.status, 201, "{start} {answer:?}");
        assert_eq!(answer.body["startDateTime"], opens, "{start} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_time_that_passes_during_the_call_becomes_now() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(10))));
    let answer = call_for(&app, emma, json!({"StartDateTime": "2026-11-22T05:00:05Z"})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["usable"], true);
}

#[tokio::test(start_paused = true)]
async fn unusual_json_is_rejected() {
    let (app, emma) = TestApp::with_emma();
    let deeply_nested = format!("{{\"UserName\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = [
        deeply_nested,
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 1e400}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": NaN}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": -60}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 60.5}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 18446744073709551676}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": \"4294967356\"}}"),
        format!("{{\"UserName\": \"{emma}\", \"username\": \"{emma}\"}}"),
        format!("{{\"UserName\": [\"{emma}\"]}}"),
        format!("{{\"UserName\": \"{emma}\", \"NotifyUser\": {{\"a\": true}}}}"),
        format!("{{\"UserName\": \"{emma}\", \"Deliver\": [\"mail\"]}}"),
        format!("[{{\"UserName\": \"{emma}\"}}]"),
        format!("{{\"UserName\": \"{emma}\"}} {{}}"),
        "null".into(),
        "\"text\"".into(),
        "\u{0}".into(),
    ];
    for body in bodies {
        assert_eq!(send(&app, &body, &[]).await.status, 400, "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(app.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_is_recognised_after_its_start_time() {
    let (app, emma) = TestApp::with_emma();
    let body = json!({"UserName": emma, "StartDateTime": "2026-11-22T04:56:00Z"}).to_string();
    let call_with_key = async || send(&app, &body, &[("Idempotency-Key", "k")]).await;
    assert_eq!(call_with_key().await.status, 201);
    app.advance(TimeDelta::minutes(14));
    assert_eq!(call_with_key().await.problem().1, "already-made");
    assert_eq!(send(&app, &body, &[]).await.problem().1, "invalid-request");
    app.advance(TimeDelta::minutes(6));
    assert_eq!(call_with_key().await.problem().1, "invalid-request");
}

#[tokio::test(start_paused = true)]
async fn of_two_concurrent_calls_on_two_instances_one_succeeds() {
    for keys in [["a", "a"], ["a", "b"]] {
        for deliver in ["response", "mail"] {
            let (app, emma) = TestApp::with_emma();
            let other = app.another_instance();
            let body = json!({"UserName": emma, "Deliver": deliver}).to_string();
            let call = async |instance: &TestApp, key: &str| {
                send(instance, &body, &[("Idempotency-Key", key)]).await
            };
            let (one, two) = tokio::join!(call(&app, keys[0]), call(&other, keys[1]));
            let (made, refused): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(|a| a.status == 201);
            assert_eq!((made.len(), refused[0].problem().1), (1, "busy"), "{made:?} {refused:?}");
            assert_eq!(app.count_requests("POST", PASS_PATH), 1);
            match made[0].code() {
                Some(code) => assert_eq!(app.live_code(emma).as_deref(), Some(code)),
                None => app.assert_newest_mail_has_live_code(emma),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dot_user_name_stays_below_users() {
    let (app, _) = TestApp::with_emma();
    for name in ["..", "."] {
        let (status, _) = app.create_tap(name).await;
        let urls: Vec<_> = app.sandbox.requests().iter().map(|r| r.url.clone()).collect();
        assert!(
            status < 500 && urls.iter().all(|u| u.contains("/users/") && !u.contains("/users/?")),
            "{name} {status} {urls:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_user_names_are_a_bad_request() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Other One"));
    let app = TestApp::new(tenant, &[]);
    let answer = app.host.call("CreateTap", &json!({"UserName": emma, "username": other}).to_string()).await;
    assert_eq!(answer.body["Outputs"]["res"]["statusCode"], 400);
}
