//! What the platform around us does: replicas that lag, time limits, callers who ask for odd things.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Person, generate::generate};
use serde_json::json;
use uuid::Uuid;

use crate::helpers::{NOW, PASS, World, cc, refuse, seconds, tenant_with_emma, throttle, time};

/// What a replica says that does not know the user yet.
fn unknown_here(user: Uuid) -> FaultKind {
    let message = format!(
        "Resource '{user}' does not exist or one of its queried reference-property objects are not present."
    );
    FaultKind::Fail { status: 404, code: "Request_ResourceNotFound".into(), message }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_given_up_alerts() {
    let (world, _) = World::with_emma();
    world.sandbox.inject(
        Fault::on(
            "GET",
            "/users",
            FaultKind::Fail { status: 403, code: "accessDenied".into(), message: "no".into() },
        )
        .always(),
    );
    for _ in 0..6 {
        assert!(!world.host.fire_timer().await.is_success());
    }
    assert!(!world.alerts().is_empty(), "six failures, nobody told");
}

#[tokio::test(start_paused = true)]
async fn one_delivery_stays_below_ten_minutes() {
    let (world, emma) = World::with_emma();
    for n in [1, 3, 5] {
        world.sandbox.inject(Fault::on("POST", "$batch", throttle("110")).nth(n));
    }
    world.sandbox.inject(Fault::on("GET", "/manager", throttle("120")).times(2));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("110")));
    let (end, took) = seconds(&world.sandbox, world.deliver(emma)).await;
    assert!(took < 600, "{took} s, {end:?}");
}

#[tokio::test(start_paused = true)]
async fn create_tap_answers_before_the_front_end_gives_up() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("118")).times(2));
    let ((status, _), took) = seconds(&world.sandbox, world.create_tap(&emma.to_string())).await;
    assert!(took < 230, "{status} after {took} s: nobody is listening, and the code is lost");
}

#[tokio::test(start_paused = true)]
async fn a_404_of_a_lagging_replica_is_no_verdict() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("GET", "transitiveMemberOf", unknown_here(emma)));
    let end = world.deliver(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_404_when_the_pass_is_made_is_waited_out_for_half_a_minute() {
    for (times, outcome) in [(4, "delivered"), (5, "failed")] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", PASS, unknown_here(emma)).times(times));
        let end = world.deliver(emma).await;
        assert_eq!(end.outcome, outcome, "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_404_of_a_lagging_replica_does_not_mean_no_manager() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("GET", "/manager", unknown_here(emma)));
    world.deliver(emma).await;
    assert_eq!(cc(&world.pass_mails()[0]), ["grace.hall@contoso.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_404_of_the_passes_alone_does_not_mean_a_deleted_user() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    world.sandbox.inject(Fault::on("GET", PASS, refuse(404)).times(5));
    let ends = world.sweep().await;
    for _ in 0..2 {
        world.later(TimeDelta::days(1));
        world.sweep().await;
    }
    assert_eq!(world.live_code(emma), None, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dot_name_cannot_leave_users() {
    let (world, _) = World::with_emma();
    for name in ["..", "."] {
        let (status, _) = world.create_tap(name).await;
        let urls: Vec<_> = world.sandbox.requests().iter().map(|r| r.url.clone()).collect();
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
    let world = World::new(tenant, &[]);
    let answer =
        world.host.call("CreateTap", &json!({"UserName": emma, "username": other}).to_string()).await;
    assert_eq!(answer.body["Outputs"]["res"]["statusCode"], 400);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_stays_below_ten_minutes() {
    let mut tenant = generate(250, 7, time(NOW));
    tenant.page_size_cap = 17;
    let world = World::new(tenant, &[]);
    for n in 0..8 {
        world.sandbox.inject(Fault::on("GET", "/users", throttle("110")).nth(1 + 2 * n));
    }
    let (answer, took) = seconds(&world.sandbox, world.host.fire_timer()).await;
    assert!(took < 600, "{took} s, {}", answer.log());
}
