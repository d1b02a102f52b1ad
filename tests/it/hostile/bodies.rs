//! Answers without an end, and answers in which one part is damaged.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use azure_core::http::HttpClient;
use chrono::TimeDelta;
use firstpass::{
    app::App,
    clock::Clock,
    cloud::Cloud,
    graph::{Graph, GraphErrorKind, UsageParts},
    host,
    ledger::{
        Conditions, Ledger, LedgerError, Purpose, Record, State, blob::BlobLedger, memory::MemoryLedger,
    },
};
use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::json;
use uuid::Uuid;

use super::{FixedToken, ToPort, gzip::bomb, send, serve};
use crate::{
    helpers::{
        NOW, TestApp,
        log_capture::capture_log,
        process::{Process, post},
        tenant_with_emma, time, timed,
    },
    ledger::standings,
};

const MIB: usize = 1 << 20;
/// What a hostile answer may cost above an idle process.
const MEMORY: usize = 64 * MIB;

/// The body of an answer that is larger than it looks.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// Gzip of 700 MiB of blanks.
    Blanks,
    /// Gzip of 700 MiB that begin like a page, in one string.
    String,
    /// A page with millions of items, below the limit in bytes.
    Items,
    /// A page with one item, which has millions of elements.
    Elements,
    /// An answer to a batch with a million parts.
    Parts,
    /// A part of a batch with millions of elements.
    Part,
    /// Chunks without an end.
    Endless,
}

impl Body {
    const ALL: [Self; 7] =
        [Self::Blanks, Self::String, Self::Items, Self::Elements, Self::Parts, Self::Part, Self::Endless];

