//! Time limits: the host ends an invocation after ten minutes, App Service ends a request after 230 seconds.
//! `src/budget.rs` proves the sums of the time-outs; these tests show that each time-out holds.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use firstpass::{budget, ledger::LedgerError};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, generate::generate};
use serde_json::{Value, json};

use crate::{
    helpers::{NOW, PASS_PATH, TestApp, fail_with, tenant_with_emma, throttle, time, timed},
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

#[tokio::test(start_paused = true)]
async fn a_job_takes_less_than_ten_minutes() {
    let (app, emma) = TestApp::with_emma();
    for n in [1, 3, 5] {
        app.sandbox.inject(Fault::on("POST", "$batch", throttle("110")).nth(n));
    }
    app.sandbox.inject(Fault::on("GET", "/manager", throttle("120")).times(2));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("110")));
    let (end, took) = timed(&app.sandbox, app.run_job(emma)).await;
    assert!(took < 600, "{took} s, {end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_takes_less_than_ten_minutes() {
    let mut tenant = generate(250, 7, time(NOW));
    tenant.page_size_cap = 17;
    let app = TestApp::new(tenant, &[]);
    for n in 0..8 {
        app.sandbox.inject(Fault::on("GET", "/users", throttle("110")).nth(1 + 2 * n));
    }
    let (answer, took) = timed(&app.sandbox, app.host.fire_timer()).await;
    assert!(took < 600, "{took} s, {}", answer.log());
}

#[tokio::test(start_paused = true)]
async fn create_tap_answers_within_230_seconds() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("118")).times(2));
    let ((status, _), took) = timed(&app.sandbox, app.create_tap(&emma.to_string())).await;
    assert!(took < 230, "{status} after {took} s: the caller never receives the code");
}

#[tokio::test(start_paused = true)]
async fn jobs_and_calls_end_in_time_however_slow_graph_is() {
    for kind in [throttle("120"), fail_with(500), FaultKind::Delay(Duration::from_secs(3_600))] {
        for path in ["$batch", "/manager", PASS_PATH, "sendMail", ""] {
            let (app, emma) = TestApp::with_emma();
            app.sandbox.inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
            let message = app.job(emma).to_message();
            let (_, took) = timed(&app.sandbox, app.host.deliver(&message, 5)).await;
            assert!(took < 590, "{path} {kind:?}: {took} s");
            let call = format!(r#"{{"UserName":"{emma}"}}"#);
            let (_, took) = timed(&app.sandbox, app.host.call("CreateTap", &call)).await;
            assert!(took < 230, "{path} {kind:?}: CreateTap took {took} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_replaces_an_expired_pass_ends_in_time() {
    for kind in [throttle("120"), FaultKind::Delay(Duration::from_secs(3_600))] {
        let (app, emma) = TestApp::with_expired_pass();
        // The first GET is part of the batch.
        app.sandbox.inject(Fault::on("GET", PASS_PATH, kind.clone()).nth(2).always());
        app.sandbox.inject(Fault::on("DELETE", PASS_PATH, kind.clone()).always());
        let call = format!(r#"{{"UserName":"{emma}"}}"#);
        let (answer, took) = timed(&app.sandbox, app.host.call("CreateTap", &call)).await;
        assert!(took < 230, "{kind:?}: CreateTap took {took} s {:?}", answer.log());
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_that_replaces_an_expired_pass_ends_in_time() {
    let (app, emma) = TestApp::with_expired_pass();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("60")));
    app.sandbox.inject(Fault::on("GET", PASS_PATH, throttle("45")).nth(2).times(3));
    app.sandbox.inject(Fault::on("DELETE", PASS_PATH, throttle("45")).times(3));
    let call = format!(r#"{{"UserName":"{emma}"}}"#);
    let (answer, took) = timed(&app.sandbox, app.host.call("CreateTap", &call)).await;
    assert!(took < 230, "took {took} s {:?}", answer.log());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_job_that_replaces_an_expired_pass_ends_in_time() {
    let (app, emma) = TestApp::with_expired_pass();
    app.sandbox.inject(Fault::on("POST", "$batch", throttle("70")).times(2));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("110")).times(2));
    app.sandbox.inject(Fault::on("GET", PASS_PATH, throttle("45")).nth(2).times(3));
    app.sandbox.inject(Fault::on("DELETE", PASS_PATH, throttle("45")).times(3));
    let message = app.job(emma).to_message();
    let (answer, took) = timed(&app.sandbox, app.host.deliver(&message, 5)).await;
    assert!(took < 590, "took {took} s {:?}", answer.log());
}

/// Every operation takes as long as it may.
#[derive(Debug)]
struct LedgerAtItsLimit;

#[async_trait]
impl LedgerFault for LedgerAtItsLimit {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        let limit = if operation == Operation::List { budget::LEDGER_LISTING } else { budget::LEDGER_CALL };
        tokio::time::sleep(limit).await;
        Ok(())
    }
}

fn slow() -> Arc<FaultyLedger<LedgerAtItsLimit>> {
    FaultyLedger::with_fault(LedgerAtItsLimit)
}

fn answers_after(seconds: u64) -> FaultKind {
    FaultKind::DelayAfter(Duration::from_secs(seconds))
}

fn never_answers() -> FaultKind {
    FaultKind::Delay(Duration::from_secs(3_600))
}

#[test]
fn the_budget_rests_on_the_time_out_in_host_json() {
    let host: Value = serde_json::from_str(include_str!("../../../host.json")).unwrap();
    let limit = budget::FUNCTION_TIMEOUT.as_secs();
    assert_eq!(host["functionTimeout"], format!("00:{:02}:{:02}", limit / 60, limit % 60));
}

#[tokio::test(start_paused = true)]
async fn a_job_by_sign_in_name_whose_mail_is_refused_ends_in_time_with_an_alert() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On demand").members([emma]));
    let app = TestApp::with_ledger(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())], slow());
    app.sandbox.inject(Fault::on("GET", "/users/", answers_after(29)));
    app.sandbox.inject(Fault::on("POST", "$batch", never_answers()).times(3));
    app.sandbox.inject(Fault::on("POST", "$batch", answers_after(29)).nth(4));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("120")));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, answers_after(29)).nth(2));
    app.sandbox.inject(Fault::on("POST", "sendMail", throttle("45")));
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).nth(2));
    app.sandbox.inject(Fault::on("POST", "sendMail", never_answers()).nth(3));
    app.sandbox.inject(Fault::on("DELETE", PASS_PATH, never_answers()).always());
    let message = json!("emma.brooks@contoso.example").to_string();
    let (answer, took) = timed(&app.sandbox, app.host.deliver(&message, 5)).await;
    assert!(answer.log().contains(": failed: "), "{}", answer.log());
    assert_eq!(app.count_requests("DELETE", PASS_PATH), 1, "the mail was refused");
    assert!((450..600).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_ends_in_time_if_nothing_answers() {
    for search in [never_answers(), answers_after(29)] {
        let (tenant, _) = tenant_with_emma();
        let app = TestApp::with_ledger(tenant, &[], slow());
        app.sandbox.inject(Fault::on("GET", "", search).always());
        app.sandbox.inject(Fault::on("POST", "sendMail", never_answers()).always());
        let (_, took) = timed(&app.sandbox, app.host.fire_timer()).await;
        assert!((100..600).contains(&took), "{took} s");
    }
}
