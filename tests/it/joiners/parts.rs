//! A sweep with more jobs than the host can write in one answer.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{NaiveDate, TimeDelta};
use firstpass::{
    budget::{SWEEP_PART, SYNC_PART},
    ledger::memory::MemoryLedger,
};
use firstpass_sandbox::{
    functions_host::handler_response::HandlerResponse,
    tenant::{Fault, Group, Person, Tenant, samples::SENDER},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, fail_with, time};

const SETTINGS: [(&str, &str); 2] = [("SWEEP_MAX", "100000"), ("MAIL_CC", "none")];

/// `count` joiners, in turn for one of the next five days.
fn tenant(count: usize) -> Tenant {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    for n in 0..count {
        let day = time("2026-11-23T00:00:00Z") + TimeDelta::days((n % 5).try_into().unwrap());
        let joiner = Person::named(&format!("Joiner{n} Smith")).usage_location("GB").hire_date(day);
        tenant.add(joiner.private_mail(&format!("joiner{n}@mail.example")));
    }
    tenant
}

/// The messages of an answer: the users of the jobs with their days, and what is behind them.
fn read(answer: &HandlerResponse) -> (Vec<(NaiveDate, Uuid)>, Vec<String>) {
    assert!(answer.is_success(), "{}", answer.log());
    let (jobs, behind): (Vec<_>, Vec<_>) =
        answer.jobs().into_iter().partition(|message| message.contains("jobKey"));
    let job = |message: String| {
        let message: Value = serde_json::from_str(&message).unwrap();
        let day = message["jobKey"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap();
        (day, message["userId"].as_str().unwrap().parse().unwrap())
    };
    (jobs.into_iter().map(job).collect(), behind)
}

#[tokio::test(start_paused = true)]
async fn many_joiners_come_in_parts_each_once_and_the_nearest_day_first() {
    let count = 2 * SWEEP_PART + 100;
    let app = TestApp::new(tenant(count + 1), &SETTINGS);
    let served = app.sandbox.edit(|tenant| tenant.users.values().find(|p| p.hire_date.is_some()).unwrap().id);
    assert_eq!(app.run_job(served).await.outcome, "delivered");
    app.advance(TimeDelta::hours(1));
    let (mut queued, mut behind) = read(&app.host.fire_timer().await);
    let mut parts = vec![queued.len()];
    while let [message] = behind.as_slice() {
        assert!(message.len() < 400, "{message}");
        if message.contains("dailyLook") {
            break;
        }
        app.advance(TimeDelta::hours(1));
        let (jobs, next) = read(&app.host.deliver(message, 1).await);
        // The host delivers it again if it dies before it has deleted it.
        assert_eq!(read(&app.host.deliver(message, 1).await), (jobs.clone(), next.clone()));
        parts.push(jobs.len());
        queued.extend(jobs);
        behind = next;
    }
    assert_eq!(parts, [SWEEP_PART, SWEEP_PART, 100]);
    assert_eq!(
        behind.len(),
        1,
        "the message that everyone was looked at is behind the last part: {behind:?}"
    );
    assert!(queued.is_sorted(), "the nearest day first");
    assert_eq!(queued.iter().map(|(_, user)| user).collect::<BTreeSet<_>>().len(), count);
}

/// Each job runs before the next part is queued.
#[tokio::test(start_paused = true)]
async fn each_of_many_joiners_gets_one_mail() {
    let count = SWEEP_PART + 20;
    let app = TestApp::new(tenant(count), &SETTINGS);
    let ends = app.sweep().await;
    assert_eq!(ends.iter().filter(|end| end.outcome == "delivered").count(), count);
    assert_eq!((ends.len(), app.pass_mails().len()), (count, count));
    app.advance(TimeDelta::hours(1));
    assert_eq!(app.sweep().await, []);
}

/// A later sweep has found everyone who is due. Two of them at once would queue the rest twice.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_sweep_is_left_to_a_later_one() {
    let app = TestApp::new(tenant(SWEEP_PART + 20), &SETTINGS);
    let (first, behind) = read(&app.host.fire_timer().await);
    app.advance(TimeDelta::hours(1));
    let (second, behind_second) = read(&app.host.fire_timer().await);
    assert_eq!(first, second, "nobody was served meanwhile");
    // Only its own message shows that its jobs are in the queue.
    assert_eq!(read(&app.host.deliver(&behind_second[0], 1).await).0.len(), 20);
    let answer = app.host.deliver(&behind[0], 1).await;
    assert_eq!(answer.jobs(), [] as [String; 0], "{}", answer.log());
    assert_eq!(
        read(&app.host.deliver(&behind_second[0], 2).await).0.len(),
        20,
        "a second delivery finds the same"
    );
}

/// The message of a sweep is no authorization, and no list: what it finds was read when it is delivered.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_sweep_is_searched_for_anew() {
    let app = TestApp::new(tenant(SWEEP_PART + 20), &SETTINGS);
    let (first, behind) = read(&app.host.fire_timer().await);
    let queued: BTreeSet<Uuid> = first.into_iter().map(|(_, user)| user).collect();
    let rest: Vec<Uuid> = app.sandbox.edit(|tenant| {
        let joiners = tenant.users.values().filter(|person| person.hire_date.is_some());
        joiners.map(|person| person.id).filter(|id| !queued.contains(id)).collect()
    });
    app.sandbox.edit(|tenant| {
        tenant.change(rest[0], |person| person.hire_date = None);
        tenant.delete(rest[1]);
    });
    assert_eq!(app.run_job(rest[2]).await.outcome, "delivered");
    app.advance(TimeDelta::minutes(30));
    let (next, _) = read(&app.host.deliver(&behind[0], 1).await);
    let next: BTreeSet<Uuid> = next.into_iter().map(|(_, user)| user).collect();
    assert_eq!(next, rest[3..].iter().copied().collect());
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_sweep_waits_for_graph() {
    let app = TestApp::new(tenant(SWEEP_PART + 20), &SETTINGS);
    let (_, behind) = read(&app.host.fire_timer().await);
    app.sandbox.inject(Fault::on("GET", "/users?", fail_with(403)));
    let answer = app.host.deliver(&behind[0], 1).await;
    assert!(!answer.is_success() && answer.log().contains("looking for joiners"), "{}", answer.log());
    assert_eq!(read(&app.host.deliver(&behind[0], 2).await).0.len(), 20);
}

