//! Workers that die, are slow, come second or are refused: nobody is lost, and no pass is left behind.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use chrono::TimeDelta;
use firstpass::ledger::LedgerError;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, roles};

use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::{PASS, World, refuse, tenant_with_emma, throttle, time},
};

/// Somebody else is faster, or an answer is lost, once.
#[derive(Debug, Default)]
struct Contested {
    writes: AtomicU32,
    /// Which write finds another version, from 1.
    conflict_on: u32,
    /// Which write is done, but its answer lost.
    lost_on: u32,
}

#[async_trait]
impl LedgerFault for Contested {
    async fn before(&self, call: Operation) -> Result<(), LedgerError> {
        let is_conflict =
            call == Operation::Write && self.writes.fetch_add(1, Ordering::Relaxed) + 1 == self.conflict_on;
        if is_conflict { Err(LedgerError::Conflict) } else { Ok(()) }
    }

    fn after(&self, call: Operation, _: bool) -> Result<(), LedgerError> {
        let is_lost = call == Operation::Write && self.writes.load(Ordering::Relaxed) == self.lost_on;
        if is_lost { Err(LedgerError::Unavailable("no answer".into())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn two_failed_tries_do_not_make_our_own_pass_foreign() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    world.later(TimeDelta::minutes(3));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    for _ in 0..3 {
        world.later(TimeDelta::days(1));
        world.sweep().await;
    }
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn dead_worker_then_a_throttled_one() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    assert!(tokio::time::timeout(Duration::from_secs(1), world.deliver(emma)).await.is_err());
    world.later(TimeDelta::minutes(6));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    world.later(TimeDelta::minutes(6));
    let end = world.deliver(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn tenant_that_refuses_second_pass_and_a_lost_answer() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.refuse_when_exists = true;
    let world = World::new(tenant, &[]);
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer));
    let mut why = vec![world.deliver(emma).await];
    for _ in 0..2 {
        world.later(TimeDelta::days(1));
        why.extend(world.sweep().await);
    }
    assert_eq!(world.pass_mails().len(), 1, "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn no_first_try_after_the_deadline() {
    let (world, emma) = World::with_emma();
    let start = world.sandbox.now();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("118")).times(2));
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(25))).nth(3));
    let end = world.deliver(emma).await;
    let last = world
        .sandbox
        .requests()
        .into_iter()
        .filter(|r| r.url.contains("sendMail"))
        .map(|r| (r.at - start).num_seconds())
        .max();
    assert!(last.is_none_or(|s| s <= 240), "sendMail {last:?} s after the lease: {end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_worker_never_mails_a_code_that_another_has_replaced() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("118")).times(2));
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(29))).nth(3));
    // Its first two mails, had it sent them, would hang for a day.
    world
        .sandbox
        .inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(90_000))).times(2));
    tokio::join!(world.deliver(emma), async {
        tokio::time::sleep(Duration::from_secs(301)).await;
        world.deliver(emma).await
    });
    world.sweep().await;
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_open_a_delivered_pass_to_be_killed() {
    let (world, emma) = World::with_emma();
    let (status, _) = world.create_tap(&emma.to_string()).await;
    assert_eq!(status, 201);
    let given = world.live_code(emma);
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 429);
    world.later(TimeDelta::minutes(20));
    let ends = world.sweep().await;
    assert_eq!(ends[0].outcome, "skipped", "{ends:?}");
    assert_eq!(world.live_code(emma), given);
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_does_not_hide_a_joiners_pass_from_revocation() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 429);
    world.later(TimeDelta::hours(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.extend(world.sweep().await);
        world.later(TimeDelta::days(1));
    }
    assert_eq!(world.live_code(emma), None, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_new_pass_does_not_hide_the_old_one() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.sandbox.inject(Fault::on("POST", PASS, refuse(400)));
    assert_eq!(world.sweep().await[0].outcome, "blocked");
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let mut ends = Vec::new();
    for _ in 0..3 {
        world.later(TimeDelta::days(1));
        ends.extend(world.sweep().await);
    }
    assert_eq!(world.live_code(emma), None, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_overtaken_is_a_409_without_a_pass() {
    let (tenant, emma) = tenant_with_emma();
    let world =
        World::on(tenant, &[], FaultyLedger::by(Contested { conflict_on: 2, ..Contested::default() }));
    let (status, body) = world.create_tap(&emma.to_string()).await;
    assert_eq!((status, world.sandbox.passes().len()), (409, 0), "{body}");
}

#[tokio::test(start_paused = true)]
async fn post_lost_then_refused_leaves_no_orphan() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer));
    world.sandbox.inject(Fault::on("POST", PASS, refuse(400)).nth(2));
    let end = world.deliver(emma).await;
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    let ends = world.sweep_daily(2).await;
    assert_eq!(
        world.live_code(emma),
        None,
        "{end:?} {ends:?} {:?}",
        world.record(emma).await.map(|r| r.state)
    );
}

