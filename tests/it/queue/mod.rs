//! The contract of a queue, checked for every implementation, and the requeueing and deletion of poison messages.

mod azurite;
mod faulty_queue;
mod poison;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    Bytes,
    credentials::TokenCredential,
    http::{AsyncRawResponse, HttpClient, Request, StatusCode, headers::Headers},
};
use firstpass::{
    azure::QueueService,
    clock::Clock,
    environment::Environment,
    queue::{AT_ONCE, JOBS, POISON, PoisonAction, Queue, QueueError, QueueMessage, Queues},
};
use firstpass_sandbox::{
    functions_host::{MemoryQueue, Storage},
    tenant::{Sandbox, Tenant},
};
use tokio::time::sleep;

use self::faulty_queue::FaultyQueue;
use crate::helpers::{NOW, log_capture::capture_log, time};

const HIDDEN: Duration = Duration::from_secs(60);

/// Checks the whole contract. `queue` does not exist yet.
pub async fn check_queue_contract(queue: &dyn Queue) {
    a_missing_queue_is_empty(queue).await;
    peek_changes_nothing(queue).await;
    received_messages_are_hidden_until_released(queue).await;
    a_message_can_be_deleted_once(queue).await;
    count_is_exact_and_reads_are_limited(queue).await;
}

fn texts(messages: &[QueueMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

async fn a_missing_queue_is_empty(queue: &dyn Queue) {
    assert_eq!(queue.peek().await, Ok(vec![]));
    assert_eq!(queue.count().await, Ok(0));
    assert!(queue.receive(HIDDEN).await.unwrap().is_empty());
}

async fn peek_changes_nothing(queue: &dyn Queue) {
    let expected = ["eyJhIjoxfQ==", "<not & base64> \"ü\" \u{1F511}", "third"];
    for text in expected {
        queue.put(text).await.unwrap();
    }
    let seen = queue.peek().await.unwrap();
    assert_eq!(texts(&seen), expected);
    assert_eq!(queue.peek().await.unwrap(), seen);
    assert!(seen.iter().all(|message| message.dequeue_count == 0 && message.expires.is_some()), "{seen:?}");
    let mut ids: Vec<&str> = seen.iter().map(|message| message.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

async fn received_messages_are_hidden_until_released(queue: &dyn Queue) {
    let seen = queue.peek().await.unwrap();
    let received = queue.receive(HIDDEN).await.unwrap();
    assert_eq!(
        received.iter().map(|r| &r.message.id).collect::<Vec<_>>(),
        seen.iter().map(|m| &m.id).collect::<Vec<_>>()
    );
    assert!(received.iter().all(|r| r.message.dequeue_count == 1));
    assert_eq!(queue.peek().await, Ok(vec![]));
    assert!(queue.receive(HIDDEN).await.unwrap().is_empty());
    assert_eq!(queue.count().await, Ok(3), "hidden messages count");
    for message in &received {
        queue.release(message).await.unwrap();
    }
    assert_eq!(queue.peek().await.unwrap().len(), 3);
}

async fn a_message_can_be_deleted_once(queue: &dyn Queue) {
    let received = queue.receive(HIDDEN).await.unwrap();
    queue.delete(&received[0]).await.unwrap();
    let again = queue.delete(&received[0]).await.unwrap_err().to_string();
    assert!(again.contains("another client received or deleted the message"), "{again}");
    assert_eq!(queue.count().await, Ok(2));
    for message in &received[1..] {
        queue.delete(message).await.unwrap();
    }
}

async fn count_is_exact_and_reads_are_limited(queue: &dyn Queue) {
    for n in 0..40 {
        queue.put(&format!("message {n}")).await.unwrap();
    }
    assert_eq!((queue.peek().await.unwrap().len(), queue.count().await), (AT_ONCE, Ok(40)));
    let (first, second) = (queue.receive(HIDDEN).await.unwrap(), queue.receive(HIDDEN).await.unwrap());
    assert_eq!((first.len(), second.len()), (AT_ONCE, 8));
}

fn storage() -> Storage {
    Storage::new(Sandbox::new(Tenant::new(7), time(NOW)).clock())
}

fn put(storage: &Storage, count: usize) {
    for n in 0..count {
        storage.put(POISON, format!("message {n}")).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn memory_passes_the_queue_contract() {
    check_queue_contract(&MemoryQueue::new(&storage(), "some-queue")).await;
}

#[tokio::test(start_paused = true)]
async fn a_hidden_message_reappears_after_its_timeout() {
    let queue = MemoryQueue::new(&storage(), "some-queue");
    queue.put("text").await.unwrap();
    queue.receive(HIDDEN).await.unwrap();
    sleep(HIDDEN).await;
    assert_eq!(queue.receive(HIDDEN).await.unwrap()[0].message.dequeue_count, 2);
}

#[tokio::test(start_paused = true)]
async fn requeue_moves_only_the_selected_messages() {
    let storage = storage();
    put(&storage, 70);
    let queues = firstpass_sandbox::functions_host::queues(&storage);
    let is_selected = |message: &QueueMessage| message.text.ends_with('7');
    let completed = queues.resolve(is_selected, PoisonAction::Requeue).await;
    assert_eq!(completed.error, None);
    let expected = [7, 17, 27, 37, 47, 57, 67].map(|n| format!("message {n}"));
    assert_eq!(texts(&completed.done), expected);
    let back = queues.jobs.peek().await.unwrap();
    let requeued: Vec<String> = back.iter().map(|message| message.decoded().unwrap()).collect();
    assert_eq!(requeued, expected, "base64 for the host");
    let poison = queues.poison_messages().await.unwrap();
    assert_eq!((poison.messages.len(), poison.total), (AT_ONCE, 63), "the others are visible again");
    let completed = queues.resolve(|_| true, PoisonAction::Delete).await;
    assert_eq!(
        (completed.done.len(), queues.poison.count().await, queues.jobs.count().await),
        (63, Ok(0), Ok(7))
    );
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_requeue_loses_nothing_and_can_be_repeated() {
    for method in ["put", "delete"] {
        for fails_at in 1..=4 {
            let storage = storage();
            put(&storage, 4);
            let mut queues = firstpass_sandbox::functions_host::queues(&storage);
            // Call number `fails_at` of `method` fails.
            let failing = |queue: &Arc<dyn Queue>| {
                let calls = AtomicUsize::new(0);
                FaultyQueue::with_fault(queue.clone(), move |operation| {
                    let fails = operation == method && calls.fetch_add(1, Ordering::SeqCst) + 1 == fails_at;
                    if fails { Err(QueueError::Unavailable("not today".into())) } else { Ok(()) }
                })
            };
            (queues.jobs, queues.poison) = (failing(&queues.jobs), failing(&queues.poison));
            let first = queues.resolve(|_| true, PoisonAction::Requeue).await;
            assert_eq!(first.error, Some(QueueError::Unavailable("not today".into())));
            assert_eq!(first.done.len(), fails_at - 1);
            let waiting = queues.poison.peek().await.unwrap();
            assert_eq!(waiting.len(), 4 - first.done.len(), "the others are visible again");
            let second = queues.resolve(|_| true, PoisonAction::Requeue).await;
            assert_eq!((second.error, second.done.len()), (None, waiting.len()));
            let mut back: Vec<String> =
                queues.jobs.peek().await.unwrap().iter().map(|m| m.decoded().unwrap()).collect();
            back.sort();
            assert_eq!(back.len(), if method == "put" { 4 } else { 5 }, "{method}: at most twice");
            back.dedup();
            assert_eq!(back.len(), 4, "{method}: each at least once");
        }
    }
}

/// A queue service that gives every request the same answer, or refuses the connection.
struct FixedAnswer(Option<(u16, &'static str)>);

impl fmt::Debug for FixedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedAnswer")
    }
}

#[async_trait]
impl HttpClient for FixedAnswer {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Some((status, code)) = self.0 else {
            // Like an error of reqwest, which contains the URL.
            let message = format!("error sending request for url ({}): connection refused", request.url());
            let kind = azure_core::error::ErrorKind::Connection;
            return Err(azure_core::Error::with_error(
                kind,
                std::io::Error::other(message),
                "failed to execute `reqwest` request",
            ));
        };
        let mut headers = Headers::new();
        headers.insert("x-ms-error-code", code);
        headers.insert("x-ms-request-id", "5d1f");
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(status), headers, Bytes::new()))
    }
}

fn queues(setting: (&str, &str), answer: Option<(u16, &'static str)>) -> Queues {
    let service = QueueService::read(&Environment::from_iter([setting])).unwrap().unwrap();
    let sandbox = Sandbox::new(Tenant::new(7), time(NOW));
    let credential: Arc<dyn TokenCredential> = sandbox.credential();
    let transport: Arc<dyn HttpClient> = Arc::new(FixedAnswer(answer));
    Queues::in_azure(&service, Some(&credential), &transport, &Clock::from_fn(|| time(NOW))).unwrap()
}

const IDENTITY: (&str, &str) = ("AzureWebJobsStorage__accountName", "mine");
const KEY: (&str, &str) = ("AzureWebJobsStorage", "AccountName=mine;AccountKey=c2VjcmV0LWtleQ==");
const SAS: (&str, &str) = ("AzureWebJobsStorage", "AccountName=mine;SharedAccessSignature=sv=1&sig=c2VjcmV0");

#[tokio::test(start_paused = true)]
async fn queue_errors_name_the_remedy() {
    for (setting, code, wanted) in [
        (IDENTITY, "AuthorizationPermissionMismatch", "role Storage Queue Data Contributor"),
        (IDENTITY, "AuthorizationFailure", "network rules"),
        (KEY, "AuthenticationFailed", "check the AccountKey"),
        (KEY, "KeyBasedAuthenticationNotPermitted", "use an identity"),
        (SAS, "AuthorizationPermissionMismatch", "check the SharedAccessSignature"),
    ] {
        let queues = queues(setting, Some((403, code)));
        let error = queues.poison_messages().await.unwrap_err().to_string();
        assert!(
            error.contains(wanted) && error.contains(&format!("403 {code} (request-id 5d1f)")),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn neither_errors_nor_logs_contain_account_secrets() {
    for setting in [KEY, SAS] {
        let work = async {
            let queues = queues(setting, None);
            let error = queues.poison.put("text").await.unwrap_err();
            let error = format!("{queues:?} {error} {error:?}");
            assert!(error.contains("connection refused"), "{error}");
            error
        };
        let (error, log) = capture_log("trace", work).await;
        assert!(log.contains("mine.queue.core.windows.net"), "the client library logs its requests: {log}");
        let printed = (log + &error).replace("sig=REDACTED", "");
        for secret in ["c2VjcmV0", "secret-key", "sig="] {
            assert!(!printed.contains(secret), "{secret}: {printed}");
        }
    }
}

#[test]
fn queue_names_match_function_json() {
    let app = firstpass_sandbox::functions_host::FunctionApp::embedded(&Environment::from_iter([
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
    ]))
    .unwrap();
    assert_eq!(app.queue_of("OnGroupAdd"), Some(JOBS));
    assert_eq!(POISON, format!("{JOBS}-poison"));
    assert!(app.host.queues.base64);
}