    fn send(self, stream: &mut TcpStream) {
        let gzip =
            |body: &[u8], stream: &mut TcpStream| send(stream, 200, "content-encoding: gzip\r\n", body);
        match self {
            Self::Blanks => gzip(&bomb("", b' ', 700 * MIB, ""), stream),
            Self::String => gzip(&bomb(r#"{"value": [{"id": ""#, b'x', 700 * MIB, r#""}]}"#), stream),
            Self::Items => send(stream, 200, "", &repeated(r#"{"value": ["#, "{},", "{}]}")),
            Self::Elements => {
                let item = format!(r#"{{"value": [{{"id": "{}", "x": ["#, Uuid::nil());
                send(stream, 200, "", &repeated(&item, "0,", "0]}]}"));
            }
            Self::Parts => {
                send(stream, 200, "", &repeated(r#"{"responses": ["#, PART, r#"{"id":"0","status":200}]}"#));
            }
            Self::Part => {
                let part = r#"{"responses": [{"id": "0", "status": 200, "body": {"value": ["#;
                send(stream, 200, "", &repeated(part, "0,", "0]}}]}"));
            }
            Self::Endless => {
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
                let _ = stream.write_all(head.as_bytes());
                while stream.write_all(chunk.as_bytes()).is_ok() {}
            }
        }
    }
}

const PART: &str = r#"{"id":"0","status":200},"#;

/// Somewhat less than 16 MiB.
fn repeated(before: &str, inner: &str, after: &str) -> Vec<u8> {
    format!("{before}{}{after}", inner.repeat((15 * MIB + 900_000) / inner.len())).into_bytes()
}

/// The allocator's luck differs from process to process; without the limits no process has enough of it.
#[test]
#[expect(clippy::print_stderr, reason = "that there are no figures")]
fn no_answer_of_graph_takes_much_memory() {
    let mut peaks = Vec::new();
    for _ in 0..3 {
        match memory_of_hostile_answers() {
            Some(peak) if peak < MEMORY => return,
            Some(peak) => peaks.push(peak / MIB),
            None => {
                eprintln!("SKIPPED: this system does not say how much memory a process has had");
                return;
            }
        }
    }
    panic!("{peaks:?} MiB");
}

/// The memory, above idle, of the real handler in a process of its own, with as many jobs at once as the host delivers; `None` if the
/// system does not say it.
#[expect(clippy::print_stdout, reason = "the figures")]
fn memory_of_hostile_answers() -> Option<usize> {
    let answers = Arc::new(AtomicUsize::new(0));
    let seen = answers.clone();
    let tenant = serve(move |request, stream| {
        if request.contains("/sandbox/clock") {
            return send(stream, 200, "date: Sun, 22 Nov 2026 05:00:00 GMT\r\n", b"{}");
        }
        Body::ALL[seen.fetch_add(1, Ordering::SeqCst) % Body::ALL.len()].send(stream);
    });
    let url = format!("http://127.0.0.1:{tenant}");
    let (process, port) = Process::serve(&[("SANDBOX_URL", &url)]);
    let idle = process.peak_memory()?;
    let timer =
        json!({"Data": {"timer": {"IsPastDue": false, "Schedule": {"AdjustForDST": true}}}, "Metadata": {}});
    let wire = LocalHost::new(axum::Router::new(), Clock::from_fn(Default::default));
    for body in Body::ALL {
        let (status, answer) = post(&port, "/SweepJoiners", &timer);
        assert!(answers.load(Ordering::SeqCst) > 0 && [200, 500].contains(&status), "{body:?}: {answer}");
        let peak = process.peak_memory().unwrap_or(usize::MAX) - idle;
        println!("up to {body:?}: {} MiB", peak / MIB);
    }
    thread::scope(|scope| {
        // `batchSize` and `newBatchThreshold` of host.json.
        for user in 0..6 {
            let job = json!({"jobKey": format!("group-add/{user}"), "reason": "group-add", "userId": Uuid::from_u128(user)});
            let invocation = wire.queue_invocation(&job.to_string(), 1);
            let port = &port;
            scope.spawn(move || post(port, "/OnGroupAdd", &invocation));
        }
    });
    let peak = process.peak_memory().unwrap_or(usize::MAX) - idle;
    println!("{} MiB above {} MiB after {} answers", peak / MIB, idle / MIB, answers.load(Ordering::SeqCst));
    assert!(answers.load(Ordering::SeqCst) >= Body::ALL.len() + 6);
    Some(peak)
}

fn graph(port: u16) -> Graph {
    let transport: Arc<dyn HttpClient> = Arc::new(ToPort(port));
    Graph::new(transport, Arc::new(FixedToken("token")), Cloud::Public)
}

/// A read that would end in the same way is not repeated.
#[tokio::test(start_paused = true)]
async fn an_answer_without_an_end_is_read_once_and_named() {
    for body in [Body::Blanks, Body::String, Body::Items, Body::Parts, Body::Endless] {
        let tries = Arc::new(AtomicUsize::new(0));
        let count = tries.clone();
        let port = serve(move |_, stream| {
            count.fetch_add(1, Ordering::SeqCst);
            body.send(stream);
        });
        let error = match body {
            Body::Parts => format!(
                "{:?}",
                graph(port).snapshot(Uuid::nil(), None, UsageParts::default()).await.unwrap_err()
            ),
            _ => {
                let error = graph(port).members(Uuid::nil()).await.unwrap_err();
                assert_eq!(error.kind, GraphErrorKind::Unreadable, "{body:?}: {error}");
                if matches!(body, Body::Blanks | Body::String | Body::Endless) {
                    assert!(error.to_string().contains("larger than 16 MiB"), "{body:?}: {error}");
                }
                format!("{error:?}")
            }
        };
        assert!(error.contains("Unreadable"), "{body:?}: {error}");
        assert_eq!(tries.load(Ordering::SeqCst), 1, "{body:?}");
    }
}

/// Ten thousand headers, and one header of a MiB.
#[tokio::test(start_paused = true)]
async fn headers_without_an_end_are_an_error() {
    for headers in ["x: y\r\n".repeat(10_000), format!("x: {}\r\n", "y".repeat(MIB))] {
        let port = serve(move |_, stream| send(stream, 200, &headers, br#"{"value": []}"#));
        let error = graph(port).members(Uuid::nil()).await.unwrap_err();
        assert_eq!(error.kind, GraphErrorKind::Unavailable, "{error}");
    }
}

/// An answer that comes a byte at a time.
#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_ends_with_its_time() {
    #[derive(Debug)]
    struct Slow;

    #[async_trait::async_trait]
    impl HttpClient for Slow {
        async fn execute_request(
            &self,
            _: &azure_core::http::Request,
        ) -> azure_core::Result<azure_core::http::AsyncRawResponse> {
            let byte = futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok(azure_core::Bytes::from_static(b" ")), ()))
            });
            let headers = azure_core::http::headers::Headers::new();
            Ok(azure_core::http::AsyncRawResponse::new(200_u16.into(), headers, Box::pin(byte)))
        }
    }

    let sandbox = TestApp::with_emma().0.sandbox.clone();
    let graph = Graph::new(Arc::new(Slow), Arc::new(FixedToken("token")), Cloud::Public);
    let (read, took) = timed(&sandbox, graph.members(Uuid::nil())).await;
    let error = read.unwrap_err();
    assert!(error.to_string().contains("no answer within 30 s") && took <= 150, "{took} s: {error}");
}

/// Links that form a circle, and pages that do not end.
#[tokio::test(start_paused = true)]
async fn a_list_without_an_end_is_an_error() {
    for (padding, is_circle, expected) in
        [(0, true, "form a circle"), (8 * MIB, false, "the list is too long")]
    {
        let pages = Arc::new(AtomicUsize::new(0));
        let count = pages.clone();
        let port = serve(move |_, stream| {
            let page = count.fetch_add(1, Ordering::SeqCst);
            let next = if is_circle { page % 2 } else { page };
            let link = format!("https://graph.microsoft.com/v1.0/groups/x/members?$skiptoken={next}");
            let body = json!({"value": [], "@odata.nextLink": link, "x": " ".repeat(padding)});
            send(stream, 200, "", body.to_string().as_bytes());
        });
        let error = graph(port).members(Uuid::nil()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(pages.load(Ordering::SeqCst) <= 20, "{expected}: {pages:?}");
    }
}

/// Parts of a batch that nobody asked for, or that come twice.
#[tokio::test(start_paused = true)]
async fn a_part_that_is_answered_twice_is_not_believed() {
    let user = json!({"id": Uuid::nil(), "userPrincipalName": "emma@contoso.example"});
    let twice = json!({"responses": [
        {"id": "0", "status": 200, "body": user},
        {"id": "0", "status": 404, "body": {"error": {"code": "Request_ResourceNotFound"}}},
        {"id": "99", "status": 200, "body": {}},
        {"id": "-1", "status": 200, "body": {}},
        {"id": "all", "status": 200, "body": {}},
    ]});
    let port = serve(move |_, stream| send(stream, 200, "", twice.to_string().as_bytes()));
    let error = graph(port).snapshot(Uuid::nil(), None, UsageParts::default()).await.unwrap_err();
    assert!(error.to_string().contains("answered twice"), "{error}");
}

/// One account is damaged in the listing: it is named, once, and everyone else is served.
#[tokio::test(start_paused = true)]
async fn one_malformed_account_costs_itself_and_is_reported_once() {
    let (tenant, emma) = tenant_with_emma();
    let own = TestApp::new(tenant, &[]);
    let damaged = Uuid::from_u128(0xDA);
    let client = Arc::new(Damaging { inner: own.sandbox.transport(), damaged });
    let ledger = Arc::new(MemoryLedger::default());
    let settings = own.app.services.settings.clone();
    let app = App::new(settings, client, own.sandbox.credential(), ledger, own.sandbox.clock()).unwrap();
    let functions = LocalHost::new(host::router(Ok(Arc::new(app))), own.sandbox.clock());
    let sweep = async {
        let answer = functions.fire_timer().await;
        assert!(answer.is_success(), "{}", answer.log());
        functions.work(answer.jobs(), |_| {}).await;
    };
    let ((), log) = capture_log("info", sweep).await;
    own.assert_newest_mail_has_live_code(emma);
    assert_eq!(log.matches("event=graph.items_malformed").count(), 1, "{log}");
    let named = |text: &str| text.contains(&damaged.to_string()) && text.contains("without an id");
    let alerts: Vec<String> = own.alerts().iter().map(ToString::to_string).collect();
    let about: Vec<&String> =
        alerts.iter().filter(|alert| alert.contains("Joiners cannot be read")).collect();
    assert!(about.len() == 1 && named(about[0]) && about[0].contains("lists 2 accounts"), "{alerts:?}");
    own.advance(TimeDelta::hours(1));
    assert!(functions.fire_timer().await.is_success());
    assert_eq!(own.alerts().len(), alerts.len(), "once a day");
}

/// Adds damaged accounts to every listing of users.
#[derive(Debug)]
struct Damaging {
    inner: Arc<dyn HttpClient>,
    damaged: Uuid,
}

#[async_trait::async_trait]
impl HttpClient for Damaging {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<azure_core::http::AsyncRawResponse> {
        let answer = self.inner.execute_request(request).await?;
        if !request.url().as_str().contains("/users?$filter") {
            return Ok(answer);
        }
        let (status, headers, body) = answer.deconstruct();
        let mut page: serde_json::Value = serde_json::from_slice(&body.collect().await?).unwrap();
        let items = page["value"].as_array_mut().unwrap();
        items.insert(0, json!({"id": self.damaged, "employeeHireDate": {"year": 2026}}));
        items.push(json!(["Bearer TOPSECRET"]));
        Ok(azure_core::http::AsyncRawResponse::from_bytes(status, headers, page.to_string()))
    }
}

fn ledger(port: u16) -> BlobLedger {
    let url = "https://mine.blob.core.windows.net/ledger?sv=1&sig=a";
    BlobLedger::new(url.parse().unwrap(), None, Arc::new(ToPort(port))).unwrap()
}

/// A record and a listing that are too large, and one that claims to be.
#[tokio::test(start_paused = true)]
async fn no_answer_of_storage_is_read_without_an_end() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let port = serve(move |request, stream| {
        count.fetch_add(1, Ordering::SeqCst);
        if request.contains("comp=list") {
            return send(stream, 200, "", " ".repeat(17 * MIB).as_bytes());
        }
        let size = if request.contains("conditions") { 10 } else { MIB + 1 };
        let headers = format!("etag: \"0x1\"\r\ncontent-range: bytes 0-{}/999999999999999999\r\n", size - 1);
        send(stream, 206, &headers, " ".repeat(size).as_bytes());
    });
    let ledger = ledger(port);
    let error = ledger.read(Uuid::nil()).await.unwrap_err();
    assert!(
        matches!(&error, LedgerError::Unreadable(_)) && error.to_string().contains("larger than 1 MiB"),
        "{error}"
    );
    for error in [ledger.list().await.map(drop).unwrap_err(), standings(&ledger).await.map(drop).unwrap_err()]
    {
        assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
    }
    assert!(
        matches!(ledger.conditions().await, Ok(Some((conditions, _))) if conditions == Conditions::default())
    );
    assert_eq!(requests.load(Ordering::SeqCst), 4, "none of them is repeated");
}

/// What a busy service says about the wait is not more than a hint.
#[tokio::test(start_paused = true)]
async fn no_wait_that_storage_asks_for_is_longer_than_the_call() {
    let sandbox = TestApp::with_emma().0.sandbox.clone();
    for header in ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"] {
        for value in [
            "0",
            "-1",
            "NaN",
            "31536000",
            "9223372036854775807",
            "-9223372036854775808",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "soon",
        ] {
            let headers = format!("{header}: {value}\r\nx-ms-error-code: ServerBusy\r\n");
            let tries = Arc::new(AtomicUsize::new(0));
            let count = tries.clone();
            let port = serve(move |_, stream| {
                count.fetch_add(1, Ordering::SeqCst);
                send(stream, 503, &headers, b"");
            });
            let ledger = ledger(port);
            let record = Record::new(State::Failed, Purpose::Joiner, time(NOW));
            let (written, took) = timed(&sandbox, ledger.write(Uuid::nil(), &record, None)).await;
            assert!(matches!(written, Err(LedgerError::Unavailable(_))), "{header} {value}: {written:?}");
            assert!((1..=15).contains(&took), "{header} {value}: {took} s");
            assert!((1..=4).contains(&tries.load(Ordering::SeqCst)), "{header} {value}");
        }
    }
}
