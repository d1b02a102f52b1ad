//! What arrives of a failed invocation: the reason phrase of its status line, and its lines on stderr.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use firstpass::{environment::Environment, host, ledger::LedgerError, settings::Settings};
use firstpass_sandbox::tenant::{Fault, FaultKind};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{
    helpers::{
        NOW, TestApp, fail_with, log_capture::capture_log, process::Process, tenant_with_emma, throttle,
    },
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

const ID: &str = "8d7f9c52-5f1f-4b34-a0b2-58e0b1f7c9aa";

/// The status, the reason phrase and the body of the answer to an invocation.
async fn invoke(router: axum::Router, function: &str, body: &Value) -> (StatusCode, String, Value) {
    let request = Request::post(format!("/{function}"))
        .header("content-type", "application/json")
        .header("x-azure-functions-invocationid", ID)
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let phrase = response.extensions().get::<ReasonPhrase>().map(|phrase| phrase.as_bytes().to_vec());
    let phrase = String::from_utf8(phrase.unwrap_or_default()).unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, phrase, serde_json::from_slice(&body).unwrap())
}

fn timer(retry: u32) -> Value {
    let context =
        json!({"RetryCount": retry, "MaxRetryCount": 5, "Exception": null, "Instance": null, "State": {}});
    json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {"RetryContext": context}})
}

#[derive(Debug, Default)]
struct Down(Mutex<bool>);

