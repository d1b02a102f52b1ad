//! Mails of which Exchange leaves open whether it took them: 504 for mails that go out, and for mails that do not.

use chrono::TimeDelta;
use firstpass::ledger::{Notice, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group};
use uuid::Uuid;

use super::follow_up::{ENDED, change, text};
use crate::helpers::{PASS_PATH, TestApp, fail_with, tenant_with_emma, time};

const ALERT: &str = "A mail with a code may not have arrived";
/// Exchange takes the mail.
const TAKEN: FaultKind = FaultKind::FailAfter { status: 504 };

fn unclear(app: &TestApp, kind: FaultKind) {
    app.sandbox.inject(Fault::on("POST", "/sendMail", kind).always());
}

/// How many passes were made, and how many alerts say so.
fn codes_and_alerts(app: &TestApp) -> (usize, usize) {
    (app.count_requests("POST", PASS_PATH), app.alerts().len())
}

async fn notices(app: &TestApp, user: Uuid) -> Vec<String> {
    app.record(user).await.unwrap().notices.into_iter().map(|notice| notice.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_joiner_gets_two_codes_at_most_and_a_person_is_told() {
    let (app, emma) = TestApp::with_emma();
    unclear(&app, TAKEN);
    let ends = app.sweep().await;
    assert!(ends[0].outcome == "skipped" && ends[0].why.contains("may have arrived"), "{ends:?}");
    app.advance(TimeDelta::hours(5));
    app.sweep().await;
    assert_eq!((codes_and_alerts(&app), app.pass_mails().len()), ((1, 0), 3), "the same mail three times");
    app.assert_newest_mail_has_live_code(emma);
    app.advance(TimeDelta::hours(1));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{ends:?}");
    assert_eq!((codes_and_alerts(&app), app.pass_mails().len()), ((2, 1), 6));
    app.assert_newest_mail_has_live_code(emma);
    let alert = text(&app.alerts());
    for words in [
        ALERT,
        "Emma Brooks",
        "the mail to e…@mail.example with the pass that works 2026-11-27 07:00 to 15:00 Europe",
        "may or may not have arrived",
        "Ask this person whether a mail with a code has come",
    ] {
        assert!(alert.contains(words), "{words} is missing in {alert}");
    }
    assert_eq!(app.record(emma).await.unwrap().state, State::Delivered);
    assert_eq!(notices(&app, emma).await, [Notice::MAIL_UNCLEAR]);
    app.sweep_daily(4).await;
    assert_eq!(
        codes_and_alerts(&app),
        (2, 2),
        "the sweeps make no third, and the alert may not have arrived either"
    );
    app.assert_newest_mail_has_live_code(emma);
}

/// Then the code that works is in no mailbox, and only the alert says so. It is in the log if no mail goes out.
#[tokio::test(start_paused = true)]
async fn a_pass_whose_mails_did_not_go_out_is_on_record_likewise() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "/sendMail", fail_with(504)).times(6));
    app.sweep().await;
    let ends = app.sweep_daily(1).await;
    assert_eq!((ends[0].outcome.as_str(), app.pass_mails().len()), ("blocked", 0), "{ends:?}");
    assert_eq!((codes_and_alerts(&app), notices(&app, emma).await.len()), ((2, 1), 1));
    // A person does what the alert says.
    app.sandbox.edit(|t| t.delete_pass(emma));
    app.sweep_daily(2).await;
    assert_eq!((codes_and_alerts(&app), app.pass_mails().len()), ((3, 1), 1));
    app.assert_newest_mail_has_live_code(emma);
    assert!(notices(&app, emma).await.is_empty(), "the new mail went out");
}

#[tokio::test(start_paused = true)]
async fn a_clear_answer_about_the_second_code_ends_it() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "/sendMail", TAKEN).times(3));
    app.sweep().await;
    let ends = app.sweep_daily(1).await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("delivered", 1), "{ends:?}");
    assert_eq!((codes_and_alerts(&app), app.pass_mails().len()), ((2, 0), 4));
    app.assert_newest_mail_has_live_code(emma);
    assert!(notices(&app, emma).await.is_empty());
}

/// Nobody waits for the next day who has none.
#[tokio::test(start_paused = true)]
async fn a_pass_that_opens_within_a_day_has_its_second_code_at_once() {
    let (app, emma) = TestApp::with_emma();
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-23T00:00:00Z")));
    app.advance(TimeDelta::hours(6));
    app.sandbox.inject(Fault::on("POST", "/sendMail", TAKEN).times(3));
    // A refusal is clear: it is no code that may have arrived.
    app.sandbox.inject(Fault::on("POST", "/sendMail", fail_with(400)).nth(4));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("delivered", 3), "{ends:?}");
    assert_eq!((codes_and_alerts(&app), app.pass_mails().len()), ((3, 0), 4));
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn another_first_day_counts_anew_and_another_pass_for_the_same_does_not() {
    let (app, emma) = TestApp::with_emma();
    unclear(&app, TAKEN);
    app.sweep().await;
    app.sweep_daily(1).await;
    change(&app, emma, |person| person.hire_date = Some(time("2026-11-26T00:00:00Z")));
    app.sweep_daily(2).await;
    assert_eq!(codes_and_alerts(&app), (4, 3), "one alert is repeated: its answer was lost");
    app.assert_newest_mail_has_live_code(emma);

    let (app, emma) = TestApp::with_emma();
    unclear(&app, TAKEN);
    app.sweep().await;
    app.sweep_daily(1).await;
    let ends = app.sweep_at(ENDED).await;
    assert_eq!(
        (ends[0].outcome.as_str(), ends[0].deliveries),
        ("blocked", 1),
        "unused, and replaced: {ends:?}"
    );
    assert_eq!(codes_and_alerts(&app).0, 3);
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_pass_on_demand_is_bounded_likewise() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = None);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    unclear(&app, TAKEN);
    assert_eq!(app.run_group_add_job(emma).await.outcome, "failed");
    app.advance(TimeDelta::minutes(3));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
    app.advance(TimeDelta::minutes(20));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "skipped");
    assert_eq!(codes_and_alerts(&app), (2, 1));
    app.assert_newest_mail_has_live_code(emma);
}
