//! A 404 from a replica that lags behind is retried, and is not taken for an answer.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group};
use uuid::Uuid;

use crate::helpers::{PASS_PATH, TestApp, cc_addresses, fail_with, tenant_with_emma};

/// The answer of a replica that does not have the user yet.
fn not_replicated(user: Uuid) -> FaultKind {
    let message = format!(
        "Resource '{user}' does not exist or one of its queried reference-property objects are not present."
    );
    FaultKind::Fail { status: 404, code: "Request_ResourceNotFound".into(), message }
}

#[tokio::test(start_paused = true)]
async fn a_404_from_a_lagging_replica_is_retried() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("GET", "transitiveMemberOf", not_replicated(emma)));
    let end = app.run_job(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_404_on_issuing_is_retried_for_half_a_minute() {
    for (times, outcome) in [(4, "delivered"), (5, "failed")] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", PASS_PATH, not_replicated(emma)).times(times));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, outcome, "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_404_from_a_lagging_replica_does_not_mean_no_manager() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAIL_CC_CODE", "true")]);
    app.sandbox.inject(Fault::on("GET", "/manager", not_replicated(emma)));
    app.run_job(emma).await;
    assert_eq!(cc_addresses(&app.pass_mails()[0]), ["grace.hall@contoso.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_404_for_passes_alone_does_not_mean_a_deleted_user() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    app.sandbox.inject(Fault::on("GET", PASS_PATH, fail_with(404)).times(5));
    let ends = app.sweep().await;
    app.sweep_daily(2).await;
    assert_eq!(app.live_code(emma), None, "{ends:?}");
}

/// Whoever is put into the joiner group just before the sweep is in no other group yet.
#[tokio::test(start_paused = true)]
async fn a_replica_without_a_new_joiners_membership_is_asked_again_before_anybody_is_alerted() {
    for (times, outcome, alerts) in [(1, "delivered", 0), (4, "delivered", 0), (5, "blocked", 1)] {
        let (mut tenant, emma) = tenant_with_emma();
        let joiners = tenant.add_group(Group::named("Joiners"));
        let app = TestApp::new(tenant, &[("JOINER_GROUP_ID", &joiners.to_string())]);
        app.sandbox.inject(Fault::on("GET", "transitiveMemberOf", FaultKind::Stale).times(times));
        app.sandbox.edit(|tenant| tenant.add_member(joiners, emma));
        let end = app.run_job(emma).await;
        assert_eq!((end.outcome.as_str(), app.alerts().len()), (outcome, alerts), "{times} {end:?}");
    }
}
