//! Leases: workers that die, are slow, conflict or are refused lose no joiner and leave no orphaned pass.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use firstpass::ledger::LedgerError;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, roles};

use super::faulty_ledger::{FaultyLedger, LedgerFault, Operation};
use crate::helpers::{PASS_PATH, TestApp, abort_after, fail_with, tenant_with_emma, throttle, time};

/// One write conflicts, or its answer is lost.
#[derive(Debug, Default)]
struct WriteFault {
    writes: AtomicU32,
    /// The number of the write that conflicts, from 1.
    conflict_on: u32,
    /// The number of the write whose answer is lost, from 1.
    lost_on: u32,
}

#[async_trait]
impl LedgerFault for WriteFault {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        let is_conflict = operation == Operation::Write
            && self.writes.fetch_add(1, Ordering::Relaxed) + 1 == self.conflict_on;
        if is_conflict { Err(LedgerError::Conflict) } else { Ok(()) }
    }

    fn after(&self, operation: Operation, _: bool) -> Result<(), LedgerError> {
        let is_lost = operation == Operation::Write && self.writes.load(Ordering::Relaxed) == self.lost_on;
        if is_lost { Err(LedgerError::Unavailable("no answer".into())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_from_two_failed_tries_is_recognised_as_ours() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::minutes(3));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    app.sweep_daily(3).await;
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_delivered_after_a_dead_and_a_throttled_worker() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    abort_after(1, app.run_job(emma)).await;
    app.advance(TimeDelta::minutes(6));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::minutes(6));
    let end = app.run_job(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_recovered_where_the_tenant_refuses_a_second_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.refuse_when_exists = true;
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer));
    let mut ends = vec![app.run_job(emma).await];
    for _ in 0..2 {
        app.advance(TimeDelta::days(1));
        ends.extend(app.sweep().await);
    }
    assert_eq!(app.pass_mails().len(), 1, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn no_mail_is_tried_after_the_deadline() {
    let (app, emma) = TestApp::with_emma();
    let start = app.sandbox.now();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("118")).times(2));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(25))).nth(3));
    let end = app.run_job(emma).await;
    let last = app
        .sandbox
        .requests()
        .into_iter()
        .filter(|r| r.url.contains("sendMail"))
        .map(|r| (r.at - start).num_seconds())
        .max();
    assert!(last.is_none_or(|s| s <= 240), "sendMail {last:?} s after the lease: {end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_does_not_mail_a_replaced_code() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("118")).times(2));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(29))).nth(3));
    // The first two mails would hang for a day.
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(90_000))).times(2));
    tokio::join!(app.run_job(emma), async {
        tokio::time::sleep(Duration::from_secs(301)).await;
        app.run_job(emma).await
    });
    app.sweep().await;
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_revoke_a_delivered_pass() {
    let (app, emma) = TestApp::with_emma();
    let (status, _) = app.create_tap(&emma.to_string()).await;
    assert_eq!(status, 201);
    let code = app.live_code(emma);
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 429);
    app.advance(TimeDelta::minutes(20));
    let ends = app.sweep().await;
    assert_eq!(ends[0].outcome, "skipped", "{ends:?}");
    assert_eq!(app.live_code(emma), code);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_hide_a_joiners_pass_from_revocation() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 429);
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.extend(app.sweep().await);
        app.advance(TimeDelta::days(1));
    }
    assert_eq!(app.live_code(emma), None, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_new_pass_does_not_hide_the_old_one_from_revocation() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(400)));
    assert_eq!(app.sweep().await[0].outcome, "blocked");
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let mut ends = Vec::new();
    for _ in 0..3 {
        app.advance(TimeDelta::days(1));
        ends.extend(app.sweep().await);
    }
    assert_eq!(app.live_code(emma), None, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_ledger_conflict_is_a_409_without_a_pass() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::with_ledger(
        tenant,
        &[],
        FaultyLedger::with_fault(WriteFault { conflict_on: 2, ..WriteFault::default() }),
    );
    let (status, body) = app.create_tap(&emma.to_string()).await;
    assert_eq!((status, app.sandbox.passes().len()), (409, 0), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_then_refused_request_leaves_no_orphaned_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(400)).nth(2));
    let end = app.run_job(emma).await;
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = app.sweep_daily(2).await;
    assert_eq!(app.live_code(emma), None, "{end:?} {ends:?} {:?}", app.record(emma).await.map(|r| r.state));
}

