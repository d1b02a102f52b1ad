//! SWEEP_MAX for the on-demand group.

use chrono::TimeDelta;
use firstpass::cli::sweep::approve;
use firstpass_sandbox::tenant::{Group, Person, Tenant};
use serde_json::json;
use uuid::Uuid;

use crate::helpers::{JobEnd, TestApp, to_address};

/// A tenant with people, and an on-demand group without members. The first sweep has read it.
async fn app(people: usize, settings: &[(&str, &str)]) -> (TestApp, Vec<Uuid>, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    let person = |n: usize| {
        Person::named(&format!("Person{n} Smith")).private_mail(&format!("person{n}@mail.example"))
    };
    let people = (0..people).map(|n| tenant.add(person(n))).collect();
    let group = tenant.add_group(Group::named("On-demand access"));
    let id = group.to_string();
    let settings = [&[("ON_DEMAND_GROUP_ID", id.as_str())], settings].concat();
    let app = TestApp::new(tenant, &settings);
    app.sweep().await;
    (app, people, group)
}

fn add(app: &TestApp, group: Uuid, people: &[Uuid]) {
    app.sandbox.edit(|tenant| people.iter().for_each(|user| tenant.add_member(group, *user)));
}

/// A message with this text reaches the queue, and so do the messages that it becomes.
async fn message(app: &TestApp, text: &str) -> Vec<JobEnd> {
    let mut ends = Vec::new();
    app.host.work(vec![text.to_owned()], |completed| ends.push(JobEnd::from(&completed))).await;
    ends
}

#[tokio::test(start_paused = true)]
async fn a_wrong_rule_that_adds_many_people_mails_nobody_before_an_approval() {
    let (app, people, group) = app(30, &[("SWEEP_MAX", "10")]).await;
    add(&app, group, &people[..13]);
    app.advance(TimeDelta::hours(1));
    for _ in 0..3 {
        app.sweep().await;
        app.advance(TimeDelta::hours(1));
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (0, 1));
    }
    let alert = app.alerts()[0]["body"]["content"].as_str().unwrap().to_owned();
    for words in ["13 people would get a pass on demand", "person0.smith@contoso.example"] {
        assert!(alert.contains(words), "{words} is missing in {alert}");
    }
    let reference = &alert.split_once("--approve ").unwrap().1[..8];
    let only = ["person3.smith@contoso.example".to_owned(), people[4].to_string()];
    approve(app.ledger(), reference, &only, false, &app.sandbox.clock()).await.unwrap();
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 2, "the other eleven are still too many");
}

#[tokio::test(start_paused = true)]
async fn additions_in_small_portions_are_counted_over_a_day() {
    let (app, people, group) = app(30, &[("SWEEP_MAX", "10")]).await;
    for (portion, mails) in [(0..6, 6), (6..12, 6), (12..13, 6)] {
        add(&app, group, &people[portion]);
        app.sweep().await;
        app.advance(TimeDelta::hours(2));
        assert_eq!(app.pass_mails().len(), mails);
    }
    // The rule is corrected.
    app.sandbox.edit(|tenant| people[6..12].iter().for_each(|user| tenant.remove_member(group, *user)));
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 7);
    app.advance(TimeDelta::days(1));
    add(&app, group, &people[13..23]);
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 17, "another day");
}

/// Messages that name users cannot pass by the limit, together or one by one.
#[tokio::test(start_paused = true)]
async fn messages_that_name_users_are_counted_too() {
    let (app, people, group) = app(30, &[("SWEEP_MAX", "10")]).await;
    add(&app, group, &people);
    for (n, user) in people.iter().enumerate() {
        let name = json!(format!("person{n}.smith@contoso.example")).to_string();
        let text = if n % 2 == 0 { name } else { json!(user).to_string() };
        let ends = message(&app, &text).await;
        assert_eq!(app.pass_mails().len(), 10.min(n + 1), "{n} {ends:?}");
    }
    // Delivered again, the message of somebody who was served is no new addition.
    message(&app, &json!(people[0]).to_string()).await;
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (10, 1));
    assert!(
        app.alerts()[0].to_string().contains("20 people would get a pass on demand"),
        "{:?}",
        app.alerts()
    );
    assert!(app.pass_mails().iter().all(|mail| to_address(mail).starts_with("person")));

    let (app, people, group) = self::app(30, &[("SWEEP_MAX", "10")]).await;
    add(&app, group, &people);
    let names: Vec<String> = people.iter().map(Uuid::to_string).collect();
    let answer = message(&app, &json!(names).to_string()).await;
    assert_eq!(app.pass_mails().len(), 0, "{answer:?}");
}

/// They left and came back between two sweeps, so the snapshot still knows them.
#[tokio::test(start_paused = true)]
async fn members_who_come_back_are_not_lost_when_they_have_to_wait() {
    let (app, people, group) = app(24, &[("SWEEP_MAX", "10")]).await;
    for portion in [0..8, 8..12] {
        add(&app, group, &people[portion]);
        app.sweep().await;
        app.advance(TimeDelta::days(2));
    }
    assert_eq!(app.pass_mails().len(), 12);
    app.sandbox.edit(|tenant| people[..12].iter().for_each(|user| tenant.remove_member(group, *user)));
    add(&app, group, &people);
    let names: Vec<String> = people.iter().map(Uuid::to_string).collect();
    message(&app, &json!(names).to_string()).await;
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (12, 1));
    assert!(
        app.alerts()[0].to_string().contains("24 people would get a pass on demand"),
        "{:?}",
        app.alerts()
    );
}
