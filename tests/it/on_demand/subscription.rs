//! The subscription to the on-demand group, which the daily sweep creates and renews.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::{
    functions_host::Storage,
    tenant::{
        APPLICATION_ID, EventGrid, Fault, FaultKind, Group, MAX_SUBSCRIPTION_LIFETIME, Permission,
        Subscription,
    },
};
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma, throttle};

const TOPIC: &str = "EventGrid:?azuresubscriptionid=0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11&resourcegroup=firstpass\
                     &partnertopic=on-demand&location=westeurope";
const PATH: &str = "/subscriptions";

/// An app with an on-demand group and a partner topic.
fn app_with_topic() -> (TestApp, Uuid) {
    let (mut tenant, _) = tenant_with_emma();
    tenant.granted.insert(Permission::GroupRead);
    let group = tenant.add_group(Group::named("On-demand access"));
    let id = group.to_string();
    (TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &id), ("EVENT_GRID_PARTNER_TOPIC", TOPIC)]), group)
}

/// Runs a sweep without its jobs, and returns their number.
async fn sweep(app: &TestApp) -> usize {
    let answer = app.host.fire_timer().await;
    assert!(answer.is_success(), "{}", answer.log());
    answer.jobs().len()
}

/// From now on there are no joiners: their jobs never run here, and later sweeps would say so.
fn without_joiners(app: &TestApp) {
    app.sandbox.edit(|tenant| tenant.users.values_mut().for_each(|person| person.hire_date = None));
}

/// All subscriptions that have not expired, of any app.
fn live_subscriptions(app: &TestApp) -> Vec<Subscription> {
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.live_subscriptions(now).into_values().cloned().collect())
}

fn only_subscription(app: &TestApp) -> Subscription {
    let mut live = live_subscriptions(app);
    assert_eq!(live.len(), 1, "{live:?}");
    live.remove(0)
}

fn add_subscription(
    app: &TestApp,
    change: impl FnOnce(&mut Subscription),
    group: Uuid,
    ends: DateTime<Utc>,
) -> Uuid {
    let mut subscription = Subscription::to_group(group, TOPIC, ends);
    change(&mut subscription);
    app.sandbox.edit(|tenant| tenant.add_subscription(subscription))
}

