//! Which users are served, revoked or left alone over several days.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec};

use crate::helpers::{NOW, PASS_PATH, TestApp, fail_with, tenant_with_emma, time};

#[tokio::test(start_paused = true)]
async fn a_joiner_disabled_after_the_mail_is_not_served_again() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    assert_eq!(app.sweep().await[0].outcome, "revoked");
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!(
        (ends[0].outcome.as_str(), app.live_code(emma), app.pass_mails().len()),
        ("skipped", None, 1),
        "{ends:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_immediate_pass_of_one_hour_is_delivered_once() {
    let (tenant, _) = tenant_with_emma();
    let settings = [("PASS_START", "now"), ("PASS_LIFETIME_MINUTES", "60"), ("REISSUE_UNUSED", "false")];
    let app = TestApp::new(tenant, &settings);
    let mut ends = Vec::new();
    for _ in 0..8 {
        ends.extend(app.sweep().await.into_iter().map(|e| e.why));
        app.advance(TimeDelta::days(1));
    }
    assert_eq!(app.pass_mails().len(), 1, "alerts {} {ends:#?}", app.alerts().len());
}

#[tokio::test(start_paused = true)]
async fn an_immediate_pass_is_delivered_before_nine_on_day_one() {
    for country in ["US", "NZ", "IN"] {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[("PASS_START", "now"), ("TIME_ZONE", "America/Los_Angeles")]);
        app.sandbox.edit(|t| t.change(emma, |p| p.usage_location = Some(country.into())));
        let mut delivered_at = None;
        for _ in 0..8 {
            app.sweep().await;
            if delivered_at.is_none() && !app.pass_mails().is_empty() {
                delivered_at = Some(app.sandbox.now());
            }
            app.advance(TimeDelta::days(1));
        }
        let nine_local = time(match country {
            "US" => "2026-11-27T17:00:00Z",
            "NZ" => "2026-11-26T20:00:00Z",
            _ => "2026-11-27T03:30:00Z",
        });
        assert!(
            delivered_at.is_some_and(|at| at <= nine_local),
            "{country}: {delivered_at:?}, not before {nine_local}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_do_not_count_as_deleted_passes() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(400)).times(3));
    for _ in 0..3 {
        app.advance(TimeDelta::days(1));
        assert_eq!(app.sweep().await[0].outcome, "blocked");
    }
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!(ends[0].outcome, "delivered", "Graph refuses no longer: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_later_helpdesk_pass_is_not_revoked() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");
    app.advance(TimeDelta::days(2));
    let now = app.sandbox.now();
    let helpdesk = app.sandbox.edit(|t| t.add_pass(emma, PassSpec::opening(now).lasting(480)));
    app.advance(TimeDelta::minutes(20));
    let ends = app.sweep().await;
    assert_eq!(app.sandbox.passes()[0].id, helpdesk, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn another_issuers_pass_that_works_on_day_one_is_kept() {
    for (opens, settings) in [
        ("2026-11-27T16:00:00Z", vec![]),
        ("2026-11-27T05:30:00Z", vec![]),
        ("2026-11-27T08:00:00Z", vec![("PASS_START", "now"), ("PASS_LIFETIME_MINUTES", "480")]),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.maximum_lifetime = if settings.is_empty() { 480 } else { 7200 };
        let other = tenant.add_pass(emma, PassSpec::opening(time(opens)).created(time(NOW)).lasting(60));
        let settings: Vec<_> = settings
            .into_iter()
            .map(|(n, v)| (n, if n == "PASS_LIFETIME_MINUTES" { "7100" } else { v }))
            .collect();
        let app = TestApp::new(tenant, &settings);
        let end = app.run_job(emma).await;
        assert_eq!(app.sandbox.passes()[0].id, other, "{opens} {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_add_with_unreadable_groups_is_alerted() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    app.sandbox.inject(
        Fault::on(
            "GET",
            "transitiveMemberOf",
            FaultKind::Fail { status: 403, code: "Authorization_RequestDenied".into(), message: "no".into() },
        )
        .always(),
    );
    let end = app.run_group_add_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.alerts().len()), ("blocked", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn the_moved_mail_is_sent_after_a_failed_try() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
    let ends = app.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rehired_user_with_a_disabled_account_is_served_where_age_is_not_checked() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("JOINER_CHECK", "methods")]);
    app.sweep().await;
    app.advance(TimeDelta::days(400));
    let again = app.sandbox.now() + TimeDelta::days(3);
    app.sandbox.edit(|t| {
        t.change(emma, |p| {
            p.hire_date = Some(again);
            p.enabled = false;
        })
    });
    let ends = app.sweep().await;
    assert_eq!(
        ends[0].outcome,
        "delivered",
        "SERVE_DISABLED is true: {ends:?}, alerts {}",
        app.alerts().len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_joiner_is_closed_with_one_alert() {
    for delivered in [true, false] {
        let (app, emma) = TestApp::with_emma();
        if !delivered {
            app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
        }
        app.run_job(emma).await;
        app.sandbox.edit(|tenant| tenant.delete(emma));
        assert_eq!(app.sweep().await[0].outcome, "revoked");
        assert_eq!(app.sweep().await, []);
        assert_eq!(app.alerts().len(), 1);
    }
}
