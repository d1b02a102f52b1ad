//! The timer trigger.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_timer_fires_on_schedule_and_its_jobs_run() {
    let setup = Setup::new();
    let worker = setup.handler(async |function, _| match function.as_str() {
        "SweepJoiners" => done(json!({"jobs": [r#"{"a": 1}"#, r#"{"b":2}"#]})),
        _ => done(json!({})),
    });
    let host = setup.start(&worker);
    minutes(59).await;
    assert_eq!(
        (setup.calls().len(), setup.storage.queues()),
        (0, vec![]),
        "the first message creates the queue"
    );
    minutes(2).await;
    setup.storage.wait_until_empty(QUEUE).await;
    let calls = setup.calls();
    assert_eq!(
        calls.iter().map(|(f, ..)| f.as_str()).collect::<Vec<_>>(),
        ["SweepJoiners", "OnGroupAdd", "OnGroupAdd"]
    );
    let timer = &calls[0].1["Data"]["timer"];
    assert_eq!(timer["ScheduleStatus"]["Last"], "0001-01-01T00:00:00+00:00", "it never ran before");
    assert_eq!(
        (&timer["ScheduleStatus"]["Next"], &timer["IsPastDue"]),
        (&json!("2026-11-22T06:00:00+00:00"), &json!(false))
    );
    assert_eq!(calls[1].1["Data"]["msg"], json!(r#""{\"a\": 1}""#), "unchanged, and JSON-encoded again");
    assert_eq!(calls[1].1["Metadata"]["a"], r#""1""#, "fields of the message are in the metadata");
    assert_eq!(host.log().invocations()[0].logs, ["said"]);
    minutes(24 * 60).await;
    let second = setup.calls()[3].1["Data"]["timer"]["ScheduleStatus"].clone();
    assert_eq!(second["Last"], "2026-11-22T06:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn a_failed_timer_is_retried_with_backoff() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| failed()));
    minutes(5 * 60).await;
    let pauses: Vec<i64> = setup.seconds().windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16], "six attempts a day");
    let contexts: Vec<Value> =
        setup.calls().iter().map(|(_, call, _)| call["Metadata"]["RetryContext"].clone()).collect();
    let first =
        json!({"RetryCount": 0, "MaxRetryCount": 5, "Exception": null, "Instance": null, "State": {}});
    assert_eq!(contexts[0], first, "as on the first attempt");
    assert_eq!((&contexts[5]["RetryCount"], &contexts[5]["MaxRetryCount"]), (&json!(5), &json!(5)));
    let message = contexts[5]["Exception"]["Message"].as_str().unwrap();
    assert_eq!(message, "Response status code does not indicate success: 500 (Internal Server Error).");
    let last = host.log().invocations().pop().unwrap();
    assert_eq!((last.attempt, last.result), (6, Err(status_500())));
}

#[tokio::test(start_paused = true)]
async fn a_missed_run_is_made_up_for() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    drop(setup.start(&worker));
    sleep(Duration::from_millis(1)).await;
    let host = setup.start(&worker);
    minutes(2).await;
    drop(host);
    setup.advance(TimeDelta::hours(3));
    let _host = setup.start(&worker);
    minutes(2).await;
    let calls = setup.calls();
    assert_eq!((calls.len(), &calls[0].1["Data"]["timer"]["IsPastDue"]), (1, &json!(true)));
}

/// The host keeps its retries in memory, and advances the schedule after the last one.
#[tokio::test(start_paused = true)]
async fn a_host_that_dies_between_retries_leaves_a_missed_run() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, count| if count < 3 { failed() } else { done(json!({})) });
    let host = setup.start(&worker);
    minutes(62).await;
    drop(host);
    let _host = setup.start(&worker);
    minutes(10).await;
    let runs = setup.calls().into_iter().map(|(_, call, _)| {
        (call["Data"]["timer"]["IsPastDue"].clone(), call["Metadata"]["RetryContext"]["RetryCount"].clone())
    });
    let expected =
        [(false, 0), (false, 1), (true, 0)].map(|(is_past_due, retry)| (json!(is_past_due), json!(retry)));
    assert_eq!(runs.collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_on_one_host_and_another_takes_over() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    let (one, _other) = (setup.start(&worker), setup.start(&worker));
    minutes(61).await;
    assert_eq!(setup.calls().len(), 1);
    one.kill();
    minutes(24 * 60).await;
    assert_eq!(setup.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_host_has_the_timer_71_seconds_after_a_death() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    let minutely = [("SWEEP_SCHEDULE", "0 * * * * *")];
    let (one, _other) = (setup.start_with(&worker, &minutely), setup.start_with(&worker, &minutely));
    sleep(Duration::from_secs(70)).await;
    one.kill();
    minutes(2).await;
    assert_eq!(setup.seconds(), [60, 70 + 71, 180]);
    assert_eq!(setup.calls()[1].1["Data"]["timer"]["IsPastDue"], true);
}

#[tokio::test(start_paused = true)]
async fn a_run_by_hand_is_retried_and_leaves_the_schedule() {
    let setup = Setup::new();
    let host =
        setup.start(&setup.handler(async |_, count| if count < 3 { failed() } else { done(json!({})) }));
    let ran = host.run("SweepJoiners").await.unwrap();
    assert!(ran.is_success() && matches!(ran.cause, Cause::Admin), "{ran:?}");
    assert_eq!((ran.attempt, setup.seconds()), (3, vec![0, 60, 180]));
    let contexts =
        setup.calls().into_iter().map(|(_, call, _)| call["Metadata"]["RetryContext"]["RetryCount"].clone());
    assert_eq!(contexts.collect::<Vec<_>>(), [0, 1, 2]);
    minutes(60).await;
    let status = &setup.calls()[3].1["Data"]["timer"]["ScheduleStatus"];
    assert_eq!(status["Last"], "0001-01-01T00:00:00+00:00");
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_fires_early_fires_once() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, count| {
        // Or else time would stand still while one occurrence fires for ever.
        if count > 2 {
            minutes(5).await;
        }
        done(json!({}))
    });
    let options = Options { timer_early: TimeDelta::milliseconds(2), ..Options::default() };
    let _host = FunctionsHost::start_with(app(&[]), Arc::new(worker), setup.storage.clone(), options);
    minutes(25 * 60 + 1).await;
    let occurrence = time("2026-11-22T06:00:00Z");
    let times: Vec<_> = setup.calls().iter().map(|(_, _, at)| *at + TimeDelta::milliseconds(2)).collect();
    assert_eq!(times, [occurrence, occurrence + TimeDelta::days(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_host_releases_the_timer() {
    let setup = Setup::new();
    let stopped = setup.start(&Embedded::starting_with(|_| None));
    stopped.wait_until_stopped().await;
    let _other = setup.start(&setup.handler(async |_, _| done(json!({}))));
    minutes(61).await;
    assert_eq!(setup.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_disabled_function_does_not_run() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| done(json!({})));
    let _host = setup.start_with(&worker, &[("AzureWebJobs.SweepJoiners.Disabled", "true")]);
    minutes(61).await;
    assert_eq!(setup.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn advancing_the_clock_fires_the_timer() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| done(json!({}))));
    assert!(host.is_ready().await);
    setup.advance(TimeDelta::minutes(61));
    let invocation = host.log().invocation(|_| true).await;
    assert!(matches!(invocation.cause, Cause::Timer { is_past_due: false }));
}