/// The tenant has one hour for mails to all: whoever is too many waits for an approval, also behind the first part.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_sweep_counts_towards_sweep_max() {
    let app = TestApp::new(tenant(SWEEP_PART + 20), &[("SWEEP_MAX", "1530"), ("MAIL_CC", "none")]);
    let (_, behind) = read(&app.host.fire_timer().await);
    app.sandbox.edit(|tenant| {
        for n in 0..20 {
            let joiner = Person::named(&format!("Late{n} Smith")).usage_location("GB");
            let joiner = joiner.private_mail(&format!("late{n}@mail.example"));
            tenant.add(joiner.hire_date(time("2026-11-27T00:00:00Z")));
        }
    });
    app.advance(TimeDelta::minutes(30));
    assert_eq!(read(&app.host.deliver(&behind[0], 1).await).0, []);
    assert!(
        app.ledger().held_lists().await.unwrap().iter().any(|(_, list)| list.people.len() == SWEEP_PART + 40)
    );
}

fn group_setup(members: usize) -> (TestApp, Uuid, Vec<Uuid>) {
    let mut tenant = tenant(0);
    let people: Vec<Uuid> = (0..members)
        .map(|n| {
            tenant.add(Person::named(&format!("Person N{n}")).private_mail(&format!("n{n}@mail.example")))
        })
        .collect();
    let group = tenant.add_group(Group::named("On-demand access"));
    let id = group.to_string();
    let settings = [&[("ON_DEMAND_GROUP_ID", id.as_str())], &SETTINGS[..]].concat();
    (TestApp::with_ledger(tenant, &settings, Arc::new(MemoryLedger::default())), group, people)
}

fn members(answer: &HandlerResponse) -> (Vec<Uuid>, Vec<String>) {
    let (jobs, behind): (Vec<_>, Vec<_>) =
        answer.jobs().into_iter().partition(|message| message.contains("jobKey"));
    let user =
        |message: String| serde_json::from_str::<Value>(&message).unwrap()["userId"].as_str()?.parse().ok();
    (jobs.into_iter().filter_map(user).collect(), behind)
}

#[tokio::test(start_paused = true)]
async fn many_new_members_of_the_on_demand_group_come_in_parts_each_once() {
    for by in ["sweep", "message"] {
        let (app, group, people) = group_setup(2 * SYNC_PART + 50);
        app.sweep_at(NOW).await;
        app.sandbox.edit(|tenant| people.iter().for_each(|user| tenant.add_member(group, *user)));
        app.advance(TimeDelta::hours(1));
        let first = match by {
            "sweep" => app.host.fire_timer().await,
            _ => app.host.deliver(&json!({"resource": format!("groups/{group}")}).to_string(), 1).await,
        };
        let (mut queued, mut behind) = members(&first);
        behind.retain(|message| !message.contains("dailyLook"));
        let mut parts = vec![queued.len()];
        while behind[0].contains("continuedGroup") {
            let (users, next) = members(&app.host.deliver(&behind[0], 1).await);
            assert_eq!(members(&app.host.deliver(&behind[0], 1).await), (users.clone(), next.clone()));
            parts.push(users.len());
            queued.extend(users);
            behind = next;
        }
        assert_eq!(parts, [SYNC_PART, SYNC_PART, 50], "{by}");
        assert_eq!(queued.into_iter().collect::<BTreeSet<_>>(), people.iter().copied().collect(), "{by}");
        assert!(behind[0].contains("syncedGroup"), "{by}: {behind:?}");
        app.host.deliver(&behind[0], 1).await;
        let (snapshot, _) = app.ledger().membership(group).await.unwrap().unwrap();
        assert_eq!((snapshot.members.len(), snapshot.pending.len()), (people.len(), 0), "{by}");
    }
}

/// The next sweep takes over, and the earlier part has no jobs any more.
#[tokio::test(start_paused = true)]
async fn new_members_whose_part_was_lost_are_found_by_the_next_sweep() {
    let (app, group, people) = group_setup(SYNC_PART + 50);
    app.sweep_at(NOW).await;
    app.sandbox.edit(|tenant| people.iter().for_each(|user| tenant.add_member(group, *user)));
    app.advance(TimeDelta::hours(1));
    let (first, lost) = members(&app.host.fire_timer().await);
    assert_eq!(app.run_group_add_job(first[0]).await.outcome, "delivered");
    app.advance(TimeDelta::hours(1));
    let (mut queued, behind) = members(&app.host.fire_timer().await);
    assert_eq!(members(&app.host.deliver(&lost[0], 1).await), (vec![], vec![]));
    queued.extend(members(&app.host.deliver(&behind[0], 1).await).0);
    assert_eq!(queued.len(), people.len() - 1, "all but the one who was served");
}
