//! Whom MAIL_CC names hears of a joiner's code, in a mail of their own and without the code.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass::{budget::DELIVERIES, ledger::State};
use firstpass_sandbox::{
    functions_host::{Storage, handler_response::HandlerResponse},
    tenant::{Fault, FaultKind, Person, SendDenial},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::follow_up::{MANAGER, change};
use crate::{
    helpers::{
        TestApp, abort_after, cc_addresses, emma, fail_with, html_escaped, log_capture::capture_log,
        tenant_with_emma, throttle, to_address,
    },
    http::call_for,
};

const PRIVATE: &str = "emma.brooks@mail.example";
const HR: &str = "hr@contoso.example";
const BOTH: &[(&str, &str)] = &[("MAIL_CC", "manager,hr@contoso.example")];

fn due(user: Uuid) -> String {
    format!(r#"{{"notesDue":"{user}"}}"#)
}

/// Emma, whose pass was mailed, and the message that has others told.
async fn mailed(settings: &[(&str, &str)]) -> (TestApp, Uuid) {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, settings);
    let answer = app.host.deliver(&app.job(emma).to_message(), 1).await;
    assert_eq!(answer.jobs(), [due(emma)], "{}", answer.log());
    assert_eq!((app.pass_mails().len(), app.notes().len()), (1, 0));
    (app, emma)
}

async fn tell(app: &TestApp, emma: Uuid, delivery: u32) -> HandlerResponse {
    app.host.deliver(&due(emma), delivery).await
}

fn recipients(notes: &[Value]) -> Vec<&str> {
    notes.iter().map(to_address).collect()
}

/// A fault of mails to the manager.
fn note_fault(kind: FaultKind, times: u32) -> Fault {
    Fault { times, ..Fault::on("POST", "/sendMail", kind) }.body(MANAGER)
}

async fn is_due(app: &TestApp, emma: Uuid) -> bool {
    app.record(emma).await.unwrap().delivered.is_some_and(|delivered| delivered.notes.is_some())
}

#[tokio::test(start_paused = true)]
async fn the_manager_gets_a_note_of_their_own_without_the_code() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, BOTH);
    app.sweep().await;
    let mails = app.pass_mails();
    assert_eq!((mails.len(), to_address(&mails[0])), (1, PRIVATE));
    assert_eq!(cc_addresses(&mails[0]), Vec::<&str>::new());
    assert!(mails[0].to_string().contains("Grace Hall"), "the joiner can ask them");
    let notes = app.notes();
    assert_eq!(recipients(&notes), [MANAGER, HR]);
    let code = app.live_code(emma).unwrap();
    for note in &notes {
        let text = note["body"]["content"].as_str().unwrap();
        assert!(text.contains("Emma Brooks") && text.contains("27 November 2026"), "{text}");
        assert!(!note.to_string().contains(&code) && !text.contains(&html_escaped(&code)));
        assert_eq!(cc_addresses(note), Vec::<&str>::new());
    }
    assert!(notes[0].to_string().contains("Hello Grace Hall,"), "{}", notes[0]);
    assert!(notes[1].to_string().contains("Hello,"), "{}", notes[1]);
    let delivered = app.record(emma).await.unwrap().delivered.unwrap();
    assert_eq!((delivered.recipients, delivered.notes), (vec!["e…@mail.example".to_owned()], None));
    // Nothing more follows, however often the job and the message come again.
    app.run_job(emma).await;
    tell(&app, emma, 1).await;
    app.sweep_daily(1).await;
    assert_eq!((app.pass_mails().len(), app.notes().len()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn with_mail_cc_code_they_get_the_mail_with_the_code_and_no_note() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[BOTH, &[("MAIL_CC_CODE", "true")]].concat());
    app.sweep().await;
    assert_eq!(cc_addresses(&app.pass_mails()[0]), [MANAGER, HR]);
    assert_eq!(app.notes().len(), 0);
    assert!(!is_due(&app, emma).await);
}

