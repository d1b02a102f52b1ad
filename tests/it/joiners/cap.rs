//! SWEEP_MAX: more people than usual are served by an approval only.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::cli::sweep::{approve, held};
use firstpass_sandbox::tenant::{Person, Tenant};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, time};

const DAY_ONE: &str = "2026-11-26T00:00:00Z";

fn joiner(name: &str) -> Person {
    let address = format!("{}@mail.example", name.to_lowercase().replace(' ', "."));
    Person::named(name).usage_location("GB").private_mail(&address).hire_date(time(DAY_ONE))
}

/// A tenant with a mailbox and these people; their ids.
fn tenant_of(people: impl IntoIterator<Item = Person>) -> (Tenant, Vec<Uuid>) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    let ids = people.into_iter().map(|person| tenant.add(person)).collect();
    (tenant, ids)
}

fn joiners(prefix: &str, count: usize) -> Vec<Person> {
    (0..count).map(|n| joiner(&format!("{prefix}{n} Smith"))).collect()
}

/// The reference of the list in the newest alert.
fn reference(app: &TestApp) -> String {
    let alert = app.alerts().pop().unwrap()["body"]["content"].as_str().unwrap().to_owned();
    let (_, rest) = alert.split_once("--approve ").unwrap();
    rest[..8].to_owned()
}

async fn approve_list(app: &TestApp, reference: &str, only: &[&str]) -> Result<String, String> {
    let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
    approve(app.ledger(), reference, &only, false, &app.sandbox.clock()).await
}

/// Among 5,000 employees with a wrong hire date are ten who do start.
#[tokio::test(start_paused = true)]
async fn a_wrong_import_mails_nobody_and_the_joiners_in_it_come_through_both_ways() {
    let employees = |hire_date: Option<DateTime<Utc>>| {
        let years_ago = time(NOW) - TimeDelta::days(1_500);
        (0..5_000).map(move |n| Person {
            hire_date,
            created: Some(years_ago),
            ..joiner(&format!("Employee{n} Jones"))
        })
    };
    for is_undone in [false, true] {
        let people = joiners("Joiner", 10).into_iter().chain(employees(Some(time("2026-11-25T00:00:00Z"))));
        let (tenant, ids) = tenant_of(people);
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.sweep().await.len(), 0, "nobody is queued");
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (0, 1), "one alert for 5,010 people");
        let reference = reference(&app);
        if is_undone {
            app.sandbox.edit(|tenant| {
                for id in &ids[10..] {
                    tenant.change(*id, |person| person.hire_date = None);
                }
            });
        } else {
            let names: Vec<String> = (0..10).map(|n| format!("joiner{n}.smith@contoso.example")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            approve_list(&app, &reference, &names).await.unwrap();
        }
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
        let mut to: Vec<String> =
            app.pass_mails().iter().map(|mail| crate::helpers::to_address(mail).to_owned()).collect();
        to.sort();
        assert_eq!(to.len(), 10, "undone: {is_undone}");
        assert!(to.iter().all(|address| address.starts_with("joiner")), "{to:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_exactly_that_list() {
    let (tenant, _) = tenant_of(joiners("Early", 101));
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    let first = reference(&app);
    assert!(held(app.ledger(), false).await.unwrap().contains("early7.smith@contoso.example"));
    app.sandbox.edit(|tenant| {
        for person in joiners("Late", 101) {
            tenant.add(person);
        }
    });
    assert!(approve_list(&app, "nonsense", &[]).await.unwrap_err().contains("--held"));
    let stranger = approve_list(&app, &first, &["late1.smith@contoso.example"]).await;
    assert!(stranger.unwrap_err().contains("nothing was approved"));
    approve_list(&app, &first, &[]).await.unwrap();
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 101, "those who came later wait");
    let lists: Value = serde_json::from_str(&held(app.ledger(), true).await.unwrap()).unwrap();
    assert_eq!(lists["held"][0]["list"]["people"].as_array().unwrap().len(), 101, "{lists}");
    app.advance(TimeDelta::hours(21));
    app.sweep().await;
    approve_list(&app, &reference(&app), &[]).await.unwrap();
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 202);
}

#[tokio::test(start_paused = true)]
async fn hourly_sweeps_let_through_no_more_than_one() {
    let (tenant, _) = tenant_of(joiners("First", 60));
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.sandbox.edit(|tenant| {
        for person in joiners("Second", 60) {
            tenant.add(person);
        }
    });
    app.sweep_hourly(20).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (60, 1));
    app.advance(TimeDelta::hours(5));
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 120, "a day after the first ones, these are no more than usual");
}

#[tokio::test(start_paused = true)]
async fn who_was_mailed_or_blocked_does_not_count_each_day() {
    let without_address =
        joiners("Silent", 80).into_iter().map(|person| Person { other_mails: vec![], ..person });
    let (tenant, _) = tenant_of(joiners("First", 90).into_iter().chain(without_address));
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "170"), ("PASS_START", "now")]);
    app.sweep().await;
    assert_eq!(app.alerts().len(), 1);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    let alerts = app.alerts().len();
    assert_eq!(alerts, 2, "the summary of those without an address");
    let app = app.with_settings(&[("SWEEP_MAX", "50"), ("PASS_START", "now")]);
    app.advance(TimeDelta::days(2));
    app.sandbox.edit(|tenant| {
        for person in joiners("Next", 50) {
            tenant.add(person);
        }
    });
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (140, alerts));
}

#[tokio::test(start_paused = true)]
async fn many_withdrawals_at_once_wait_too() {
    let (tenant, ids) = tenant_of(joiners("Early", 30));
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "30")]);
    app.sweep().await;
    let app = app.with_settings(&[("SWEEP_MAX", "10")]);
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|tenant| {
        for id in &ids[..11] {
            tenant.change(*id, |person| person.hire_date = None);
        }
    });
    app.sweep().await;
    let live = |app: &TestApp| ids.iter().filter(|id| app.live_code(**id).is_some()).count();
    assert_eq!((live(&app), app.alerts().len()), (30, 1), "{:?}", app.alerts());
    approve_list(&app, &reference(&app), &[]).await.unwrap();
    app.sweep().await;
    assert_eq!(live(&app), 19);
}

/// In New Zealand day one is over while it goes on in UTC. Nobody is taken back.
#[tokio::test(start_paused = true)]
async fn a_day_that_ends_in_the_east_is_no_withdrawal() {
    let east = |person: Person| person.usage_location("NZ");
    let (mut tenant, _) = tenant_of(joiners("Joiner", 12).into_iter().map(east));
    tenant.policy.maximum_lifetime = 43_200;
    let settings = [("SWEEP_MAX", "12"), ("REISSUE_UNUSED", "false"), ("NUDGE_AFTER", "off")];
    let app = TestApp::new(tenant, &settings);
    app.sweep().await;
    let app = app.with_settings(&[("SWEEP_MAX", "5"), ("REISSUE_UNUSED", "false"), ("NUDGE_AFTER", "off")]);
    app.advance(time("2026-11-26T12:00:00Z") - app.sandbox.now());
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (12, 0), "{:?}", app.alerts());
}
