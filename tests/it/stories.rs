//! Two things at once: a job and a call, a block and an orphan, a slow worker and a quick one. Each story is one
//! that went wrong before.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, Untargeted, roles};
use uuid::Uuid;

use crate::helpers::{PASS, World, refuse, seconds, tenant_with_emma, throttle, time};

/// A tenant that refuses a pass while there is one, and in it a joiner with a pass long over.
fn world_with_a_dead_pass_in_the_way() -> (World, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.refuse_when_exists = true;
    tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
    let world = World::new(tenant, &[]);
    (world, emma)
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_silence_the_joiners_alert() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.include.clear();
    tenant.policy.untargeted = Untargeted::Refused;
    let world = World::new(tenant, &[]);
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 409);
    assert_eq!(world.sweep().await[0].outcome, "blocked");
    assert_eq!(world.alerts().len(), 1, "{:?}", world.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn a_block_does_not_hide_an_orphan() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    world.later(TimeDelta::minutes(3));
    world.sandbox.edit(|t| t.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    assert_eq!(world.deliver(emma).await.outcome, "blocked");
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = world.sweep_daily(2).await;
    assert_eq!(world.live_code(emma), None, "{ends:?} {:?}", world.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_between_does_not_hide_a_cancellation_by_disabling() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 201);
    world.later(TimeDelta::hours(5));
    world.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert_eq!((world.pass_mails().len(), world.live_code(emma)), (1, None), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_between_does_not_hide_that_the_day_moved() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 201);
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_hide_an_orphan() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    world.later(TimeDelta::minutes(1));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 429);
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = world.sweep_daily(2).await;
    assert_eq!(world.live_code(emma), None, "{ends:?} {:?}", world.record(emma).await);
}

