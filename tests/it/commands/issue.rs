//! `firstpass issue`.

use chrono::TimeDelta;
use firstpass::{cli::revoke::Request, ledger::State, pass::revoke::Then};
use firstpass_sandbox::tenant::{Fault, PassSpec, roles};

use super::with_noah;
use crate::helpers::{NOW, TestApp, fail_with, time};

#[tokio::test(start_paused = true)]
async fn a_joiner_gets_the_pass_of_their_first_day_once() {
    let (app, emma) = TestApp::with_emma();
    let (text, is_mailed) = app.issue(emma).await;
    assert!(is_mailed && text.contains("Emma Brooks") && text.contains("e…@mail.example"), "{text}");
    assert_eq!(app.sandbox.passes().pop().unwrap().opens_by(), time("2026-11-27T07:00:00Z"));
    app.assert_newest_mail_has_live_code(emma);
    app.advance(TimeDelta::minutes(15));
    let (text, is_mailed) = app.issue(emma).await;
    assert!(!is_mailed && text.contains("was delivered") && text.contains("firstpass revoke"), "{text}");
    assert_eq!(app.sweep().await, [], "a sweep has nothing to do");
    assert_eq!(app.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_of_the_on_demand_group_gets_a_pass_that_works_now() {
    let (app, _, noah) = with_noah(&[]);
    let (text, is_mailed) = app.issue(noah).await;
    assert!(is_mailed && text.contains("Noah Reed"), "{text}");
    assert_eq!(app.sandbox.passes().pop().unwrap().opens_by(), time(NOW));
    app.assert_newest_mail_has_live_code(noah);
}

#[tokio::test(start_paused = true)]
async fn who_is_neither_gets_none_and_the_admin_hears_of_the_group() {
    let (app, emma, _) = with_noah(&[]);
    app.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = None));
    let (text, is_mailed) = app.issue(emma).await;
    assert!(!is_mailed && text.contains("ON_DEMAND_GROUP_ID"), "{text}");
    assert_eq!((app.pass_mails().len(), app.sandbox.passes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_guarded_account_is_refused_with_the_reason() {
    let (app, emma, noah) = with_noah(&[]);
    for user in [emma, noah] {
        app.sandbox.edit(|tenant| tenant.assign_role(user, roles::GLOBAL_ADMINISTRATOR));
        let (text, is_mailed) = app.issue(user).await;
        assert!(!is_mailed && text.contains("in person") && text.contains("role"), "{text}");
    }
    assert_eq!((app.pass_mails().len(), app.sandbox.passes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_working_pass_of_the_helpdesk_stays() {
    let (app, _, noah) = with_noah(&[]);
    app.sandbox.edit(|tenant| tenant.add_pass(noah, PassSpec::opening(time(NOW))));
    let code = app.live_code(noah);
    let (text, is_mailed) = app.issue(noah).await;
    assert!(!is_mailed && text.contains("did not make") && text.contains("delete it"), "{text}");
    assert_eq!(app.live_code(noah), code);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_the_command_can_be_repeated() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).times(1));
    let (text, is_mailed) = app.issue(emma).await;
    assert!(!is_mailed && text.contains("can be repeated") && text.contains("To do"), "{text}");
    assert_eq!((app.live_code(emma), app.record(emma).await.unwrap().state), (None, State::Failed));
    assert!(app.issue(emma).await.1);
    app.assert_newest_mail_has_live_code(emma);
}

/// While the app does not act, or the account is refused, no pass is mailed, and what an admin holds back stays so.
#[tokio::test(start_paused = true)]
async fn a_hold_ends_only_with_a_pass() {
    for case in ["PAUSED", "REPORT_ONLY", "skipped", "blocked"] {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(TimeDelta::hours(1));
        app.revoke(&Request::of_user(emma, Then::Hold)).await;
        let held = app.record(emma).await.unwrap();
        let settings: &[_] = if case.starts_with(char::is_uppercase) { &[(case, "true")] } else { &[] };
        let app = app.with_settings(settings);
        app.advance(TimeDelta::minutes(20));
        match case {
            "skipped" => {
                app.sandbox
                    .edit(|tenant| tenant.add_pass(emma, PassSpec::opening(time("2026-11-27T07:00:00Z"))));
            }
            "blocked" => app.sandbox.edit(|tenant| tenant.change(emma, |emma| emma.other_mails.clear())),
            _ => {}
        }
        let (text, is_mailed) = app.issue(emma).await;
        assert!(!is_mailed && text.contains("To do: "), "{case}: {text}");
        assert!(case != "PAUSED" || text.contains("Remove PAUSED"), "{text}");
        assert!(case != "REPORT_ONLY" || text.contains("Set REPORT_ONLY to false"), "{text}");
        let record = app.record(emma).await.unwrap();
        assert_eq!((record.held_at, record.held_for), (held.held_at, held.held_for), "{case}");
        assert!(settings.is_empty() || record == held, "{case}: {record:?}");
        // The reason is gone.
        app.sandbox.edit(|tenant| {
            tenant.passes.remove(&emma);
            tenant.change(emma, |emma| emma.other_mails = vec!["emma.brooks@mail.example".into()]);
        });
        let app = app.with_settings(&[]);
        app.sweep_daily(2).await;
        assert_eq!((app.live_code(emma), app.pass_mails().len()), (None, 1), "{case}");
        assert!(app.issue(emma).await.1, "{case}");
        app.assert_newest_mail_has_live_code(emma);
    }
}
