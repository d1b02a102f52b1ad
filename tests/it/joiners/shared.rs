//! One private address of several people: nobody gets a code there.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Person, Tenant, samples::SENDER};
use serde_json::json;
use uuid::Uuid;

use super::follow_up::{change, text};
use crate::helpers::{JobEnd, TestApp, time, to_address};

const OFFICE: &str = "start@agency.example";

/// A tenant with a joiner for each address, who start in five days.
fn tenant(addresses: &[&str]) -> (Tenant, Vec<Uuid>) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    let mut joiner = |(index, address): (usize, &&str)| {
        let person = Person::named(&format!("Joiner {index}")).usage_location("GB").manager(manager);
        tenant.add(person.hire_date(time("2026-11-27T00:00:00Z")).private_mail(address))
    };
    let ids = addresses.iter().enumerate().map(&mut joiner).collect();
    (tenant, ids)
}

fn delivered(ends: &[JobEnd]) -> usize {
    ends.iter().filter(|end| end.outcome == "delivered").count()
}

#[tokio::test(start_paused = true)]
async fn a_placeholder_of_hr_collects_no_codes() {
    // Plus-addresses and other cases are one mailbox.
    for addresses in [[OFFICE; 3], [OFFICE, "Start+ann@Agency.example", "START+bob@agency.example"]] {
        let (tenant, ids) = tenant(&[&addresses[..], &["ann@mail.example"]].concat());
        let app = TestApp::new(tenant, &[]);
        assert_eq!(delivered(&app.sweep().await), 1);
        assert_eq!(app.pass_mails().iter().map(to_address).collect::<Vec<_>>(), ["ann@mail.example"]);
        let alerts = text(&app.alerts());
        assert_eq!(app.alerts().len(), 1, "{alerts}");
        for words in ["of 3 people", "joiner.0@", "joiner.1@", "joiner.2@", "ADDRESS_SHARED_ALLOWED"] {
            assert!(alerts.contains(words), "{words} is missing in {alerts}");
        }
        assert!(!alerts.contains("joiner.3@"), "{alerts}");
        // CreateTap mails none there either.
        let body = json!({"UserName": "joiner.0@contoso.example", "Deliver": "mail"}).to_string();
        let answer = app.host.call("CreateTap", &body).await;
        let answer = answer.body["Outputs"]["res"].to_string();
        assert!(answer.contains("no-address") && answer.contains("3 people"), "{answer}");
        // HR puts in their own: they are served, and the last two may share one.
        change(&app, ids[0], |person| person.other_mails = vec!["zoe@mail.example".into()]);
        assert_eq!(delivered(&app.sweep_daily(1).await), 3);
        assert_eq!(app.alerts().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn two_people_may_share_a_mailbox_and_the_setting_says_how_many() {
    for (settings, served) in [(&[][..], 2), (&[("ADDRESS_SHARED_BY", "1")], 0)] {
        let (tenant, _) = tenant(&[OFFICE; 2]);
        let app = TestApp::new(tenant, settings);
        assert_eq!(delivered(&app.sweep().await), served);
        assert_eq!(app.alerts().len(), usize::from(served == 0));
    }
    for allowed in [OFFICE, "START+x@agency.example"] {
        let (tenant, _) = tenant(&[OFFICE; 5]);
        let app = TestApp::new(tenant, &[("ADDRESS_SHARED_ALLOWED", allowed)]);
        assert_eq!((delivered(&app.sweep().await), app.alerts().len()), (5, 0), "{allowed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_mailed_within_two_months_counts() {
    for (days, served) in [(20, false), (65, true)] {
        let (tenant, ids) = tenant(&[OFFICE, OFFICE]);
        let app = TestApp::new(tenant, &[]);
        assert_eq!(delivered(&app.sweep().await), 2);
        // The two accounts are gone from the listing.
        for id in &ids {
            change(&app, *id, |person| {
                person.hire_date = None;
                person.other_mails = vec!["own@mail.example".into()];
            });
        }
        app.sweep_daily(1).await;
        app.advance(TimeDelta::days(days));
        let alerts = app.alerts().len();
        let start = app.sandbox.now() + TimeDelta::days(3);
        app.sandbox.edit(|tenant| {
            tenant.add(Person::named("Third").usage_location("GB").hire_date(start).private_mail(OFFICE))
        });
        let is_served = delivered(&app.sweep().await) == 1;
        assert_eq!(is_served, served, "{days}");
        let news = text(&app.alerts()[alerts..]);
        assert_eq!(news.contains("share one private address"), !served, "{days}: {news}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_own_address_behind_the_shared_one_is_used() {
    let (mut tenant, ids) = tenant(&[OFFICE; 4]);
    tenant.change(ids[3], |person| person.other_mails.push("dora@mail.example".into()));
    let app = TestApp::new(tenant, &[]);
    assert_eq!(delivered(&app.sweep().await), 1);
    assert_eq!(to_address(&app.pass_mails()[0]), "dora@mail.example");
    assert!(!text(&app.alerts()).contains("joiner.3@"));
    // Another process has read the ledger before, and its jobs read it again.
    let other = app.another_instance();
    assert_eq!(other.run_job(ids[0]).await.outcome, "blocked");
}

#[tokio::test(start_paused = true)]
async fn a_manager_may_get_the_codes_of_many() {
    let (tenant, _) = tenant(&[OFFICE; 4]);
    let app = TestApp::new(tenant, &[("MAIL_TO", "manager")]);
    assert_eq!((delivered(&app.sweep().await), app.alerts().len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn who_was_served_before_the_third_keeps_the_pass() {
    let (tenant, ids) = tenant(&[OFFICE, OFFICE]);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.sandbox.edit(|tenant| {
        let third = Person::named("Third").usage_location("GB").private_mail(OFFICE);
        tenant.add(third.hire_date(time("2026-11-28T00:00:00Z")))
    });
    app.sweep_daily(2).await;
    assert_eq!(app.pass_mails().len(), 2);
    assert!(ids.iter().all(|id| app.live_code(*id).is_some()));
    let alerts = text(&app.alerts());
    assert!(alerts.contains("third@") && !alerts.contains("joiner.0@"), "{alerts}");
}
