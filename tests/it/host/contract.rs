//! The Functions host's wire format, in both directions.

use axum::http::StatusCode;
use firstpass::{clock::Clock, environment::Environment, hash::sha256, host, settings::Settings};
use firstpass_sandbox::{functions_host::local_host::LocalHost, tenant::Fault};
use serde_json::{Value, json};

use crate::helpers::{NOW, TestApp, fail_with, time};

#[tokio::test(start_paused = true)]
async fn the_timer_answer_lists_jobs_as_json_strings() {
    let (app, emma) = TestApp::with_emma();
    let answer = app.host.fire_timer().await;
    let jobs = answer.body["Outputs"]["jobs"].as_array().unwrap();
    let job: Value = serde_json::from_str(jobs[0].as_str().unwrap()).unwrap();
    assert_eq!(job["userId"], emma.to_string());
    assert_eq!(job["reason"], "joiner");
    assert!(answer.body["Logs"].as_array().unwrap().iter().all(Value::is_string));
    assert!(answer.body.as_object().unwrap().contains_key("ReturnValue"));
}

#[tokio::test(start_paused = true)]
async fn a_manual_timer_run_has_no_schedule_status() {
    let (app, _) = TestApp::with_emma();
    let body = json!({"Data": {"timer": {"Schedule": {"AdjustForDST": true}, "ScheduleStatus": null, "IsPastDue": false}},
                      "Metadata": {"sys": {"MethodName": "SweepJoiners"}}});
    let answer = app.host.post("SweepJoiners", body.to_string()).await;
    assert_eq!((answer.status, answer.jobs().len()), (StatusCode::OK, 1));
    let as_text = json!({"Data": {"timer": body["Data"]["timer"].to_string()}});
    assert_eq!(app.host.post("SweepJoiners", as_text.to_string()).await.status, StatusCode::OK);
}

/// The host encodes the string once more; other hosts do not, or parse the message.
#[tokio::test(start_paused = true)]
async fn a_message_is_read_however_it_is_encoded() {
    type Wrap = fn(&str) -> Value;
    let wraps: [Wrap; 4] = [
        |message| Value::from(Value::from(message).to_string()),
        |message| Value::from(message),
        |message| serde_json::from_str(message).unwrap(),
        |message| Value::from(Value::from(Value::from(message).to_string()).to_string()),
    ];
    for wrap in wraps {
        let (app, emma) = TestApp::with_emma();
        let mut body = app.host.queue_invocation("", 1);
        body["Data"]["msg"] = wrap(&app.job(emma).to_message());
        let answer = app.host.post("OnGroupAdd", body.to_string()).await;
        assert!(answer.is_success() && answer.log().contains("delivered"), "{}", answer.log());
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_host_says_which_delivery_it_is() {
    for (count, alerts) in
        [(json!("10"), 1), (json!(10), 1), (json!("\"10\""), 0), (json!("9"), 0), (json!("many"), 0)]
    {
        let (app, emma) = TestApp::with_emma();
        let refusal = Fault::on("POST", "sendMail", fail_with(400)).body("emma.brooks@mail.example");
        app.sandbox.inject(refusal.always());
        let mut body = app.host.queue_invocation(&app.job(emma).to_message(), 1);
        body["Metadata"]["DequeueCount"] = count.clone();
        assert_eq!(
            app.host.post("OnGroupAdd", body.to_string()).await.status,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(app.alerts().len(), alerts, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn message_fields_named_like_metadata_are_ignored() {
    let (app, emma) = TestApp::with_emma();
    let mut message: Value = serde_json::from_str(&app.job(emma).to_message()).unwrap();
    message["dequeueCount"] = json!("a lot");
    message["sys"] = json!("mine");
    message["ID"] = json!({"x": [1]});
    let answer = app.host.deliver(&message.to_string(), 1).await;
    assert!(answer.is_success() && answer.log().contains("delivered"), "{}", answer.log());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_message_is_dropped_with_an_alert_and_every_problem() {
    for (message, problems) in [
        (r#"{"reason":"because","userId":"me"}"#, vec!["jobKey", "reason", "userId"]),
        ("emma", vec!["neither a user principal name nor an object id"]),
        ("", vec!["neither a user principal name nor an object id"]),
        ("[1,2]", vec!["neither a text nor an object"]),
    ] {
        let (app, emma) = TestApp::with_emma();
        let answer = app.host.deliver(message, 1).await;
        assert_eq!(answer.status, StatusCode::OK, "an error would cause redelivery");
        for problem in problems {
            assert!(answer.log().contains(problem), "{problem}: {}", answer.log());
        }
        assert_eq!(answer.jobs(), [] as [&str; 0]);
        let [alert] = app.alerts().try_into().expect("one alert");
        let text = alert["body"]["content"].as_str().unwrap();
        for known in [format!("{} bytes", message.len()), format!("SHA-256 {}", sha256(message))] {
            assert!(text.contains(&known), "{known}: {text}");
        }
        assert!(message.len() < 4 || !text.contains(message), "{text}");
        assert_eq!(app.run_job(emma).await.outcome, "delivered", "the process still works");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_invocation_is_rejected_with_every_problem() {
    let (app, emma) = TestApp::with_emma();
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
        let answer = app.host.post(function, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        for problem in problems {
            assert!(answer.log().contains(problem), "{body}: {}", answer.log());
        }
    }
    assert_eq!(app.host.post("Nonsense", String::new()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.run_job(emma).await.outcome, "delivered", "the process still works");
}

/// The host waits for an empty answer until its timeout, and then kills the process.
#[tokio::test(start_paused = true)]
async fn no_answer_is_empty() {
    let (app, _) = TestApp::with_emma();
    let report = Settings::read(&Environment::default()).unwrap_err();
    let broken = LocalHost::new(host::router(Err(report)), Clock::from_fn(|| time(NOW)));
    for host in [&app.host, &broken] {
        for function in ["SweepJoiners", "OnGroupAdd", "CreateTap", "Nonsense"] {
            for body in ["", "null", "{}", r#"{"Data":{"timer":{},"msg":"x","req":{}}}"#] {
                let answer = host.post(function, body.to_owned()).await;
                assert!(answer.body.is_object(), "{function} {body}: {:?}", answer);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_invalid_settings_the_handler_is_ready() {
    let report = Settings::read(&Environment::default()).unwrap_err();
    let probe = axum::http::Request::get("/").body(axum::body::Body::empty()).unwrap();
    let ready = tower::ServiceExt::oneshot(host::router(Err(report)), probe).await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_cannot_query_graph_fails_so_that_the_host_retries() {
    let (app, _) = TestApp::with_emma();
    use firstpass_sandbox::tenant::{Fault, FaultKind};
    let denied = FaultKind::Fail { status: 403, code: "accessDenied".into(), message: "no".into() };
    app.sandbox.inject(Fault::on("GET", "/users", denied));
    let answer = app.host.fire_timer().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.log().contains("grant"), "{}", answer.log());
    assert_eq!(app.host.fire_timer().await.jobs().len(), 1);
}
