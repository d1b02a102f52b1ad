//! Messages that are repeated, late, out of order or processed concurrently.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use firstpass_sandbox::functions_host::{Embedded, FunctionsHost, Storage, encode_base64};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::*;
use crate::{helpers::emma, local_host::app as function_app};

#[tokio::test(start_paused = true)]
async fn an_event_repeated_hours_later_brings_no_second_pass() {
    for names_member in [true, false] {
        let setup = GroupSetup::new(1, 0);
        setup.app.sweep().await;
        setup.add(0);
        let event = setup.cloud_event(names_member.then(|| json!([{"id": setup.people[0]}])));
        assert_eq!(setup.process(&event).await.outcomes, ["delivered"]);
        setup.sign_in(0);
        setup.app.advance(TimeDelta::hours(20));
        let again = setup.process(&event).await;
        assert!(!again.outcomes.contains(&"delivered".to_owned()), "{again:?}");
        assert_eq!(setup.mailed(), [0]);
    }
}

/// The pass for day one is delivered in between.
#[tokio::test(start_paused = true)]
async fn a_repeated_event_does_not_serve_a_joiner_again() {
    let setup = GroupSetup::new(1, 1);
    let emma = setup.app.sandbox.edit(|tenant| tenant.add(emma(setup.people[0])));
    setup.app.sandbox.edit(|tenant| tenant.add_member(setup.group, emma));
    let event = setup.cloud_event(Some(json!([{"id": emma}])));
    assert_eq!(setup.process(&event).await.outcomes, ["delivered"]);
    setup.app.sweep_daily(1).await;
    assert_eq!(setup.app.pass_mails().len(), 2, "one on demand, one for day one");
    assert_eq!(setup.process(&event).await.outcomes, ["skipped"]);
    assert_eq!(setup.app.pass_mails().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn connector_messages_may_repeat_for_an_hour() {
    let setup = GroupSetup::new(1, 1);
    let item = json!({"id": setup.people[0]}).to_string();
    assert_eq!(setup.process(&item).await.outcomes, ["delivered"]);
    setup.sign_in(0);
    for _ in 0..5 {
        setup.app.advance(TimeDelta::minutes(11));
        assert_eq!(setup.process(&item).await.outcomes, ["skipped"]);
    }
    setup.app.advance(TimeDelta::minutes(11));
    assert_eq!(setup.process(&item).await.outcomes, ["delivered"], "added again");
}

#[tokio::test(start_paused = true)]
async fn a_member_added_again_gets_another_pass() {
    let setup = GroupSetup::new(1, 1);
    let delta = || Some(json!([{"id": setup.people[0]}]));
    assert_eq!(setup.process(&setup.cloud_event(delta())).await.outcomes, ["delivered"]);
    setup.sign_in(0);
    setup.app.advance(TimeDelta::minutes(5));
    let too_soon = setup.cloud_event(delta());
    assert_eq!(
        setup.process(&too_soon).await.outcomes,
        ["skipped"],
        "within ten minutes it counts as a repetition"
    );
    setup.app.advance(TimeDelta::minutes(6));
    assert_eq!(setup.process(&too_soon).await.outcomes, ["skipped"], "the same event is still a repetition");
    assert_eq!(setup.process(&setup.cloud_event(delta())).await.outcomes, ["delivered"]);
}

/// A working pass from the helpdesk counts like one of ours.
#[tokio::test(start_paused = true)]
async fn a_member_with_a_working_pass_gets_no_other() {
    let setup = GroupSetup::new(1, 1);
    let name = setup.people[0].to_string();
    assert_eq!(setup.app.create_tap(&name).await.0, 201);
    setup.app.advance(TimeDelta::minutes(20));
    assert_eq!(setup.process(&name).await.outcomes, ["skipped"]);
    setup.sign_in(0);
    assert_eq!(setup.process(&name).await.outcomes, ["delivered"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_removed_before_processing_gets_nothing() {
    for format in 0..4 {
        let setup = GroupSetup::new(2, 0);
        setup.app.sweep().await;
        setup.add(0);
        let delta = || Some(json!([{"id": setup.people[0]}]));
        let message = match format {
            0 => setup.people[0].to_string(),
            1 => json!({"id": setup.people[0]}).to_string(),
            2 => setup.cloud_event(delta()),
            _ => setup.cloud_event(None),
        };
        let jobs = if format == 3 { setup.app.host.deliver(&message, 1).await.jobs() } else { vec![message] };
        setup.remove(0);
        setup.run_jobs(jobs, &mut Processed::default()).await;
        assert_eq!((setup.mailed(), setup.app.sandbox.passes().len()), (vec![], 0), "format {format}");
        assert_eq!(setup.app.alerts(), [] as [Value; 0], "format {format}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_instances_on_one_member_send_one_mail() {
    for delay_ms in [0, 150, 450] {
        let setup = GroupSetup::new(1, 1);
        setup.app.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
        let other = setup.app.another_instance();
        let one = setup.cloud_event(Some(json!([{"id": setup.people[0]}])));
        let two = setup.people[0].to_string();
        let delayed = async {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            other.host.deliver(&two, 1).await
        };
        let (first, second) = tokio::join!(setup.app.host.deliver(&one, 1), delayed);
        assert_eq!(setup.mailed(), [0], "{delay_ms} ms apart: {} {}", first.log(), second.log());
        // The job that found a lease is retried after three minutes.
        setup.app.advance(TimeDelta::minutes(3));
        setup.process(&two).await;
        assert_eq!(setup.mailed(), [0], "{delay_ms} ms apart");
    }
}

/// A thousand messages in all formats and in random order, on two hosts that share a queue.
#[tokio::test(start_paused = true)]
async fn a_thousand_messages_about_a_hundred_members_send_a_hundred_mails() {
    let setup = GroupSetup::new(103, 103);
    let mut rng = StdRng::seed_from_u64(5);
    let (mut messages, mut numbers) = (Vec::new(), (0..100).collect::<Vec<usize>>());
    for round in 0..10 {
        numbers.shuffle(&mut rng);
        // Messages with one member, and with several.
        for chunk in numbers.chunks(if round % 3 == 0 { 5 } else { 1 }) {
            let items: Vec<Value> = chunk.iter().map(|n| json!({"id": setup.people[*n]})).collect();
            let message = match (round + chunk[0]) % 5 {
                0 if chunk.len() == 1 => setup.people[chunk[0]].to_string(),
                1 if chunk.len() == 1 => format!("person.n{}@contoso.example", chunk[0]),
                0..=2 => Value::from(items).to_string(),
                3 => setup.webhook(Some(Value::from(items))),
                _ => setup.cloud_event(Some(Value::from(items))),
            };
            messages.push(message);
        }
    }
    // Some are repeated verbatim, and some have no effect.
    let repeated: Vec<String> = messages.iter().step_by(3).cloned().collect();
    messages.extend(repeated);
    while messages.len() < 997 {
        let leaver = json!([{"id": setup.people[101], "@removed": "deleted"}]);
        messages.push(setup.cloud_event(Some(leaver)));
    }
    messages.extend(["?".to_owned(), json!({"colour": "red"}).to_string(), json!([]).to_string()]);
    messages.shuffle(&mut rng);
    assert_eq!(messages.len(), 1_000);

    setup.app.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
    let storage = Storage::new(setup.app.sandbox.clock());
    let (one, two) = (start(&setup.app, &storage), start(&setup.app.another_instance(), &storage));
    for message in &messages {
        storage.put("pass-jobs", encode_base64(message)).unwrap();
    }
    storage.wait_until_empty("pass-jobs").await;
    let mut mails = BTreeMap::<usize, usize>::new();
    for person in setup.mailed() {
        *mails.entry(person).or_default() += 1;
    }
    assert_eq!(mails, (0..100).map(|person| (person, 1)).collect());
    assert_eq!(storage.messages("pass-jobs-poison").len(), 0);
    assert_eq!(
        setup.app.alerts().len(),
        1,
        "for the first of the two unreadable messages; the other waits for the summary"
    );
    for host in [one, two] {
        assert!(host.log().invocations().len() > 300, "both hosts take part");
    }
}

/// Starts a Functions host with `app` and this storage account.
pub(super) fn start(app: &TestApp, storage: &Storage) -> FunctionsHost {
    let worker = Embedded::new(app.router());
    FunctionsHost::start(function_app(&[]), Arc::new(worker), storage.clone())
}
