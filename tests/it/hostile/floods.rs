//! Many messages, many people, many alerts.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass_sandbox::{
    functions_host::{Invocation, Storage, encode_base64},
    tenant::{Fault, FaultKind, Group, Person, Tenant, samples::SENDER},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    helpers::{TestApp, tenant_with_emma, time, to_address},
    ledger::faulty_ledger::{FaultyLedger, Unavailable},
};

const GARBAGE: &str = r#"{"colour":"red"}"#;

async fn send_garbage(app: &TestApp, messages: usize) {
    for _ in 0..messages {
        assert!(app.host.deliver(GARBAGE, 1).await.is_success());
    }
}

async fn waiting(app: &TestApp) -> usize {
    app.ledger().pending_alerts().await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_alerts_is_one_mail_at_once_and_one_summary_an_hour() {
    let (app, _) = TestApp::with_emma();
    send_garbage(&app, 350).await;
    assert_eq!(app.alerts().len(), 1);
    assert_eq!(
        waiting(&app).await,
        100,
        "the first of a hundred was mailed, and those beyond have one document"
    );
    app.advance(TimeDelta::minutes(59));
    send_garbage(&app, 1).await;
    assert_eq!(app.alerts().len(), 1, "not before an hour has passed");
    app.advance(TimeDelta::minutes(1));
    app.sweep().await;
    let alerts = app.alerts();
    assert_eq!((alerts.len(), waiting(&app).await), (2, 0));
    let summary = alerts[1].to_string();
    for words in [
        "firstpass: 350 more alerts",
        "350 × A message in the queue pass-jobs was not accepted",
        "and 251 more",
    ] {
        assert!(summary.contains(words), "{words} is missing in {summary}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_kind_of_alert_is_in_more_than_24_mails_a_day() {
    let (app, _) = TestApp::with_emma();
    let other = app.another_instance();
    for minute in 0..24 * 12 {
        send_garbage(if minute % 2 == 0 { &app } else { &other }, 1).await;
        app.advance(TimeDelta::minutes(5));
    }
    let about = |alert: &&Value| alert.to_string().contains("was not accepted");
    let mails = app.alerts().iter().filter(about).count();
    assert!((23..=24).contains(&mails), "{mails}");
}

/// What a summary says of each person is what a mail of its own would have said.
#[tokio::test(start_paused = true)]
async fn a_summary_names_each_person_and_what_to_do() {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    for name in ["Ada North", "Ben South", "Cleo West"] {
        tenant.add(Person::named(name).hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB"));
    }
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    assert_eq!(app.alerts().len(), 1);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    let summary = app.alerts()[1].to_string();
    for words in ["2 more alerts", "no address to send the pass to", "Give the account an address"] {
        assert!(summary.contains(words), "{words} is missing in {summary}");
    }
    let first = app.alerts()[0].to_string();
    for name in ["Ada North", "Ben South", "Cleo West"] {
        assert!(summary.contains(name) != first.contains(name), "each is named once: {name}");
    }
    app.sweep_daily(1).await;
    assert_eq!(app.alerts().len(), 2, "each is told once");
}

/// Until the next sweep nothing may run: so a message wakes the app.
#[tokio::test(start_paused = true)]
async fn a_message_wakes_the_app_for_the_summary() {
    let (app, _) = TestApp::with_emma();
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[]);
    for _ in 0..30 {
        storage.put("pass-jobs", encode_base64(GARBAGE)).unwrap();
    }
    let began = app.sandbox.now();
    storage.wait_until_empty("pass-jobs").await;
    let took = app.sandbox.now() - began;
    assert!(took > TimeDelta::hours(1) && took < TimeDelta::minutes(65), "{took}");
    assert_eq!((app.alerts().len(), waiting(&app).await), (2, 0));
    let is_woken = |i: &&Invocation| {
        i.answer.as_ref().is_some_and(|answer| answer.log().contains("the summary of alerts"))
    };
    assert_eq!(host.log().invocations().iter().filter(is_woken).count(), 1);
}

/// Exchange refuses the first mail: the next summary has the alert.
#[tokio::test(start_paused = true)]
async fn an_alert_whose_mail_fails_is_in_the_next_summary() {
    let (app, _) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Throttle { retry_after: None }).always());
    send_garbage(&app, 1).await;
    assert_eq!((app.alerts().len(), waiting(&app).await), (0, 1));
    app.sandbox.clear_faults();
    // The mailbox was busy until some seconds from then.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    send_garbage(&app, 1).await;
    assert_eq!((app.alerts().len(), waiting(&app).await), (1, 1), "another first one");
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!((app.alerts().len(), waiting(&app).await), (2, 0));
}

/// Without the ledger nobody knows what other processes have sent: each sends one an hour.
#[tokio::test(start_paused = true)]
async fn without_the_ledger_a_process_sends_one_alert_an_hour() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::with_ledger(tenant, &[], FaultyLedger::with_fault(Unavailable));
    for _ in 0..3 {
        send_garbage(&app, 20).await;
        app.advance(TimeDelta::minutes(40));
    }
    assert_eq!(app.alerts().len(), 2);
}

