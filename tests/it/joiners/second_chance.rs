//! A joiner who does not use the pass is reminded of it, and gets another one for the next working morning.

use chrono::{DateTime, Utc};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Method, PassSpec, Permission, Person, Tenant};
use serde_json::Value;
use uuid::Uuid;

use super::follow_up::{BEFORE_OPENING, ENDED, MANAGER, change, text, use_pass};
use crate::helpers::{
    NOW, TestApp, cc_addresses, emma, fail_with, html_escaped, tenant_with_emma, throttle, time, to_address,
};

/// Four hours after the opening.
const NUDGED: &str = "2026-11-27T11:00:00Z";
const PRIVATE: &str = "emma.brooks@mail.example";

/// What differs, the settings for it, and what happens in the tenant.
type Case = (&'static str, &'static [(&'static str, &'static str)], fn(&TestApp, Uuid));

/// The app after Emma's mail. She starts on a Friday.
async fn mailed(settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, settings);
    app.sweep_at(NOW).await;
    assert_eq!(app.pass_mails().len(), 1);
    (app, emma)
}

/// The mails to `address` without a code.
fn notes(app: &TestApp, address: &str) -> Vec<Value> {
    let codes: Vec<String> = app.sandbox.codes().iter().map(|code| html_escaped(code)).collect();
    let has_code =
        |mail: &Value| codes.iter().any(|code| mail["body"]["content"].as_str().unwrap().contains(code));
    app.pass_mails().into_iter().filter(|mail| to_address(mail) == address && !has_code(mail)).collect()
}

fn new_address(app: &TestApp, emma: Uuid) {
    change(app, emma, |person| person.other_mails = vec!["x@mail.example".into()]);
}

