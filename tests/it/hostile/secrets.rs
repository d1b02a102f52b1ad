//! No signature, key or token appears in any output, at any level, whatever a server does.

use std::{
    error::Error,
    fmt::{Debug, Display, Write},
    iter::successors,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use azure_core::{credentials::TokenCredential, http::HttpClient};
use firstpass::{
    app::App,
    azure::QueueService,
    clock::Clock,
    environment::Environment,
    host,
    ledger::{
        AlertId, AlertMails, Conditions, HeldKind, HeldList, Ledger, MembershipSnapshot, Purpose, Record,
        State, blob::BlobLedger, memory::MemoryLedger,
    },
    queue::{Queue, QueueMessage, Queues, Received},
};
use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::json;
use uuid::Uuid;

use super::{FixedToken, ToPort, dead_port, send, serve};
use crate::{
    helpers::{NOW, TestApp, log_capture::capture_log, process::PRODUCT, source, tenant_with_emma, time},
    http::call_for,
    ledger::standings,
};

/// In every secret, and in nothing else.
const MARK: &str = "TOPSECRET";
/// The query of a SAS in an order that the client library changes.
const SAS: &str = "sv=2021-12-02&sp=rwdl&sr=c&sig=TOPSECRETSIG%3D";
const TOKEN: &str = "TOPSECRETTOKEN";
/// The base64 of a text with the mark.
const KEY: &str = "VE9QU0VDUkVUS0VZVE9QU0VDUkVUS0VZ";

/// What a server does with a request.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// Nobody listens.
    Dead,
    /// It closes the connection.
    Closes,
    /// It does not speak HTTP.
    Garbage,
    /// It answers with this status, and quotes the request wherever an answer has text.
    Quotes(u16),
}

impl Failure {
    const ALL: [Self; 8] = [
        Self::Dead,
        Self::Closes,
        Self::Garbage,
        Self::Quotes(200),
        Self::Quotes(302),
        Self::Quotes(403),
        Self::Quotes(404),
        Self::Quotes(500),
    ];

    /// Starts a server. Returns its port.
    fn start(self) -> u16 {
        match self {
            Self::Dead => dead_port(),
            Self::Closes => serve(|_, _| {}),
            Self::Garbage => serve(|request, stream| {
                use std::io::Write;
                let _ = stream.write_all(request.as_bytes());
            }),
            Self::Quotes(status) => serve(move |request, stream| {
                let quoted = request.replace(['\r', '\n'], " ");
                let names = [
                    "x-ms-request-id",
                    "x-ms-error-code",
                    "request-id",
                    "location",
                    "etag",
                    "www-authenticate",
                ];
                let headers: String = names.iter().map(|name| format!("{name}: {quoted}\r\n")).collect();
                let inner = json!({"errorCode": quoted, "message": quoted}).to_string();
                let error = json!({"code": quoted, "message": inner, "innerError": {"request-id": quoted}});
                send(
                    stream,
                    status,
                    &headers,
                    json!({"error": error, "value": quoted}).to_string().as_bytes(),
                );
            }),
        }
    }
}

/// What a person or a log could see of a result.
fn printed<T: Debug, E: Error + 'static>(result: Result<T, E>) -> String {
    let Err(error) = result else { return String::new() };
    let chain = successors(Some(&error as &dyn Error), |&e| e.source());
    chain.fold(format!("{error:?}"), |text, cause| text + "\n" + &cause.to_string())
}

fn assert_no_secret(case: impl Display, text: &str) {
    let lower = text.to_ascii_lowercase();
    assert!(!text.contains(MARK) && !text.contains(KEY), "{case}:\n{}", around(text));
    for name in ["sig=", "sig%3d"] {
        for (at, _) in lower.match_indices(name) {
            let value = &text[at + name.len()..];
            let is_hidden = value.starts_with('…') || value.starts_with("REDACTED");
            assert!(is_hidden, "{case}: …{}", value.chars().take(40).collect::<String>());
        }
    }
    for (at, _) in lower.match_indices("bearer ") {
        assert!(
            text[at + 7..].starts_with('…'),
            "{case}: {}",
            text[at..].chars().take(40).collect::<String>()
        );
    }
}

