//! The local host does what the Functions host does, whatever the handler does. The handlers here are made up, so
//! that they can misbehave; time is virtual.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    host,
    sandbox::{
        Sandbox, Tenant,
        functions_host::{
            Cause, Embedded, Failure, FunctionApp, FunctionsHost, Keys, Storage,
            function::{AuthLevel, Trigger},
            queue::encoded,
        },
    },
    settings::Environment,
};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::helpers::{NOW, World, tenant_with_emma, time};

const QUEUE: &str = "pass-jobs";
const POISON: &str = "pass-jobs-poison";

/// What a handler was asked: the function, the whole invocation, and when.
type Calls = Arc<Mutex<Vec<(String, Value, DateTime<Utc>)>>>;

/// A tenant's time, an empty storage account, and all calls of the handlers made here.
struct Stage {
    sandbox: Sandbox,
    storage: Storage,
    calls: Calls,
}

impl Stage {
    fn new() -> Self {
        let sandbox = Sandbox::new(Tenant::new(7), time(NOW));
        let storage = Storage::new(sandbox.clock());
        Self { sandbox, storage, calls: Calls::default() }
    }

    /// A handler that answers `answer(function, how many calls there were, this one included)`.
    fn handler<F, A>(&self, answer: F) -> Embedded
    where
        F: Fn(String, usize) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send,
    {
        let (calls, sandbox) = (self.calls.clone(), self.sandbox.clone());
        let invoked = async move |Path(function): Path<String>, body: String| {
            let count = {
                let mut calls = calls.lock().unwrap();
                calls.push((function.clone(), serde_json::from_str(&body).unwrap(), sandbox.now()));
                calls.len()
            };
            answer(function, count).await
        };
        Embedded::new(Router::new().route("/", get("")).route("/{function}", post(invoked)))
    }

    fn start(&self, worker: &Embedded) -> FunctionsHost {
        self.start_with(worker, &[])
    }

    fn start_with(&self, worker: &Embedded, settings: &[(&str, &str)]) -> FunctionsHost {
        let keys = Keys {
            master: "master".into(),
            host: "host".into(),
            functions: [("CreateTap".to_owned(), "tap".to_owned())].into(),
        };
        FunctionsHost::start_with_keys(app(settings), Arc::new(worker.clone()), self.storage.clone(), keys)
    }

    fn put(&self, message: &str) {
        self.storage.put(QUEUE, encoded(message)).unwrap();
    }

    fn calls(&self) -> Vec<(String, Value, DateTime<Utc>)> {
        self.calls.lock().unwrap().clone()
    }

    /// Seconds from the start to each call.
    fn seconds(&self) -> Vec<i64> {
        self.calls().iter().map(|(_, _, at)| (*at - time(NOW)).num_seconds()).collect()
    }

    fn advance(&self, by: TimeDelta) {
        self.sandbox.advance(by);
        self.storage.clock_was_set();
    }
}

fn app(settings: &[(&str, &str)]) -> FunctionApp {
    let defaults = [("AzureWebJobsStorage", "UseDevelopmentStorage=true"), ("SWEEP_SCHEDULE", "0 0 6 * * *")];
    let settings: Environment = defaults.iter().chain(settings).copied().collect();
    FunctionApp::embedded(&settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn done(outputs: Value) -> Response {
    axum::Json(json!({"Outputs": outputs, "Logs": ["said"], "ReturnValue": null})).into_response()
}

fn failed() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!({"Logs": ["sorry"]}))).into_response()
}

async fn minutes(count: u64) {
    sleep(Duration::from_secs(60 * count)).await;
}