#[async_trait]
impl LedgerFault for Down {
    async fn before(&self, _: Operation) -> Result<(), LedgerError> {
        if *self.0.lock().unwrap() { Err(LedgerError::Unavailable("sig=SECRET emma".into())) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_has_a_reason_phrase_without_names_and_a_line_on_stderr() {
    type Prepare = fn(&TestApp);
    let fail: [(&str, Prepare, &str); 7] = [
        (
            "SweepJoiners",
            |app| {
                let kind = FaultKind::Fail {
                    status: 403,
                    code: "accessDenied".into(),
                    message: "emma\r\nSet-Cookie: x".into(),
                };
                app.sandbox.inject(Fault::on("GET", "/users", kind).always());
            },
            "Microsoft Graph refused the request (403) while looking for joiners",
        ),
        (
            "SweepJoiners",
            |app| app.sandbox.inject(Fault::on("GET", "/users", throttle("1")).always()),
            "Microsoft Graph is busy (429) while looking for joiners",
        ),
        (
            "OnGroupAdd",
            |app| app.sandbox.inject(Fault::on("POST", "sendMail", throttle("1")).always()),
            "Microsoft Graph is busy (429) while sending the mail",
        ),
        (
            "OnGroupAdd",
            |app| app.sandbox.inject(Fault::on("POST", "$batch", fail_with(500)).always()),
            "Microsoft Graph did not answer (500) while reading the user, their passes and roles",
        ),
        (
            "OnGroupAdd",
            |app| app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).always()),
            "Microsoft Graph refused the request (400) while sending the mail",
        ),
        ("OnGroupAdd", |_| {}, "the storage account of the ledger cannot be used"),
        (
            "OnGroupAdd",
            |app| app.sandbox.edit(|tenant| tenant.users.clear()),
            "the account is not in the tenant, or not yet",
        ),
    ];
    for (function, prepare, expected) in fail {
        let ledger = FaultyLedger::with_fault(Down::default());
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::with_ledger(tenant, &[], ledger.clone()).allow_schema_problem("");
        prepare(&app);
        *ledger.fault.0.lock().unwrap() = expected.contains("ledger");
        let invocation = match function {
            "SweepJoiners" => timer(0),
            _ => app.host.queue_invocation(&app.job(emma).to_message(), 1),
        };
        let ((status, phrase, _), log) =
            capture_log("warn", invoke(app.router(), function, &invocation)).await;
        assert_eq!((status, phrase.as_str()), (StatusCode::INTERNAL_SERVER_ERROR, expected));
        assert!(phrase.len() <= 100 && !phrase.to_lowercase().contains("emma"), "{phrase}");
        let is_its_line = |line: &str| line.contains(&format!("invocation_id={ID}"));
        assert!(log.lines().any(is_its_line), "WARN and ERROR go to stderr: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_invalid_settings_each_way_in_says_where_to_look_and_the_log_has_the_report_once_a_minute() {
    let env = Environment::from_iter([("TIME_ZONE", "Mars/Olympus"), ("LEAD_DAYS", "soon")]);
    let report = Settings::read(&env).unwrap_err();
    let work = async {
        let router = host::router(Err(report));
        for (function, data) in [("SweepJoiners", "timer"), ("OnGroupAdd", "msg")] {
            let (status, phrase, _) = invoke(router.clone(), function, &json!({"Data": {data: {}}})).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            for name in ["MAIL_FROM", "LEDGER_URL", "TIME_ZONE", "LEAD_DAYS"] {
                assert!(phrase.starts_with("settings not valid: ") && phrase.contains(name), "{phrase}");
            }
            assert!(!phrase.contains("Mars"), "{phrase}");
        }
        let (status, _, body) = invoke(router.clone(), "CreateTap", &json!({"Data": {"req": {}}})).await;
        let res = &body["Outputs"]["res"];
        assert_eq!((status, res["statusCode"].as_u64()), (StatusCode::OK, Some(503)));
        assert_eq!(res["headers"]["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(res["body"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&problem["type"], &problem["invocationId"]),
            (&"urn:firstpass:not-set-up".into(), &ID.into())
        );
        assert!(problem["detail"].as_str().unwrap().contains("settings.rejected"), "{problem}");
        assert!(
            !problem.to_string().contains("Mars") && !problem.to_string().contains("TIME_ZONE"),
            "{problem}"
        );
        tokio::time::advance(std::time::Duration::from_secs(60)).await;
        invoke(router, "CreateTap", &json!({"Data": {"req": {}}})).await;
    };
    let ((), log) = capture_log("warn", work).await;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("event=settings.rejected")).collect();
    let reports: Vec<bool> = lines.iter().map(|line| line.contains("Mars/Olympus")).collect();
    assert_eq!(reports, [true, false, false, false, true], "at the start, and a minute later: {log}");
    assert!(lines[1..].iter().all(|line| line.contains(ID)), "{log}");
}

/// The phrase as it goes over the wire.
#[test]
fn the_status_line_has_the_reason_phrase() {
    use std::io::{Read, Write};
    let (_serve, port) = Process::serve_product(&[("LEAD_DAYS", "soon")]);
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(
        stream,
        "POST /SweepJoiners HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         X-Azure-Functions-InvocationId: {ID}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(
        response.starts_with("HTTP/1.1 500 settings not valid: MAIL_FROM, LEDGER_URL, LEAD_DAYS\r\n"),
        "{response}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_lacks_a_permission_is_alerted_at_the_first_attempt_and_once() {
    let (app, _) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("GET", "/users", fail_with(403)).always());
    for retry in 0..6 {
        assert!(!invoke(app.router(), "SweepJoiners", &timer(retry)).await.0.is_success());
        assert_eq!(app.alerts().len(), 1, "after attempt {retry}");
        app.advance(chrono::TimeDelta::minutes(1 << retry));
    }
    // The host was restarted, and another process reads the same ledger.
    invoke(app.another_instance().router(), "SweepJoiners", &timer(0)).await;
    assert_eq!(app.alerts().len(), 1);
    app.advance(chrono::TimeDelta::days(1));
    invoke(app.router(), "SweepJoiners", &timer(0)).await;
    assert_eq!(app.alerts().len(), 2, "the next day's joiners wait too");
    app.sandbox.clear_faults();
    assert!(invoke(app.router(), "SweepJoiners", &timer(0)).await.0.is_success());
    app.sandbox.inject(Fault::on("GET", "/users", fail_with(403)).always());
    invoke(app.router(), "SweepJoiners", &timer(0)).await;
    assert_eq!(app.alerts().len(), 2, "of the same kind, and minutes later");
    app.advance(chrono::TimeDelta::hours(1));
    invoke(app.router(), "SweepJoiners", &timer(0)).await;
    assert_eq!(app.alerts().len(), 3, "it worked in between: the summary says so");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_alerted_when_it_has_lasted_or_is_not_repeated() {
    let (app, _) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("GET", "/users", throttle("1")).always());
    // A host that is restarted before every retry counts from zero.
    for (minute, alerts) in [(0, 0), (1, 0), (3, 0), (7, 0), (15, 1), (31, 1)] {
        let now = crate::helpers::time(NOW) + chrono::TimeDelta::minutes(minute);
        app.advance(now - app.sandbox.now());
        invoke(app.router(), "SweepJoiners", &timer(0)).await;
        assert_eq!(app.alerts().len(), alerts, "minute {minute}");
    }
    for invocation in [timer(5), json!({"Data": {"timer": {}}, "Metadata": {}})] {
        let (app, _) = TestApp::with_emma();
        app.sandbox.inject(Fault::on("GET", "/users", throttle("1")).always());
        invoke(app.router(), "SweepJoiners", &invocation).await;
        assert_eq!(app.alerts().len(), 1, "the host does not repeat it: {invocation}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_only_the_log_has_the_alert_and_at_most_once_a_minute() {
    let ledger = FaultyLedger::with_fault(Down(Mutex::new(true)));
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::with_ledger(tenant, &[], ledger);
    app.sandbox.inject(Fault::on("GET", "/users", fail_with(403)).always());
    let log = Arc::new(Mutex::new(Vec::new()));
    for seconds in [0, 20, 45] {
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        let (_, text) = capture_log("error", invoke(app.router(), "SweepJoiners", &timer(0))).await;
        log.lock().unwrap().push(text.lines().filter(|line| line.contains("event=alert ")).count());
    }
    assert_eq!(*log.lock().unwrap(), [1, 0, 1]);
    assert_eq!(app.alerts().len(), 0);
}

/// The host fires a timer one or two milliseconds early.
#[tokio::test(start_paused = true)]
async fn a_sweep_a_millisecond_before_midnight_is_that_of_the_new_day() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("LEAD_DAYS", "0"), ("TIME_ZONE", "UTC")]);
    app.sandbox.edit(|tenant| {
        tenant.change(emma, |person| {
            person.usage_location = None;
            person.hire_date = Some(crate::helpers::time("2026-11-23T00:00:00Z"));
        });
    });
    app.advance(crate::helpers::time("2026-11-22T23:59:59.998Z") - app.sandbox.now());
    let (_, _, body) = invoke(app.router(), "SweepJoiners", &timer(0)).await;
    let jobs = body["Outputs"]["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 1, "{body}");
    assert!(jobs[0].as_str().unwrap().contains("2026-11-23"), "{body}");
}
