//! Which requests are retried, and how often.

use std::time::Duration;

use firstpass_sandbox::tenant::{Fault, FaultKind};

use crate::helpers::{PASS_PATH, TestApp, fail_with, throttle, timed};

#[tokio::test(start_paused = true)]
async fn a_pass_with_a_lost_answer_is_posted_again_and_the_second_code_is_mailed() {
    for lost in [FaultKind::LoseAnswer, FaultKind::DelayAfter(Duration::from_secs(60))] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", PASS_PATH, lost));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, "delivered", "{end:?}");
        assert_eq!((app.count_requests("POST", PASS_PATH), app.pass_mails().len()), (2, 1));
        app.assert_newest_mail_has_live_code(emma);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_with_lost_answers_is_posted_twice() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).always());
    let end = app.run_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.count_requests("POST", PASS_PATH)), ("failed", 2), "{end:?}");
    assert!(end.why.contains("no clear answer"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn gateway_errors_count_as_lost_answers() {
    for status in [500, 502, 504, 408] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(status)).always());
        assert_eq!(app.run_job(emma).await.outcome, "failed");
        assert_eq!(app.count_requests("POST", PASS_PATH), 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_with_lost_answers_is_sent_at_most_three_times() {
    for (lost, outcome, sends) in [(1, "delivered", 2), (2, "delivered", 3), (9, "failed", 3)] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::LoseAnswer).times(lost));
        let end = app.run_job(emma).await;
        assert_eq!(
            (end.outcome.as_str(), app.count_requests("POST", "sendMail")),
            (outcome, sends),
            "{end:?}"
        );
        // Every copy contains the live code.
        app.assert_newest_mail_has_live_code(emma);
        assert_eq!(app.sandbox.passes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_retried() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::Refuse).times(3));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    assert_eq!(app.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_rounded_up_and_capped() {
    for (header, at_least) in [(Some("47"), 47), (Some("2.128"), 3), (Some("86400"), 120), (None, 2)] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on(
            "POST",
            PASS_PATH,
            FaultKind::Throttle { retry_after: header.map(str::to_owned) },
        ));
        let (end, waited) = timed(&app.sandbox, app.run_job(emma)).await;
        assert_eq!((end.outcome.as_str(), waited), ("delivered", at_least), "{header:?}");
        assert_eq!(app.count_requests("POST", PASS_PATH), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_request_is_tried_four_times() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("5")).always());
    let (end, waited) = timed(&app.sandbox, app.run_job(emma)).await;
    assert_eq!(
        (end.outcome.as_str(), waited, app.count_requests("POST", PASS_PATH)),
        ("failed", 15, 4),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_more_than_four_minutes_after_the_lease() {
    let (app, emma) = TestApp::with_emma();
    let start = app.sandbox.now();
    // After two waits of 110 s for the pass there is no time for a third wait.
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("110")).times(2));
    app.sandbox.inject(Fault::on("POST", "sendMail", throttle("110")));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    let last = app.sandbox.requests().into_iter().filter(|r| r.method == "POST").map(|r| r.at).max().unwrap();
    assert!((last - start).num_seconds() <= 240, "{last}");
    assert_eq!(app.sandbox.passes(), [], "the undelivered pass is deleted");
}

#[tokio::test(start_paused = true)]
async fn a_mail_past_the_deadline_is_not_tried() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle("118")).times(2));
    app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::DelayAfter(Duration::from_secs(10))).nth(3));
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    assert_eq!((app.count_requests("POST", "sendMail"), app.sandbox.passes().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn reads_are_retried_on_every_error() {
    for kind in [
        fail_with(500),
        fail_with(502),
        FaultKind::LoseAnswer,
        FaultKind::Refuse,
        FaultKind::Delay(Duration::from_secs(31)),
    ] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", "$batch", kind.clone()).times(2));
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_throttled_part_of_a_batch_is_repeated() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("GET", "/manager", throttle("7.5")));
    let (end, waited) = timed(&app.sandbox, app.run_job(emma)).await;
    assert_eq!((end.outcome.as_str(), waited), ("delivered", 8), "{end:?}");
    let batches: Vec<usize> =
        app.sandbox.requests().iter().filter(|r| r.url.contains("$batch")).map(|r| r.parts.len()).collect();
    assert_eq!(batches, [13, 1]);
}

/// What asks for no wait, or for one that nobody can mean, waits as if nothing was said.
#[tokio::test(start_paused = true)]
async fn a_retry_after_without_meaning_waits_our_own_time() {
    for text in ["0", "-5", "NaN", "inf", "soon", "99999999", "Mon, 01 Jan 2001 00:00:00 GMT"] {
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("POST", PASS_PATH, throttle(text)).times(2));
        let (end, waited) = timed(&app.sandbox, app.run_job(emma)).await;
        assert_eq!((end.outcome.as_str(), waited), ("delivered", 2 + 4), "{text}: {end:?}");
        let (app, emma) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("GET", "/manager", throttle(text)));
        let (end, waited) = timed(&app.sandbox, app.run_job(emma)).await;
        assert_eq!((end.outcome.as_str(), waited), ("delivered", 2), "a part, {text}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejected_token_is_renewed_once() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(401)));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", "$batch", fail_with(401)).always());
    assert_eq!(app.run_job(emma).await.outcome, "failed");
    assert_eq!(app.count_requests("POST", "$batch"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_retried_and_names_the_request_id() {
    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(403)).always());
    let end = app.run_job(emma).await;
    assert_eq!((end.outcome.as_str(), app.count_requests("POST", PASS_PATH)), ("blocked", 1));
    assert!(end.why.contains("403") && end.why.contains("request-id"), "{end:?}");
}