#[tokio::test(start_paused = true)]
async fn a_block_is_alerted_after_a_worker_died_before_the_alert() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    abort_after(1, app.run_job(emma)).await;
    app.sweep_daily(2).await;
    // The first mail of the worker that died goes out all the same, a day later.
    assert_eq!(app.alerts().len(), 2, "{:?}", app.record(emma).await.map(|r| (r.state, r.cause)));
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_for_a_cancelled_day_is_revoked_after_day_one() {
    let (tenant, emma) = tenant_with_emma();
    // Else Emma is late, and gets a pass at once.
    let app = TestApp::new(tenant, &[("LATE_DAYS", "0")]);
    app.sweep().await;
    app.advance(TimeDelta::days(3));
    let starts = |day: &str| app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time(day))));
    starts("2026-11-29T00:00:00Z");
    // Both POSTs take effect after half an hour; meanwhile day one moves into the past.
    let late = FaultKind::Delay(Duration::from_secs(1_800));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, late).times(2));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    starts("2026-11-23T00:00:00Z");
    tokio::time::sleep(Duration::from_secs(2_000)).await;
    assert!(app.live_code(emma).is_some(), "the late pass exists");
    let end = &app.sweep().await[0];
    assert_eq!((end.outcome.as_str(), app.live_code(emma)), ("revoked", None), "{}", end.why);
    let revocations =
        app.alerts().into_iter().filter(|alert| alert["subject"].to_string().contains("A pass was revoked"));
    assert_eq!(revocations.count(), 1, "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_of_a_privileged_user_is_revoked() {
    let (app, emma) = TestApp::with_emma();
    // The POST takes effect after 400 s, when its worker is dead.
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Delay(Duration::from_secs(400))));
    abort_after(2, app.run_job(emma)).await;
    app.sandbox.edit(|t| t.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    tokio::time::sleep(Duration::from_secs(310)).await;
    assert_eq!(app.sweep().await[0].outcome, "blocked");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(app.live_code(emma).is_some(), "the late pass exists");
    let end = &app.sweep_daily(1).await[0];
    assert_eq!((end.outcome.as_str(), app.live_code(emma)), ("blocked", None), "{}", end.why);
    assert_eq!(app.alerts().len(), 1, "the privilege is alerted once");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_arrives_after_a_revoke_is_revoked_too() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    // The POST takes effect after 400 s, when its worker is dead.
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Delay(Duration::from_secs(400))));
    abort_after(2, app.run_job(emma)).await;
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    tokio::time::sleep(Duration::from_secs(310)).await;
    let first = app.sweep().await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let ends = app.sweep_daily(2).await;
    assert_eq!(app.live_code(emma), None, "{first:?} {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_disabled_joiners_pass_is_revoked_after_a_failed_move() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(20));
    app.sweep().await;
    app.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    app.advance(TimeDelta::hours(1));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), app.live_code(emma)), ("revoked", None), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_group_add_keeps_the_day_one_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    app.sweep().await;
    let day_one_code = app.live_code(emma);
    app.advance(TimeDelta::hours(1));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "failed");
    app.sandbox.edit(|t| t.remove_member(group, emma));
    app.advance(TimeDelta::minutes(3));
    let end = app.run_group_add_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.live_code(emma)), ("skipped", day_one_code), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_returns_the_pass_when_the_ledgers_answer_is_lost() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::with_ledger(
        tenant,
        &[],
        FaultyLedger::with_fault(WriteFault { lost_on: 2, ..WriteFault::default() }),
    );
    let (status, body) = app.create_tap(&emma.to_string()).await;
    assert_eq!((status, body["temporaryAccessPass"].as_str()), (201, app.live_code(emma).as_deref()));
}

/// A worker dies after the POST; the next one reads a lagging replica and dies too. The third must recognise the pass.
#[tokio::test(start_paused = true)]
async fn a_pass_of_an_earlier_lease_is_recognised_as_ours() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    abort_after(1, app.run_job(emma)).await;
    app.advance(TimeDelta::minutes(6));
    // The lagging replica does not list the pass.
    let hidden = app.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Delay(Duration::from_secs(86_400))));
    abort_after(1, app.run_job(emma)).await;
    app.sandbox.edit(|t| t.passes.insert(emma, hidden));
    app.advance(TimeDelta::minutes(6));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}

/// The first of two POSTs takes effect after a caller has received another pass.
#[tokio::test(start_paused = true)]
async fn a_delayed_pass_that_replaces_a_callers_is_recognised_as_ours() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Delay(Duration::from_secs(1_800))));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 201);
    tokio::time::sleep(Duration::from_secs(1_900)).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        app.sweep().await;
    }
    app.assert_newest_mail_has_live_code(emma);
}