#[tokio::test(start_paused = true)]
async fn blocked_is_alerted_even_if_the_worker_dies_after_the_write() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    let world = World::new(tenant, &[]);
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    assert!(tokio::time::timeout(Duration::from_secs(1), world.deliver(emma)).await.is_err());
    for _ in 0..2 {
        world.later(TimeDelta::days(1));
        world.sweep().await;
    }
    assert_eq!(world.alerts().len(), 1, "{:?}", world.record(emma).await.map(|r| (r.state, r.cause)));
}

#[tokio::test(start_paused = true)]
async fn a_late_pass_for_a_day_that_is_no_more_goes_though_day_one_is_past() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(3));
    let starts = |day: &str| world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time(day))));
    starts("2026-11-29T00:00:00Z");
    // Both POSTs land half an hour late; in the meantime the day moves again, into the past.
    let late = FaultKind::Delay(Duration::from_secs(1_800));
    world.sandbox.inject(Fault::on("POST", PASS, late).times(2));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    starts("2026-11-23T00:00:00Z");
    tokio::time::sleep(Duration::from_secs(2_000)).await;
    assert!(world.live_code(emma).is_some(), "it came");
    let end = &world.sweep().await[0];
    assert_eq!((end.outcome.as_str(), world.live_code(emma)), ("revoked", None), "{}", end.why);
    assert_eq!(world.alerts().len(), 1, "a person hears of it");
}

#[tokio::test(start_paused = true)]
async fn who_came_into_power_keeps_no_pass_that_came_late() {
    let (world, emma) = World::with_emma();
    // The POST lands 400 s late; its worker is gone by then.
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Delay(Duration::from_secs(400))));
    assert!(tokio::time::timeout(Duration::from_secs(2), world.deliver(emma)).await.is_err());
    world.sandbox.edit(|t| t.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    tokio::time::sleep(Duration::from_secs(310)).await;
    assert_eq!(world.sweep().await[0].outcome, "blocked");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(world.live_code(emma).is_some(), "it came");
    let end = &world.sweep_daily(1).await[0];
    assert_eq!((end.outcome.as_str(), world.live_code(emma)), ("blocked", None), "{}", end.why);
    assert_eq!(world.alerts().len(), 1, "a person hears of the power, once");
}

#[tokio::test(start_paused = true)]
async fn late_post_after_a_revoke_is_revoked_too() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::hours(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    // The POST lands 400 s late; its worker is gone by then.
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Delay(Duration::from_secs(400))));
    let dead = tokio::time::timeout(Duration::from_secs(2), world.deliver(emma)).await;
    assert!(dead.is_err());
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = None));
    tokio::time::sleep(Duration::from_secs(310)).await;
    let first = world.sweep().await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let ends = world.sweep_daily(2).await;
    assert_eq!(world.live_code(emma), None, "{first:?} {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_moved_joiner_cancelled_by_disabling_after_a_failed_try() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(20));
    world.sweep().await;
    world.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    world.later(TimeDelta::hours(1));
    let ends = world.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), world.live_code(emma)), ("revoked", None), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_group_add_does_not_take_the_day_one_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    world.sweep().await;
    let day_one_code = world.live_code(emma);
    world.later(TimeDelta::hours(1));
    world.sandbox.inject(Fault::on("POST", PASS, throttle("1")).times(4));
    assert_eq!(world.add_to_group(emma).await.outcome, "failed");
    world.sandbox.edit(|t| t.remove_member(group, emma));
    world.later(TimeDelta::minutes(3));
    let end = world.add_to_group(emma).await;
    assert_eq!((end.outcome.as_str(), world.live_code(emma)), ("skipped", day_one_code), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_record_was_written_gets_the_pass_though_the_ledgers_answer_was_lost() {
    let (tenant, emma) = tenant_with_emma();
    let world = World::on(tenant, &[], FaultyLedger::by(Contested { lost_on: 2, ..Contested::default() }));
    let (status, body) = world.create_tap(&emma.to_string()).await;
    assert_eq!((status, body["temporaryAccessPass"].as_str()), (201, world.live_code(emma).as_deref()));
}

/// A worker dies with its pass made; the next one is shown an old replica, and dies too. The third must know whose
/// pass it is.
#[tokio::test(start_paused = true)]
async fn a_pass_is_ours_whichever_of_our_leases_it_came_from() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(86_400))));
    let dies = || tokio::time::timeout(Duration::from_secs(1), world.deliver(emma));
    assert!(dies().await.is_err());
    world.later(TimeDelta::minutes(6));
    // The old replica: no pass is shown.
    let hidden = world.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Delay(Duration::from_secs(86_400))));
    assert!(dies().await.is_err());
    world.sandbox.edit(|t| t.passes.insert(emma, hidden));
    world.later(TimeDelta::minutes(6));
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    world.assert_newest_mail_opens(emma);
}

/// The first of two POSTs seemed lost and lands when a caller has long been given another pass.
#[tokio::test(start_paused = true)]
async fn a_post_that_lands_after_somebody_elses_is_still_ours() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Delay(Duration::from_secs(1_800))));
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    assert_eq!(world.create_tap(&emma.to_string()).await.0, 201);
    tokio::time::sleep(Duration::from_secs(1_900)).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        world.sweep().await;
    }
    world.assert_newest_mail_opens(emma);
}
