//! The Functions host's wire format, both ways.

use axum::http::StatusCode;
use firstpass::{clock::Clock, environment::Environment, hash::sha256, host, settings::Settings};
use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::{Value, json};

use crate::helpers::{NOW, World, time};

#[tokio::test(start_paused = true)]
async fn a_timer_is_answered_with_jobs_as_strings_of_json() {
    let (world, emma) = World::with_emma();
    let answer = world.host.fire_timer().await;
    let jobs = answer.body["Outputs"]["jobs"].as_array().unwrap();
    let job: Value = serde_json::from_str(jobs[0].as_str().unwrap()).unwrap();
    assert_eq!(job["userId"], emma.to_string());
    assert_eq!(job["reason"], "joiner");
    assert!(answer.body["Logs"].as_array().unwrap().iter().all(Value::is_string));
    assert!(answer.body.as_object().unwrap().contains_key("ReturnValue"));
}

#[tokio::test(start_paused = true)]
async fn a_timer_run_by_hand_has_no_schedule_status() {
    let (world, _) = World::with_emma();
    let body = json!({"Data": {"timer": {"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false}},
                      "Metadata": {"sys": {"MethodName": "SweepJoiners"}}});
    let answer = world.host.post("SweepJoiners", body.to_string()).await;
    assert_eq!((answer.status, answer.jobs().len()), (StatusCode::OK, 1));
    let as_text = json!({"Data": {"timer": body["Data"]["timer"].to_string()}});
    assert_eq!(world.host.post("SweepJoiners", as_text.to_string()).await.status, StatusCode::OK);
}

/// The host encodes strings once more; other hosts and older documents do not; a host may even parse the message.
#[tokio::test(start_paused = true)]
async fn a_message_is_understood_however_it_is_wrapped() {
    type Wrap = fn(&str) -> Value;
    let wraps: [Wrap; 4] = [
        |message| Value::from(Value::from(message).to_string()),
        |message| Value::from(message),
        |message| serde_json::from_str(message).unwrap(),
        |message| Value::from(Value::from(Value::from(message).to_string()).to_string()),
    ];
    for wrap in wraps {
        let (world, emma) = World::with_emma();
        let mut body = world.host.queue_invocation("", 1);
        body["Data"]["msg"] = wrap(&world.job(emma).to_message());
        let answer = world.host.post("OnGroupAdd", body.to_string()).await;
        assert!(answer.is_success() && answer.log().contains("delivered"), "{}", answer.log());
    }
}

#[tokio::test(start_paused = true)]
async fn the_delivery_count_comes_as_a_string_and_a_message_may_have_overwritten_it() {
    for (count, alerts) in
        [(json!("5"), 1), (json!(5), 1), (json!("\"5\""), 1), (json!("4"), 0), (json!("many"), 0)]
    {
        let (world, emma) = World::with_emma();
        world.sandbox.edit(|tenant| tenant.undeliverable.insert("emma.brooks@mail.example".into()));
        let mut body = world.host.queue_invocation(&world.job(emma).to_message(), 1);
        body["Metadata"]["DequeueCount"] = count.clone();
        assert_eq!(
            world.host.post("OnGroupAdd", body.to_string()).await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(world.alerts().len(), alerts, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_message_in_the_metadata_do_no_harm() {
    let (world, emma) = World::with_emma();
    let mut message: Value = serde_json::from_str(&world.job(emma).to_message()).unwrap();
    message["dequeueCount"] = json!("a lot");
    message["sys"] = json!("mine");
    message["ID"] = json!({"x": [1]});
    let answer = world.host.deliver(&message.to_string(), 1).await;
    assert!(answer.is_success() && answer.log().contains("delivered"), "{}", answer.log());
}

#[tokio::test(start_paused = true)]
async fn a_message_nobody_can_read_ends_at_once_with_every_problem_and_an_alert() {
    for (message, problems) in [
        (r#"{"reason":"because","userId":"me"}"#, vec!["jobKey", "reason", "userId"]),
        ("emma", vec!["neither a user principal name nor an object id"]),
        ("", vec!["neither a user principal name nor an object id"]),
        ("[1,2]", vec!["neither a text nor an object"]),
    ] {
        let (world, emma) = World::with_emma();
        let answer = world.host.deliver(message, 1).await;
        assert_eq!(answer.status, StatusCode::OK, "delivering it again would not help");
        for problem in problems {
            assert!(answer.log().contains(problem), "{problem}: {}", answer.log());
        }
        assert_eq!(answer.jobs(), [] as [&str; 0]);
        let [alert] = world.alerts().try_into().expect("one alert");
        let told = alert["body"]["content"].as_str().unwrap();
        for known in [format!("{} bytes", message.len()), format!("SHA-256 {}", sha256(message))] {
            assert!(told.contains(&known), "{known}: {told}");
        }
        assert!(message.len() < 4 || !told.contains(message), "{told}");
        assert_eq!(world.deliver(emma).await.outcome, "delivered", "the process is well");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_is_none_is_refused_with_every_problem() {
    let (world, emma) = World::with_emma();
    for (function, body, problems) in [
        ("SweepJoiners", "", vec!["not JSON"]),
        ("SweepJoiners", "{", vec!["not JSON"]),
        ("SweepJoiners", "[]", vec!["Data is missing"]),
        (
            "SweepJoiners",
            r#"{"Data":[],"Metadata":7}"#,
            vec!["Data is not an object", "Metadata is not an object"],
        ),
        (
            "SweepJoiners",
            r#"{"Data":{"clock":{}},"Metadata":"x"}"#,
            vec!["Data.timer is missing", "Metadata"],
        ),
        ("SweepJoiners", r#"{"Data":{"timer":7}}"#, vec!["Data.timer has the wrong type"]),
        ("OnGroupAdd", r#"{"Data":{}}"#, vec!["Data.msg is missing"]),
        ("OnGroupAdd", r#"{"Data":{"msg":null}}"#, vec!["Data.msg has the wrong type"]),
        ("CreateTap", r#"{"Data":{"req":"x"}}"#, vec!["Data.req has the wrong type"]),
    ] {
        let answer = world.host.post(function, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        for problem in problems {
            assert!(answer.log().contains(problem), "{body}: {}", answer.log());
        }
    }
    assert_eq!(world.host.post("Nonsense", String::new()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.deliver(emma).await.outcome, "delivered", "the process is well");
}

/// An empty answer would hang until the host kills the process.
#[tokio::test(start_paused = true)]
async fn no_answer_is_ever_empty() {
    let (world, _) = World::with_emma();
    let report = Settings::read(&Environment::default()).unwrap_err();
    let broken = LocalHost::new(host::router(Err(report)), Clock::from_fn(|| time(NOW)));
    for host in [&world.host, &broken] {
        for function in ["SweepJoiners", "OnGroupAdd", "CreateTap", "Nonsense"] {
            for body in ["", "null", "{}", r#"{"Data":{"timer":{},"msg":"x","req":{}}}"#] {
                let answer = host.post(function, body.to_owned()).await;
                assert!(answer.body.is_object(), "{function} {body}: {:?}", answer);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_bad_settings_it_is_ready_and_answers_each_invocation_with_the_whole_report() {
    let env = Environment::from_iter([("TIME_ZONE", "Mars/Olympus"), ("LEAD_DAYS", "soon")]);
    let report = Settings::read(&env).unwrap_err();
    let router = host::router(Err(report));
    let host = LocalHost::new(router.clone(), Clock::from_fn(|| time(NOW)));
    let answers = [host.fire_timer().await, host.deliver("{}", 1).await, host.call("CreateTap", "{}").await];
    for answer in answers {
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        for name in ["MAIL_FROM", "LEDGER_URL", "TIME_ZONE", "LEAD_DAYS"] {
            assert!(answer.log().contains(name), "{name}: {}", answer.log());
        }
    }
    let probe = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let ready = tower::ServiceExt::oneshot(router, probe).await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_cannot_ask_graph_fails_so_that_the_host_runs_it_again() {
    let (world, _) = World::with_emma();
    use firstpass_sandbox::tenant::{Fault, FaultKind};
    let denied = FaultKind::Fail { status: 403, code: "accessDenied".into(), message: "no".into() };
    world.sandbox.inject(Fault::on("GET", "/users", denied));
    let answer = world.host.fire_timer().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.log().contains("grant"), "{}", answer.log());
    assert_eq!(world.host.fire_timer().await.jobs().len(), 1);
}
