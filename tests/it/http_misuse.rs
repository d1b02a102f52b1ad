//! What a caller must not be able to do, by mistake or on purpose: mislead whoever reads a mail or a log, take what
//! a joiner was promised, or have words of their own believed.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Person};
use serde_json::json;

use crate::{
    helpers::{PASS, World, refuse, tenant_with_emma, throttle, time},
    http::{ask_for, send},
};

#[tokio::test(start_paused = true)]
async fn calls_that_fail_halfway_do_not_use_up_a_joiners_passes() {
    let (world, emma) = World::with_emma();
    for _ in 0..4 {
        world.sweep().await;
        world.assert_newest_mail_opens(emma);
        world.later(TimeDelta::minutes(20));
        world.sandbox.inject(Fault::on("POST", "sendMail", refuse(403)));
        assert_eq!(ask_for(&world, emma, json!({"Deliver": "mail"})).await.status, 502);
        assert_eq!(world.live_code(emma), None);
        world.later(TimeDelta::hours(1));
    }
    world.sweep().await;
    world.assert_newest_mail_opens(emma);
    assert_eq!(world.alerts().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_refused_does_not_bring_back_a_joiners_pass_that_somebody_deleted() {
    for fault in [refuse(400), throttle("1")] {
        let (world, emma) = World::with_emma();
        world.sweep().await;
        world.later(time("2026-11-27T08:00:00Z") - world.sandbox.now());
        world.sandbox.edit(|t| t.delete_pass(emma));
        assert_eq!(world.sweep().await[0].outcome, "skipped", "the window has opened");
        world.sandbox.inject(Fault::on("POST", PASS, fault).times(4));
        assert!(ask_for(&world, emma, json!({})).await.status > 201);
        world.sandbox.clear_faults();
        world.later(TimeDelta::minutes(20));
        assert_eq!(world.sweep().await[0].outcome, "skipped", "the call changed nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_does_not_make_the_sweep_forget_who_waits_for_a_pass_on_demand() {
    for (asked, path, fault) in [
        (json!({}), PASS, refuse(400)),
        (json!({}), PASS, throttle("1")),
        (json!({"Deliver": "mail"}), "sendMail", refuse(403)),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.hire_date = None);
        let user = tenant.add(Person::named("Max Muster").private_mail("max@mail.example"));
        let group = tenant.add_group(Group::named("On-demand access").members([user]));
        let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        world.sandbox.inject(Fault::on("POST", "sendMail", refuse(403)));
        assert_eq!(world.add_to_group(user).await.outcome, "failed");
        world.later(TimeDelta::minutes(10));
        world.sandbox.inject(Fault::on("POST", path, fault).times(4));
        assert!(ask_for(&world, user, asked).await.status > 201);
        world.sandbox.clear_faults();
        world.later(TimeDelta::hours(1));
        let ends = world.sweep().await;
        assert_eq!(world.pass_mails().len(), 1, "{path} {ends:?}");
        world.assert_newest_mail_opens(user);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_answer_was_lost_does_not_make_the_sweep_mail_who_was_served_on_demand() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.hire_date = None);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let world = World::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(world.add_to_group(emma).await.outcome, "delivered");
    world.later(TimeDelta::hours(1));
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert_eq!(ask_for(&world, emma, json!({})).await.status, 504);
    let ends = world.sweep_daily(2).await;
    assert_eq!(world.pass_mails().len(), 1, "the caller knows, and calls again: {ends:?}");
}

#[tokio::test(start_paused = true)]
async fn many_calls_do_not_push_a_joiners_lease_out_of_the_record() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(403)).always());
    for _ in 0..20 {
        assert_eq!(ask_for(&world, emma, json!({"Deliver": "mail"})).await.status, 502);
    }
    world.sandbox.clear_faults();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).times(2));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    // Their POST lands late, after that of one more call.
    let hidden = world.sandbox.edit(|t| t.passes.remove(&emma)).unwrap();
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(403)));
    assert_eq!(ask_for(&world, emma, json!({"Deliver": "mail"})).await.status, 502);
    world.sandbox.edit(|t| t.passes.insert(emma, hidden));
    world.later(TimeDelta::hours(1));
    let ends = world.sweep().await;
    assert_eq!(ends[0].outcome, "delivered", "{ends:?}");
    world.assert_newest_mail_opens(emma);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_an_address_and_not_a_place_for_other_words() {
    let (world, emma) = World::with_emma();
    for ticket in [
        "https://help.contoso.example/ Your account is locked: call +1 900 5550100",
        "https://help.contoso.example/\u{a0}call\u{2003}us",
        "https://help.contoso.example\\@evil.example/",
        "https:evil.example",
        "https:\\\\evil.example",
        "https:///evil.example",
        "javascript:alert(1)",
        "https://desk@evil.example",
    ] {
        let answer = ask_for(&world, emma, json!({"NotifyUser": true, "ServiceDeskTicketUrl": ticket})).await;
        assert_eq!(answer.status, 400, "{ticket}: {answer:?}");
    }
    assert_eq!(world.sandbox.passes().len(), 0);
    let fine = "https://help.contoso.example/t?id=4711&q=%20#c";
    let answer = ask_for(&world, emma, json!({"NotifyUser": true, "ServiceDeskTicketUrl": fine})).await;
    assert_eq!(answer.status, 201);
}