fn opening(app: &TestApp) -> DateTime<Utc> {
    app.sandbox.passes().first().unwrap().opens_by()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_use_the_pass_is_reminded_once_and_the_manager_hears_of_it() {
    let (app, emma) = mailed(&[]).await;
    app.sweep_at("2026-11-27T10:59:00Z").await;
    assert_eq!(app.pass_mails().len(), 1);
    let ends = app.sweep_at(NUDGED).await;
    assert!(ends[0].why.contains("was reminded"), "{ends:?}");
    let (reminder, to_manager) = (notes(&app, PRIVATE), notes(&app, MANAGER));
    assert_eq!((reminder.len(), to_manager.len()), (1, 1));
    let reminder_text = reminder[0]["body"]["content"].as_str().unwrap();
    for words in ["22 November 2026", "05:00", "15:00", "emma.brooks@contoso.example"] {
        assert!(reminder_text.contains(words), "{words} is missing in {reminder_text}");
    }
    assert!(cc_addresses(&reminder[0]).is_empty());
    assert!(to_manager[0].to_string().contains("Emma Brooks"));
    app.sweep_at("2026-11-27T12:00:00Z").await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (3, 0));
    assert!(app.live_code(emma).is_some(), "the code of the first mail works");
    use_pass(&app, emma);
    assert!(app.sweep_at("2026-11-27T13:00:00Z").await[0].why.contains("is in the account"));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_reminded_who_may_be_in_or_whom_it_does_not_help() {
    let cases: [(Case, &str); 8] = [
        (("off", &[("NUDGE_AFTER", "off")], |_, _| {}), NUDGED),
        (("for several uses", &[("PASS_ONE_TIME", "false")], |_, _| {}), NUDGED),
        (("methods are not read", &[("JOINER_CHECK", "age")], |_, _| {}), NUDGED),
        (("used", &[], use_pass), NUDGED),
        (("disabled", &[], |app, emma| change(app, emma, |p| p.enabled = false)), NUDGED),
        (("another address", &[], new_address), NUDGED),
        (("registered", &[], |app, emma| change(app, emma, |p| p.methods.push(Method::of("fido2")))), NUDGED),
        (("half an hour left", &[], |_, _| {}), "2026-11-27T14:30:00Z"),
    ];
    for ((case, settings, prepare), at) in cases {
        let (app, emma) = mailed(settings).await;
        app.wait_until("2026-11-27T07:30:00Z");
        prepare(&app, emma);
        app.sweep_at(at).await;
        let reminders: Vec<_> =
            notes(&app, PRIVATE).into_iter().chain(notes(&app, "x@mail.example")).collect();
        assert!(reminders.is_empty(), "{case}: {reminders:?}");
    }
}

/// A mail without a code may be lost, and is never sent twice. One that was not sent, and may be later, is sent again.
#[tokio::test(start_paused = true)]
async fn a_reminder_is_repeated_only_if_it_was_certainly_not_sent() {
    for (fault, sent) in [
        (FaultKind::LoseAnswer, 1),
        (fail_with(500), 0),
        (fail_with(400), 0),
        (throttle("1"), 1),
        (fail_with(503), 1),
    ] {
        let (app, _) = mailed(&[]).await;
        app.wait_until(NUDGED);
        app.sandbox.inject(Fault::on("POST", "/sendMail", fault.clone()));
        app.sweep().await;
        app.sweep_at("2026-11-27T12:00:00Z").await;
        assert_eq!((notes(&app, PRIVATE).len(), app.alerts().len()), (sent, 0), "{fault:?}");
    }
    // For longer than the retries of a request.
    let (app, _) = mailed(&[]).await;
    app.wait_until(NUDGED);
    app.sandbox.inject(Fault::on("POST", "/sendMail", throttle("1")).times(4));
    app.sweep().await;
    assert_eq!(notes(&app, PRIVATE).len(), 1, "by the next delivery of the job");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_ended_unused_is_replaced_for_the_next_working_morning() {
    let (app, emma) = mailed(&[("NUDGE_AFTER", "off")]).await;
    let ends = app.sweep_at(ENDED).await;
    assert!(ends[0].why.starts_with("the last pass ended unused, new pass mailed"), "{ends:?}");
    assert_eq!(opening(&app), time("2026-11-30T07:00:00Z"), "Monday");
    let mail = app.pass_mails().pop().unwrap();
    assert!(mail.to_string().contains("has ended without being used"), "{mail}");
    app.assert_newest_mail_has_live_code(emma);
    let alerts = text(&app.alerts());
    for words in ["ended unused, and they get a new one (Emma Brooks", "2026-11-30 07:00 to 15:00"] {
        assert!(alerts.contains(words), "{words} is missing in {alerts}");
    }
    app.sweep_at("2026-11-29T05:00:00Z").await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (2, 1), "told once, mailed once");
    app.wait_until("2026-11-30T08:00:00Z");
    use_pass(&app, emma);
    assert!(app.sweep().await[0].why.contains("is in the account"));
    assert!(app.sweep_daily(3).await.is_empty());
}

/// Four codes for one day one, then a person.
#[tokio::test(start_paused = true)]
async fn there_are_at_most_four_codes_for_one_first_day() {
    let (app, _) = mailed(&[("NUDGE_AFTER", "off")]).await;
    for (day, mails) in [("27", 2), ("30", 3)] {
        app.sweep_at(&format!("2026-11-{day}T16:00:00Z")).await;
        assert_eq!(app.pass_mails().len(), mails, "{day}");
    }
    app.sweep_at("2026-12-01T16:00:00Z").await;
    assert_eq!((app.pass_mails().len(), opening(&app)), (4, time("2026-12-02T07:00:00Z")));
    app.sweep_at("2026-12-02T16:00:00Z").await;
    app.sweep_daily(9).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (4, 4));
    assert!(text(&app.alerts()[3..]).contains("they are not in"), "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_replaced_only_if_it_is_certain_that_nobody_used_it_and_somebody_waits_for_it() {
    let cases: [Case; 7] = [
        ("off", &[("REISSUE_UNUSED", "false")], |_, _| {}),
        ("for several uses", &[("PASS_ONE_TIME", "false")], |_, _| {}),
        ("disabled", &[], |app, emma| change(app, emma, |p| p.enabled = false)),
        ("another address", &[], new_address),
        ("no address", &[], |app, emma| change(app, emma, |p| p.other_mails.clear())),
        ("withdrawn", &[], |app, emma| change(app, emma, |p| p.hire_date = None)),
        ("passes are off", &[], |app, _| {
            app.sandbox.edit(|tenant: &mut Tenant| tenant.policy.enabled = false)
        }),
    ];
    for (case, settings, prepare) in cases {
        let settings = [&[("NUDGE_AFTER", "off")], settings].concat();
        let (app, emma) = mailed(&settings).await;
        app.wait_until(ENDED);
        prepare(&app, emma);
        app.sweep().await;
        app.sweep_daily(2).await;
        let mails =
            app.pass_mails().iter().filter(|mail| mail.to_string().contains("without being used")).count();
        assert_eq!(mails, 0, "{case}");
        assert!(text(&app.alerts()).contains("they are not in"), "{case}: {:?}", app.alerts());
    }
}

/// A pass can last for days. Whoever did not come for more than a working week is a case for a person.
#[tokio::test(start_paused = true)]
async fn a_pass_is_replaced_within_five_working_days() {
    for (days, opens) in [(6, Some("2026-12-04T07:00:00Z")), (7, None)] {
        let mut tenant = Tenant::new(7);
        tenant.policy.maximum_lifetime = 43_200;
        tenant.add_mailbox(Person::named("Welcome").user_principal_name("welcome@contoso.example"));
        let manager = tenant.add(Person::named("Grace Hall"));
        tenant.add(emma(manager));
        let minutes = (days * 1_440 - 60).to_string();
        let app = TestApp::new(tenant, &[("PASS_LIFETIME_MINUTES", &minutes), ("NUDGE_AFTER", "off")]);
        app.sweep_at(NOW).await;
        app.sweep_daily(14).await;
        let reissued: Vec<_> =
            app.sandbox.pass_events().into_iter().filter_map(|event| event.made).skip(1).collect();
        assert_eq!(reissued.first().map(|pass| pass.opens_by()), opens.map(time), "{days}");
    }
}

/// The worker of the second pass dies before its mail, or the mail is refused: the next job finishes it.
#[tokio::test(start_paused = true)]
async fn a_second_pass_that_failed_halfway_is_mailed_by_a_later_job() {
    let (app, emma) = mailed(&[("NUDGE_AFTER", "off")]).await;
    app.wait_until("2026-11-28T05:00:00Z");
    app.sandbox.inject(Fault::on("POST", "/sendMail", fail_with(400)).body("without being used").times(3));
    app.sweep().await;
    app.sweep_daily(1).await;
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(opening(&app), time("2026-11-30T07:00:00Z"));
}

async fn called(withdrawn_before: bool) -> (TestApp, Uuid) {
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-26T05:00:00Z");
    if withdrawn_before {
        change(&app, emma, |person| person.hire_date = None);
    }
    let (status, _) = app.create_tap("emma.brooks@contoso.example").await;
    assert_eq!(status, 201);
    change(&app, emma, |person| person.hire_date = None);
    (app, emma)
}

/// Whoever does not start must not hold a code that works, whichever function made it.
#[tokio::test(start_paused = true)]
async fn a_withdrawn_start_ends_a_callers_pass_too_unless_it_was_made_since() {
    let (app, emma) = called(false).await;
    app.sweep_at("2026-11-26T05:30:00Z").await;
    assert_eq!(app.live_code(emma), None);
    assert!(text(&app.alerts()).contains("A pass was revoked (Emma Brooks"), "{:?}", app.alerts());

    let (app, emma) = called(true).await;
    app.sweep_at("2026-11-26T05:30:00Z").await;
    app.sweep_at("2026-11-26T06:30:00Z").await;
    assert!(app.live_code(emma).is_some(), "a person decided: {:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn after_the_arrival_or_long_after_day_one_nothing_is_withdrawn() {
    // She is in; HR tidies the hire date.
    let (app, emma) = mailed(&[]).await;
    app.wait_until("2026-11-27T08:00:00Z");
    use_pass(&app, emma);
    app.sweep().await;
    app.create_tap("emma.brooks@contoso.example").await;
    change(&app, emma, |person| person.hire_date = None);
    assert!(app.sweep_at("2026-11-27T09:00:00Z").await.is_empty());
    app.run_job(emma).await;
    assert!(app.live_code(emma).is_some(), "nor by a job that another sweep left behind");
    assert_eq!(app.alerts().len(), 0);

    // Nobody could see whether she is in.
    let (app, emma) =
        mailed(&[("JOINER_CHECK", "none"), ("REISSUE_UNUSED", "false"), ("PASS_ONE_TIME", "false")]).await;
    app.wait_until("2026-12-08T05:00:00Z");
    app.create_tap("emma.brooks@contoso.example").await;
    change(&app, emma, |person| person.hire_date = None);
    app.sweep_at("2026-12-08T06:00:00Z").await;
    assert!(app.live_code(emma).is_some());
}

/// A pass of the helpdesk is not ours to end.
#[tokio::test(start_paused = true)]
async fn a_withdrawn_start_leaves_a_pass_of_the_helpdesk_alone() {
    let (app, emma) = mailed(&[]).await;
    app.wait_until(BEFORE_OPENING);
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.add_pass(emma, PassSpec::opening(now).lasting(600)));
    change(&app, emma, |person| person.hire_date = None);
    app.sweep_at("2026-11-27T06:00:00Z").await;
    assert!(app.live_code(emma).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_member_of_the_on_demand_group_keeps_the_pass_from_there_and_a_person_is_told() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access"));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    app.sweep_at(NOW).await;
    app.wait_until("2026-11-26T05:00:00Z");
    app.sandbox.edit(|tenant| tenant.add_member(group, emma));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");
    change(&app, emma, |person| person.hire_date = None);
    for at in ["2026-11-26T05:30:00Z", "2026-11-26T06:30:00Z"] {
        app.sweep_at(at).await;
        assert!(app.live_code(emma).is_some());
        assert_eq!(app.alerts().len(), 1, "{}", text(&app.alerts()));
    }
    assert!(text(&app.alerts()).contains("a pass on demand still works (Emma Brooks"), "{:?}", app.alerts());
}

/// A permission for sign-ins is no condition for a second pass: without it methods and the pass itself decide.
#[tokio::test(start_paused = true)]
async fn a_sign_in_since_the_mail_prevents_a_second_pass() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.insert(Permission::AuditLogRead);
    let app = TestApp::new(tenant, &[("NUDGE_AFTER", "off")]);
    app.sweep_at(NOW).await;
    app.wait_until("2026-11-26T09:00:00Z");
    let now = app.sandbox.now();
    change(&app, emma, |person| person.last_sign_in = Some(now));
    app.sweep_at(ENDED).await;
    assert_eq!(app.pass_mails().len(), 1);
}
