//! What every store of queues promises, and what putting back and deleting make of it.

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
    queue::{AT_ONCE, JOBS, POISON, PoisonAction, Queue, QueueError, QueueMessage, Queues, Received},
    telemetry,
};
use firstpass_sandbox::{
    functions_host::{MemoryQueue, Storage},
    tenant::{Sandbox, Tenant},
};
use tokio::time::sleep;
use tracing::instrument::WithSubscriber;

use crate::{
    helpers::{NOW, time},
    leaks::Captured,
};

const HIDDEN: Duration = Duration::from_secs(60);

/// Every promise, one after the other. `queue` is not even there.
pub async fn keeps_every_promise(queue: &dyn Queue) {
    what_is_not_there_is_empty(queue).await;
    a_look_changes_nothing(queue).await;
    what_is_received_is_hidden_until_it_is_released(queue).await;
    what_is_deleted_is_gone_and_cannot_be_deleted_again(queue).await;
    all_are_counted_and_few_come_at_once(queue).await;
}

fn texts(messages: &[QueueMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

async fn what_is_not_there_is_empty(queue: &dyn Queue) {
    assert_eq!(queue.peek().await, Ok(vec![]));
    assert_eq!(queue.count().await, Ok(0));
    assert!(queue.receive(HIDDEN).await.unwrap().is_empty());
}

async fn a_look_changes_nothing(queue: &dyn Queue) {
    let put = ["eyJhIjoxfQ==", "<not & base64> \"ü\" \u{1F511}", "third"];
    for text in put {
        queue.put(text).await.unwrap();
    }
    let seen = queue.peek().await.unwrap();
    assert_eq!(texts(&seen), put);
    assert_eq!(queue.peek().await.unwrap(), seen, "again");
    assert!(seen.iter().all(|message| message.dequeue_count == 0 && message.expires.is_some()), "{seen:?}");
    let mut ids: Vec<&str> = seen.iter().map(|message| message.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

async fn what_is_received_is_hidden_until_it_is_released(queue: &dyn Queue) {
    let seen = queue.peek().await.unwrap();
    let received = queue.receive(HIDDEN).await.unwrap();
    assert_eq!(
        received.iter().map(|r| &r.message.id).collect::<Vec<_>>(),
        seen.iter().map(|m| &m.id).collect::<Vec<_>>()
    );
    assert!(received.iter().all(|r| r.message.dequeue_count == 1));
    assert_eq!(queue.peek().await, Ok(vec![]));
    assert!(queue.receive(HIDDEN).await.unwrap().is_empty());
    assert_eq!(queue.count().await, Ok(3), "hidden ones count");
    for message in &received {
        queue.release(message).await.unwrap();
    }
    assert_eq!(queue.peek().await.unwrap().len(), 3);
}

async fn what_is_deleted_is_gone_and_cannot_be_deleted_again(queue: &dyn Queue) {
    let received = queue.receive(HIDDEN).await.unwrap();
    queue.delete(&received[0]).await.unwrap();
    let again = queue.delete(&received[0]).await.unwrap_err().to_string();
    assert!(again.contains("another client received or deleted the message"), "{again}");
    assert_eq!(queue.count().await, Ok(2));
    for message in &received[1..] {
        queue.delete(message).await.unwrap();
    }
}

async fn all_are_counted_and_few_come_at_once(queue: &dyn Queue) {
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
async fn memory_keeps_every_promise() {
    keeps_every_promise(&MemoryQueue::new(&storage(), "some-queue")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_hidden_shows_by_itself_in_the_end() {
    let queue = MemoryQueue::new(&storage(), "some-queue");
    queue.put("text").await.unwrap();
    queue.receive(HIDDEN).await.unwrap();
    sleep(HIDDEN).await;
    assert_eq!(queue.receive(HIDDEN).await.unwrap()[0].message.dequeue_count, 2);
}

#[tokio::test(start_paused = true)]
async fn who_is_wanted_goes_back_and_the_others_stay_as_they_were() {
    let storage = storage();
    put(&storage, 70);
    let queues = firstpass_sandbox::functions_host::queues(&storage);
    let wanted = |message: &QueueMessage| message.text.ends_with('7');
    let completed = queues.resolve(wanted, PoisonAction::Requeue).await;
    assert_eq!(completed.error, None);
    let expected = [7, 17, 27, 37, 47, 57, 67].map(|n| format!("message {n}"));
    assert_eq!(texts(&completed.done), expected);
    let back = queues.jobs.peek().await.unwrap();
    let said: Vec<String> = back.iter().map(|message| message.decoded().unwrap()).collect();
    assert_eq!(said, expected, "readable for the host now");
    let given_up = queues.poison_messages().await.unwrap();
    assert_eq!((given_up.messages.len(), given_up.total), (AT_ONCE, 63), "seen again at once");
    let completed = queues.resolve(|_| true, PoisonAction::Delete).await;
    assert_eq!(
        (completed.done.len(), queues.poison.count().await, queues.jobs.count().await),
        (63, Ok(0), Ok(7))
    );
}

/// Fails the `fails_at`th put, or delete.
#[derive(Debug)]
struct Flaky {
    queue: Arc<dyn Queue>,
    method: &'static str,
    fails_at: usize,
    calls: AtomicUsize,
}

impl Flaky {
    fn call(&self, method: &str) -> Result<(), QueueError> {
        let fails = method == self.method && self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        if fails { Err(QueueError::Unavailable("not today".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Queue for Flaky {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        self.queue.peek().await
    }
    async fn count(&self) -> Result<usize, QueueError> {
        self.queue.count().await
    }
    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        self.queue.receive(hidden).await
    }
    async fn put(&self, text: &str) -> Result<(), QueueError> {
        self.call("put")?;
        self.queue.put(text).await
    }
    async fn delete(&self, message: &Received) -> Result<(), QueueError> {
        self.call("delete")?;
        self.queue.delete(message).await
    }
    async fn release(&self, message: &Received) -> Result<(), QueueError> {
        self.queue.release(message).await
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_on_the_way_back_nothing_is_lost_and_doing_it_again_ends_it() {
    for method in ["put", "delete"] {
        for fails_at in 1..=4 {
            let storage = storage();
            put(&storage, 4);
            let mut queues = firstpass_sandbox::functions_host::queues(&storage);
            let flaky = |queue: &Arc<dyn Queue>| {
                Arc::new(Flaky { queue: queue.clone(), method, fails_at, calls: AtomicUsize::new(0) })
            };
            (queues.jobs, queues.poison) = (flaky(&queues.jobs), flaky(&queues.poison));
            let first = queues.resolve(|_| true, PoisonAction::Requeue).await;
            assert_eq!(first.error, Some(QueueError::Unavailable("not today".into())));
            assert_eq!(first.done.len(), fails_at - 1);
            let waiting = queues.poison.peek().await.unwrap();
            assert_eq!(waiting.len(), 4 - first.done.len(), "the rest is there at once");
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

/// A queue service that answers every request alike.
struct Service(Option<(u16, &'static str)>);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Service")
    }
}

#[async_trait]
impl HttpClient for Service {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Some((status, code)) = self.0 else {
            // As reqwest's errors, which quote the whole URL, arrive from the client library.
            let words = format!("error sending request for url ({}): connection refused", request.url());
            let kind = azure_core::error::ErrorKind::Connection;
            return Err(azure_core::Error::with_error(
                kind,
                std::io::Error::other(words),
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
    let transport: Arc<dyn HttpClient> = Arc::new(Service(answer));
    Queues::in_azure(&service, Some(&credential), &transport, &Clock::from_fn(|| time(NOW))).unwrap()
}

const IDENTITY: (&str, &str) = ("AzureWebJobsStorage__accountName", "mine");
const KEY: (&str, &str) = ("AzureWebJobsStorage", "AccountName=mine;AccountKey=c2VjcmV0LWtleQ==");
const SAS: (&str, &str) = ("AzureWebJobsStorage", "AccountName=mine;SharedAccessSignature=sv=1&sig=c2VjcmV0");

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_service_is_said_with_what_to_do() {
    for (setting, code, wanted) in [
        (IDENTITY, "AuthorizationPermissionMismatch", "role Storage Queue Data Contributor"),
        (IDENTITY, "AuthorizationFailure", "network rules"),
        (KEY, "AuthenticationFailed", "check the AccountKey"),
        (KEY, "KeyBasedAuthenticationNotPermitted", "use an identity"),
        (SAS, "AuthorizationPermissionMismatch", "check the SharedAccessSignature"),
    ] {
        let queues = queues(setting, Some((403, code)));
        let said = queues.poison_messages().await.unwrap_err().to_string();
        assert!(said.contains(wanted) && said.contains(&format!("403 {code} (request-id 5d1f)")), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_opens_the_account_is_in_no_error_and_no_log() {
    for setting in [KEY, SAS] {
        let log = Captured::default();
        let trace = Environment::from_iter([("RUST_LOG", "trace")]);
        let work = async {
            let queues = queues(setting, None);
            let error = queues.poison.put("text").await.unwrap_err();
            let said = format!("{queues:?} {error} {error:?}");
            assert!(said.contains("connection refused"), "{said}");
            said
        };
        let said = work.with_subscriber(telemetry::subscriber(&trace, log.clone())).await;
        let printed = log.text() + &said;
        assert!(printed.contains("mine.queue.core.windows.net"), "the library logs its requests: {printed}");
        for secret in ["c2VjcmV0", "secret-key", "sig="] {
            let shown = printed.replace("sig=REDACTED", "");
            assert!(!shown.contains(secret), "{secret}: {printed}");
        }
    }
}

#[test]
fn the_queues_are_those_of_the_function_json_files() {
    let app = firstpass_sandbox::functions_host::FunctionApp::embedded(&Environment::from_iter([
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
    ]))
    .unwrap();
    assert_eq!(app.queue_of("OnGroupAdd"), Some(JOBS));
    assert_eq!(POISON, format!("{JOBS}-poison"));
    assert!(app.host.queues.base64);
}
