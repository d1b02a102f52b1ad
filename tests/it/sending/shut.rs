//! The mailbox that sends refuses all mails: nobody gets a pass that nobody is told of, and nobody is forgotten.

use std::{num::NonZeroUsize, time::Duration};

use chrono::TimeDelta;
use firstpass::ledger::State;
use firstpass_sandbox::{
    functions_host::handler_response::HandlerResponse,
    tenant::{Fault, FaultKind, Group, Person, SendDenial, Tenant},
};
use futures::future::join_all;
use serde_json::json;

use super::{host, minted, reopen, shut, tenant};
use crate::helpers::{TestApp, html_escaped, log_capture::capture_log, tenant_with_emma, to_address};

#[tokio::test(start_paused = true)]
async fn a_shut_mailbox_costs_no_more_passes_than_jobs_in_flight() {
    let (tenant, joiners) = tenant(50);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    // Six at a time, as the host delivers them.
    let work = async {
        let jobs = app.host.fire_timer().await.jobs();
        let deliver = async |message: &String| app.host.deliver(message, 1).await;
        let (first, rest) = jobs.split_at(6);
        let ends = join_all(first.iter().map(deliver)).await;
        let rest = join_all(rest.iter().map(deliver)).await;
        assert!(ends.iter().chain(&rest).all(HandlerResponse::is_success), "nothing is delivered again");
    };
    let ((), log) = capture_log("info", work).await;
    assert!((1..=6).contains(&minted(&app)), "{} passes were made", minted(&app));
    assert_eq!(app.sandbox.passes().len(), 0, "they were deleted");
    assert_eq!(log.lines().filter(|line| line.contains("event=alert ")).count(), 1, "{log}");
    assert!(log.contains("Application Mail.Send"), "the alert says what to do");
    let batches = app.count_requests("POST", "$batch");
    assert!(batches <= 6, "{batches} batches: who waits asks the tenant nothing");
    for user in &joiners {
        let record = app.record(*user).await.unwrap();
        assert_eq!((record.state, record.cause.as_deref()), (State::Failed, Some("mailbox-shut")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_week_with_a_shut_mailbox_is_one_probe_an_hour_and_an_alert_a_day() {
    let (tenant, _) = tenant(50);
    let app = TestApp::new(tenant, &[("LATE_DAYS", "30")]);
    shut(&app);
    let (host, storage) = host(&app);
    let week = async {
        for _ in 0..7 * 24 {
            host.run("SweepJoiners").await.unwrap();
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert!(storage.messages("pass-jobs").len() <= 1, "{:?}", storage.messages("pass-jobs"));
            app.advance(TimeDelta::minutes(50));
        }
    };
    let ((), log) = capture_log("info", week).await;
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains("event=alert ")).collect();
    // The first one is that of the job that found it out.
    assert_eq!(alerts.len(), 6, "{}", alerts.join("\n"));
    let is_named = |alert: &&str| {
        alert.contains("50 people; the next is joiner.") && alert.contains(", who starts on 2026-11-27")
    };
    assert!(alerts[..4].iter().all(is_named), "{}", alerts.join("\n"));
    assert!((100..=6 + 7 * 24).contains(&minted(&app)), "{}", minted(&app));
    assert_eq!((app.sandbox.passes().len(), storage.messages("pass-jobs-poison").len()), (0, 0));
    let tries: Vec<_> =
        app.sandbox.requests().iter().filter(|r| r.url.contains("sendMail")).map(|r| r.at).collect();
    let close = tries.windows(2).skip(6).filter(|two| two[1] - two[0] < TimeDelta::minutes(45)).count();
    assert_eq!(close, 0, "two tries are 45 minutes apart");

    reopen(&app);
    for _ in 0..2 {
        host.run("SweepJoiners").await.unwrap();
        storage.wait_until_empty("pass-jobs").await;
        app.advance(TimeDelta::hours(1));
    }
    assert_eq!(app.pass_mails().len(), 50);
}

/// However the mailbox says that it sends nothing, with whatever status: after the first refusal no pass is made.
#[tokio::test(start_paused = true)]
async fn every_refusal_of_the_sender_shuts_the_mailbox() {
    type Change = fn(&mut Tenant);
    let refusals: [(Change, &str); 7] = [
        (|tenant| tenant.send_denied = Some(SendDenial::OutOfScope), "Application Mail.Send"),
        (|tenant| tenant.send_denied = Some(SendDenial::AccessPolicy), "application access policy"),
        (|tenant| tenant.send_denied = Some(SendDenial::MailboxFull), "make room"),
        (|tenant| tenant.send_denied = Some(SendDenial::SubmissionBlocked), "Restricted entities"),
        (|tenant| tenant.send_denied = Some(SendDenial::AccountSuspended), "Restricted entities"),
        (|tenant| tenant.mailboxes.clear(), "a mailbox in Exchange Online"),
        (|tenant| tenant.send_limits.recipients_per_day = NonZeroUsize::new(1), "24 hours"),
    ];
    for (refuse, remedy) in refusals {
        let (tenant, joiners) = tenant(3);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        assert_eq!(app.run_job(joiners[0]).await.outcome, "delivered");
        app.sandbox.edit(refuse);
        let (end, log) = capture_log("error", app.run_job(joiners[1])).await;
        assert_eq!((end.outcome.as_str(), app.live_code(joiners[1])), ("blocked", None), "{remedy}: {end:?}");
        assert!(log.contains("event=alert ") && log.contains(remedy), "\"{remedy}\" is missing in {log}");
        assert_eq!(app.run_job(joiners[2]).await.outcome, "blocked", "{remedy}");
        assert_eq!(minted(&app), 2, "{remedy}");
    }
}

/// A refusal of one mail or one recipient stops nobody else.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_one_mail_shuts_nothing() {
    for (status, code) in
        [(400, "ErrorInvalidRecipients"), (400, "ErrorMessageBlocked"), (403, "ErrorMessageBlocked")]
    {
        let (tenant, joiners) = tenant(2);
        let app = TestApp::new(tenant, &[]);
        let refusal = FaultKind::Fail { status, code: code.into(), message: "not this one".into() };
        app.sandbox.inject(Fault::on("POST", "sendMail", refusal));
        app.run_job(joiners[0]).await;
        assert_eq!(app.run_job(joiners[1]).await.outcome, "delivered", "{status} {code}");
    }
}

/// Who waits is served the nearest first day first, and the mailbox is found open by the probe.
#[tokio::test(start_paused = true)]
async fn when_a_mail_goes_out_everybody_is_queued_by_first_day() {
    let (tenant, joiners) = tenant(9);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    reopen(&app);
    app.advance(TimeDelta::minutes(30));
    assert_eq!(app.sweep().await.len(), 0, "not so soon after a refusal");
    app.advance(TimeDelta::minutes(30));
    let probe = app.sweep().await;
    assert_eq!((probe.len(), probe[0].outcome.as_str()), (1, "delivered"));
    let ends = app.sweep().await;
    assert!(ends.len() == 8 && ends.iter().all(|end| end.outcome == "delivered"), "{ends:?}");
    let days: Vec<i64> = app
        .pass_mails()
        .iter()
        .map(|mail| {
            let number: usize = to_address(mail)[6..].split('@').next().unwrap().parse().unwrap();
            (number * 3 / joiners.len()) as i64
        })
        .collect();
    assert!(days.is_sorted(), "{days:?}");
    assert_eq!(app.sweep().await, []);
    for user in joiners {
        assert_eq!(app.record(user).await.unwrap().cause, None);
    }
}

/// The alert of the morning is a try too.
#[tokio::test(start_paused = true)]
async fn an_alert_that_is_accepted_opens_the_mailbox() {
    let (tenant, _) = tenant(5);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    assert_eq!(app.alerts().len(), 0);
    reopen(&app);
    app.advance(TimeDelta::days(1));
    let ends = app.sweep().await;
    assert_eq!((ends.len(), app.pass_mails().len(), app.alerts().len()), (5, 5, 1), "{ends:?}");
}

/// With one sweep a day, nobody waits for it: messages run sweeps in between.
#[tokio::test(start_paused = true)]
async fn a_mailbox_is_tried_between_daily_sweeps() {
    let (tenant, joiners) = tenant(20);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    let (host, storage) = host(&app);
    host.run("SweepJoiners").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
    let tries = minted(&app);
    assert!((3..=9).contains(&tries), "{tries}: those in flight, and one for each 46 minutes");
    assert_eq!(
        (app.pass_mails().len(), storage.messages("pass-jobs").len()),
        (0, 1),
        "the next sweep is hidden"
    );
    reopen(&app);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!((app.pass_mails().len(), minted(&app)), (joiners.len(), tries + joiners.len()));
    assert_eq!(storage.messages("pass-jobs").len(), 0);
    let sweeps = app.count_requests("GET", "/v1.0/users?");
    assert!(sweeps <= 8, "{sweeps}");
}

/// Another process learns it from the ledger, before it makes a pass.
#[tokio::test(start_paused = true)]
async fn all_processes_stop_at_the_first_refusal() {
    let (tenant, joiners) = tenant(8);
    let app = TestApp::new(tenant, &[]);
    let (known, other) = (app.another_instance(), app.another_instance());
    assert_eq!(known.run_job(joiners[0]).await.outcome, "delivered");
    shut(&app);
    assert_eq!(app.run_job(joiners[1]).await.outcome, "blocked");
    for instance in [&known, &other] {
        for user in &joiners[2..5] {
            let end = instance.run_job(*user).await;
            assert!(end.outcome == "blocked" && end.why.contains("refuses all mails"), "{end:?}");
        }
    }
    assert_eq!(minted(&app), 2);
}

#[tokio::test(start_paused = true)]
async fn members_of_the_group_come_back_too() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = None);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    let other = app.another_instance();
    shut(&app);
    assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
    let somebody = app.sandbox.edit(|tenant| {
        let user = tenant.add(Person::named("Max Muster").private_mail("max@mail.example"));
        tenant.add_member(group, user);
        user
    });
    assert_eq!(other.run_group_add_job(somebody).await.outcome, "blocked");
    assert_eq!(minted(&app), 1);
    reopen(&app);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 2);
    let shown = app.pass_mails().iter().map(ToString::to_string).collect::<String>();
    for user in [emma, somebody] {
        assert!(shown.contains(&html_escaped(&app.live_code(user).unwrap())), "{user}");
    }
    assert_eq!(app.record(emma).await.unwrap().state, State::Delivered);
}

