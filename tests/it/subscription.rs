//! The subscription that has Graph tell of the on-demand group, as the daily sweep keeps it.

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

use crate::{
    helpers::{World, refuse, tenant_with_emma, throttle},
    http::logged,
};

const TOPIC: &str = "EventGrid:?azuresubscriptionid=0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11&resourcegroup=firstpass\
                     &partnertopic=on-demand&location=westeurope";
const PATH: &str = "/subscriptions";

/// The World with Emma, a group on demand, and a topic to tell of it.
fn world() -> (World, Uuid) {
    let (mut tenant, _) = tenant_with_emma();
    tenant.granted.insert(Permission::GroupRead);
    let group = tenant.add_group(Group::named("On-demand access"));
    let id = group.to_string();
    (World::new(tenant, &[("ON_DEMAND_GROUP_ID", &id), ("EVENT_GRID_PARTNER_TOPIC", TOPIC)]), group)
}

/// Only the sweep: how many jobs it queued.
async fn sweep(world: &World) -> usize {
    let swept = world.host.fire_timer().await;
    assert!(swept.is_success(), "{}", swept.log());
    swept.jobs().len()
}

/// All subscriptions that live, whoever's they are.
fn live(world: &World) -> Vec<Subscription> {
    let now = world.sandbox.now();
    world.sandbox.edit(|tenant| tenant.live_subscriptions(now).into_values().cloned().collect())
}

fn the_one(world: &World) -> Subscription {
    let mut live = live(world);
    assert_eq!(live.len(), 1, "{live:?}");
    live.remove(0)
}

fn add(world: &World, change: impl FnOnce(&mut Subscription), group: Uuid, ends: DateTime<Utc>) -> Uuid {
    let mut subscription = Subscription::to_group(group, TOPIC, ends);
    change(&mut subscription);
    world.sandbox.edit(|tenant| tenant.add_subscription(subscription))
}

