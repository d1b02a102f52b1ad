//! Who is served, who is not any more, and who is again: over days, with all that happened before.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, roles};

use crate::helpers::{NOW, PASS, World, refuse, tenant_with_emma, time};

#[tokio::test(start_paused = true)]
async fn disabled_after_mail_is_not_served_again_after_revoke() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.enabled = false));
    assert_eq!(world.sweep().await[0].outcome, "revoked");
    world.later(TimeDelta::days(1));
    let ends = world.sweep().await;
    assert_eq!(
        (ends[0].outcome.as_str(), world.live_code(emma), world.pass_mails().len()),
        ("skipped", None, 1),
        "{ends:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn pass_start_now_with_an_hour_is_served_some_day() {
    let (tenant, _) = tenant_with_emma();
    let world = World::new(tenant, &[("PASS_START", "now"), ("PASS_LIFETIME_MINUTES", "60")]);
    let mut ends = Vec::new();
    for _ in 0..8 {
        ends.extend(world.sweep().await.into_iter().map(|e| e.why));
        world.later(TimeDelta::days(1));
    }
    assert_eq!(world.pass_mails().len(), 1, "alerts {} {ends:#?}", world.alerts().len());
}

#[tokio::test(start_paused = true)]
async fn pass_start_now_is_served_before_the_first_morning() {
    for country in ["US", "NZ", "IN"] {
        let (tenant, emma) = tenant_with_emma();
        let world = World::new(tenant, &[("PASS_START", "now"), ("TIME_ZONE", "America/Los_Angeles")]);
        world.sandbox.edit(|t| t.change(emma, |p| p.usage_location = Some(country.into())));
        let mut at = None;
        for _ in 0..8 {
            world.sweep().await;
            if at.is_none() && !world.pass_mails().is_empty() {
                at = Some(world.sandbox.now());
            }
            world.later(TimeDelta::days(1));
        }
        let nine = time(match country {
            "US" => "2026-11-27T17:00:00Z",
            "NZ" => "2026-11-26T20:00:00Z",
            _ => "2026-11-27T03:30:00Z",
        });
        assert!(at.is_some_and(|at| at <= nine), "{country}: {at:?}, nine o'clock on day one is {nine}");
    }
}

#[tokio::test(start_paused = true)]
async fn three_refusals_after_an_earlier_mail_are_not_a_vanishing_pass() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.sandbox.inject(Fault::on("POST", PASS, refuse(400)).times(3));
    for _ in 0..3 {
        world.later(TimeDelta::hours(12));
        assert_eq!(world.sweep().await[0].outcome, "blocked");
    }
    world.later(TimeDelta::hours(12));
    let ends = world.sweep().await;
    assert_eq!(ends[0].outcome, "delivered", "the refusal is over: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_later_helpdesk_pass_that_looks_like_ours_is_not_killed() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(world.add_to_group(emma).await.outcome, "delivered");
    world.later(TimeDelta::days(2));
    let now = world.sandbox.now();
    let helpdesk = world.sandbox.edit(|t| t.add_pass(emma, PassSpec::opening(now).lasting(480)));
    world.later(TimeDelta::minutes(20));
    let ends = world.sweep().await;
    assert_eq!(world.sandbox.passes()[0].id, helpdesk, "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_pass_that_works_on_day_one_stays() {
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
        let world = World::new(tenant, &settings);
        let end = world.deliver(emma).await;
        assert_eq!(world.sandbox.passes()[0].id, other, "{opens} {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn group_add_with_unreadable_groups_is_not_silent() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    world.sandbox.inject(
        Fault::on(
            "GET",
            "transitiveMemberOf",
            FaultKind::Fail { status: 403, code: "Authorization_RequestDenied".into(), message: "no".into() },
        )
        .always(),
    );
    let end = world.add_to_group(emma).await;
    assert_eq!((end.outcome.as_str(), world.alerts().len()), ("blocked", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn moved_is_said_also_when_the_first_try_failed() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|t| t.change(emma, |p| p.hire_date = Some(time("2026-11-28T00:00:00Z"))));
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(400)));
    let ends = world.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_privileged_alert_comes_again_when_the_reason_comes_again() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    let role = roles::GLOBAL_ADMINISTRATOR;
    for round in 1..=2 {
        world.sandbox.edit(|t| t.assign_role(emma, role));
        world.later(TimeDelta::hours(1));
        assert_eq!(world.sweep().await[0].outcome, "blocked");
        assert_eq!(world.alerts().len(), round);
        world.sandbox.edit(|t| t.roles.clear());
        world.later(TimeDelta::hours(1));
        assert_eq!(world.sweep().await[0].outcome, "skipped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_returning_colleague_whose_account_is_still_disabled_is_served() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(400));
    let again = world.sandbox.now() + TimeDelta::days(3);
    world.sandbox.edit(|t| {
        t.change(emma, |p| {
            p.hire_date = Some(again);
            p.enabled = false;
        })
    });
    let ends = world.sweep().await;
    assert_eq!(
        ends[0].outcome,
        "delivered",
        "SERVE_DISABLED is true: {ends:?}, alerts {}",
        world.alerts().len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_joiner_is_settled() {
    for mailed in [true, false] {
        let (world, emma) = World::with_emma();
        if !mailed {
            world.sandbox.inject(Fault::on("POST", "sendMail", refuse(400)));
        }
        world.deliver(emma).await;
        world.sandbox.edit(|tenant| tenant.delete(emma));
        assert_eq!(world.sweep().await[0].outcome, "revoked");
        assert_eq!(world.sweep().await, []);
        assert_eq!(world.alerts().len(), 1);
    }
}