#[tokio::test(start_paused = true)]
async fn notes_are_behind_all_joiners() {
    let (mut tenant, _) = tenant_with_emma();
    let manager = tenant.users.values().find(|user| user.mail.as_deref() == Some(MANAGER)).unwrap().id;
    for name in ["Noah Fischer", "Ola Nord", "Ines Vogt"] {
        let mail = format!("{}@mail.example", name.replace(' ', "."));
        let joiner = Person { other_mails: vec![mail], ..emma(manager) };
        tenant.add(Person { display_name: name.into(), ..joiner });
    }
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    let is_note: Vec<bool> = app.sandbox.mails().iter().map(|mail| mail.to() == [MANAGER]).collect();
    assert_eq!(is_note, [false, false, false, false, true, true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_may_have_been_sent_does_not_come_again_and_fails_nothing() {
    for (case, kind, event) in [
        ("a lost answer", FaultKind::LoseAnswer, "event=note.not_sent"),
        ("a refusal", fail_with(400), "event=note.not_sent"),
    ] {
        let (app, emma) = mailed(BOTH).await;
        app.sandbox.inject(note_fault(kind, 1));
        let (answer, log) = capture_log("info", tell(&app, emma, 1)).await;
        assert!(
            answer.is_success() && log.contains(event) && log.contains("g…@contoso.example"),
            "{case}: {log}"
        );
        assert!(!log.contains(MANAGER), "{case}: {log}");
        let before = app.notes().len();
        assert!(recipients(&app.notes()).contains(&HR), "{case}: one does not keep it from the other");
        tell(&app, emma, 1).await;
        app.sweep_daily(1).await;
        assert_eq!((app.notes().len(), app.alerts().len()), (before, 0), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_after_the_record_says_so_sends_no_second_note() {
    let (app, emma) = mailed(&[]).await;
    app.sandbox.inject(note_fault(FaultKind::DelayAfter(Duration::from_secs(20)), 1));
    abort_after(10, tell(&app, emma, 1)).await;
    assert_eq!(app.notes().len(), 1);
    assert!(tell(&app, emma, 2).await.is_success());
    assert_eq!(app.notes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_mailbox_brings_the_note_back() {
    let (app, emma) = mailed(&[]).await;
    app.sandbox.inject(note_fault(throttle("100"), 1));
    let answer = tell(&app, emma, 1).await;
    assert!(!answer.is_success() && app.notes().is_empty(), "{}", answer.log());
    assert!(is_due(&app, emma).await);
    tokio::time::sleep(Duration::from_secs(180)).await;
    let answer = tell(&app, emma, 2).await;
    assert!(answer.is_success(), "{}", answer.log());
    assert_eq!(recipients(&app.notes()), [MANAGER]);
}

#[tokio::test(start_paused = true)]
async fn after_the_last_delivery_a_note_is_given_up_and_nobody_is_bothered() {
    let (app, emma) = mailed(&[]).await;
    app.sandbox.inject(note_fault(throttle("100"), 100));
    let (answer, log) = capture_log("info", tell(&app, emma, DELIVERIES)).await;
    assert!(answer.is_success() && log.contains("event=notes.given_up"), "{log}");
    assert!(!is_due(&app, emma).await);
    assert_eq!((app.alerts().len(), app.notes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn while_the_mailbox_is_shut_notes_stay_due_and_come_when_it_is_open() {
    let (app, emma) = mailed(&[]).await;
    app.sandbox.edit(|tenant| tenant.send_denied = Some(SendDenial::OutOfScope));
    let answer = tell(&app, emma, 1).await;
    assert!(is_due(&app, emma).await, "{}", answer.log());
    app.advance(TimeDelta::hours(3));
    // It is tried by one note, if nothing else waits.
    app.sweep().await;
    assert!(is_due(&app, emma).await && app.notes().is_empty());
    app.sandbox.edit(|tenant| tenant.send_denied = None);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(recipients(&app.notes()), [MANAGER]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_is_made_up_for_by_the_job_and_by_the_sweep() {
    let (app, emma) = mailed(&[]).await;
    let again = app.host.deliver(&app.job(emma).to_message(), 2).await;
    assert_eq!(again.jobs(), [due(emma)], "the host died before the message was in the queue");
    // It is lost again. Sweeps wait as long as it may be behind others.
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(app.notes().len(), 0);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!((recipients(&app.notes()), app.pass_mails().len()), (vec![MANAGER], 1));
    let jobs = app.host.fire_timer().await.jobs();
    assert!(!jobs.iter().any(|job| job.contains("jobKey")), "{jobs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_does_not_work_any_more_has_no_note() {
    type Edit = fn(&TestApp, Uuid);
    let cases: [(&str, Edit); 3] = [
        ("deleted by the helpdesk", |app, emma| app.sandbox.edit(|tenant| tenant.delete_pass(emma))),
        ("used", |app, _| {
            let (pass, now) = (app.sandbox.passes().remove(0), app.sandbox.now());
            app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
        }),
        ("ended", |app, _| app.advance(TimeDelta::days(6))),
    ];
    for (case, edit) in cases {
        let (app, emma) = mailed(&[]).await;
        app.advance(TimeDelta::minutes(11));
        edit(&app, emma);
        let answer = tell(&app, emma, 1).await;
        assert!(answer.is_success() && app.notes().is_empty(), "{case}: {}", answer.log());
        assert!(!is_due(&app, emma).await, "{case}");
    }
    // The start is withdrawn: the pass is revoked, and its note with it.
    let (app, emma) = mailed(&[]).await;
    change(&app, emma, |person| person.hire_date = None);
    app.advance(TimeDelta::minutes(11));
    app.run_job(emma).await;
    assert_eq!(app.record(emma).await.unwrap().state, State::Revoked);
    tell(&app, emma, 1).await;
    assert_eq!(app.notes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_the_manager_by_then_is_told_and_once() {
    let (app, emma) = mailed(&[]).await;
    let ola = app.sandbox.edit(|tenant| tenant.add_mailbox(Person::named("Ola Nord")));
    change(&app, emma, |person| person.manager = Some(ola));
    tell(&app, emma, 1).await;
    assert_eq!(recipients(&app.notes()), ["ola.nord@contoso.example"]);
    app.sweep_daily(2).await;
    assert_eq!(
        (app.notes().len(), app.pass_mails().len()),
        (1, 1),
        "no word that the joiner is theirs follows"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_while_the_app_does_not_act() {
    let (app, emma) = mailed(&[]).await;
    let app = app.with_settings(&[("PAUSED", "true")]);
    assert!(tell(&app, emma, 1).await.is_success());
    assert!(is_due(&app, emma).await && app.notes().is_empty());
    let app = app.with_settings(&[]);
    app.advance(TimeDelta::hours(2));
    app.sweep().await;
    assert_eq!(recipients(&app.notes()), [MANAGER]);
}

/// A message grants nothing: who is told, and of what, is read again.
#[tokio::test(start_paused = true)]
async fn a_message_about_nobody_tells_nobody() {
    let (app, emma) = TestApp::with_emma();
    for message in
        [due(emma), due(Uuid::from_u128(1)), format!(r#"{{"notesDue":"{emma}","to":"x@evil.example"}}"#)]
    {
        let answer = app.host.deliver(&message, 1).await;
        assert!(answer.is_success() && answer.jobs().is_empty(), "{}", answer.log());
    }
    assert_eq!((app.sandbox.mails().len(), app.record(emma).await), (0, None));
}

/// A call is answered before anybody else is told.
#[tokio::test(start_paused = true)]
async fn a_call_that_mails_the_code_puts_the_message_into_the_queue() {
    let (app, emma) = TestApp::with_emma();
    let answer = call_for(&app, emma, json!({"Deliver": "mail"})).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(app.notes().is_empty() && is_due(&app, emma).await);
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 5 31 12 *")]);
    // Without its message, a sweep has them told.
    app.advance(TimeDelta::hours(2));
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(recipients(&app.notes()), [MANAGER]);
}
