//! No limit of the mailbox is exceeded, and no pass waits for a mail that cannot be sent.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass::pass::Job;
use firstpass_sandbox::tenant::{Fault, FaultKind};
use futures::future::join_all;
use serde_json::json;

use super::{accepted, answers, host, most_in_a_minute, put, tenant};
use crate::helpers::{PASS_PATH, TestApp, tenant_with_emma, throttle};

/// As many joiners as start in a July: the queue works through them as fast as the mailbox allows.
#[tokio::test(start_paused = true)]
async fn many_joiners_are_served_at_the_rate_of_the_mailbox() {
    let (tenant, joiners) = tenant(120);
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000")]);
    app.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(600));
    let (host, storage) = host(&app);
    let began = app.sandbox.now();
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    let mails = accepted(&app);
    assert_eq!((mails.len(), app.pass_mails().len()), (joiners.len(), joiners.len()));
    assert!(most_in_a_minute(&mails) <= 24, "{}", most_in_a_minute(&mails));
    assert_eq!((answers(&app, 429), app.count_requests("POST", PASS_PATH)), (0, joiners.len()));
    assert_eq!((app.count_requests("DELETE", PASS_PATH), app.alerts().len()), (0, 0));
    let again = host.log().invocations().iter().filter(|i| i.attempt > 1).count();
    assert_eq!(again, 0, "no job fails");
    let took = app.sandbox.now() - began;
    assert!(took < TimeDelta::minutes(6), "{took} for {} joiners at 24 a minute", joiners.len());
}

/// More workers than the mailbox serves at a time, and a slow mailbox.
#[tokio::test(start_paused = true)]
async fn a_slow_mailbox_gets_no_more_requests_at_a_time_than_it_takes() {
    for milliseconds in [600, 1_100, 9_000] {
        let (tenant, joiners) = tenant(24);
        let app = TestApp::new(tenant, &[]);
        let slow = FaultKind::Delay(Duration::from_millis(milliseconds));
        app.sandbox.inject(Fault::on("POST", "sendMail", slow).always());
        let deliver = |user: &uuid::Uuid| {
            let message = app.job(*user).to_message();
            let app = &app;
            async move { app.host.deliver(&message, 1).await }
        };
        let ends = join_all(joiners.iter().map(deliver)).await;
        assert!(ends.iter().all(|end| end.log().contains(": delivered: ")), "{milliseconds} ms");
        assert_eq!((answers(&app, 429), app.count_requests("POST", PASS_PATH)), (0, 24), "{milliseconds} ms");
    }
}

/// What was read before a long wait is read again: a start that was withdrawn meanwhile gets no pass.
#[tokio::test(start_paused = true)]
async fn after_a_wait_the_tenant_is_read_again() {
    let (tenant, joiners) = tenant(3);
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1")]);
    let [first, withdrawn, changed] = joiners[..] else { panic!("three joiners") };
    assert_eq!(app.run_job(first).await.outcome, "delivered");
    let message = app.job(withdrawn).to_message();
    let waiting = app.host.deliver(&message, 1);
    let withdrawing = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(app.count_requests("POST", "$batch"), 2, "it has read the account");
        app.sandbox.edit(|tenant| tenant.change(withdrawn, |person| person.hire_date = None));
    };
    let (end, ()) = tokio::join!(waiting, withdrawing);
    assert!(end.log().contains("no hire date"), "{}", end.log());
    assert_eq!(app.count_requests("POST", PASS_PATH), 1);
    // The permit was given back: the next one has it at once.
    let (end, took) = crate::helpers::timed(&app.sandbox, app.run_job(changed)).await;
    assert_eq!((end.outcome.as_str(), took < 5), ("delivered", true), "{took} s");
}

/// Who gets no permit fails without having touched the tenant, and is delivered again.
#[tokio::test(start_paused = true)]
async fn a_job_that_waits_too_long_changes_nothing() {
    let (tenant, joiners) = tenant(12);
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1")]);
    let (host, storage) = host(&app);
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(app.pass_mails().len(), joiners.len());
    assert_eq!((app.count_requests("POST", PASS_PATH), answers(&app, 429)), (joiners.len(), 0));
    let failed = host.log().invocations().into_iter().filter(|i| i.attempt > 1).count();
    assert!(failed > 0, "some came back");
    assert_eq!(storage.messages("pass-jobs-poison").len(), 0);
    assert_eq!(app.alerts().len(), 0, "{:?}", app.alerts());
}

