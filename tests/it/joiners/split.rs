//! DELIVERY=split: somebody else gets the code by mail and hands it over, and the joiner is told how to sign in.

use chrono::TimeDelta;
use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::Person;
use serde_json::{Value, json};
use uuid::Uuid;

use super::follow_up::{MANAGER, OPEN, change};
use crate::{
    helpers::{TestApp, cc_addresses, html_escaped, tenant_with_emma, to_address},
    http::call_for,
};

const PRIVATE: &str = "emma.brooks@mail.example";
const NEW: &str = "emma.b@post.example";
const SPLIT: (&str, &str) = ("DELIVERY", "split");

async fn swept(settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[&[SPLIT], settings].concat());
    app.sweep().await;
    (app, emma)
}

fn content(mail: &Value) -> &str {
    mail["body"]["content"].as_str().unwrap()
}

fn recipients(app: &TestApp) -> Vec<String> {
    app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect()
}

/// Who has the code of the live pass.
fn holders(app: &TestApp, user: Uuid) -> Vec<String> {
    let code = html_escaped(&app.live_code(user).unwrap());
    let mails = app.pass_mails();
    mails
        .iter()
        .filter(|mail| content(mail).contains(&code))
        .map(|mail| to_address(mail).to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_manager_gets_the_code_and_the_joiner_the_steps() {
    let (app, emma) = swept(&[]).await;
    assert_eq!((recipients(&app), app.notes().len()), (vec![MANAGER.to_owned(), PRIVATE.to_owned()], 0));
    assert_eq!(holders(&app, emma), [MANAGER]);
    let mails = app.pass_mails();
    assert!(mails.iter().all(|mail| cc_addresses(mail).is_empty()));
    assert!(
        content(&mails[0]).contains("A mail of their own tells Emma Brooks how to sign in"),
        "{}",
        mails[0]
    );
    assert!(content(&mails[1]).contains("Grace Hall gives it to you."), "{}", content(&mails[1]));
    let record = app.record(emma).await.unwrap();
    assert_eq!(record.delivered.unwrap().recipients, ["g…@contoso.example"]);
    // Nothing more follows.
    app.run_job(emma).await;
    app.sweep_daily(2).await;
    assert_eq!(app.pass_mails().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_of_the_tenant_can_hand_over_the_codes_of_everybody() {
    let (app, emma) = swept(&[("MAIL_CODE_TO", "reception@contoso.example")]).await;
    assert_eq!(holders(&app, emma), ["reception@contoso.example"]);
    assert_eq!(recipients(&app).len(), 2);
    assert_eq!(to_address(&app.notes()[0]), MANAGER);
    // One that is none of the tenant gets no code.
    let (app, _) = swept(&[("MAIL_CODE_TO", "reception@agency.example")]).await;
    assert_eq!((app.sandbox.passes().len(), app.pass_mails().len(), app.alerts().len()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_private_address_the_code_is_handed_over_all_the_same() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails.clear());
    let app = TestApp::new(tenant, &[SPLIT]);
    app.sweep().await;
    assert_eq!((recipients(&app), holders(&app, emma)), (vec![MANAGER.to_owned()], vec![MANAGER.to_owned()]));
    assert!(!content(&app.pass_mails()[0]).contains("A mail of their own"));
    let notices = app.record(emma).await.unwrap().notices;
    assert!(notices.iter().any(|notice| notice.kind == Notice::JOINER_NOT_TOLD), "{notices:?}");
    // HR enters one.
    change(&app, emma, |person| person.other_mails = vec![NEW.into()]);
    app.sweep_daily(1).await;
    assert_eq!(recipients(&app), [MANAGER, NEW]);
    assert_eq!(holders(&app, emma), [MANAGER]);
}

#[tokio::test(start_paused = true)]
async fn if_nobody_can_hand_it_over_no_pass_is_left() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.manager = None);
    let app = TestApp::new(tenant, &[SPLIT]);
    let ends = app.sweep().await;
    assert!(ends[0].why.contains("nobody hands the code over: there is no manager"), "{ends:?}");
    assert_eq!((app.sandbox.passes().len(), app.pass_mails().len(), app.alerts().len()), (0, 0, 1));
    // Exchange refuses the mailbox of whoever would.
    let (mut tenant, _) = tenant_with_emma();
    tenant.undeliverable.insert(MANAGER.to_owned());
    let app = TestApp::new(tenant, &[SPLIT]);
    let ends = app.sweep().await;
    assert_eq!(ends[0].outcome, "blocked", "{ends:?}");
    assert_eq!((app.sandbox.passes().len(), app.pass_mails().len(), app.alerts().len()), (0, 0, 1));
}

/// The code is in no mailbox of the joiner: another address, at whatever time, needs no other code.
#[tokio::test(start_paused = true)]
async fn another_private_address_gets_the_joiners_mail_and_the_code_stays() {
    for at in ["2026-11-23T05:00:00Z", "2026-11-26T08:00:00Z"] {
        let (app, emma) = swept(&[]).await;
        let code = app.live_code(emma);
        app.wait_until(at);
        change(&app, emma, |person| person.other_mails = vec![NEW.into()]);
        let ends = app.sweep().await;
        assert_eq!(recipients(&app), [MANAGER, PRIVATE, NEW], "{at}: {ends:?}");
        assert_eq!((app.live_code(emma), app.alerts().len()), (code, 0), "{at}");
        assert_eq!(holders(&app, emma), [MANAGER], "{at}");
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
        assert_eq!(recipients(&app).len(), 3, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_manager_gets_another_code_and_the_old_one_hears_that_theirs_is_void() {
    let (app, emma) = swept(&[]).await;
    let code = app.live_code(emma);
    let ola = app.sandbox.edit(|tenant| tenant.add_mailbox(Person::named("Ola Nord")));
    change(&app, emma, |person| person.manager = Some(ola));
    let ends = app.sweep_daily(1).await;
    let mails = recipients(&app);
    assert_eq!(mails[2..], ["ola.nord@contoso.example", MANAGER, PRIVATE], "{ends:?}");
    assert_ne!(app.live_code(emma), code);
    assert_eq!(holders(&app, emma), ["ola.nord@contoso.example"]);
    let all = app.pass_mails();
    assert!(content(&all[3]).contains("no longer works"), "{}", content(&all[3]));
    assert!(content(&all[4]).contains("Ola Nord gives it to you."), "{}", content(&all[4]));
}

#[tokio::test(start_paused = true)]
async fn the_reminder_goes_to_the_joiner_and_the_manager_is_asked_for_the_code() {
    let (app, emma) = swept(&[]).await;
    app.sweep_at(OPEN).await;
    app.sweep_at("2026-11-27T11:30:00Z").await;
    let mails = app.pass_mails();
    assert_eq!(recipients(&app)[2..], [PRIVATE, MANAGER], "{mails:?}");
    assert!(content(&mails[3]).contains("got the code from you"), "{}", content(&mails[3]));
    assert_eq!(holders(&app, emma), [MANAGER]);
}

#[tokio::test(start_paused = true)]
async fn calls_and_additions_to_the_group_follow_it_too() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[SPLIT]);
    let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!((recipients(&app), holders(&app, emma)), (vec![MANAGER.to_owned()], vec![MANAGER.to_owned()]));
    // The joiner's own mail follows by a message.
    app.host.deliver(&format!(r#"{{"notesDue":"{emma}"}}"#), 1).await;
    assert_eq!(recipients(&app), [MANAGER, PRIVATE]);
}
