//! The queue trigger, and queue outputs.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_retried_every_three_minutes_and_poison_after_ten() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| failed()));
    setup.put("work");
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!(setup.seconds(), [0, 180, 360, 540, 720, 900, 1080, 1260, 1440, 1620]);
    let counts: Vec<Value> =
        setup.calls().iter().map(|(_, call, _)| call["Metadata"]["DequeueCount"].clone()).collect();
    assert_eq!(counts, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    assert_eq!(setup.storage.messages(POISON)[0].text, encode_base64("work"));
    let completed: Vec<_> = host.log().invocations().iter().filter_map(|i| i.completed()).collect();
    assert_eq!((completed.len(), completed[0].deliveries), (1, 10));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_base64_is_poison_at_once() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| done(json!({}))));
    setup.storage.put(QUEUE, r#"{"plain": "text"}"#.into()).unwrap();
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), setup.storage.messages(POISON).len()), (0, 1));
    let lines = host.log().lines();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line.level, Level::Warning);
        assert!(
            line.text.starts_with("Message decoding has failed! Check MessageEncoding settings"),
            "{line:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_utf_8_fails_without_a_call() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| done(json!({}))));
    setup.storage.put(QUEUE, STANDARD.encode(b"\xff\xfe")).unwrap();
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), setup.storage.messages(POISON).len()), (0, 1));
    let failures = host.log().invocations();
    assert_eq!(failures.len(), 10);
    assert!(failures.iter().all(|ran| matches!(ran.result, Err(Failure::Input(_)))), "{failures:?}");
    assert_eq!((setup.sandbox.now() - time(NOW)).num_minutes(), 9 * 3, "tried again every three minutes");
}

#[tokio::test(start_paused = true)]
async fn a_host_processes_at_most_six_messages_at_a_time() {
    let setup = Setup::new();
    let at_work = Arc::new(Mutex::new((0, 0)));
    let counted = at_work.clone();
    let worker = setup.handler(move |_, count| {
        let counted = counted.clone();
        async move {
            {
                let (now, most) = &mut *counted.lock().unwrap();
                *now += 1;
                *most = (*most).max(*now);
            }
            minutes(1 + count as u64 % 2).await;
            counted.lock().unwrap().0 -= 1;
            done(json!({}))
        }
    });
    for number in 0..40 {
        setup.put(&format!("message {number}"));
    }
    let _host = setup.start(&worker);
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), at_work.lock().unwrap().1), (40, 6));
}

/// A running host notices the end of its handler; when the host dies too, only the lease expires.
#[tokio::test(start_paused = true)]
async fn a_message_returns_after_a_retry_delay_or_a_lease() {
    for (die, minutes_later) in [("handler", 3), ("host", 10)] {
        let setup = Setup::new();
        let worker = setup.handler(async |_, count| {
            if count == 1 {
                minutes(60).await;
            }
            done(json!({}))
        });
        let host = setup.start(&worker);
        setup.put("work");
        sleep(Duration::from_secs(1)).await;
        let spare = if die == "handler" {
            host.kill_worker().await;
            None
        } else {
            host.kill();
            Some(setup.start(&worker))
        };
        setup.storage.wait_until_empty(QUEUE).await;
        let waited = setup.seconds()[1] - 1;
        assert!((minutes_later * 60 - 1..=minutes_later * 60).contains(&waited), "{die}: {waited} s");
        assert_eq!(setup.calls()[1].1["Metadata"]["DequeueCount"], "2");
        drop(spare);
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_host_renews_its_lease() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, count| {
        if count == 1 {
            minutes(29).await;
        }
        done(json!({}))
    });
    let timeout = [("AzureFunctionsJobHost__functionTimeout", "00:30:00")];
    let one = setup.start_with(&worker, &timeout);
    setup.put("work");
    minutes(1).await;
    let _other = setup.start_with(&worker, &timeout);
    minutes(11).await;
    assert_eq!(setup.calls().len(), 1);
    one.kill();
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!(setup.seconds(), [0, 20 * 60], "the lease was last renewed after ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_host_dies_ten_times_is_poison() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| std::future::pending().await);
    setup.put("work");
    for _ in 0..10 {
        let host = setup.start(&worker);
        minutes(1).await;
        host.kill();
        minutes(10).await;
    }
    // The timer fires meanwhile, too.
    let deliveries = || setup.calls().iter().filter(|(function, ..)| function == "OnGroupAdd").count();
    assert_eq!(deliveries(), 10);
    let _host = setup.start(&worker);
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((deliveries(), setup.storage.messages(POISON).len()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn queue_outputs_become_messages() {
    // 48,000 bytes were seen to fit, and 49,200 not to: as base64 they may have 64 KiB.
    let [longest, long] = [48_000, 49_200].map(|length| "x".repeat(length));
    for (jobs, messages) in [
        (json!([r#"{"a":1}"#, "test"]), vec![r#"{"a":1}"#, "test"]),
        (json!([{"a": 1}]), vec!["{\n  \"a\": 1\n}"]),
        (
            json!([{"a": "2026-11-25T07:00:00.120+01:00", "b": ["2026-11-25T07:00:00Z"], "c": {}, "d": []}]),
            vec![
                "{\n  \"a\": \"2026-11-25T06:00:00.12+00:00\",\n  \"b\": [\n    \"2026-11-25T07:00:00Z\"\n  ],\n  \"c\": {},\n  \"d\": []\n}",
            ],
        ),
        (json!([null, true, false, 5, 1.50]), vec!["", "True", "False", "5", "1.5"]),
        (
            json!(["2026-11-25T07:00:00Z", "2026-11-25T07:00:00.5+01:00"]),
            vec!["11/25/2026 07:00:00", "11/25/2026 06:00:00"],
        ),
        (
            json!(["2026-11-25T07:00:00Z!", "2026-11-25", "at 2026-11-25T07:00:00Z"]),
            vec!["2026-11-25T07:00:00Z!", "2026-11-25", "at 2026-11-25T07:00:00Z"],
        ),
        (json!([longest]), vec![&longest]),
        (json!(r#"[{"a":1},"b"]"#), vec!["{\n  \"a\": 1\n}", "b"]),
        (json!(r#"{"a":1}"#), vec!["{\n  \"a\": 1\n}"]),
        (json!(r#"{"a":1,"b":2,"a":3}"#), vec!["{\n  \"a\": 3,\n  \"b\": 2\n}"]),
        (json!("plain words"), vec!["plain words"]),
        // Decoded, because it is valid base64.
        (json!("dGVzdA=="), vec!["test"]),
        (json!(null), vec![]),
        (json!([]), vec![]),
        // The first is queued, the second is too long, and the third is not reached.
        (json!(["first", long, "third"]), vec!["first"]),
    ] {
        let setup = Setup::new();
        let outputs = json!({"jobs": jobs});
        let worker = setup.handler(move |_, _| {
            let answer = done(outputs.clone());
            async { answer }
        });
        let mut app = app(&[]);
        app.functions.remove("OnGroupAdd");
        // The first attempt only: each one queues the first message again.
        app.functions.get_mut("SweepJoiners").unwrap().retry = None;
        let host = FunctionsHost::start(app, Arc::new(worker), setup.storage.clone());
        let ran = host.run("SweepJoiners").await.unwrap();
        let queued: Vec<String> =
            setup.storage.messages(QUEUE).into_iter().map(|message| message.text).collect();
        assert_eq!(queued, messages.iter().map(|text| encode_base64(text)).collect::<Vec<_>>());
        assert_eq!(matches!(ran.result, Err(Failure::Output(_))), messages == ["first"], "{ran:?}");
    }
}
