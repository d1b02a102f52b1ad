//! Handlers that hang, exit, or never become ready.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_hanging_handler_is_killed_and_its_other_invocations_fail() {
    // No response, and an empty one, which the host does not accept as a response.
    for is_empty in [false, true] {
        let setup = Setup::new();
        let worker = setup.handler(move |_, count| async move {
            match count {
                1 if is_empty => return StatusCode::NO_CONTENT.into_response(),
                1 => std::future::pending().await,
                2 => minutes(9).await,
                _ => {}
            }
            done(json!({}))
        });
        let host = setup.start(&worker);
        setup.put("hangs");
        minutes(5).await;
        setup.put("is on its way");
        setup.storage.wait_until_empty(QUEUE).await;
        assert_eq!(worker.starts(), 2, "killed and restarted once");
        let failures: Vec<_> = host.log().invocations().into_iter().filter_map(|i| i.result.err()).collect();
        assert!(failures.contains(&Failure::TimedOut), "{failures:?}");
        assert!(failures.iter().any(|failure| matches!(failure, Failure::Lost(_))), "{failures:?}");
        assert_eq!(setup.seconds(), [0, 300, 780, 780], "both are redelivered three minutes after the kill");
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_do_not_stop_the_host() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| std::future::pending().await);
    let host = setup.start_with(&worker, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    setup.put("hangs");
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), host.has_stopped()), (5, false));
}

#[tokio::test(start_paused = true)]
async fn the_third_failure_within_30_minutes_stops_the_host() {
    for (pause, stops) in [(1, true), (31, false)] {
        let setup = Setup::new();
        let worker = setup.handler(async |_, _| done(json!({})));
        let host = setup.start(&worker);
        for _ in 0..3 {
            assert!(host.is_ready().await);
            minutes(pause).await;
            worker.exit(1);
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((host.has_stopped(), worker.starts()), (stops, if stops { 3 } else { 4 }));
        setup.put("work");
        minutes(1).await;
        assert_eq!(
            setup.storage.messages(QUEUE).len(),
            usize::from(stops),
            "a stopped host receives nothing"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn exit_code_200_restarts_the_handler_and_is_not_a_failure() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    let host = setup.start(&worker);
    for _ in 0..5 {
        assert!(host.is_ready().await);
        worker.exit(200);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((host.has_stopped(), worker.starts()), (false, 6));
}

#[tokio::test(start_paused = true)]
async fn after_exit_code_0_every_invocation_fails() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    let host = setup.start(&worker);
    assert!(host.is_ready().await);
    worker.exit(0);
    setup.put("work");
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), worker.starts()), (0, 1));
    assert_eq!(setup.storage.messages(POISON).len(), 1, "five failed deliveries");
    assert!(host.log().invocations().iter().all(|i| matches!(i.result, Err(Failure::Lost(_)))));
}

#[tokio::test(start_paused = true)]
async fn messages_wait_until_the_handler_is_ready() {
    let setup = Setup::new();
    setup.put("work");
    // The first start fails.
    let router = Router::new().fallback(async || done(json!({})));
    let worker = Embedded::starting_with(move |start| (start > 1).then(|| router.clone()));
    let host = setup.start(&worker);
    setup.storage.wait_until_empty(QUEUE).await;
    let waited = (setup.sandbox.now() - time(NOW)).num_seconds();
    assert_eq!((waited, worker.starts(), host.log().invocations().len()), (30, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn three_failed_starts_of_30_seconds_stop_the_host() {
    let setup = Setup::new();
    let worker = Embedded::starting_with(|_| None);
    let host = setup.start(&worker);
    let ran = host.run("SweepJoiners").await.unwrap();
    assert_eq!(ran.result, Err(Failure::NotReady));
    assert_eq!(((setup.sandbox.now() - time(NOW)).num_seconds(), worker.starts()), (90, 3));
    host.wait_until_stopped().await;
}