/// After a 429 nobody sends until Retry-After, and the pass that was made gets its mail.
#[tokio::test(start_paused = true)]
async fn a_429_closes_the_mailbox_for_all_jobs_of_the_process() {
    let (tenant, joiners) = tenant(6);
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("POST", "sendMail", throttle("60")));
    let deliver = |user: &uuid::Uuid| {
        let message = app.job(*user).to_message();
        let app = &app;
        async move { app.host.deliver(&message, 1).await }
    };
    let began = app.sandbox.now();
    let ends = join_all(joiners.iter().map(deliver)).await;
    assert!(ends.iter().all(|end| end.log().contains(": delivered: ")));
    assert_eq!((answers(&app, 429), app.count_requests("POST", PASS_PATH)), (1, 6));
    let mails = accepted(&app);
    let early = mails.iter().filter(|at| **at - began < TimeDelta::seconds(60)).count();
    assert!(early < 3, "{early} of those that were on their way");
    assert!(mails.iter().all(|at| (*at - began) < TimeDelta::seconds(60 + 15 + 10)), "{mails:?}");
}

/// All functions together send no more than the mailbox accepts, and a call has its own share.
#[tokio::test(start_paused = true)]
async fn calls_and_alerts_have_shares_of_their_own() {
    let (tenant, joiners) = tenant(40);
    let app = TestApp::new(tenant, &[]);
    let jobs = async {
        let deliver = |user: &uuid::Uuid| {
            let message = app.job(*user).to_message();
            let app = &app;
            async move { app.host.deliver(&message, 1).await }
        };
        join_all(joiners[..36].iter().map(deliver)).await
    };
    let calls = async {
        let mut statuses = Vec::new();
        for user in &joiners[36..] {
            let body = json!({"UserName": user, "Deliver": "mail"}).to_string();
            let answer = app.host.call("CreateTap", &body).await;
            statuses.push(answer.body["Outputs"]["res"]["statusCode"].as_u64());
        }
        statuses
    };
    let (ends, statuses) = tokio::join!(jobs, calls);
    assert!(ends.iter().all(|end| end.log().contains(": delivered: ")));
    assert_eq!(statuses, [Some(201), Some(201), Some(201), Some(429)], "a fourth call waits for 45 s only");
    assert!(most_in_a_minute(&accepted(&app)) <= 30);
    assert_eq!((answers(&app, 429), app.count_requests("DELETE", PASS_PATH)), (0, 0));
}

/// An alert goes out although the queue is full of joiners.
#[tokio::test(start_paused = true)]
async fn an_alert_does_not_wait_for_all_joiners() {
    let (tenant, joiners) = tenant(60);
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000")]);
    let (_host, storage) = host(&app);
    for user in &joiners {
        put(&storage, Job::joiner(*user, app.sandbox.now().date_naive()).to_message());
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let began = app.sandbox.now();
    assert!(app.host.deliver(r#"{"colour":"red"}"#, 1).await.is_success());
    assert!(app.sandbox.now() - began < TimeDelta::seconds(46));
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!((app.alerts().len(), app.pass_mails().len()), (1, 60));
}

/// A second message for somebody who was served costs one batch.
#[tokio::test(start_paused = true)]
async fn a_second_message_costs_one_batch_and_no_permit() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1")]);
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    app.advance(TimeDelta::minutes(30));
    let before = app.sandbox.requests().len();
    let (end, took) = crate::helpers::timed(&app.sandbox, app.run_job(emma)).await;
    assert_eq!((end.outcome.as_str(), took), ("skipped", 0));
    let requests: Vec<String> = app.sandbox.requests()[before..].iter().map(|r| r.url.clone()).collect();
    let batches = requests.iter().filter(|url| url.contains("$batch")).count();
    assert_eq!(batches, 1, "{requests:?}");
}
