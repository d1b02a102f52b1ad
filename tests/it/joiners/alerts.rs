//! Alerts to the service desk: their content, and one alert per reason.

use firstpass::ledger::{Purpose, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Person, Untargeted, roles};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{PASS_PATH, TestApp, fail_with, tenant_with_emma};

/// The policy excludes the joiner, so Graph refuses every pass.
fn app_with_refusing_policy() -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.include.clear();
    tenant.policy.untargeted = Untargeted::Refused;
    (TestApp::new(tenant, &[]), emma)
}

/// Runs the sweeps of the next days until one has a job, and returns its outcome. Within two days, everything is looked at.
async fn sweep_next_day(app: &TestApp) -> String {
    let mut ends = app.sweep_daily(1).await;
    if ends.is_empty() {
        ends = app.sweep_daily(1).await;
    }
    ends.swap_remove(0).outcome
}

#[tokio::test(start_paused = true)]
async fn a_block_is_alerted_once_per_reason() {
    let (app, emma) = app_with_refusing_policy();
    for _ in 0..2 {
        assert_eq!(sweep_next_day(&app).await, "blocked");
        assert_eq!(app.alerts().len(), 1);
    }
    app.sandbox.edit(|tenant| tenant.policy.untargeted = Untargeted::Unusable);
    assert_eq!(sweep_next_day(&app).await, "blocked");
    assert_eq!(app.alerts().len(), 2, "an unusable pass is another reason");
    app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    assert_eq!(sweep_next_day(&app).await, "blocked");
    assert_eq!(app.alerts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_repeat_an_alert() {
    let (app, emma) = app_with_refusing_policy();
    assert_eq!(sweep_next_day(&app).await, "blocked");
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
    assert!(app.create_tap(&emma.to_string()).await.0 >= 500);
    assert_eq!(sweep_next_day(&app).await, "blocked");
    assert_eq!(app.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_alert_names_the_user_the_event_and_the_remedy() {
    type Change = fn(&TestApp, Uuid);
    let cases: [(Change, &str, &str, &str); 3] = [
        (
            |app, emma| app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR)),
            "A user gets no pass",
            "the account holds the role",
            "Give this person their first sign-in in person",
        ),
        (
            |app, emma| app.sandbox.edit(|tenant| tenant.change(emma, |p: &mut Person| p.hire_date = None)),
            "A pass was revoked",
            "pass revoked: the account has no hire date",
            "set the hire date again",
        ),
        (
            |app, emma| {
                app.sandbox.edit(|tenant| tenant.delete_pass(emma));
                app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).times(10));
            },
            "A message failed 10 times and goes to the poison queue",
            "Graph error while sending the mail",
            "To do: correct the mail's sender or recipient",
        ),
    ];
    for (change, headline, event, remedy) in cases {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        change(&app, emma);
        sweep_next_day(&app).await;
        let alert = app.alerts().pop().as_ref().map(Value::to_string).unwrap_or_default();
        let who = "Emma Brooks, emma.brooks@contoso.example, ";
        for words in [headline, event, remedy, who, "manager ", &emma.to_string()] {
            assert!(alert.replace("&#x27;", "'").contains(words), "\"{words}\" is missing in {alert}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_is_recorded_and_keeps_an_earlier_delivery() {
    for (delivered, failed, state) in
        [(false, false, State::Blocked), (false, true, State::Blocked), (true, false, State::Delivered)]
    {
        let (app, emma) = TestApp::with_emma();
        if failed {
            app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)));
        }
        if delivered || failed {
            app.run_job(emma).await;
        }
        app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
        assert_eq!(sweep_next_day(&app).await, "blocked");
        let record = app.record(emma).await.unwrap();
        assert_eq!(
            (record.state, record.purpose),
            (state, Purpose::Joiner),
            "delivered: {delivered}, failed: {failed}"
        );
    }
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
    assert_eq!(app.record(emma).await.unwrap().purpose, Purpose::OnDemand);
}
