//! Jobs, calls of CreateTap and slow workers that interleave for one user. Each case is a former bug.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Untargeted, roles};

use crate::helpers::{PASS_PATH, TestApp, abort_after, fail_with, tenant_with_emma, throttle, time};

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_suppress_the_joiners_alert() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.include.clear();
    tenant.policy.untargeted = Untargeted::Refused;
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 409);
    assert_eq!(app.sweep().await[0].outcome, "blocked");
    assert_eq!(app.alerts().len(), 1, "{:?}", app.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn a_block_does_not_hide_an_orphaned_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::minutes(3));
    app.sandbox.edit(|t| t.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    assert_eq!(app.run_job(emma).await.outcome, "blocked");
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = app.sweep_daily(2).await;
    assert_eq!(app.live_code(emma), None, "{ends:?} {:?}", app.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_hide_that_the_account_was_disabled() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 201);
    app.advance(TimeDelta::hours(5));
    app.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.live_code(emma)), (1, None), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_does_not_hide_that_day_one_moved() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 201);
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_hide_an_orphaned_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::minutes(1));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 429);
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = app.sweep_daily(2).await;
    assert_eq!(app.live_code(emma), None, "{ends:?} {:?}", app.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn the_next_sweep_retries_a_failed_group_add() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert!(app.sandbox.passes()[0].opens_at <= app.sandbox.now(), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_does_not_delete_a_pass_that_another_delivered() {
    let (app, emma) = TestApp::with_expired_pass();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("110")).times(2));
    // The second GET lists the passes; the first is part of the batch.
    app.sandbox.inject(Fault::on("GET", PASS_PATH, throttle("100")).nth(2));
    let (first, second) = tokio::join!(app.run_job(emma), async {
        tokio::time::sleep(Duration::from_secs(303)).await;
        app.run_job(emma).await
    });
    assert_eq!(second.outcome, "delivered", "{first:?} {second:?}");
    assert!(app.live_code(emma).is_some(), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn the_advice_in_a_revocation_alert_works() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    assert_eq!(app.sweep().await[0].outcome, "revoked");
    let alert = app.alerts().pop().unwrap()["body"]["content"].to_string();
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert!(!alert.contains("set the hire date again") || ends[0].outcome == "delivered", "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delivered_pass_disabled_by_policy_is_alerted() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.sandbox.edit(|t| {
        t.policy.include.clear();
        t.policy.untargeted = Untargeted::Refused;
        t.passes.get_mut(&emma).unwrap().disabled_by_policy = true;
    });
    let ends = app.sweep_daily(3).await;
    assert_eq!(app.alerts().len(), 1, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_during_throttling_is_served() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.advance(time("2026-11-27T06:59:30Z") - app.sandbox.now());
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("115")).times(2));
    let end = app.run_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.pass_mails().len()), ("delivered", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_for_an_earlier_day_one_is_recognised_as_ours() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.maximum_lifetime = 1_440;
    let app = TestApp::new(tenant, &[]);
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-25T00:00:00Z"))));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Delay(Duration::from_secs(400))));
    abort_after(2, app.run_job(emma)).await;
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-26T00:00:00Z"))));
    tokio::time::sleep(Duration::from_secs(310)).await;
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    tokio::time::sleep(Duration::from_secs(200)).await;
    let ends = app.sweep_daily(4).await;
    app.advance(TimeDelta::hours(3));
    assert!(app.live_code(emma).is_some(), "{} {ends:?}", app.sandbox.now());
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_keeps_the_delivered_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let code = app.live_code(emma);
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(400)));
    app.create_tap(&emma.to_string()).await;
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!((app.live_code(emma), app.pass_mails().len()), (code, 1), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_after_a_revoke_causes_no_second_alert() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    assert_eq!(app.sweep().await[0].outcome, "revoked");
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
    assert_eq!(app.create_tap(&emma.to_string()).await.0, 429);
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!(app.alerts().len(), 1, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_calls_do_not_reset_the_count_of_deleted_passes() {
    let (app, emma) = TestApp::with_emma();
    let mut ends = vec![];
    for _ in 0..6 {
        ends.extend(app.sweep().await);
        app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("1")).times(4));
        app.create_tap(&emma.to_string()).await;
        app.sandbox.edit(|t| t.delete_pass(emma));
        app.advance(TimeDelta::days(1));
    }
    assert!(app.pass_mails().len() <= 4, "{} {ends:?}", app.pass_mails().len());
}

#[tokio::test(start_paused = true)]
async fn a_day_one_that_moved_twice_does_not_count_as_deleted_passes() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    for day in ["2026-11-28T00:00:00Z", "2026-11-26T00:00:00Z"] {
        app.advance(TimeDelta::hours(1));
        app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time(day))));
        assert_eq!(app.sweep().await[0].outcome, "delivered");
    }
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| t.delete_pass(emma));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}