/// An on-demand group with as many members, and Emma, who starts in five days.
fn tenant_with_group(members: usize) -> (Tenant, Uuid, Uuid, Vec<Uuid>) {
    let (mut tenant, emma) = tenant_with_emma();
    let person = |n: usize| Person::named(&format!("Member {n}")).private_mail(&format!("m{n}@mail.example"));
    let people: Vec<Uuid> = (0..members).map(|n| tenant.add(person(n))).collect();
    let group = tenant.add_group(Group::named("On-demand access").members(people.clone()));
    (tenant, emma, group, people)
}

fn settings(group: Uuid) -> Vec<(&'static str, String)> {
    vec![("ON_DEMAND_GROUP_ID", group.to_string()), ("SWEEP_MAX", "100000".to_owned())]
}

fn app(tenant: Tenant, group: Uuid) -> TestApp {
    let settings = settings(group);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    TestApp::new(tenant, &settings)
}

#[tokio::test(start_paused = true)]
async fn a_message_names_500_people_at_most() {
    let (tenant, _, group, people) = tenant_with_group(501);
    let app = app(tenant, group);
    let names =
        |count: usize| json!((0..count).map(|n| format!("nobody{n}@contoso.example")).collect::<Vec<_>>());
    let members: Vec<Value> = people.iter().map(|id| json!({"id": id})).collect();
    for too_many in [names(5_400), names(501), json!(people), json!(members)] {
        let answer = app.host.deliver(&too_many.to_string(), 1).await;
        assert_eq!(answer.jobs().len(), 0);
        assert!(answer.log().contains("people, and a message may name 500"), "{}", answer.log());
    }
    assert_eq!((app.alerts().len(), waiting(&app).await), (1, 3));
    assert_eq!(app.host.deliver(&names(500).to_string(), 1).await.jobs().len(), 500);
    assert_eq!(app.host.deliver(&json!(members[..500]).to_string(), 1).await.jobs().len(), 500);
}

/// A notification of Graph that names more is about its group, which is read.
#[tokio::test(start_paused = true)]
async fn a_notification_with_more_people_is_about_its_group() {
    let (tenant, _, group, people) = tenant_with_group(501);
    let app = app(tenant, group);
    let strangers: Vec<Value> = (0..501).map(|n| json!({"id": Uuid::from_u128(n)})).collect();
    let notification = json!({"value": [{"changeType": "updated", "resource": format!("Groups/{group}"),
        "resourceData": {"@odata.type": "#Microsoft.Graph.Group", "id": group, "members@delta": strangers}}]});
    let answer = app.host.deliver(&notification.to_string(), 1).await;
    let rest = answer.jobs().pop().unwrap();
    let jobs = answer.jobs().concat() + &app.host.deliver(&rest, 1).await.jobs().concat();
    assert!(people.iter().all(|user| jobs.contains(&user.to_string())), "{}", answer.log());
    assert!(!jobs.contains(&Uuid::from_u128(1).to_string()), "who is no member gets no job");
    assert_eq!(app.alerts().len(), 0);
}

/// A message waits for what replicas do not show yet only as long as they may lag.
#[tokio::test(start_paused = true)]
async fn an_unknown_name_holds_the_queue_up_once() {
    let (tenant, _, group, _) = tenant_with_group(1);
    let app = app(tenant, group);
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[]);
    let names: Vec<String> = (0..500).map(|n| format!("nobody{n}@contoso.example")).collect();
    storage.put("pass-jobs", encode_base64(&json!(names).to_string())).unwrap();
    let began = app.sandbox.now();
    storage.wait_until_empty("pass-jobs").await;
    // The last messages are tried for the tenth time 27 minutes after their first; an alert wakes the app later.
    let busy = host
        .log()
        .invocations()
        .iter()
        .filter(|i| i.attempt > 1 && i.started - began > TimeDelta::minutes(45))
        .count();
    assert!(busy == 0, "{busy} invocations ran later than 45 minutes after the message");
    assert_eq!(storage.messages("pass-jobs-poison").len(), 500);
    assert!(app.alerts().len() <= 4, "{}", app.alerts().len());
}

/// A joiner's job overtakes those of a message about many people.
#[tokio::test(start_paused = true)]
async fn joiners_overtake_the_members_of_a_group() {
    let (tenant, emma, group, people) = tenant_with_group(500);
    let app = app(tenant, group);
    app.sandbox.edit(|tenant| tenant.latency = Duration::from_secs(2));
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[]);
    let ids = json!(people).to_string();
    storage.put("pass-jobs", encode_base64(&ids)).unwrap();
    // The queue is full of members when the sweep runs.
    tokio::time::sleep(Duration::from_secs(180)).await;
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    let to: Vec<String> = app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect();
    let position = to.iter().position(|address| address == "emma.brooks@mail.example").expect("Emma's mail");
    assert_eq!(to.len(), 501);
    assert!(position < 200, "{position} of {} mails went before hers", to.len());
    app.assert_mail_has_live_code(emma, position);
}
