//! The same news twice, late, out of order, from two sides at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use firstpass::host;
use firstpass_sandbox::functions_host::{Embedded, FunctionsHost, Storage, encode_base64};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::*;
use crate::local_host::app;

#[tokio::test(start_paused = true)]
async fn an_event_that_is_told_again_hours_later_brings_no_second_pass() {
    for named in [true, false] {
        let office = Office::of(1, 0);
        office.world.sweep().await;
        office.add(0);
        let event = office.cloud_event(named.then(|| json!([{"id": office.people[0]}])));
        assert_eq!(office.tell(&event).await.outcomes, ["delivered"]);
        office.signs_in(0);
        office.world.later(TimeDelta::hours(20));
        let again = office.tell(&event).await;
        assert!(!again.outcomes.contains(&"delivered".to_owned()), "{again:?}");
        assert_eq!(office.mailed(), [0]);
    }
}

/// Their pass for day one came in between.
#[tokio::test(start_paused = true)]
async fn a_joiner_who_was_served_on_demand_is_not_served_again_when_the_news_is_told_again() {
    let office = Office::of(1, 1);
    let (joiner, manager) = (crate::helpers::emma, office.people[0]);
    let emma = office.world.sandbox.edit(|tenant| tenant.add(joiner(manager)));
    office.world.sandbox.edit(|tenant| tenant.add_member(office.group, emma));
    let event = office.cloud_event(Some(json!([{"id": emma}])));
    assert_eq!(office.tell(&event).await.outcomes, ["delivered"]);
    office.world.sweep_daily(1).await;
    assert_eq!(office.world.pass_mails().len(), 2, "on demand, and for day one");
    assert_eq!(office.tell(&event).await.outcomes, ["skipped"]);
    assert_eq!(office.world.pass_mails().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_connector_may_repeat_itself_for_an_hour() {
    let office = Office::of(1, 1);
    let item = json!({"id": office.people[0]}).to_string();
    assert_eq!(office.tell(&item).await.outcomes, ["delivered"]);
    office.signs_in(0);
    for _ in 0..5 {
        office.world.later(TimeDelta::minutes(11));
        assert_eq!(office.tell(&item).await.outcomes, ["skipped"]);
    }
    office.world.later(TimeDelta::minutes(11));
    assert_eq!(office.tell(&item).await.outcomes, ["delivered"], "added again");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_is_added_again_gets_another_pass() {
    let office = Office::of(1, 1);
    let delta = || Some(json!([{"id": office.people[0]}]));
    assert_eq!(office.tell(&office.cloud_event(delta())).await.outcomes, ["delivered"]);
    office.signs_in(0);
    office.world.later(TimeDelta::minutes(5));
    let too_soon = office.cloud_event(delta());
    assert_eq!(office.tell(&too_soon).await.outcomes, ["skipped"], "replicas may lag");
    office.world.later(TimeDelta::minutes(6));
    assert_eq!(office.tell(&too_soon).await.outcomes, ["skipped"], "and what was too soon stays so");
    assert_eq!(office.tell(&office.cloud_event(delta())).await.outcomes, ["delivered"]);
}

/// A helpdesk's pass that works is as good as ours; and one that was given before they were added is no answer.
#[tokio::test(start_paused = true)]
async fn who_has_a_working_pass_needs_no_other() {
    let office = Office::of(1, 1);
    let name = office.people[0].to_string();
    assert_eq!(office.world.create_tap(&name).await.0, 201);
    office.world.later(TimeDelta::minutes(20));
    assert_eq!(office.tell(&name).await.outcomes, ["skipped"]);
    office.signs_in(0);
    assert_eq!(office.tell(&name).await.outcomes, ["delivered"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_was_removed_before_their_turn_gets_nothing() {
    for form in 0..4 {
        let office = Office::of(2, 0);
        office.world.sweep().await;
        office.add(0);
        let delta = || Some(json!([{"id": office.people[0]}]));
        let message = match form {
            0 => office.people[0].to_string(),
            1 => json!({"id": office.people[0]}).to_string(),
            2 => office.cloud_event(delta()),
            _ => office.cloud_event(None),
        };
        let jobs =
            if form == 3 { office.world.host.deliver(&message, 1).await.jobs() } else { vec![message] };
        office.remove(0);
        office.work(jobs, &mut Course::default()).await;
        assert_eq!((office.mailed(), office.world.sandbox.passes().len()), (vec![], 0), "form {form}");
        assert_eq!(office.world.alerts(), [] as [Value; 0], "form {form}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_instances_with_the_same_person_at_once_send_one_mail() {
    for late in [0, 150, 450] {
        let office = Office::of(1, 1);
        office.world.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
        let other = office.world.another_instance();
        let one = office.cloud_event(Some(json!([{"id": office.people[0]}])));
        let two = office.people[0].to_string();
        let after = async {
            tokio::time::sleep(Duration::from_millis(late)).await;
            other.host.deliver(&two, 1).await
        };
        let (first, second) = tokio::join!(office.world.host.deliver(&one, 1), after);
        assert_eq!(office.mailed(), [0], "{late} ms apart: {} {}", first.log(), second.log());
        // Whoever had to give way comes back in three minutes.
        office.world.later(TimeDelta::minutes(3));
        office.tell(&two).await;
        assert_eq!(office.mailed(), [0], "{late} ms apart");
    }
}

/// A thousand messages in all forms, in any order, on two hosts that share a queue.
#[tokio::test(start_paused = true)]
async fn a_thousand_messages_about_a_hundred_people_are_a_hundred_mails() {
    let office = Office::of(103, 103);
    let mut rng = StdRng::seed_from_u64(5);
    let (mut messages, mut numbers) = (Vec::new(), (0..100).collect::<Vec<usize>>());
    for round in 0..10 {
        numbers.shuffle(&mut rng);
        // Alone, and several in one.
        for chunk in numbers.chunks(if round % 3 == 0 { 5 } else { 1 }) {
            let items: Vec<Value> = chunk.iter().map(|n| json!({"id": office.people[*n]})).collect();
            let message = match (round + chunk[0]) % 5 {
                0 if chunk.len() == 1 => office.people[chunk[0]].to_string(),
                1 if chunk.len() == 1 => format!("person.n{}@contoso.example", chunk[0]),
                0..=2 => Value::from(items).to_string(),
                3 => office.webhook(Some(Value::from(items))),
                _ => office.cloud_event(Some(Value::from(items))),
            };
            messages.push(message);
        }
    }
    // Some are told word for word again, and some are of no use.
    let again: Vec<String> = messages.iter().step_by(3).cloned().collect();
    messages.extend(again);
    while messages.len() < 997 {
        let leaver = json!([{"id": office.people[101], "@removed": "deleted"}]);
        messages.push(office.cloud_event(Some(leaver)));
    }
    messages.extend(["?".to_owned(), json!({"colour": "red"}).to_string(), json!([]).to_string()]);
    messages.shuffle(&mut rng);
    assert_eq!(messages.len(), 1_000);

    office.world.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(100));
    let storage = Storage::new(office.world.sandbox.clock());
    let (one, two) = (start(&office.world, &storage), start(&office.world.another_instance(), &storage));
    for message in &messages {
        storage.put("pass-jobs", encode_base64(message)).unwrap();
    }
    storage.wait_until_empty("pass-jobs").await;
    let mut mails = BTreeMap::<usize, usize>::new();
    for person in office.mailed() {
        *mails.entry(person).or_default() += 1;
    }
    assert_eq!(mails, (0..100).map(|person| (person, 1)).collect());
    assert_eq!(storage.messages("pass-jobs-poison").len(), 0);
    assert_eq!(office.world.alerts().len(), 2, "of the two that cannot be understood");
    for host in [one, two] {
        assert!(host.log().invocations().len() > 300, "both had their share");
    }
}

pub(super) fn start(world: &World, storage: &Storage) -> FunctionsHost {
    let worker = Embedded::new(host::router(Ok(world.app.clone())));
    FunctionsHost::start(app(&[]), Arc::new(worker), storage.clone())
}
