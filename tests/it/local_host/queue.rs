//! The queue trigger, and queue outputs.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_retried_every_three_minutes_and_poison_after_five() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| failed()));
    setup.put("work");
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!(setup.seconds(), [0, 180, 360, 540, 720]);
    let counts: Vec<Value> =
        setup.calls().iter().map(|(_, call, _)| call["Metadata"]["DequeueCount"].clone()).collect();
    assert_eq!(counts, ["1", "2", "3", "4", "5"]);
    assert_eq!(setup.storage.messages(POISON)[0].text, encode_base64("work"));
    let completed: Vec<_> = host.log().invocations().iter().filter_map(|i| i.completed()).collect();
    assert_eq!((completed.len(), completed[0].deliveries), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_base64_is_poison_at_once() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| done(json!({}))));
    setup.storage.put(QUEUE, r#"{"plain": "text"}"#.into()).unwrap();
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), setup.storage.messages(POISON).len()), (0, 1));
    assert!(host.log().lines()[0].text.contains("not base64"));
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
async fn a_message_whose_host_dies_five_times_is_poison() {
    let setup = Setup::new();
    let worker = setup.handler(async |_, _| std::future::pending().await);
    setup.put("work");
    for _ in 0..5 {
        let host = setup.start(&worker);
        minutes(1).await;
        host.kill();
        minutes(10).await;
    }
    assert_eq!(setup.calls().len(), 5);
    let _host = setup.start(&worker);
    setup.storage.wait_until_empty(QUEUE).await;
    assert_eq!((setup.calls().len(), setup.storage.messages(POISON).len()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn queue_outputs_become_messages() {
    let long = "x".repeat(60_000);
    for (jobs, messages) in [
        (json!([r#"{"a":1}"#, "test"]), vec![r#"{"a":1}"#, "test"]),
        (json!([{"a": 1}]), vec!["{\n  \"a\": 1\n}"]),
        (json!(r#"[{"a":1},"b"]"#), vec!["{\n  \"a\": 1\n}", "b"]),
        (json!(r#"{"a":1}"#), vec!["{\n  \"a\": 1\n}"]),
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
        let host = FunctionsHost::start(app, Arc::new(worker), setup.storage.clone());
        let ran = host.run("SweepJoiners").await.unwrap();
        let queued: Vec<String> =
            setup.storage.messages(QUEUE).into_iter().map(|message| message.text).collect();
        assert_eq!(queued, messages.iter().map(|text| encode_base64(text)).collect::<Vec<_>>());
        assert_eq!(matches!(ran.result, Err(Failure::Output(_))), messages == ["first"], "{ran:?}");
    }
}
