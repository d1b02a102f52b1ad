//! HTTP: routes, keys, bodies and responses.

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
    let response = host.router().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned());
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, json!(kind), String::from_utf8(bytes.to_vec()).unwrap())
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(start_paused = true)]
async fn keys_routes_and_methods_are_checked() {
    let setup = Setup::new();
    let host =
        setup.start(&setup.handler(async |_, _| done(json!({"res": {"statusCode": "201", "body": "made"}}))));
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
        ("POST", "/admin/functions/SweepJoiners?code=host", vec![JSON], 403),
        ("POST", "/admin/functions/SweepMovers?code=master", vec![JSON], 404),
        ("PATCH", "/admin/functions/SweepJoiners?code=master", vec![JSON], 405),
        ("POST", "/admin/functions/SweepJoiners?code=master", vec![], 415),
    ] {
        let (got, ..) = send(&host, method, uri, &headers, r#"{"input":""}"#).await;
        assert_eq!(got, status, "{method} {uri} {headers:?}");
    }
    assert_eq!(send(&host, "POST", "/admin/functions/SweepJoiners?code=master", &[JSON], "").await.0, 400);
    assert!(setup.calls().iter().all(|(function, ..)| function == "CreateTap"));
}

#[tokio::test(start_paused = true)]
async fn anonymous_needs_no_key_and_admin_the_master_key() {
    for (level, key, status) in [
        (AuthLevel::Anonymous, "wrong", 200),
        (AuthLevel::Admin, "tap", 401),
        (AuthLevel::Admin, "host", 401),
        (AuthLevel::Admin, "master", 200),
    ] {
        let setup = Setup::new();
        let mut app = app(&[]);
        if let Some(Trigger::Http(http)) = app.functions.get_mut("CreateTap").map(|f| &mut f.trigger) {
            http.auth_level = level;
        }
        let keys = Keys { master: "master".into(), host: "host".into(), functions: [].into() };
        let worker = setup.handler(async |_, _| done(json!({"res": {}})));
        let options = Options { keys, ..Options::default() };
        let host = FunctionsHost::start_with(app, Arc::new(worker), setup.storage.clone(), options);
        assert_eq!(
            send(&host, "POST", &format!("/api/CreateTap?code={key}"), &[], "").await.0,
            status,
            "{level:?} {key}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_manual_run_of_a_timer_returns_at_once() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| {
        minutes(5).await;
        done(json!({}))
    }));
    let headers = [JSON, ("x-functions-key", "master")];
    assert_eq!(
        send(&host, "POST", "/admin/functions/SweepJoiners", &headers, r#"{"input":""}"#).await.0,
        202
    );
    assert_eq!(setup.sandbox.now(), time(NOW));
    let ran = host.log().invocation(|_| true).await;
    assert!(ran.is_success() && matches!(ran.cause, Cause::Admin));
    assert_eq!(setup.calls()[0].1["Data"]["timer"]["IsPastDue"], false);
}

#[tokio::test(start_paused = true)]
async fn an_http_call_reaches_the_handler_and_returns_its_response() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, count| {
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
    assert_eq!((status, kind, body.as_str()), (409, json!("application/json; charset=utf-8"), "{}"));
    let request = setup.calls()[0].1["Data"]["req"].clone();
    assert_eq!(request["Body"], r#"{"UserName":"x"}"#);
    assert_eq!(
        (&request["Query"]["why"], &request["Headers"]["x-tag"]),
        (&json!("new phone"), &json!(["1", "2"]))
    );
    let text = json!("text/plain; charset=utf-8");
    assert_eq!(send(&host, "POST", uri, &[], "").await, (200, text.clone(), "{\n  \"a\": 1\n}".into()));
    assert_eq!(setup.calls()[1].1["Data"]["req"].get("Body"), None);
    assert_eq!(send(&host, "POST", uri, &[], "").await, (200, text, String::new()));
    assert_eq!(send(&host, "POST", uri, &[], "").await.2, "{}", "the output res is missing");
}

#[tokio::test(start_paused = true)]
async fn what_the_host_cannot_use_is_a_500_without_words() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, count| match count {
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
    assert_eq!(failures[0], status_500());
    assert!(
        failures[1..].iter().all(|f| matches!(f, Failure::Unreadable(why) if !why.contains("a code"))),
        "{failures:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_host_accepts_json_from_the_handler_under_two_names() {
    for (kind, status) in [
        (Some("application/json"), 204),
        (Some("Application/JSON; charset=utf-8"), 204),
        (Some("text/json"), 204),
        (Some("application/problem+json"), 500),
        (Some("application/vnd.firstpass+json"), 500),
        (None, 500),
    ] {
        let setup = Setup::new();
        let worker = setup.handler(move |_, _| async move {
            let mut response = Response::new(Body::from(r#"{"Logs": []}"#));
            if let Some(kind) = kind {
                response.headers_mut().insert("content-type", kind.parse().unwrap());
            }
            response
        });
        let host = setup.start(&worker);
        assert_eq!(send(&host, "POST", "/api/CreateTap?code=tap", &[], "").await.0, status, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_may_hold_any_value_but_an_object() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, count| {
        let when = "2026-11-25T07:00:00+01:00";
        let last = if count == 1 { json!("end") } else { json!({}) };
        axum::Json(json!({"Outputs": {}, "Logs": ["a", 1, 2.5, true, null, when, last]})).into_response()
    }));
    for _ in 0..2 {
        send(&host, "POST", "/api/CreateTap?code=tap", &[], "").await;
    }
    let [good, bad] = &host.log().invocations()[..] else { panic!("two invocations") };
    assert_eq!(good.logs, ["a", "1", "2.5", "true", "", "2026-11-25T07:00:00+01:00", "end"]);
    assert!(matches!(bad.result, Err(Failure::Unreadable(_))), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_over_after_230_seconds_and_the_function_goes_on() {
    let setup = Setup::new();
    let host = setup.start(&setup.handler(async |_, _| {
        minutes(5).await;
        done(json!({"res": {"body": "late"}}))
    }));
    assert_eq!(send(&host, "POST", "/api/CreateTap?code=tap", &[], "").await.0, 504);
    assert_eq!((setup.sandbox.now() - time(NOW)).num_seconds(), 230);
    assert!(host.log().invocation(|_| true).await.is_success());
}

#[tokio::test(start_paused = true)]
async fn firstpass_runs_on_the_local_host() {
    let (tenant, emma) = tenant_with_emma();
    let test_app = TestApp::new(tenant, &[]);
    let storage = Storage::new(test_app.sandbox.clock());
    let worker = Arc::new(Embedded::new(host::router(Ok(test_app.app.clone()))));
    let host = FunctionsHost::start(app(&[("SWEEP_SCHEDULE", "0 30 5 * * *")]), worker, storage.clone());
    let swept = host.log().invocation(|i| i.function == "SweepJoiners").await;
    assert!(swept.is_success(), "{swept:?}");
    storage.wait_until_empty(QUEUE).await;
    test_app.assert_newest_mail_has_live_code(emma);
    let uri = format!("/api/CreateTap?code={}", host.keys().master);
    let (status, kind, body) =
        send(&host, "POST", &uri, &[JSON], &json!({"UserName": emma}).to_string()).await;
    assert_eq!((status, kind), (201, json!("application/json; charset=utf-8")));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["temporaryAccessPass"], test_app.live_code(emma).unwrap());
}
