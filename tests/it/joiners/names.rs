//! Names from HR systems and Graph go into mails, alerts and the log without what a person does not see.

use firstpass_sandbox::tenant::{Group, Tenant};
use uuid::Uuid;

use crate::{
    helpers::{TestApp, log_capture::capture_log, tenant_with_emma, to_address},
    http::send,
};

/// Characters of every kind that is removed.
const HIDDEN: &str = "\0\u{1b}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{200e}\u{202e}\u{2060}\u{2066}\u{3164}\u{feff}\u{fff9}\u{e0041}";

fn hides_something(text: &str) -> bool {
    // The log's and JSON's own line ends are no part of a name.
    text.chars().any(|c| c != '\n' && HIDDEN.contains(c))
}

fn rename(tenant: &mut Tenant, user: Uuid, given: &str, surname: &str) {
    tenant.change(user, |person| {
        person.display_name = format!("{given}{HIDDEN} {surname}{HIDDEN}");
        person.given_name = Some(format!("{HIDDEN}{given}"));
    });
}

#[tokio::test(start_paused = true)]
async fn what_nobody_sees_in_a_name_reaches_no_mail_alert_or_log_line() {
    let (mut tenant, emma) = tenant_with_emma();
    let manager = tenant.users[&emma].manager.unwrap();
    rename(&mut tenant, emma, "Emma", "Brooks");
    rename(&mut tenant, manager, "Grace", "Hall");
    let secret = tenant.add_group(Group::named(&format!("Tier{HIDDEN} 0")).role_assignable());
    let app = TestApp::new(tenant, &[]);
    let (end, log) = capture_log("info", app.run_job(emma)).await;
    assert_eq!(end.outcome, "delivered");
    let mail = app.pass_mails()[0].clone();
    let html = mail["body"]["content"].as_str().unwrap();
    assert!(html.contains("Emma,") && html.contains("Grace Hall"), "{html}");
    assert!(!hides_something(html) && !hides_something(mail["subject"].as_str().unwrap()), "{html:?}");
    assert!(!hides_something(&log), "{log:?}");

    app.sandbox.edit(|tenant| tenant.add_member(secret, emma));
    app.advance(chrono::TimeDelta::hours(1));
    let (end, log) = capture_log("info", app.run_job(emma)).await;
    assert!(end.outcome == "blocked" && end.why.contains("\"Tier 0\""), "{end:?}");
    let alert = app.alerts()[0].clone();
    let html = alert["body"]["content"].as_str().unwrap();
    assert!(html.contains("Emma Brooks") && html.contains("manager Grace Hall"), "{html}");
    assert!(!hides_something(html) && !hides_something(alert["subject"].as_str().unwrap()), "{html:?}");
    let (_, audit) = capture_log("info", send(&app, &format!(r#"{{"UserName":"{emma}"}}"#), &[])).await;
    assert!(!hides_something(&log) && !hides_something(&audit), "{log:?} {audit:?}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_needs_its_joiners_keeps_them() {
    for given in ["علی‌رضا", "ශ්‍රී", "Siobhán", "葛󠄀城"] {
        let (mut tenant, emma) = tenant_with_emma();
        rename(&mut tenant, emma, given, "Brooks");
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        let html = app.pass_mails()[0]["body"]["content"].as_str().unwrap().to_owned();
        assert!(html.contains(&format!("{given},")), "{given}: {html}");
    }
}

/// An address with what nobody sees is the one that is seen. One that looks like another is none.
#[tokio::test(start_paused = true)]
async fn an_address_from_hr_is_cleaned_or_does_not_count() {
    for (first, is_used) in [
        ("\u{feff}emma@home.example\u{200b}", true),
        ("em\u{ad}ma@home.example", true),
        ("\u{202a}emma@home.example\u{202c}", true),
        ("\u{435}mma@home.example", false),
        ("emma@h\u{43e}me.example", false),
        ("emma@xn--hme-7cd.example", false),
        ("\"emma@home.example\"@evil.example", false),
        ("emma@[192.0.2.1]", false),
        ("emma@192.0.2.1", false),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.other_mails.insert(0, first.into()));
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        let to = if is_used { "emma@home.example" } else { "emma.brooks@mail.example" };
        assert_eq!(to_address(&app.pass_mails()[0]), to, "{first:?}");
    }
}
