//! What becomes of joiners, from the sweep to the mail.

use chrono::TimeDelta;
use firstpass::{
    ledger::{Purpose, State},
    pass::Job,
};
use firstpass_sandbox::tenant::{
    Fault, FaultKind, Group, PassSpec, Person, Tenant, Untargeted, generate::generate, roles, samples,
};
use uuid::Uuid;

use crate::helpers::{NOW, World, cc, emma, tenant_with_emma, time, to};

#[tokio::test(start_paused = true)]
async fn a_fresh_joiner_costs_three_round_trips() {
    let (world, emma) = World::with_emma();
    let end = world.deliver(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    let requests: Vec<String> = world
        .sandbox
        .requests()
        .iter()
        .map(|r| format!("{} {}", r.method, r.url.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(requests, ["POST $batch", "POST temporaryAccessPassMethods", "POST sendMail"]);
}

#[tokio::test(start_paused = true)]
async fn the_pass_opens_on_day_one_in_the_joiners_zone_and_goes_to_the_private_address() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    let pass = world.sandbox.passes().pop().unwrap();
    assert_eq!((pass.opens_at, pass.lifetime_minutes), (time("2026-11-27T07:00:00Z"), 480));
    assert!(pass.one_time);
    let mail = world.pass_mails().pop().unwrap();
    assert_eq!((to(&mail), cc(&mail)), ("emma.brooks@mail.example", vec!["grace.hall@contoso.example"]));
    assert!(
        world.sandbox.mails().iter().all(|mail| !mail.save_to_sent_items),
        "a code would lie in Sent Items"
    );
    world.assert_newest_mail_opens(emma);
    let record = world.record(emma).await.unwrap();
    assert_eq!((record.state, record.purpose), (State::Delivered, Purpose::Joiner));
    let delivered = record.delivered.unwrap();
    assert_eq!(delivered.recipients, ["e…@mail.example", "g…@contoso.example"]);
    assert_eq!(delivered.language.as_deref(), Some("en"));
}

/// One sample per interesting case; the name of the case says what must become of it.
#[tokio::test(start_paused = true)]
async fn every_sample_ends_as_it_should() {
    let world = World::new(samples::samples(time(NOW)), &[]);
    let ends = world.sweep().await;
    let mailed: Vec<String> = world.pass_mails().iter().map(|mail| to(mail).to_owned()).collect();
    let samples: Vec<(&str, Person)> = world
        .sandbox
        .edit(|tenant| tenant.notes.iter().map(|(id, note)| (*note, tenant.users[id].clone())).collect());
    for (note, person) in &samples {
        let served = !matches!(
            *note,
            "external guest"
                | "the helpdesk made a pass that works now"
                | "no private address"
                | "User Administrator"
                | "eligible for Groups Administrator"
                | "in a role-assignable group"
        );
        let got = person.other_mails.first().is_some_and(|address| mailed.contains(address));
        assert_eq!(got, served, "{}: {note}", person.display_name);
    }
    assert_eq!(samples.len(), ends.len());
    assert!(samples.len() >= 18, "only {} samples", samples.len());
    assert!(ends.iter().all(|end| end.deliveries == 1), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_sweep_makes_no_second_mail() {
    let world = World::new(samples::samples(time(NOW)), &[]);
    world.sweep().await;
    let (mails, alerts) = (world.pass_mails().len(), world.alerts().len());
    for _ in 0..3 {
        world.later(TimeDelta::minutes(20));
        world.sweep().await;
    }
    assert_eq!((world.pass_mails().len(), world.alerts().len()), (mails, alerts));
}

#[tokio::test(start_paused = true)]
async fn everyone_is_found_page_by_page() {
    for settings in [vec![], vec!["group"]] {
        let mut tenant = generate(250, 7, time(NOW));
        tenant.page_size_cap = 17;
        let group =
            tenant.groups.values().find(|g| g.display_name.to_lowercase().contains("joiner")).unwrap().id;
        let value = group.to_string();
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|_| ("JOINER_GROUP_ID", value.as_str())).collect();
        let world = World::new(tenant, &settings);
        let ends = world.sweep().await;
        assert!(ends.len() > 100, "{} jobs", ends.len());
        let mails = world.pass_mails().len();
        assert_eq!(mails, ends.iter().filter(|end| end.outcome == "delivered").count());
        assert!(ends.iter().all(|end| end.outcome != "failed"), "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_user_in_the_joiner_group_is_left_out() {
    let (mut tenant, emma) = tenant_with_emma();
    let nested = tenant.add_group(Group::named("Nested"));
    let device = tenant.add_device("LAPTOP-1");
    let group = tenant.add_group(Group::named("Joiners").members([emma, nested, device])).to_string();
    let world = World::new(tenant, &[("JOINER_GROUP_ID", &group)]);
    assert_eq!(world.sweep().await.len(), 1);
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_moved_day_one_gets_a_new_pass_and_the_moved_mail() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(1));
    world.sandbox.edit(|tenant| tenant.change(emma, |p| p.hire_date = Some(time("2026-11-30T00:00:00Z"))));
    let ends = world.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
    assert_eq!(world.sandbox.passes().pop().unwrap().opens_at, time("2026-11-30T07:00:00Z"));
    assert!(world.pass_mails().pop().unwrap()["body"]["content"].as_str().unwrap().contains("moved"));
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_joiner_loses_the_pass_and_a_person_hears_of_it() {
    type Change = fn(&mut Person);
    let cancelled: [Change; 4] = [
        |p| p.hire_date = None,
        |p| p.hire_date = Some(time("2027-03-01T00:00:00Z")),
        |p| p.enabled = false,
        |p| p.guest = true,
    ];
    for change in cancelled {
        let (world, emma) = World::with_emma();
        world.sweep().await;
        world.later(TimeDelta::days(1));
        world.sandbox.edit(|tenant| tenant.change(emma, change));
        let ends = world.sweep().await;
        assert_eq!(ends[0].outcome, "revoked", "{ends:?}");
        assert_eq!(world.live_code(emma), None);
        assert_eq!(world.alerts().len(), 1);
        world.later(TimeDelta::days(1));
        world.sweep().await;
        assert_eq!(world.alerts().len(), 1, "one alert is enough");
    }
}

#[tokio::test(start_paused = true)]
async fn a_returning_colleague_is_a_joiner_again_and_is_not_told_that_a_day_moved() {
    let (world, emma) = World::with_emma();
    world.sweep().await;
    world.later(TimeDelta::days(400));
    let again = world.sandbox.now() + TimeDelta::days(3);
    world.sandbox.edit(|tenant| tenant.change(emma, |p| p.hire_date = Some(again)));
    let ends = world.sweep().await;
    assert!(ends[0].outcome == "delivered" && !ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn the_guard_fails_closed() {
    type PrivilegeFinding = fn(&mut Tenant, Uuid);
    let powers: [PrivilegeFinding; 6] = [
        |t, user| t.assign_role(user, roles::GLOBAL_ADMINISTRATOR),
        |t, user| t.assign_role(user, roles::PASSWORD_ADMINISTRATOR),
        |t, user| t.assign_role(user, Uuid::from_u128(99)),
        |t, user| t.make_eligible(user, roles::GLOBAL_ADMINISTRATOR),
        |t, user| {
            t.add_group(Group::named("Tier 0").members([user]).role_assignable());
        },
        |t, user| {
            let inner = t.add_group(Group::named("Inner").members([user]));
            t.add_group(Group::named("Outer").members([inner]).role_assignable());
        },
    ];
    for give in powers {
        let (mut tenant, emma) = tenant_with_emma();
        give(&mut tenant, emma);
        let world = World::new(tenant, &[]);
        assert_eq!(world.deliver(emma).await.outcome, "blocked");
        assert_eq!((world.sandbox.passes().len(), world.alerts().len()), (0, 1));
    }
    for unreadable in ["transitiveMemberOf", "roleAssignments", "roleEligibilityScheduleInstances"] {
        let (world, emma) = World::with_emma();
        let kind = FaultKind::Fail { status: 403, code: "accessDenied".into(), message: "no".into() };
        world.sandbox.inject(Fault::on("GET", unreadable, kind).always());
        let end = world.deliver(emma).await;
        assert_eq!(end.outcome, "blocked", "{unreadable}: {end:?}");
        assert!(end.why.contains("could not be read"), "{end:?}");
        assert_eq!(world.sandbox.passes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn harmless_roles_and_a_tenant_without_the_licence_for_eligible_ones_are_fine() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::REPORTS_READER);
    tenant.pim_licensed = false;
    let world = World::new(tenant, &[]);
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
}

#[tokio::test(start_paused = true)]
async fn a_working_pass_of_somebody_else_is_left_alone() {
    let (mut tenant, emma) = tenant_with_emma();
    let helpdesk = tenant.add_pass(emma, PassSpec::opening(time(NOW)).lasting(480));
    let world = World::new(tenant, &[]);
    assert_eq!(world.deliver(emma).await.outcome, "skipped");
    assert_eq!(world.sandbox.passes()[0].id, helpdesk);
    // Once it is over, the joiner is served.
    world.later(TimeDelta::days(1));
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_somebody_keeps_deleting_is_made_three_times_and_then_a_person_must_look() {
    let (world, emma) = World::with_emma();
    for _ in 0..4 {
        world.sweep().await;
        world.sandbox.edit(|tenant| tenant.delete_pass(emma));
        world.later(TimeDelta::hours(1));
    }
    assert_eq!((world.pass_mails().len(), world.alerts().len()), (3, 1));
    world.sweep().await;
    assert_eq!((world.pass_mails().len(), world.alerts().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_mail_leaves_no_pass_behind_and_the_next_sweep_serves() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.undeliverable.insert("emma.brooks@mail.example".into());
    let world = World::new(tenant, &[]);
    let ends = world.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("failed", 5), "{ends:?}");
    assert_eq!(world.sandbox.passes(), []);
    assert_eq!(world.alerts().len(), 1, "given up: a person must know");
    assert_eq!(world.record(emma).await.unwrap().state, State::Failed);
    world.sandbox.edit(|tenant| tenant.undeliverable.clear());
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_does_not_let_them_sign_in_blocks() {
    let refusals: [(bool, Untargeted); 3] =
        [(false, Untargeted::Refused), (true, Untargeted::Refused), (true, Untargeted::Unusable)];
    for (enabled, untargeted) in refusals {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.enabled = enabled;
        tenant.policy.include.clear();
        tenant.policy.untargeted = untargeted;
        let world = World::new(tenant, &[]);
        assert_eq!(world.deliver(emma).await.outcome, "blocked");
        assert_eq!((world.sandbox.passes().len(), world.pass_mails().len(), world.alerts().len()), (0, 0, 1));
        world.sandbox.edit(|tenant| tenant.policy = firstpass_sandbox::tenant::Policy::default());
        world.later(TimeDelta::days(1));
        assert_eq!(world.sweep().await[0].outcome, "delivered", "blocked is looked at again");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_is_clamped_to_the_policy() {
    for (minutes, expected) in [("10", 60), ("300", 300), ("43200", 480)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.one_time_only = true;
        let world = World::new(tenant, &[("PASS_LIFETIME_MINUTES", minutes), ("PASS_ONE_TIME", "false")]);
        assert_eq!(world.deliver(emma).await.outcome, "delivered");
        let pass = world.sandbox.passes().pop().unwrap();
        assert_eq!((pass.lifetime_minutes, pass.one_time), (expected, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_refuses_a_second_pass_loses_only_a_dead_one() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.refuse_when_exists = true;
    tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
    let world = World::new(tenant, &[]);
    let end = world.deliver(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_pass_from_now_on_opens_on_day_one_where_it_would_not_last_until_then() {
    for (maximum, opens) in [(480, "2026-11-27T07:00:00Z"), (10_080, NOW)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.maximum_lifetime = maximum;
        let world = World::new(tenant, &[("PASS_START", "now")]);
        assert_eq!(world.deliver(emma).await.outcome, "delivered");
        let pass = world.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_at, time(opens));
        assert!(pass.closes_at() > time("2026-11-27T07:00:00Z"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_account_that_replicas_do_not_know_yet_is_waited_for() {
    let (mut tenant, _) = tenant_with_emma();
    let slow = tenant.add(emma(Uuid::nil()).replicating_until(time(NOW) + TimeDelta::seconds(20)));
    let world = World::new(tenant, &[]);
    let end = world.deliver(slow).await;
    assert_eq!((end.outcome.as_str(), end.deliveries), ("delivered", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn two_workers_with_the_same_joiner_send_one_mail() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.latency = std::time::Duration::from_millis(100);
    let world = World::new(tenant, &[]);
    let (one, two) = tokio::join!(world.deliver(emma), world.deliver(emma));
    let mut outcomes = [one.outcome, two.outcome];
    outcomes.sort();
    assert_eq!(outcomes, ["delivered", "failed"]);
    assert_eq!(world.pass_mails().len(), 1);
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_dead_workers_lease_is_respected_for_five_minutes_and_then_taken_over() {
    let (world, emma) = World::with_emma();
    // The worker dies in the middle: its sendMail never comes back.
    world.sandbox.inject(Fault::on(
        "POST",
        "sendMail",
        FaultKind::Delay(std::time::Duration::from_secs(86_400)),
    ));
    let killed = tokio::time::timeout(std::time::Duration::from_secs(1), world.deliver(emma)).await;
    assert!(killed.is_err());
    let end = world.deliver(emma).await;
    assert!(end.outcome == "failed" && end.why.contains("another job"), "{end:?}");
    world.later(TimeDelta::minutes(6));
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    world.assert_newest_mail_opens(emma);
    assert_eq!(world.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn on_demand_membership_brings_a_pass_now_and_day_one_is_still_served() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access"));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    let deliver = async || world.add_to_group(emma).await;
    assert_eq!(deliver().await.outcome, "skipped", "not a member: a forged message gives nobody a pass");
    world.sandbox.edit(|tenant| tenant.add_member(group, emma));
    assert_eq!(deliver().await.outcome, "delivered");
    assert_eq!(world.sandbox.passes()[0].opens_at, world.sandbox.now());
    world.assert_newest_mail_opens(emma);
    assert_eq!(deliver().await.outcome, "skipped", "a replay");
    assert_eq!(world.sweep().await[0].outcome, "skipped", "what they hold works");
    world.later(TimeDelta::days(1));
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    assert_eq!(world.sandbox.passes()[0].opens_at, time("2026-11-27T07:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn settings_choose_who_gets_the_mail() {
    for (to_setting, cc_setting, expected_to, expected_cc) in [
        (
            "extensionAttribute3, otherMails",
            "manager",
            "emma@attribute.example",
            vec!["grace.hall@contoso.example"],
        ),
        ("manager", "manager, hr@contoso.example", "grace.hall@contoso.example", vec!["hr@contoso.example"]),
        ("otherMails", "none", "emma.brooks@mail.example", vec![]),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.extension_attributes[2] = Some("emma@attribute.example".into()));
        let world = World::new(tenant, &[("MAIL_TO", to_setting), ("MAIL_CC", cc_setting)]);
        world.deliver(emma).await;
        let mail = world.pass_mails().pop().unwrap();
        assert_eq!((to(&mail), cc(&mail)), (expected_to, expected_cc));
    }
}

#[tokio::test(start_paused = true)]
async fn the_accounts_own_mailbox_is_no_private_address() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.other_mails = vec![p.user_principal_name.to_uppercase(), "no address".into()]);
    let world = World::new(tenant, &[]);
    assert_eq!(world.deliver(emma).await.outcome, "blocked");
    assert_eq!(world.sandbox.passes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_for_nobody_fails_and_says_so() {
    let (world, _) = World::with_emma();
    let job = Job::joiner(Uuid::from_u128(1), world.sandbox.now().date_naive());
    let answer = world.host.deliver(&job.to_message(), 5).await;
    assert!(!answer.is_success() && answer.log().contains("no such user"), "{}", answer.log());
    assert_eq!(world.alerts().len(), 1);
}
