//! What is sent again, and what never is: each rule with a count of calls.

use std::time::Duration;

use firstpass_sandbox::tenant::{Fault, FaultKind};

use crate::helpers::{PASS, World, refuse, seconds, throttle};

#[tokio::test(start_paused = true)]
async fn a_pass_whose_answer_was_lost_is_posted_once_more_and_the_second_code_is_mailed() {
    for lost in [FaultKind::LoseAnswer, FaultKind::DelayAfter(Duration::from_secs(60))] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", PASS, lost));
        let end = world.deliver(emma).await;
        assert_eq!(end.outcome, "delivered", "{end:?}");
        assert_eq!((world.count("POST", PASS), world.pass_mails().len()), (2, 1));
        world.assert_newest_mail_opens(emma);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_whose_answers_are_all_lost_is_posted_twice_and_no_more() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::LoseAnswer).always());
    let end = world.deliver(emma).await;
    assert_eq!((end.outcome.as_str(), world.count("POST", PASS)), ("failed", 2), "{end:?}");
    assert!(end.why.contains("no clear answer"), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn gateway_errors_of_a_pass_count_as_lost_answers() {
    for status in [500, 502, 504, 408] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", PASS, refuse(status)).always());
        assert_eq!(world.deliver(emma).await.outcome, "failed");
        assert_eq!(world.count("POST", PASS), 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_whose_answer_was_lost_is_sent_again_at_most_twice() {
    for (lost, outcome, sends) in [(1, "delivered", 2), (2, "delivered", 3), (9, "failed", 3)] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::LoseAnswer).times(lost));
        let end = world.deliver(emma).await;
        assert_eq!((end.outcome.as_str(), world.count("POST", "sendMail")), (outcome, sends), "{end:?}");
        // Every copy shows the code that works: nobody may be left with a dead one.
        world.assert_newest_mail_opens(emma);
        assert_eq!(world.sandbox.passes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_again_for_it_sent_nothing() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::Refuse).times(3));
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    assert_eq!(world.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_rounded_up_and_capped() {
    for (header, at_least) in [(Some("47"), 47), (Some("2.128"), 3), (Some("86400"), 120), (None, 2)] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on(
            "POST",
            PASS,
            FaultKind::Throttle { retry_after: header.map(str::to_owned) },
        ));
        let (end, waited) = seconds(&world.sandbox, world.deliver(emma)).await;
        assert_eq!((end.outcome.as_str(), waited), ("delivered", at_least), "{header:?}");
        assert_eq!(world.count("POST", PASS), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_is_always_busy_is_asked_four_times() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("5")).always());
    let (end, waited) = seconds(&world.sandbox, world.deliver(emma)).await;
    assert_eq!((end.outcome.as_str(), waited, world.count("POST", PASS)), ("failed", 15, 4), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_later_than_four_minutes_after_the_lease() {
    let (world, emma) = World::with_emma();
    let start = world.sandbox.now();
    // Two waits of 110 s for the pass leave no time for a third of the mail.
    world.sandbox.inject(Fault::on("POST", PASS, throttle("110")).times(2));
    world.sandbox.inject(Fault::on("POST", "sendMail", throttle("110")));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    let last =
        world.sandbox.requests().into_iter().filter(|r| r.method == "POST").map(|r| r.at).max().unwrap();
    assert!((last - start).num_seconds() <= 240, "{last}");
    assert_eq!(world.sandbox.passes(), [], "a pass that was not mailed must not stay");
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_would_come_too_late_is_not_even_tried() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, throttle("118")).times(2));
    world.sandbox.inject(Fault::on("POST", PASS, FaultKind::DelayAfter(Duration::from_secs(10))).nth(3));
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    assert_eq!((world.count("POST", "sendMail"), world.sandbox.passes().len()), (0, 0));
}

/// The host kills the process after ten minutes, with everything else that it is doing.
#[tokio::test(start_paused = true)]
async fn no_delivery_takes_ten_minutes_however_slow_graph_is() {
    for kind in [throttle("120"), refuse(500), FaultKind::Delay(Duration::from_secs(3_600))] {
        for path in ["$batch", "/manager", PASS, "sendMail", ""] {
            let (world, emma) = World::with_emma();
            world.sandbox.inject(Fault { method: None, ..Fault::on("", path, kind.clone()).always() });
            let message = world.job(emma).to_message();
            let (_, took) = seconds(&world.sandbox, world.host.deliver(&message, 5)).await;
            assert!(took < 590, "{path} {kind:?}: {took} s");
            let call = format!(r#"{{"UserName":"{emma}"}}"#);
            let (_, took) = seconds(&world.sandbox, world.host.call("CreateTap", &call)).await;
            assert!(took < 230, "{path} {kind:?}: CreateTap took {took} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_whatever_went_wrong_with_them() {
    for kind in [
        refuse(500),
        refuse(502),
        FaultKind::LoseAnswer,
        FaultKind::Refuse,
        FaultKind::Delay(Duration::from_secs(31)),
    ] {
        let (world, emma) = World::with_emma();
        world.sandbox.inject(Fault::on("POST", "$batch", kind.clone()).times(2));
        assert_eq!(world.deliver(emma).await.outcome, "delivered", "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_throttled_part_of_a_batch_is_asked_for_again() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("GET", "/manager", throttle("7.5")));
    let (end, waited) = seconds(&world.sandbox, world.deliver(emma)).await;
    assert_eq!((end.outcome.as_str(), waited), ("delivered", 8), "{end:?}");
    let batches: Vec<usize> =
        world.sandbox.requests().iter().filter(|r| r.url.contains("$batch")).map(|r| r.parts.len()).collect();
    assert_eq!(batches, [7, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "sendMail", refuse(401)));
    assert_eq!(world.deliver(emma).await.outcome, "delivered");
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", "$batch", refuse(401)).always());
    assert_eq!(world.deliver(emma).await.outcome, "failed");
    assert_eq!(world.count("POST", "$batch"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated_and_names_graphs_request_id() {
    let (world, emma) = World::with_emma();
    world.sandbox.inject(Fault::on("POST", PASS, refuse(403)).always());
    let end = world.deliver(emma).await;
    assert_eq!((end.outcome.as_str(), world.count("POST", PASS)), ("blocked", 1));
    assert!(end.why.contains("403") && end.why.contains("request-id"), "{end:?}");
}