#[tokio::test(start_paused = true)]
async fn a_failed_group_add_of_a_served_joiner_is_taken_up_by_the_next_sweep() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.add_to_group(emma).await.outcome, "failed");
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    let works = world.sandbox.passes()[0].opens_at <= world.sandbox.now();
    assert!(works, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_way_takes_no_ten_minutes() {
    for kind in [throttle("120"), FaultKind::Delay(Duration::from_secs(3_600))] {
        let (world, emma) = world_with_a_dead_pass_in_the_way();
        // Graph slows down when the batch is read.
        world.sandbox.inject(Fault::on("GET", PASS, kind.clone()).nth(2).always());
        world.sandbox.inject(Fault::on("DELETE", PASS, kind.clone()).always());
        let call = format!(r#"{{"UserName":"{emma}"}}"#);
        let (a, took) = seconds(&world.sandbox, world.host.call("CreateTap", &call)).await;
        assert!(took < 230, "{kind:?}: CreateTap took {took} s {:?}", a.log());
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_takes_no_ten_minutes_in_the_way() {
    let (world, emma) = world_with_a_dead_pass_in_the_way();
    world.sandbox.inject(Fault::on("POST", "$batch", throttle("70")).times(2));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("110")).times(2));
    world.sandbox.inject(Fault::on("GET", PASS, throttle("45")).nth(2).times(3));
    world.sandbox.inject(Fault::on("DELETE", PASS, throttle("45")).times(3));
    let message = world.job(emma).to_message();
    let (a, took) = seconds(&world.sandbox, world.host.deliver(&message, 5)).await;
    assert!(took < 590, "took {took} s {:?}", a.log());
}

#[tokio::test(start_paused = true)]
async fn a_slow_cleaner_never_kills_what_another_has_mailed() {
    let (world, emma) = world_with_a_dead_pass_in_the_way();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("110")).times(2));
    // Its list of passes: 2nd GET that fits (the first is in its batch)
    world.sandbox.inject(Fault::on("GET", PASS, throttle("100")).nth(2));
    let (first, second) = tokio::join!(world.deliver(emma), async {
        tokio::time::sleep(Duration::from_secs(303)).await;
        world.deliver(emma).await
    });
    assert_eq!(second.outcome, "delivered", "{first:?} {second:?}");
    assert!(world.live_code(emma).is_some(), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn the_advice_after_a_cancellation_by_disabling_works() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    assert_eq!(world.sweep().await[0].outcome, "revoked");
    let alert = world.alerts().pop().unwrap()["body"]["content"].to_string();
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert!(!alert.contains("set the hire date again") || ends[0].outcome == "delivered", "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_delivered_pass_that_the_policy_switched_off_is_not_silent() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.sandbox.edit(|t| {
        t.policy.include.clear();
        t.policy.untargeted = Untargeted::Refused;
        t.passes.get_mut(&emma).unwrap().disabled_by_policy = true;
    });
    let ends = world.sweep_daily(3).await;
    assert_eq!(world.alerts().len(), 1, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_while_graph_is_busy_is_served() {
    let (world, emma) = World::with_emma();
    world.sandbox.advance(time("2026-11-27T06:59:30Z") - world.sandbox.now());
    world.sandbox.inject(Fault::on("POST", PASS, throttle("115")).times(2));
    let end = world.deliver(emma).await;
    assert_eq!((end.outcome.as_str(), world.pass_mails().len()), ("delivered", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_for_an_older_day_is_known_as_ours() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.maximum_lifetime = 1_440;
    let world = World::new(tenant, &[]);
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-25T00:00:00Z"))));
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Delay(Duration::from_secs(400))));
    assert!(tokio::time::timeout(Duration::from_secs(2), world.deliver(emma)).await.is_err());
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-26T00:00:00Z"))));
    tokio::time::sleep(Duration::from_secs(310)).await;
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    tokio::time::sleep(Duration::from_secs(200)).await;
    let ends = world.sweep_daily(4).await;
    world.later(TimeDelta::hours(3));
    assert!(world.live_code(emma).is_some(), "{} {ends:?}", world.sandbox.now());
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_after_being_served_keeps_all() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    let code = world.live_code(emma);
    world.sandbox.inject(Fault::on("POST", PASS, refuse(400)));
    world.create_tap(&emma.to_string()).await;
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert_eq!((world.live_code(emma), world.pass_mails().len()), (code, 1), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_in_time_in_the_way() {
    let (world, emma) = world_with_a_dead_pass_in_the_way();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("60")));
    world.sandbox.inject(Fault::on("GET", PASS, throttle("45")).nth(2).times(3));
    world.sandbox.inject(Fault::on("DELETE", PASS, throttle("45")).times(3));
    let call = format!(r#"{{"UserName":"{emma}"}}"#);
    let (a, took) = seconds(&world.sandbox, world.host.call("CreateTap", &call)).await;
    assert!(took < 230, "took {took} s {:?}", a.log());
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_after_a_revoke_is_no_second_revoke() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    assert_eq!(world.sweep().await[0].outcome, "revoked");
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 429);
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert_eq!(world.alerts().len(), 1, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_calls_do_not_reset_the_count_of_vanished_passes() {
    let (world, emma) = World::with_emma();
    let mut ends = vec![];
    for _ in 0..5 {
        ends.extend(world.sweep().await);
        world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
        world.create_tap(&emma.to_string()).await;
        world.sandbox.edit(|t| t.delete_pass(emma));
        world.later(TimeDelta::days(1));
    }
    assert!(world.pass_mails().len() <= 3, "{} {ends:?}", world.pass_mails().len());
}

#[tokio::test(start_paused = true)]
async fn a_day_one_that_moved_twice_is_no_pass_that_keeps_vanishing() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    for day in ["2026-11-28T00:00:00Z", "2026-11-26T00:00:00Z"] {
        world.later(TimeDelta::hours(1));
        world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time(day))));
        assert_eq!(world.sweep().await[0].outcome, "delivered");
    }
    world.later(TimeDelta::hours(1));
    world.sandbox.edit(|t| t.delete_pass(emma));
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    world.assert_newest_mail_opens(emma);
}