/// The lines of `text` with a secret.
fn around(text: &str) -> String {
    text.lines()
        .filter(|line| line.contains(MARK) || line.contains(KEY))
        .take(3)
        .collect::<Vec<_>>()
        .join("\n")
}

fn token() -> Arc<dyn TokenCredential> {
    Arc::new(FixedToken(TOKEN))
}

/// All operations of a ledger.
async fn use_ledger(ledger: &dyn Ledger) -> String {
    let id = Uuid::from_u128(1);
    let record = Record::new(State::Failed, Purpose::Joiner, time(NOW));
    let membership: MembershipSnapshot =
        serde_json::from_value(json!({"schema": 1, "members": [], "changedAt": NOW})).unwrap();
    let list = HeldList {
        schema: 1,
        kind: HeldKind::Joiners,
        held_at: time(NOW),
        people: Vec::new(),
        approved_at: None,
        unknown: serde_json::Map::new(),
    };
    let mut text = format!("{ledger:?}");
    text += &printed(ledger.read(id).await);
    text += &printed(ledger.write(id, &record, None).await);
    text += &printed(ledger.list().await);
    text += &printed(standings(ledger).await);
    text += &printed(ledger.membership(id).await);
    text += &printed(ledger.write_membership(id, &membership, None).await);
    text += &printed(ledger.held_list("a").await);
    text += &printed(ledger.write_held_list("a", &list, None).await);
    text += &printed(ledger.held_lists().await);
    text += &printed(ledger.conditions().await);
    let id: AlertId = format!("panic/{}", Uuid::nil()).parse().unwrap();
    text += &printed(ledger.pending_alerts().await);
    text += &printed(ledger.pending_alert(&id).await);
    let alert = serde_json::from_value(json!({"schema": 1, "at": NOW, "count": 1, "headline": "", "who": "",
        "whatHappened": "", "whatToDo": ""}));
    text += &printed(ledger.write_pending_alert(&id, &alert.unwrap()).await);
    text += &printed(ledger.delete_pending_alert(&id).await);
    text += &printed(ledger.alert_mails().await);
    text += &printed(ledger.write_alert_mails(&AlertMails::default(), None).await);
    text + &printed(ledger.write_conditions(&Conditions::default(), None).await)
}

/// All operations of a queue.
async fn use_queue(queue: &dyn Queue) -> String {
    let message = QueueMessage {
        id: "a".into(),
        text: "text".into(),
        inserted: time(NOW),
        expires: None,
        dequeue_count: 1,
    };
    let received = Received { message, receipt: "receipt".into() };
    let mut text = format!("{queue:?}");
    text += &printed(queue.peek().await);
    text += &printed(queue.count().await);
    text += &printed(queue.receive(Duration::from_secs(60)).await);
    text += &printed(queue.put("text").await);
    text += &printed(queue.delete(&received).await);
    text + &printed(queue.release(&received).await)
}

