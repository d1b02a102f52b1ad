//! What the service desk is announcement: all that a person needs, and once for each reason.

use chrono::TimeDelta;
use firstpass::ledger::{Purpose, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Person, Untargeted, roles};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{PASS, World, refuse, tenant_with_emma};

/// A tenant whose policy leaves the joiner out: Graph makes no pass for them.
fn world_that_refuses() -> (World, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.include.clear();
    tenant.policy.untargeted = Untargeted::Refused;
    (World::new(tenant, &[]), emma)
}

async fn next_day(world: &World) -> String {
    world.later(TimeDelta::days(1));
    world.sweep().await.swap_remove(0).outcome
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_once_and_told_again_when_the_reason_is_another() {
    let (world, emma) = world_that_refuses();
    for _ in 0..2 {
        assert_eq!(next_day(&world).await, "blocked");
        assert_eq!(world.alerts().len(), 1);
    }
    world.sandbox.edit(|tenant| tenant.policy.untargeted = Untargeted::Unusable);
    assert_eq!(next_day(&world).await, "blocked");
    assert_eq!(world.alerts().len(), 2, "a pass that the policy does not let work is another reason");
    world.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
    assert_eq!(next_day(&world).await, "blocked");
    assert_eq!(world.alerts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_was_told_is_not_told_again_for_a_call_that_failed_between() {
    let (world, emma) = world_that_refuses();
    assert_eq!(next_day(&world).await, "blocked");
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert!(world.create_tap(&emma.to_string()).await.0 >= 500);
    assert_eq!(next_day(&world).await, "blocked");
    assert_eq!(world.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_alert_says_who_it_is_about_what_happened_and_what_to_do() {
    type Story = fn(&World, Uuid);
    let stories: [(Story, &str, &str, &str); 3] = [
        (
            |world, emma| world.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR)),
            "Someone gets no pass",
            "the account holds the role",
            "Give this person their first sign-in yourself",
        ),
        (
            |world, emma| {
                world.sandbox.edit(|tenant| tenant.change(emma, |p: &mut Person| p.hire_date = None))
            },
            "A joiner's pass was taken back",
            "pass taken back: no hire date",
            "set their hire date again",
        ),
        (
            |world, emma| {
                world.sandbox.edit(|tenant| tenant.delete_pass(emma));
                world.sandbox.inject(Fault::on("POST", "sendMail", refuse(400)).times(5));
            },
            "Given up after 5 tries",
            "Graph error while sending the mail",
            "To do: correct the account",
        ),
    ];
    for (happens, headline, what_happened, what_to_do) in stories {
        let (world, emma) = World::with_emma();
        world.sweep().await;
        happens(&world, emma);
        next_day(&world).await;
        let alert = world.alerts().pop().as_ref().map(Value::to_string).unwrap_or_default();
        let who = "emma.brooks@contoso.example";
        for words in [headline, what_happened, what_to_do, who, &emma.to_string()] {
            assert!(alert.replace("&#x27;", "'").contains(words), "\"{words}\" is missing in {alert}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_is_on_record_with_what_was_asked_for_and_hides_nothing_that_was_mailed() {
    for (mailed, fails, state) in
        [(false, false, State::Blocked), (false, true, State::Blocked), (true, false, State::Delivered)]
    {
        let (world, emma) = World::with_emma();
        if fails {
            world.sandbox.inject(Fault::on("POST", "sendMail", refuse(400)));
        }
        if mailed || fails {
            world.deliver(emma).await;
        }
        world.sandbox.edit(|tenant| tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR));
        assert_eq!(next_day(&world).await, "blocked");
        let record = world.record(emma).await.unwrap();
        assert_eq!((record.state, record.purpose), (state, Purpose::Joiner), "{mailed} {fails}");
    }
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::GLOBAL_ADMINISTRATOR);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(world.add_to_group(emma).await.outcome, "blocked");
    assert_eq!(world.record(emma).await.unwrap().purpose, Purpose::OnDemand);
}