const OID: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
const OTHER: &str = "22222222-2222-2222-2222-222222222222";

#[tokio::test(start_paused = true)]
async fn an_identity_that_is_said_twice_is_none() {
    let (tenant, emma) = tenant_with_emma();
    let world = World::new(tenant, &[("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "True")]);
    let body = json!({"UserName": emma}).to_string();
    for headers in [
        [("X-MS-CLIENT-PRINCIPAL-ID", OTHER), ("x-ms-client-principal-id", OID)],
        [("X-MS-CLIENT-PRINCIPAL-ID", OID), ("x-ms-client-principal-id", OTHER)],
        [("X-Ms-Client-Principal-Id", OID), ("X-MS-CLIENT-PRINCIPAL-ID", OTHER)],
    ] {
        let answer = send(&world, &body, &headers).await;
        assert_eq!(answer.status, 403, "{headers:?} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_within_this_second_or_in_a_leap_second_is_asked_for_as_graph_understands_it() {
    for (start, opens) in [
        ("2026-11-22T05:00:00Z", "2026-11-22T05:00:00Z"),
        ("2026-11-22T05:00:00.300Z", "2026-11-22T05:00:00Z"),
        ("2026-11-22T05:59:60Z", "2026-11-22T05:59:59Z"),
        ("2026-11-22T05:59:60.5Z", "2026-11-22T05:59:59Z"),
        ("2026-11-23T04:59:00+23:59", "2026-11-22T05:00:00Z"),
        ("2026-11-21T05:02:00-23:59", "2026-11-22T05:01:00Z"),
    ] {
        let (world, emma) = World::with_emma();
        let answer = ask_for(&world, emma, json!({"StartDateTime": start})).await;
        assert_eq!(answer.status, 201, "{start} {answer:?}");
        assert_eq!(answer.body["startDateTime"], opens, "{start} {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_passes_while_the_call_waits_is_now() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "$batch", FaultKind::Delay(Duration::from_secs(10))));
    let answer = ask_for(&world, emma, json!({"StartDateTime": "2026-11-22T05:00:05Z"})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["usable"], true);
}

#[tokio::test(start_paused = true)]
async fn whatever_json_holds_it_is_a_pass_or_a_problem() {
    let (world, emma) = World::with_emma();
    let deep = format!("{{\"UserName\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = [
        deep,
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 1e400}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": NaN}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": -60}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 60.5}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": 18446744073709551676}}"),
        format!("{{\"UserName\": \"{emma}\", \"LifetimeInMinutes\": \"4294967356\"}}"),
        format!("{{\"UserName\": \"{emma}\", \"username\": \"{emma}\"}}"),
        format!("{{\"UserName\": [\"{emma}\"]}}"),
        format!("{{\"UserName\": \"{emma}\", \"NotifyUser\": {{\"a\": true}}}}"),
        format!("{{\"UserName\": \"{emma}\", \"Deliver\": [\"mail\"]}}"),
        format!("[{{\"UserName\": \"{emma}\"}}]"),
        format!("{{\"UserName\": \"{emma}\"}} {{}}"),
        "null".into(),
        "\"text\"".into(),
        "\u{0}".into(),
    ];
    for body in bodies {
        assert_eq!(send(&world, &body, &[]).await.status, 400, "{}", &body[..body.len().min(200)]);
    }
    assert_eq!(world.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_again_is_known_though_its_start_is_over() {
    let (world, emma) = World::with_emma();
    let body = json!({"UserName": emma, "StartDateTime": "2026-11-22T04:56:00Z"}).to_string();
    let keyed = async || send(&world, &body, &[("Idempotency-Key", "k")]).await;
    assert_eq!(keyed().await.status, 201);
    world.later(TimeDelta::minutes(14));
    assert_eq!(keyed().await.problem().1, "already-made");
    assert_eq!(send(&world, &body, &[]).await.problem().1, "invalid-request");
    world.later(TimeDelta::minutes(6));
    assert_eq!(keyed().await.problem().1, "invalid-request");
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_at_once_on_two_instances_one_makes_the_pass_that_works() {
    for keys in [["a", "a"], ["a", "b"]] {
        for deliver in ["response", "mail"] {
            let (world, emma) = World::with_emma();
            let other = world.another_instance();
            let body = json!({"UserName": emma, "Deliver": deliver}).to_string();
            let call =
                async |instance: &World, key: &str| send(instance, &body, &[("Idempotency-Key", key)]).await;
            let (one, two) = tokio::join!(call(&world, keys[0]), call(&other, keys[1]));
            let (made, refused): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(|a| a.status == 201);
            assert_eq!((made.len(), refused[0].problem().1), (1, "busy"), "{made:?} {refused:?}");
            assert_eq!(world.count("POST", PASS), 1);
            match made[0].code() {
                Some(code) => assert_eq!(world.live_code(emma).as_deref(), Some(code)),
                None => world.assert_newest_mail_opens(emma),
            }
        }
    }
}