fn text(alert: &Value) -> &str {
    alert["body"]["content"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_makes_it_and_the_ones_after_renew_it_day_by_day() {
    let (world, group) = world();
    let (jobs, log) = logged("info", sweep(&world)).await;
    assert_eq!(jobs, 1);
    let made = the_one(&world);
    assert_eq!((made.group(), made.application), (Some(group), APPLICATION_ID));
    assert_eq!((made.notification_url.as_str(), made.change_type.as_str()), (TOPIC, "updated"));
    assert_eq!(made.expires, world.sandbox.now() + MAX_SUBSCRIPTION_LIFETIME - TimeDelta::minutes(10));
    assert!(log.contains("event=subscription.created topic=on-demand resource_group=firstpass"), "{log}");
    assert!(log.contains("activate the partner topic"), "{log}");
    assert!(log.contains("event=subscription.checked ends=\"2026-12-21 04:50:00 UTC\" did=made"), "{log}");

    world.later(TimeDelta::minutes(5));
    let (_, log) = logged("info", sweep(&world)).await;
    assert!(log.contains("event=subscription.checked ends=\"2026-12-21 04:50:00 UTC\" did=kept"), "{log}");
    assert_eq!((world.count("POST", PATH), world.count("PATCH", PATH)), (1, 0), "it was made just now");

    for day in 1..=60 {
        world.later(TimeDelta::days(1));
        let (_, log) = logged("info", sweep(&world)).await;
        assert!(log.contains("did=renewed"), "{log}");
        assert!(!log.contains("subscription.created"), "{log}");
        assert_eq!(world.count("PATCH", PATH), day);
    }
    let kept = the_one(&world);
    assert_eq!(
        (kept.id, kept.expires),
        (made.id, world.sandbox.now() + MAX_SUBSCRIPTION_LIFETIME - TimeDelta::minutes(10))
    );
    assert_eq!(world.count("POST", PATH), 1);
    assert_eq!(world.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_it_makes_brings_changes_of_the_group_to_the_queue() {
    let (world, group) = world();
    let storage = Storage::new(world.sandbox.clock());
    world.sandbox.connect_event_grid(EventGrid::delivering_to(storage.event_sink("pass-jobs")));
    sweep(&world).await;
    world.sandbox.edit(|tenant| {
        let emma = tenant.find_user("emma.brooks@contoso.example").unwrap().id;
        tenant.add_member(group, emma);
    });
    let messages = storage.messages("pass-jobs");
    assert_eq!(messages.len(), 1);
    let event: Value = serde_json::from_slice(&STANDARD.decode(&messages[0].text).unwrap()).unwrap();
    assert_eq!(event["subject"], format!("Groups/{group}"));
    assert_eq!(event["data"]["subscriptionId"], json!(the_one(&world).id));
}

#[tokio::test(start_paused = true)]
async fn one_that_vanished_is_made_anew() {
    let (world, _) = world();
    sweep(&world).await;
    let first = the_one(&world).id;
    world.sandbox.edit(|tenant| tenant.subscriptions.clear());
    world.later(TimeDelta::days(1));
    sweep(&world).await;
    let second = the_one(&world).id;
    assert_ne!(first, second);

    // No sweep for a month.
    world.later(TimeDelta::days(30));
    sweep(&world).await;
    let third = the_one(&world).id;
    assert_ne!(second, third);

    // And one that goes between being listed and being renewed.
    world.later(TimeDelta::days(1));
    world.sandbox.inject(Fault::on("PATCH", PATH, FaultKind::Delay(Duration::from_secs(5))));
    let vanishes = async {
        sleep(Duration::from_secs(2)).await;
        world.sandbox.edit(|tenant| tenant.subscriptions.clear());
    };
    let (((), _), log) = logged("info", async { tokio::join!(vanishes, sweep(&world)) }).await;
    assert_ne!(the_one(&world).id, third);
    assert!(log.contains("subscription.created") && log.contains("did=made"), "{log}");
    assert_eq!(world.alerts().len(), 0);
}

/// Graph has been seen to list subscriptions that it did not have any more.
#[tokio::test(start_paused = true)]
async fn one_that_is_only_listed_is_made_anew() {
    let (world, _) = world();
    sweep(&world).await;
    let first = the_one(&world).id;
    world.later(TimeDelta::days(1));
    world.sandbox.inject(Fault::on("GET", PATH, FaultKind::Stale).always());
    world.sandbox.edit(|tenant| tenant.subscriptions.clear());
    sweep(&world).await;
    assert_ne!(the_one(&world).id, first);
    assert_eq!((world.count("PATCH", PATH), world.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_is_sent_again() {
    let (world, _) = world();
    sweep(&world).await;
    world.later(TimeDelta::days(1));
    world.sandbox.inject(Fault::on("PATCH", PATH, FaultKind::LoseAnswer));
    let (_, log) = logged("info", sweep(&world)).await;
    assert!(log.contains("did=renewed"), "{log}");
    assert_eq!((world.count("POST", PATH), world.count("PATCH", PATH), world.alerts().len()), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_makes_no_second_one() {
    for fault in [FaultKind::LoseAnswer, FaultKind::FailAfter { status: 504 }] {
        let (world, _) = world();
        world.sandbox.inject(Fault::on("POST", PATH, fault));
        let (_, log) = logged("info", sweep(&world)).await;
        the_one(&world);
        assert_eq!(world.count("POST", PATH), 1, "the second look finds it");
        assert!(log.contains("subscription.created"), "the topic has to be activated all the same: {log}");
        assert_eq!(world.alerts().len(), 0);
    }
    let (world, _) = world();
    world.sandbox.inject(Fault::on("POST", PATH, refuse(504)));
    sweep(&world).await;
    the_one(&world);
    assert_eq!((world.count("POST", PATH), world.alerts().len()), (2, 0), "it was not made the first time");
}

#[tokio::test(start_paused = true)]
async fn without_the_permission_a_person_is_told_and_joiners_are_queued() {
    let (world, _) = world();
    world.sandbox.edit(|tenant| tenant.granted.remove(&Permission::GroupRead));
    assert_eq!(sweep(&world).await, 1);
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1);
    let words = text(&alerts[0]);
    for part in ["Group.Read.All", "403 ExtensionError", "request-id", "could not be read"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(!words.contains("There is none"), "nobody knows that: {words}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_told_with_what_to_check() {
    for (status, part) in [(400, "authorised as a partner"), (404, "ON_DEMAND_GROUP_ID"), (409, "delete the")]
    {
        let (world, _) = world();
        world.sandbox.inject(Fault::on("POST", PATH, refuse(status)).always());
        assert_eq!(sweep(&world).await, 1);
        let alerts = world.alerts();
        assert_eq!(alerts.len(), 1, "{status}");
        let words = text(&alerts[0]);
        assert!(words.contains(part) && words.contains("There is none at present"), "{words}");
        assert!(words.contains("request-id"), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_can_wait_until_the_end_is_near() {
    let (world, _) = world();
    sweep(&world).await;
    world.sandbox.inject(Fault::on("PATCH", PATH, throttle("1")).always());
    for _ in 0..14 {
        world.later(TimeDelta::days(1));
        let (_, log) = logged("info", sweep(&world)).await;
        assert!(log.contains("event=subscription.not_renewed ends=\"2026-12-21 04:50:00 UTC\""), "{log}");
    }
    assert_eq!(world.alerts().len(), 0);
    world.later(TimeDelta::days(1));
    sweep(&world).await;
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(
        text(&alerts[0]).contains("The present one ends at 2026-12-21 04:50:00 UTC"),
        "{}",
        text(&alerts[0])
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_told_at_once() {
    let (world, _) = world();
    sweep(&world).await;
    world.later(TimeDelta::days(1));
    world.sandbox.inject(Fault::on("PATCH", PATH, refuse(403)).always());
    sweep(&world).await;
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1);
    assert!(text(&alerts[0]).contains("ends at 2026-12-21"), "{}", text(&alerts[0]));
}

#[tokio::test(start_paused = true)]
async fn it_moves_to_another_topic_and_leaves_alone_what_is_not_its_own() {
    let (world, group) = world();
    let ends = world.sandbox.now() + TimeDelta::days(20);
    let other_group = world.sandbox.edit(|tenant| tenant.add_group(Group::named("Other")));
    let moved = add(&world, |s| s.notification_url = TOPIC.replace("on-demand", "old"), group, ends);
    let left_alone = add(&world, |_| {}, other_group, ends);
    let foreign = add(&world, |s| s.application = Uuid::from_u128(1), group, ends);
    let (_, log) = logged("info", sweep(&world)).await;
    let live = live(&world);
    let ids: Vec<_> = live.iter().map(|subscription| subscription.id).collect();
    assert_eq!(ids.len(), 3);
    assert!(!ids.contains(&moved) && ids.contains(&left_alone) && ids.contains(&foreign), "{live:?}");
    assert!(live.iter().any(|s| s.group() == Some(group) && s.notification_url == TOPIC && s.expires > ends));
    assert!(log.contains("subscription.created"), "{log}");
    let others: Vec<_> = log.lines().filter(|line| line.contains("subscription.other_found")).collect();
    assert_eq!(others.len(), 1, "{log}");
    assert!(others[0].contains(&left_alone.to_string()), "{log}");
    assert_eq!(world.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_takes_its_time_does_not_take_the_sweeps() {
    let (world, _) = world();
    world.sandbox.inject(Fault::on("GET", PATH, throttle("120")).always());
    let start = world.sandbox.now();
    assert_eq!(sweep(&world).await, 1);
    assert!(world.sandbox.now() - start < TimeDelta::minutes(1));
    assert_eq!(world.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_topic_nobody_asks_for_subscriptions() {
    let (world, _) = World::with_emma();
    sweep(&world).await;
    assert_eq!(world.count("GET", PATH) + world.count("POST", PATH), 0);
}