#[tokio::test(start_paused = true)]
async fn no_operation_of_the_ledger_shows_a_secret() {
    for failure in Failure::ALL {
        let transport: Arc<dyn HttpClient> = Arc::new(ToPort(failure.start()));
        for (form, url, credential) in [
            ("SAS", format!("https://mine.blob.core.windows.net/ledger?{SAS}"), None),
            ("token", "https://mine.blob.core.windows.net/ledger".to_owned(), Some(token())),
        ] {
            let ledger = BlobLedger::new(url.parse().unwrap(), credential, transport.clone()).unwrap();
            let (shown, log) = capture_log("trace", use_ledger(&ledger)).await;
            assert!(log.len() > 1_000, "{failure:?}, {form}: the libraries log");
            assert!(
                shown.matches("Unavailable").count() + shown.matches("Unreadable").count() >= 3,
                "{failure:?}: {shown}"
            );
            assert_no_secret(format!("{failure:?}, {form}, error"), &shown);
            assert_no_secret(format!("{failure:?}, {form}, log"), &log);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_operation_of_a_queue_shows_a_secret() {
    for failure in Failure::ALL {
        let transport: Arc<dyn HttpClient> = Arc::new(ToPort(failure.start()));
        for setting in [
            ("AzureWebJobsStorage__accountName", "mine".to_owned()),
            ("AzureWebJobsStorage", format!("AccountName=mine;AccountKey={KEY}")),
            ("AzureWebJobsStorage", format!("AccountName=mine;SharedAccessSignature={SAS}")),
        ] {
            let service = QueueService::read(&Environment::from_iter([setting.clone()])).unwrap().unwrap();
            let clock = Clock::from_fn(|| time(NOW));
            let queues = Queues::in_azure(&service, Some(&token()), &transport, &clock).unwrap();
            let (shown, log) = capture_log("trace", use_queue(&*queues.jobs)).await;
            let failed = shown.matches("Unavailable").count() + shown.matches("Refused").count();
            assert!(failed >= 2, "{failure:?}: {shown}");
            assert_no_secret(
                format!("{failure:?}, {setting:?}, error"),
                &format!("{shown} {queues:?} {service:?}"),
            );
            assert_no_secret(format!("{failure:?}, {setting:?}, log"), &log);
        }
    }
}

fn functions(app: &Arc<App>, clock: Clock) -> LocalHost {
    let router: Router = host::router(Ok(app.clone()));
    LocalHost::new(router, clock)
}

/// Runs every function, so that every read of Graph is made.
#[tokio::test(start_paused = true)]
async fn no_request_to_graph_shows_a_token() {
    for failure in Failure::ALL {
        let emma = Uuid::from_u128(7);
        let settings = [
            ("ON_DEMAND_GROUP_ID", "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11"),
            ("CREATE_TAP_ALLOWED_GROUP_ID", "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b12"),
        ];
        let own = TestApp::new(tenant_with_emma().0, &settings);
        let transport: Arc<dyn HttpClient> = Arc::new(ToPort(failure.start()));
        let ledger = Arc::new(MemoryLedger::default());
        let settings = own.app.services.settings.clone();
        let app = Arc::new(App::new(settings, transport, token(), ledger, own.sandbox.clock()).unwrap());
        let functions = functions(&app, own.sandbox.clock());
        let work = async {
            let mut text = String::new();
            write!(text, "{:?}", functions.fire_timer().await).unwrap();
            for message in [
                json!({"jobKey": "joiner/7/2026-11-27", "reason": "joiner", "userId": emma, "dayOne": "2026-11-27"}),
                json!({"jobKey": "group-add/1", "reason": "group-add", "userId": emma}),
                json!("emma.brooks@contoso.example"),
            ] {
                for delivery in [1, firstpass::budget::DELIVERIES] {
                    write!(text, "{:?}", functions.deliver(&message.to_string(), delivery).await).unwrap();
                }
            }
            for name in [emma.to_string(), "emma.brooks@contoso.example".to_owned()] {
                write!(
                    text,
                    "{:?}",
                    functions.call("CreateTap", &json!({"UserName": name}).to_string()).await
                )
                .unwrap();
            }
            write!(text, "{app:?}").unwrap();
            text
        };
        let (shown, log) = capture_log("trace", work).await;
        assert!(log.contains("alert") && log.len() > 10_000, "{failure:?}: the app and the libraries log");
        assert_no_secret(format!("{failure:?}, answers"), &shown);
        assert_no_secret(format!("{failure:?}, log"), &log);
    }
}

/// Of a webhook's URL the path can be the secret.
#[tokio::test(start_paused = true)]
async fn no_request_to_a_webhook_shows_its_url_key_or_token() {
    let url = format!("https://hooks.contoso.example/TOPSECRETPATH/run?{SAS}");
    for failure in Failure::ALL {
        for proof in [("DELIVERY_WEBHOOK_KEY", KEY), ("DELIVERY_WEBHOOK_AUDIENCE", "api://hooks")] {
            let settings = [("DELIVERY_WEBHOOK_URL", url.as_str()), ("ALERT_WEBHOOK_URL", &url), proof];
            let own = TestApp::new(tenant_with_emma().0, &settings);
            let transport: Arc<dyn HttpClient> = Arc::new(ToPort(failure.start()));
            let (services, clock) = (&own.app.services, own.sandbox.clock());
            let app = App::new(services.settings.clone(), transport, token(), services.ledger.clone(), clock);
            let app = app.unwrap();
            let work = async {
                let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
                let (delivery, alerts) = (&app.services.delivery_webhook, &app.services.alert_webhook);
                let mut text = format!("{app:?}");
                for webhook in [delivery, alerts] {
                    text += &printed(webhook.as_ref().unwrap().post("{}".to_owned(), deadline).await);
                }
                text
            };
            let (shown, log) = capture_log("trace", work).await;
            let is_accepted = matches!(failure, Failure::Quotes(200));
            assert!(is_accepted || shown.contains("host: \"hooks.contoso.example\""), "{failure:?}: {shown}");
            assert_no_secret(format!("{failure:?}, answers"), &shown);
            assert_no_secret(format!("{failure:?}, log"), &log);
        }
    }
}

/// The log, the mail to the admins and the answer to a caller, where the ledger is not reached.
#[tokio::test(start_paused = true)]
async fn an_unusable_ledger_is_reported_without_its_signature() {
    for failure in Failure::ALL {
        let url = format!("https://mine.blob.core.windows.net/ledger?{SAS}");
        let ledger = BlobLedger::new(url.parse().unwrap(), None, Arc::new(ToPort(failure.start()))).unwrap();
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::with_ledger(tenant, &[("LEDGER_URL", &url)], Arc::new(ledger));
        let (answer, log) = capture_log("trace", async {
            app.host.fire_timer().await;
            let job = app.job(emma).to_message();
            for delivery in 1..=5 {
                app.host.deliver(&job, delivery).await;
            }
            call_for(&app, emma, json!({})).await
        })
        .await;
        assert!(answer.status >= 500 && answer.detail().contains("ledger"), "{failure:?}: {answer:?}");
        assert!(!app.alerts().is_empty() && log.contains("ERROR"), "{failure:?}");
        let alerts: String = app.alerts().iter().map(ToString::to_string).collect();
        assert_no_secret(format!("{failure:?}, answer"), &format!("{answer:?}"));
        assert_no_secret(format!("{failure:?}, alerts"), &alerts);
        assert_no_secret(format!("{failure:?}, log"), &log);
        assert_no_secret(format!("{failure:?}, app"), &format!("{:?}", app.app));
    }
}

#[test]
fn the_binary_shows_no_signature() {
    let url = format!("http://127.0.0.1:{}/account/ledger?{SAS}", dead_port());
    let output = std::process::Command::new(PRODUCT)
        .args(["sweep", "--held", "--ledger", &url])
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success() && shown.contains("the ledger cannot be used"), "{shown}");
    assert_no_secret("sweep --held", &shown);
}

/// An error of the Azure libraries quotes URLs and bodies: whoever has one prints a `Cause` of it.
#[test]
fn few_modules_have_an_error_of_the_azure_libraries() {
    let names_it = |path: &String| {
        let code = source::code(path);
        let imports = code.split("use azure_core::").skip(1).filter_map(|rest| rest.split(';').next());
        let words = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "Error");
        code.contains("azure_core::Error")
            || code.contains("azure_core::Result")
            || imports.into_iter().any(words)
    };
    let found: Vec<String> = source::files("src").into_iter().filter(names_it).collect();
    let mut expected = [
        "src/azure/refusal.rs",
        "src/errors.rs",
        "src/graph/client.rs",
        "src/graph/error.rs",
        "src/graph/retry.rs",
        "src/ledger/blob.rs",
        "src/queue/azure.rs",
        "src/startup.rs",
        "src/transport.rs",
    ]
    .to_vec();
    expected.sort_unstable();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}