#[tokio::test(start_paused = true)]
async fn a_call_by_mail_is_refused_and_a_call_with_an_answer_is_not() {
    let (app, emma) = TestApp::with_emma();
    shut(&app);
    let call = async |deliver: &str| {
        let body = json!({"UserName": emma, "Deliver": deliver, "NotifyUser": true}).to_string();
        let answer = app.host.call("CreateTap", &body).await;
        let res = &answer.body["Outputs"]["res"];
        (res["statusCode"].as_u64().unwrap(), res["body"].as_str().unwrap().to_owned())
    };
    for passes in [1, 1] {
        let (status, body) = call("mail").await;
        assert_eq!((status, body.contains("mailbox-shut"), minted(&app)), (503, true, passes), "{body}");
    }
    let tries = app.count_requests("POST", "sendMail");
    let (status, body) = call("response").await;
    assert_eq!((status, minted(&app)), (201, 2), "{body}");
    assert!(body.contains("the mailbox that sends refuses all mails"), "{body}");
    assert_eq!(app.count_requests("POST", "sendMail"), tries, "the notice is not tried");
    assert!(app.live_code(emma).is_some());
}

/// A withdrawn start needs no mail: the pass is revoked all the same.
#[tokio::test(start_paused = true)]
async fn a_start_that_is_withdrawn_is_revoked_meanwhile() {
    let (tenant, joiners) = tenant(4);
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.run_job(joiners[0]).await.outcome, "delivered");
    shut(&app);
    app.sweep().await;
    app.sandbox.edit(|tenant| tenant.change(joiners[0], |person| person.hire_date = None));
    app.advance(TimeDelta::hours(1));
    let ends = app.sweep().await;
    assert!(ends.iter().any(|end| end.outcome == "revoked"), "{ends:?}");
    assert_eq!(app.live_code(joiners[0]), None);
    // The alert about it waits until the mailbox accepts mails.
    reopen(&app);
    app.advance(TimeDelta::days(1));
    app.sweep().await;
    let alerts = app.alerts();
    assert!(alerts.iter().any(|alert| alert.to_string().contains("A pass was revoked")), "{alerts:?}");
}

/// A mail without a code waits for the mailbox, and is not lost.
#[tokio::test(start_paused = true)]
async fn a_reminder_waits_for_the_mailbox() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(crate::helpers::time("2026-11-27T12:00:00Z") - app.sandbox.now());
    shut(&app);
    for _ in 0..3 {
        app.sweep().await;
        app.advance(TimeDelta::minutes(20));
    }
    assert_eq!(app.record(emma).await.unwrap().reminded_pass, None);
    reopen(&app);
    app.advance(TimeDelta::minutes(30));
    app.sweep().await;
    app.sweep().await;
    let mails = app.pass_mails();
    assert_eq!(mails.len(), 3, "the code, the reminder, and a word to the manager: {mails:?}");
    assert!(app.record(emma).await.unwrap().reminded_pass.is_some());
}