fn text(alert: &Value) -> &str {
    alert["body"]["content"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_creates_the_subscription_and_later_sweeps_renew_it() {
    let (app, group) = app_with_topic();
    let (jobs, log) = capture_log("info", sweep(&app)).await;
    assert_eq!(jobs, 1);
    let made = only_subscription(&app);
    assert_eq!((made.group(), made.application), (Some(group), APPLICATION_ID));
    assert_eq!((made.notification_url.as_str(), made.change_type.as_str()), (TOPIC, "updated"));
    assert_eq!(made.expires, app.sandbox.now() + MAX_SUBSCRIPTION_LIFETIME - TimeDelta::minutes(10));
    assert!(log.contains("event=subscription.created topic=on-demand resource_group=firstpass"), "{log}");
    assert!(log.contains("activate the partner topic"), "{log}");
    assert!(log.contains("event=subscription.checked ends=\"2026-12-21 04:50:00 UTC\" did=made"), "{log}");

    app.advance(TimeDelta::minutes(5));
    let (_, log) = capture_log("info", sweep(&app)).await;
    assert!(log.contains("event=subscription.checked ends=\"2026-12-21 04:50:00 UTC\" did=kept"), "{log}");
    assert_eq!(
        (app.count_requests("POST", PATH), app.count_requests("PATCH", PATH)),
        (1, 0),
        "it was created just now"
    );

    without_joiners(&app);
    for day in 1..=60 {
        app.advance(TimeDelta::days(1));
        let (_, log) = capture_log("info", sweep(&app)).await;
        assert!(log.contains("did=renewed"), "{log}");
        assert!(!log.contains("subscription.created"), "{log}");
        assert_eq!(app.count_requests("PATCH", PATH), day);
    }
    let kept = only_subscription(&app);
    assert_eq!(
        (kept.id, kept.expires),
        (made.id, app.sandbox.now() + MAX_SUBSCRIPTION_LIFETIME - TimeDelta::minutes(10))
    );
    assert_eq!(app.count_requests("POST", PATH), 1);
    assert_eq!(app.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn membership_changes_reach_the_queue() {
    let (app, group) = app_with_topic();
    let storage = Storage::new(app.sandbox.clock());
    app.sandbox.connect_event_grid(EventGrid::delivering_to(storage.event_sink("pass-jobs")));
    sweep(&app).await;
    app.sandbox.edit(|tenant| {
        let emma = tenant.find_user("emma.brooks@contoso.example").unwrap().id;
        tenant.add_member(group, emma);
    });
    let messages = storage.messages("pass-jobs");
    assert_eq!(messages.len(), 1);
    let event: Value = serde_json::from_slice(&STANDARD.decode(&messages[0].text).unwrap()).unwrap();
    assert_eq!(event["subject"], format!("Groups/{group}"));
    assert_eq!(event["data"]["subscriptionId"], json!(only_subscription(&app).id));
}

#[tokio::test(start_paused = true)]
async fn a_missing_subscription_is_recreated() {
    let (app, _) = app_with_topic();
    sweep(&app).await;
    let first = only_subscription(&app).id;
    without_joiners(&app);
    app.sandbox.edit(|tenant| tenant.subscriptions.clear());
    app.advance(TimeDelta::days(1));
    sweep(&app).await;
    let second = only_subscription(&app).id;
    assert_ne!(first, second);

    // No sweep for a month.
    app.advance(TimeDelta::days(30));
    sweep(&app).await;
    let third = only_subscription(&app).id;
    assert_ne!(second, third);

    // It disappears after it was listed and before it is renewed.
    app.advance(TimeDelta::days(1));
    app.sandbox.inject(Fault::on("PATCH", PATH, FaultKind::Delay(Duration::from_secs(5))));
    let disappears = async {
        sleep(Duration::from_secs(2)).await;
        app.sandbox.edit(|tenant| tenant.subscriptions.clear());
    };
    let (((), _), log) = capture_log("info", async { tokio::join!(disappears, sweep(&app)) }).await;
    assert_ne!(only_subscription(&app).id, third);
    assert!(log.contains("subscription.created") && log.contains("did=made"), "{log}");
    assert_eq!(app.alerts().len(), 0);
}

/// Graph sometimes lists subscriptions that no longer exist.
#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_only_listed_is_recreated() {
    let (app, _) = app_with_topic();
    sweep(&app).await;
    let first = only_subscription(&app).id;
    app.advance(TimeDelta::days(1));
    app.sandbox.inject(Fault::on("GET", PATH, FaultKind::Stale).always());
    app.sandbox.edit(|tenant| tenant.subscriptions.clear());
    sweep(&app).await;
    assert_ne!(only_subscription(&app).id, first);
    assert_eq!((app.count_requests("PATCH", PATH), app.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_with_a_lost_answer_is_repeated() {
    let (app, _) = app_with_topic();
    sweep(&app).await;
    app.advance(TimeDelta::days(1));
    app.sandbox.inject(Fault::on("PATCH", PATH, FaultKind::LoseAnswer));
    let (_, log) = capture_log("info", sweep(&app)).await;
    assert!(log.contains("did=renewed"), "{log}");
    assert_eq!(
        (app.count_requests("POST", PATH), app.count_requests("PATCH", PATH), app.alerts().len()),
        (1, 2, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_creation_with_a_lost_answer_makes_no_second_subscription() {
    for fault in [FaultKind::LoseAnswer, FaultKind::FailAfter { status: 504 }] {
        let (app, _) = app_with_topic();
        app.sandbox.inject(Fault::on("POST", PATH, fault));
        let (_, log) = capture_log("info", sweep(&app)).await;
        only_subscription(&app);
        assert_eq!(app.count_requests("POST", PATH), 1, "the second list contains it");
        assert!(log.contains("subscription.created"), "the admin must still activate the topic: {log}");
        assert_eq!(app.alerts().len(), 0);
    }
    let (app, _) = app_with_topic();
    app.sandbox.inject(Fault::on("POST", PATH, fail_with(504)));
    sweep(&app).await;
    only_subscription(&app);
    assert_eq!(
        (app.count_requests("POST", PATH), app.alerts().len()),
        (2, 0),
        "the first request had no effect"
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_alerted_and_joiners_are_queued() {
    let (app, _) = app_with_topic();
    app.sandbox.edit(|tenant| tenant.granted.remove(&Permission::GroupRead));
    assert_eq!(sweep(&app).await, 1);
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1);
    let words = text(&alerts[0]);
    for part in ["Group.Read.All", "403 ExtensionError", "request-id", "could not be read"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(!words.contains("There is none"), "this is unknown: {words}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_alerted_with_a_remedy() {
    for (status, part) in [(400, "authorised as a partner"), (404, "ON_DEMAND_GROUP_ID"), (409, "delete the")]
    {
        let (app, _) = app_with_topic();
        app.sandbox.inject(Fault::on("POST", PATH, fail_with(status)).always());
        assert_eq!(sweep(&app).await, 1);
        let alerts = app.alerts();
        assert_eq!(alerts.len(), 1, "{status}");
        let words = text(&alerts[0]);
        assert!(words.contains(part) && words.contains("There is none at present"), "{words}");
        assert!(words.contains("request-id"), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_renewals_are_alerted_only_near_expiry() {
    let (app, _) = app_with_topic();
    sweep(&app).await;
    app.sandbox.inject(Fault::on("PATCH", PATH, throttle("1")).always());
    for _ in 0..14 {
        app.advance(TimeDelta::days(1));
        let (_, log) = capture_log("info", sweep(&app)).await;
        assert!(log.contains("event=subscription.not_renewed ends=\"2026-12-21 04:50:00 UTC\""), "{log}");
    }
    assert_eq!(app.alerts().len(), 0);
    app.advance(TimeDelta::days(1));
    sweep(&app).await;
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(
        text(&alerts[0]).contains("The present one ends at 2026-12-21 04:50:00 UTC"),
        "{}",
        text(&alerts[0])
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_alerted_at_once() {
    let (app, _) = app_with_topic();
    sweep(&app).await;
    app.advance(TimeDelta::days(1));
    app.sandbox.inject(Fault::on("PATCH", PATH, fail_with(403)).always());
    sweep(&app).await;
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(text(&alerts[0]).contains("ends at 2026-12-21"), "{}", text(&alerts[0]));
}

#[tokio::test(start_paused = true)]
async fn the_subscription_moves_to_the_configured_topic_and_others_are_kept() {
    let (app, group) = app_with_topic();
    let ends = app.sandbox.now() + TimeDelta::days(20);
    let other_group = app.sandbox.edit(|tenant| tenant.add_group(Group::named("Other")));
    let moved =
        add_subscription(&app, |s| s.notification_url = TOPIC.replace("on-demand", "old"), group, ends);
    let of_other_group = add_subscription(&app, |_| {}, other_group, ends);
    let of_other_app = add_subscription(&app, |s| s.application = Uuid::from_u128(1), group, ends);
    let (_, log) = capture_log("info", sweep(&app)).await;
    let live = live_subscriptions(&app);
    let ids: Vec<_> = live.iter().map(|subscription| subscription.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(
        !ids.contains(&moved) && ids.contains(&of_other_group) && ids.contains(&of_other_app),
        "{live:?}"
    );
    assert!(live.iter().any(|s| s.group() == Some(group) && s.notification_url == TOPIC && s.expires > ends));
    assert!(log.contains("subscription.created"), "{log}");
    let others: Vec<_> = log.lines().filter(|line| line.contains("subscription.other_found")).collect();
    assert_eq!(others.len(), 1, "{log}");
    assert!(others[0].contains(&of_other_group.to_string()), "{log}");
    assert_eq!(app.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn subscription_throttling_delays_a_sweep_by_less_than_a_minute() {
    let (app, _) = app_with_topic();
    app.sandbox.inject(Fault::on("GET", PATH, throttle("120")).always());
    let start = app.sandbox.now();
    assert_eq!(sweep(&app).await, 1);
    assert!(app.sandbox.now() - start < TimeDelta::minutes(1));
    assert_eq!(app.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_topic_no_subscription_is_requested() {
    let (app, _) = TestApp::with_emma();
    sweep(&app).await;
    assert_eq!(app.count_requests("GET", PATH) + app.count_requests("POST", PATH), 0);
}
