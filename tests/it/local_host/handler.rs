//! Handlers that hang, exit, or never become ready.

use super::*;

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test(start_paused = true)]
async fn a_hanging_handler_is_killed_and_its_other_invocations_fail() {
    // No response, and responses that the host does not take for one.
    for body in [None, Some(""), Some(" \n"), Some("null")] {
        let setup = Setup::new();
        let worker = setup.handler(move |_, count| async move {
            match (count, body) {
                (1, Some("")) => return StatusCode::NO_CONTENT.into_response(),
                (1, Some(body)) => return (JSON, body).into_response(),
                (1, None) => std::future::pending().await,
                (2, _) => minutes(9).await,
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
        // Each is redelivered three minutes after its end: the time-out, and the kill two seconds later.
        assert_eq!(setup.seconds(), [0, 300, 780, 782], "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_timeouts_at_the_same_time_restart_the_handler_once() {
    // tokio polls in a random order: a second restart would happen in half of the cases.
    for _ in 0..10 {
        let setup = Setup::new();
        let worker = setup.handler(async |_, count| {
            if count <= 2 {
                minutes(60).await;
            }
            done(json!({}))
        });
        let _host = setup.start(&worker);
        setup.put("one");
        setup.put("two");
        setup.storage.wait_until_empty(QUEUE).await;
        assert_eq!((setup.seconds(), worker.starts()), (vec![0, 0, 780, 780], 2));
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts_do_not_stop_the_host() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| std::future::pending().await);
    let host = setup.start_with(&worker, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    setup.put("hangs");
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), host.has_stopped()), (10, false));
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
        let gave_up =
            host.log().lines().iter().any(|line| line.text.starts_with("Exceeded http worker restart"));
        assert_eq!(gave_up, stops);
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
    let refused = Failure::Lost("Connection refused".to_owned());
    assert!(host.log().invocations().iter().all(|i| i.result == Err(refused.clone())));
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
    assert_eq!((waited, worker.starts(), host.log().invocations().len()), (35, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn three_failed_starts_of_35_seconds_stop_the_host() {
    let setup = Setup::new();
    let worker = Embedded::starting_with(|_| None);
    let host = setup.start(&worker);
    let ran = host.run("SweepJoiners").await.unwrap();
    assert_eq!(ran.result, Err(Failure::NotReady));
    assert_eq!(((setup.sandbox.now() - time(NOW)).num_seconds(), worker.starts()), (105, 3));
    host.wait_until_stopped().await;
}

#[tokio::test(start_paused = true)]
async fn exit_code_0_before_the_handler_is_ready_is_a_probe_that_times_out() {
    let setup = Setup::new();
    let worker = Embedded::starting_with(|_| None);
    let host = setup.start(&worker);
    for _ in 0..3 {
        sleep(Duration::from_secs(1)).await;
        worker.exit(0);
        sleep(Duration::from_secs(34)).await;
    }
    host.wait_until_stopped().await;
    // The real host ended after 104 seconds.
    assert_eq!(((setup.sandbox.now() - time(NOW)).num_seconds(), worker.starts()), (105, 3));
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_142_seconds_for_the_handler_and_then_the_host_stops() {
    let nothing = std::path::PathBuf::from("there/is/no/such/file");
    let missing = Process::new(".", Some(nothing)).unwrap();
    let workers: [Arc<dyn Worker>; 2] = [Arc::new(Embedded::starting_with(|_| None)), Arc::new(missing)];
    for worker in workers {
        let setup = Setup::new();
        // The host has time for a slow handler. It does not try a second time to start a missing one.
        let slow = [("AzureFunctionsJobHost__customHandler__initializationTimeout", "00:10:00")];
        let host = FunctionsHost::start(app(&slow), worker, setup.storage.clone());
        minutes(5).await;
        let send = async |method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
            host.router().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!((host.has_stopped(), send("GET", "/").await), (false, 200), "it looks healthy");
        let uri = format!("/api/CreateTap?code={}", host.keys().master);
        assert_eq!(send("POST", &uri).await, 500);
        assert_eq!((setup.sandbox.now() - time(NOW)).num_seconds(), 5 * 60 + 142);
        assert!(host.has_stopped());
        assert!(host.log().lines().len() <= 1, "{:?}", host.log().lines());
    }
}