mod timer {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_fires_when_its_time_comes_and_its_jobs_run() {
        let stage = Stage::new();
        let worker = stage.handler(async |function, _| match function.as_str() {
            "SweepJoiners" => done(json!({"jobs": [r#"{"a": 1}"#, r#"{"b":2}"#]})),
            _ => done(json!({})),
        });
        let host = stage.start(&worker);
        minutes(59).await;
        assert_eq!(
            (stage.calls().len(), stage.storage.queues()),
            (0, vec![]),
            "the first message makes the queue"
        );
        minutes(2).await;
        stage.storage.drained(QUEUE).await;
        let calls = stage.calls();
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
        assert_eq!(calls[1].1["Data"]["msg"], json!(r#""{\"a\": 1}""#), "verbatim, and encoded once more");
        assert_eq!(calls[1].1["Metadata"]["a"], "1", "fields of the message end up in the metadata");
        assert_eq!(host.log().invocations()[0].logs, ["said"]);
        minutes(24 * 60).await;
        let second = stage.calls()[3].1["Data"]["timer"]["ScheduleStatus"].clone();
        assert_eq!(second["Last"], "2026-11-22T06:00:00+00:00");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_repeated_by_the_retry_policy_with_growing_pauses() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| failed()));
        minutes(5 * 60).await;
        let pauses: Vec<i64> = stage.seconds().windows(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16], "six attempts, and then no more before tomorrow");
        let contexts: Vec<Value> =
            stage.calls().iter().map(|(_, call, _)| call["Metadata"]["RetryContext"].clone()).collect();
        assert_eq!(contexts[0], Value::Null);
        assert_eq!((&contexts[5]["RetryCount"], &contexts[5]["MaxRetryCount"]), (&json!(5), &json!(5)));
        let last = host.log().invocations().pop().unwrap();
        assert_eq!((last.attempt, last.result), (6, Err(Failure::Status(StatusCode::INTERNAL_SERVER_ERROR))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_was_missed_is_made_up_for() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| done(json!({})));
        drop(stage.start(&worker));
        sleep(Duration::from_millis(1)).await;
        let host = stage.start(&worker);
        minutes(2).await;
        drop(host);
        stage.advance(TimeDelta::hours(3));
        let _host = stage.start(&worker);
        minutes(2).await;
        let calls = stage.calls();
        assert_eq!((calls.len(), &calls[0].1["Data"]["timer"]["IsPastDue"]), (1, &json!(true)));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_hosts_one_fires_it_and_the_other_takes_over() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| done(json!({})));
        let (one, _other) = (stage.start(&worker), stage.start(&worker));
        minutes(61).await;
        assert_eq!(stage.calls().len(), 1);
        one.kill();
        minutes(24 * 60).await;
        assert_eq!(stage.calls().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_gave_up_leaves_it_to_another() {
        let stage = Stage::new();
        let gone = stage.start(&Embedded::starting_with(|_| None));
        gone.gave_up().await;
        let _other = stage.start(&stage.handler(async |_, _| done(json!({}))));
        minutes(61).await;
        assert_eq!(stage.calls().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_a_setting_switches_off_is_left_alone() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| done(json!({})));
        let _host = stage.start_with(&worker, &[("AzureWebJobs.SweepJoiners.Disabled", "true")]);
        minutes(61).await;
        assert_eq!(stage.calls().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_ahead_sets_it_off() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| done(json!({}))));
        assert!(host.is_ready().await);
        stage.advance(TimeDelta::minutes(61));
        let invocation = host.log().invocation(|_| true).await;
        assert!(matches!(invocation.cause, Cause::Timer { is_past_due: false }));
    }
}

mod queue {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_comes_back_in_three_minutes_and_after_five_times_is_poison() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| failed()));
        stage.put("work");
        stage.storage.drained(QUEUE).await;
        assert_eq!(stage.seconds(), [0, 180, 360, 540, 720]);
        let counts: Vec<Value> =
            stage.calls().iter().map(|(_, call, _)| call["Metadata"]["DequeueCount"].clone()).collect();
        assert_eq!(counts, ["1", "2", "3", "4", "5"]);
        assert_eq!(stage.storage.messages(POISON)[0].text, encoded("work"));
        let settled: Vec<_> = host.log().invocations().iter().filter_map(|i| i.settled()).collect();
        assert_eq!((settled.len(), settled[0].deliveries), (1, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_base64_is_poison_at_once() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| done(json!({}))));
        stage.storage.put(QUEUE, r#"{"plain": "text"}"#.into()).unwrap();
        stage.storage.drained(QUEUE).await;
        assert_eq!((stage.calls().len(), stage.storage.messages(POISON).len()), (0, 1));
        assert!(host.log().lines()[0].text.contains("not base64"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_works_on_six_messages_at_a_time_and_not_more() {
        let stage = Stage::new();
        let at_work = Arc::new(Mutex::new((0, 0)));
        let counted = at_work.clone();
        let worker = stage.handler(move |_, count| {
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
            stage.put(&format!("message {number}"));
        }
        let _host = stage.start(&worker);
        stage.storage.drained(QUEUE).await;
        assert_eq!((stage.calls().len(), at_work.lock().unwrap().1), (40, 6));
    }

    /// The host lives, so it sees that the handler is gone; where the whole machine goes, only the lease ends.
    #[tokio::test(start_paused = true)]
    async fn a_dead_handlers_message_comes_back_soon_and_a_dead_hosts_after_its_lease() {
        for (die, minutes_later) in [("handler", 3), ("host", 10)] {
            let stage = Stage::new();
            let worker = stage.handler(async |_, count| {
                if count == 1 {
                    minutes(60).await;
                }
                done(json!({}))
            });
            let host = stage.start(&worker);
            stage.put("work");
            sleep(Duration::from_secs(1)).await;
            let spare = if die == "handler" {
                host.kill_worker().await;
                None
            } else {
                host.kill();
                Some(stage.start(&worker))
            };
            stage.storage.drained(QUEUE).await;
            let waited = stage.seconds()[1] - 1;
            assert!((minutes_later * 60 - 1..=minutes_later * 60).contains(&waited), "{die}: {waited} s");
            assert_eq!(stage.calls()[1].1["Metadata"]["DequeueCount"], "2");
            drop(spare);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_at_work_renews_its_lease() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, count| {
            if count == 1 {
                minutes(29).await;
            }
            done(json!({}))
        });
        let timeout = [("AzureFunctionsJobHost__functionTimeout", "00:30:00")];
        let one = stage.start_with(&worker, &timeout);
        stage.put("work");
        minutes(1).await;
        let _other = stage.start_with(&worker, &timeout);
        minutes(11).await;
        assert_eq!(stage.calls().len(), 1);
        one.kill();
        stage.storage.drained(QUEUE).await;
        assert_eq!(stage.seconds(), [0, 20 * 60], "the lease was last renewed after ten minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_whose_host_always_dies_is_poison_in_the_end() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| std::future::pending().await);
        stage.put("work");
        for _ in 0..5 {
            let host = stage.start(&worker);
            minutes(1).await;
            host.kill();
            minutes(10).await;
        }
        assert_eq!(stage.calls().len(), 5);
        let _host = stage.start(&worker);
        stage.storage.drained(QUEUE).await;
        assert_eq!((stage.calls().len(), stage.storage.messages(POISON).len()), (5, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn outputs_become_messages_as_the_host_makes_them() {
        let long = "x".repeat(60_000);
        for (jobs, messages) in [
            (json!([r#"{"a":1}"#, "test"]), vec![r#"{"a":1}"#, "test"]),
            (json!([{"a": 1}]), vec!["{\n  \"a\": 1\n}"]),
            (json!(r#"[{"a":1},"b"]"#), vec!["{\n  \"a\": 1\n}", "b"]),
            (json!(r#"{"a":1}"#), vec!["{\n  \"a\": 1\n}"]),
            (json!("plain words"), vec!["plain words"]),
            // Decoded, because it happens to be base64.
            (json!("dGVzdA=="), vec!["test"]),
            (json!(null), vec![]),
            (json!([]), vec![]),
            // The first is sent, the second is too long, and the third never gets its turn.
            (json!(["first", long, "third"]), vec!["first"]),
        ] {
            let stage = Stage::new();
            let outputs = json!({"jobs": jobs});
            let worker = stage.handler(move |_, _| {
                let answer = done(outputs.clone());
                async { answer }
            });
            let mut app = app(&[]);
            app.functions.remove("OnGroupAdd");
            let host = FunctionsHost::start(app, Arc::new(worker), stage.storage.clone());
            let ran = host.run("SweepJoiners").await.unwrap();
            let queued: Vec<String> =
                stage.storage.messages(QUEUE).into_iter().map(|message| message.text).collect();
            assert_eq!(queued, messages.iter().map(|text| encoded(text)).collect::<Vec<_>>());
            assert_eq!(matches!(ran.result, Err(Failure::Output(_))), messages == ["first"], "{ran:?}");
        }
    }
}

mod handler {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_killed_at_the_timeout_with_all_that_it_was_doing() {
        // No answer at all; and an empty one, which the host never takes for an answer.
        for is_empty in [false, true] {
            let stage = Stage::new();
            let worker = stage.handler(move |_, count| async move {
                match count {
                    1 if is_empty => return StatusCode::NO_CONTENT.into_response(),
                    1 => std::future::pending().await,
                    2 => minutes(9).await,
                    _ => {}
                }
                done(json!({}))
            });
            let host = stage.start(&worker);
            stage.put("hangs");
            minutes(5).await;
            stage.put("is on its way");
            stage.storage.drained(QUEUE).await;
            assert_eq!(worker.starts(), 2, "killed once, started again");
            let failures: Vec<_> =
                host.log().invocations().into_iter().filter_map(|i| i.result.err()).collect();
            assert!(failures.contains(&Failure::TimedOut), "{failures:?}");
            assert!(failures.iter().any(|failure| matches!(failure, Failure::Lost(_))), "{failures:?}");
            assert_eq!(stage.seconds(), [0, 300, 780, 780], "both come back three minutes after the kill");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_outs_do_not_make_the_host_give_up() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| std::future::pending().await);
        let host = stage.start_with(&worker, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
        stage.put("hangs");
        stage.storage.drained(QUEUE).await;
        assert_eq!((stage.calls().len(), host.has_given_up()), (5, false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_third_failure_ends_the_host_unless_it_was_quiet_between() {
        for (pause, gives_up) in [(1, true), (31, false)] {
            let stage = Stage::new();
            let worker = stage.handler(async |_, _| done(json!({})));
            let host = stage.start(&worker);
            for _ in 0..3 {
                assert!(host.is_ready().await);
                minutes(pause).await;
                worker.exit(1);
                sleep(Duration::from_millis(100)).await;
            }
            assert_eq!((host.has_given_up(), worker.starts()), (gives_up, if gives_up { 3 } else { 4 }));
            stage.put("work");
            minutes(1).await;
            assert_eq!(
                stage.storage.messages(QUEUE).len(),
                usize::from(gives_up),
                "nobody is there to take it"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn exit_code_200_asks_for_another_start_and_is_no_failure() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| done(json!({})));
        let host = stage.start(&worker);
        for _ in 0..5 {
            assert!(host.is_ready().await);
            worker.exit(200);
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((host.has_given_up(), worker.starts()), (false, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn exit_code_0_is_taken_for_life_and_every_invocation_fails() {
        let stage = Stage::new();
        let worker = stage.handler(async |_, _| done(json!({})));
        let host = stage.start(&worker);
        assert!(host.is_ready().await);
        worker.exit(0);
        stage.put("work");
        stage.storage.drained(QUEUE).await;
        assert_eq!((stage.calls().len(), worker.starts()), (0, 1));
        assert_eq!(stage.storage.messages(POISON).len(), 1, "five times nobody was there");
        assert!(host.log().invocations().iter().all(|i| matches!(i.result, Err(Failure::Lost(_)))));
    }

    #[tokio::test(start_paused = true)]
    async fn work_waits_for_a_handler_that_starts() {
        let stage = Stage::new();
        stage.put("work");
        // The first start comes to nothing; the second is well.
        let well = Router::new().fallback(async || done(json!({})));
        let worker = Embedded::starting_with(move |start| (start > 1).then(|| well.clone()));
        let host = stage.start(&worker);
        stage.storage.drained(QUEUE).await;
        let waited = (stage.sandbox.now() - time(NOW)).num_seconds();
        assert_eq!((waited, worker.starts(), host.log().invocations().len()), (30, 2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_gets_ready_ends_the_host_after_three_times_30_seconds() {
        let stage = Stage::new();
        let worker = Embedded::starting_with(|_| None);
        let host = stage.start(&worker);
        let ran = host.run("SweepJoiners").await.unwrap();
        assert_eq!(ran.result, Err(Failure::NotReady));
        assert_eq!(((stage.sandbox.now() - time(NOW)).num_seconds(), worker.starts()), (90, 3));
        host.gave_up().await;
    }
}

mod http {
    use super::*;

    async fn send(
        host: &FunctionsHost,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value, String) {
        let mut request = Request::builder().method(method).uri(uri).header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response =
            host.router().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, json!(kind), String::from_utf8(bytes.to_vec()).unwrap())
    }

    const JSON: (&str, &str) = ("content-type", "application/json");

    #[tokio::test(start_paused = true)]
    async fn keys_routes_and_methods_are_the_hosts() {
        let stage = Stage::new();
        let host =
            stage.start(&stage.handler(async |_, _| done(json!({"res": {"status": "201", "body": "made"}}))));
        for (method, uri, headers, status) in [
            ("POST", "/api/CreateTap?code=tap", vec![], 201),
            ("POST", "/API/createtap?code=host", vec![], 201),
            ("POST", "/api/CreateTap", vec![("x-functions-key", "master")], 201),
            ("POST", "/api/CreateTap", vec![], 401),
            ("POST", "/api/CreateTap?code=wrong", vec![], 401),
            ("POST", "/api/CreateTap?code=tap", vec![("x-functions-key", "wrong")], 401),
            ("GET", "/api/CreateTap?code=tap", vec![], 404),
            ("POST", "/api/DeleteTap?code=tap", vec![], 404),
            ("POST", "/CreateTap?code=tap", vec![], 404),
            ("POST", "/api/SweepJoiners?code=master", vec![], 404),
            ("GET", "/", vec![], 200),
            ("POST", "/admin/functions/SweepJoiners", vec![JSON], 401),
            ("POST", "/admin/functions/SweepJoiners?code=tap", vec![JSON], 401),
            ("POST", "/admin/functions/SweepMovers?code=master", vec![JSON], 404),
            ("PATCH", "/admin/functions/SweepJoiners?code=master", vec![JSON], 405),
            ("POST", "/admin/functions/SweepJoiners?code=master", vec![], 415),
        ] {
            let (got, ..) = send(&host, method, uri, &headers, r#"{"input":""}"#).await;
            assert_eq!(got, status, "{method} {uri} {headers:?}");
        }
        assert_eq!(
            send(&host, "POST", "/admin/functions/SweepJoiners?code=master", &[JSON], "").await.0,
            400
        );
        assert!(stage.calls().iter().all(|(function, ..)| function == "CreateTap"));
    }

    #[tokio::test(start_paused = true)]
    async fn levels_open_to_everybody_or_to_the_master_key_alone() {
        for (level, key, status) in [
            (AuthLevel::Anonymous, "wrong", 200),
            (AuthLevel::Admin, "tap", 401),
            (AuthLevel::Admin, "host", 401),
            (AuthLevel::Admin, "master", 200),
        ] {
            let stage = Stage::new();
            let mut app = app(&[]);
            if let Some(Trigger::Http(http)) = app.functions.get_mut("CreateTap").map(|f| &mut f.trigger) {
                http.auth_level = level;
            }
            let keys = Keys { master: "master".into(), host: "host".into(), functions: [].into() };
            let worker = stage.handler(async |_, _| done(json!({"res": {}})));
            let host = FunctionsHost::start_with_keys(app, Arc::new(worker), stage.storage.clone(), keys);
            assert_eq!(
                send(&host, "POST", &format!("/api/CreateTap?code={key}"), &[], "").await.0,
                status,
                "{level:?} {key}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_is_run_by_hand_and_the_caller_does_not_wait() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| {
            minutes(5).await;
            done(json!({}))
        }));
        let headers = [JSON, ("x-functions-key", "master")];
        assert_eq!(
            send(&host, "POST", "/admin/functions/SweepJoiners", &headers, r#"{"input":""}"#).await.0,
            202
        );
        assert_eq!(stage.sandbox.now(), time(NOW));
        let ran = host.log().invocation(|_| true).await;
        assert!(ran.is_success() && matches!(ran.cause, Cause::Admin));
        assert_eq!(stage.calls()[0].1["Data"]["timer"]["IsPastDue"], false);
    }

    #[tokio::test(start_paused = true)]
    async fn the_handler_sees_the_request_and_the_caller_what_it_answers() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, count| {
            done(match count {
                1 => json!({"res": {"statusCode": 409, "headers": {"content-type": "application/json", "retry-after": 5}, "body": "{}"}}),
                2 => json!({"res": {"body": {"a": 1}}}),
                3 => json!({"res": {}}),
                _ => json!({}),
            })
        }));
        let uri = "/api/CreateTap?code=tap&why=new%20phone";
        let (status, kind, body) =
            send(&host, "POST", uri, &[JSON, ("x-tag", "1"), ("x-tag", "2")], r#"{"UserName":"x"}"#).await;
        assert_eq!((status, kind, body.as_str()), (409, json!("application/json"), "{}"));
        let request = stage.calls()[0].1["Data"]["req"].clone();
        assert_eq!(request["Body"], r#"{"UserName":"x"}"#);
        assert_eq!(
            (&request["Query"]["why"], &request["Headers"]["X-Tag"]),
            (&json!("new phone"), &json!(["1", "2"]))
        );
        let text = json!("text/plain; charset=utf-8");
        assert_eq!(send(&host, "POST", uri, &[], "").await, (200, text.clone(), "{\n  \"a\": 1\n}".into()));
        assert_eq!(stage.calls()[1].1["Data"]["req"].get("Body"), None);
        assert_eq!(send(&host, "POST", uri, &[], "").await, (200, text, String::new()));
        assert_eq!(send(&host, "POST", uri, &[], "").await.2, "{}", "there was no res");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_host_cannot_use_is_a_500_without_words() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, count| match count {
            1 => failed(),
            2 => "fine".into_response(),
            3 => ([("content-type", "application/json")], "{\"Outputs\":").into_response(),
            4 => done(json!({"response": {"body": "a code"}})),
            5 => done(json!({"res": "a code"})),
            _ => done(json!({"res": {"statusCode": "often", "body": "a code"}})),
        }));
        for _ in 0..6 {
            let (status, _, body) = send(&host, "POST", "/api/CreateTap?code=tap", &[], "").await;
            assert_eq!((status, body.as_str()), (500, ""));
        }
        let failures: Vec<Failure> =
            host.log().invocations().into_iter().filter_map(|i| i.result.err()).collect();
        assert_eq!(failures[0], Failure::Status(StatusCode::INTERNAL_SERVER_ERROR));
        assert!(
            failures[1..].iter().all(|f| matches!(f, Failure::Unreadable(why) if !why.contains("a code"))),
            "{failures:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_over_after_230_seconds_and_the_function_goes_on() {
        let stage = Stage::new();
        let host = stage.start(&stage.handler(async |_, _| {
            minutes(5).await;
            done(json!({"res": {"body": "late"}}))
        }));
        assert_eq!(send(&host, "POST", "/api/CreateTap?code=tap", &[], "").await.0, 504);
        assert_eq!((stage.sandbox.now() - time(NOW)).num_seconds(), 230);
        assert!(host.log().invocation(|_| true).await.is_success());
    }

    #[tokio::test(start_paused = true)]
    async fn firstpass_itself_sweeps_mails_and_answers_through_it() {
        let (tenant, emma) = tenant_with_emma();
        let world = World::new(tenant, &[]);
        let storage = Storage::new(world.sandbox.clock());
        let worker = Arc::new(Embedded::new(host::router(Ok(world.app.clone()))));
        let host = FunctionsHost::start(app(&[("SWEEP_SCHEDULE", "0 30 5 * * *")]), worker, storage.clone());
        let swept = host.log().invocation(|i| i.function == "SweepJoiners").await;
        assert!(swept.is_success(), "{swept:?}");
        storage.drained(QUEUE).await;
        world.assert_newest_mail_opens(emma);
        let uri = format!("/api/CreateTap?code={}", host.keys().master);
        let (status, kind, body) =
            send(&host, "POST", &uri, &[JSON], &json!({"UserName": emma}).to_string()).await;
        assert_eq!((status, kind), (201, json!("application/json")));
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["temporaryAccessPass"], world.live_code(emma).unwrap());
    }
}
