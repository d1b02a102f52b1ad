//! The handler's port is reachable for web pages in a browser on the same machine. It answers the Functions host only.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode},
};
use hyper::ext::ReasonPhrase;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::helpers::{TestApp, log_capture::capture_log, process::Process};

const ID: (&str, &str) = ("x-azure-functions-invocationid", "8d7f9c52-5f1f-4b34-a0b2-58e0b1f7c9aa");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const HOST: (&str, &str) = ("host", "127.0.0.1:9000");

/// A body that must not be read.
fn unread() -> Body {
    Body::from_stream(futures::stream::once(async {
        panic!("the body is read");
        #[expect(unreachable_code, reason = "names the type")]
        Ok::<Bytes, std::io::Error>(Bytes::new())
    }))
}

/// The status, the reason phrase and the body of the answer.
async fn send(
    app: &TestApp,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> (StatusCode, String, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = app.router().oneshot(request.body(body).unwrap()).await.unwrap();
    let phrase = response.extensions().get::<ReasonPhrase>().map(|phrase| phrase.as_bytes().to_vec());
    let (status, phrase) = (response.status(), String::from_utf8(phrase.unwrap_or_default()).unwrap());
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, phrase, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn what_only_a_browser_sends_is_refused_on_every_route_before_the_body_is_read() {
    let (app, _) = TestApp::with_emma();
    let foreign: [&[(&str, &str)]; 9] = [
        &[("host", "attacker.example:9000"), JSON, ID],
        &[("host", "localhost.attacker.example"), JSON, ID],
        &[HOST, ("host", "attacker.example"), JSON, ID],
        &[HOST, JSON, ID, ("origin", "https://attacker.example")],
        &[HOST, JSON, ID, ("origin", "null")],
        &[HOST, JSON, ID, ("origin", "http://127.0.0.1:9000")],
        &[HOST, JSON, ID, ("sec-fetch-site", "cross-site")],
        &[HOST, JSON, ID, ("sec-fetch-site", "same-origin")],
        &[HOST, JSON, ID, ("sec-fetch-site", "none")],
    ];
    for headers in foreign {
        for path in ["/SweepJoiners", "/OnGroupAdd", "/CreateTap", "/", "/nothing"] {
            for method in ["POST", "GET", "OPTIONS", "PUT"] {
                let (status, phrase, body) = send(&app, method, path, headers, unread()).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
                assert!(!phrase.is_empty() && body["Logs"][0] == phrase, "{phrase:?} {body}");
            }
        }
    }
    let (status, ..) =
        send(&app, "POST", "http://attacker.example/SweepJoiners", &[JSON, ID], unread()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the name is in the target of the request");
    assert_eq!(app.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_page_can_send_without_the_browsers_leave_is_no_invocation() {
    let (app, _) = TestApp::with_emma();
    // Forms and simple requests have one of these types, or none.
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        for headers in [&[HOST, ID, ("content-type", content_type)][..], &[HOST, ID]] {
            for path in ["/SweepJoiners", "/OnGroupAdd", "/CreateTap"] {
                let (status, phrase, _) = send(&app, "POST", path, headers, unread()).await;
                assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} {headers:?}");
                assert_eq!(phrase, "Content-Type is not application/json");
            }
        }
    }
    for id in [None, Some("1"), Some(""), Some("8d7f9c52-5f1f-4b34-a0b2")] {
        let id = id.map(|id| ("x-azure-functions-invocationid", id));
        let headers: Vec<_> = [HOST, JSON].into_iter().chain(id).collect();
        for path in ["/SweepJoiners", "/OnGroupAdd", "/CreateTap"] {
            let (status, phrase, _) = send(&app, "POST", path, &headers, unread()).await;
            assert_eq!(
                (status, phrase.contains("InvocationId")),
                (StatusCode::FORBIDDEN, true),
                "{headers:?}"
            );
        }
    }
    assert_eq!(app.sandbox.requests(), []);
}

#[tokio::test(start_paused = true)]
async fn the_functions_host_is_answered_by_whatever_name_it_uses_for_this_machine() {
    let timer = json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}}).to_string();
    for host in ["127.0.0.1:34567", "localhost:34567", "LocalHost", "[::1]:34567"] {
        let (app, _) = TestApp::with_emma();
        let headers = [("host", host), JSON, ID];
        let (status, _, body) =
            send(&app, "POST", "/SweepJoiners", &headers, Body::from(timer.clone())).await;
        assert_eq!((status, body["Outputs"]["jobs"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
        let (status, ..) = send(&app, "GET", "/", &[("host", host)], Body::empty()).await;
        assert_eq!(status, StatusCode::OK, "the readiness probe");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_cannot_flood_the_log() {
    let (app, _) = TestApp::with_emma();
    let router = app.router();
    let from_page = || {
        let request = Request::post("/SweepJoiners").header("origin", "https://attacker.example");
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let work = async {
        for minute in 0..2 {
            for _ in 0..100 {
                assert_eq!(from_page().await.unwrap().status(), StatusCode::FORBIDDEN, "{minute}");
            }
            tokio::time::advance(Duration::from_secs(60)).await;
        }
    };
    let ((), log) = capture_log("info", work).await;
    let lines: Vec<&str> = log.lines().collect();
    let is_report = |line: &&str| line.contains("event=request.refused") && line.contains("WARN");
    assert!(lines.len() == 2 && lines.iter().all(is_report), "{log}");
    assert!(!log.contains("attacker"), "{log}");
}

/// Over a connection: the answer comes although the body does not.
#[test]
fn a_request_of_a_page_is_answered_over_the_wire_without_its_body() {
    let (_serve, port) = Process::serve_product(&[("LEAD_DAYS", "soon")]);
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(
        stream,
        "POST /SweepJoiners HTTP/1.1\r\nHost: rebound.example:{port}\r\nContent-Type: application/json\r\n\
         X-Azure-Functions-InvocationId: {}\r\nContent-Length: 1000000\r\n\r\n",
        ID.1
    )
    .unwrap();
    let mut response = [0; 39];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(std::str::from_utf8(&response), Ok("HTTP/1.1 403 Host is not this machine\r\n"));
}
