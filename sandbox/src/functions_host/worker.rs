//! The handler that the host starts and sends invocations to, in this process or in another.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{self, Body, Bytes},
    http::{Extensions, Request, StatusCode},
};
use hyper::ext::ReasonPhrase;
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;

use super::{config::FunctionApp, log::Log, unsized_body::UnsizedBody};

/// The version of the host that this one was compared with.
pub(super) const HOST_VERSION: &str = "4.1037.0.0";

/// The exit code that .NET reports for SIGKILL.
pub const KILLED: i32 = 128 + 9;

/// A handler that the host can start repeatedly.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Starts the handler, which prints to `log`.
    async fn start(&self, app: &FunctionApp, log: &Log) -> io::Result<Arc<dyn RunningWorker>>;
}

/// A started handler.
#[async_trait]
pub trait RunningWorker: Send + Sync {
    /// Whether it responds to `GET /`.
    async fn is_ready(&self) -> bool;
    /// Sends an invocation.
    async fn post(&self, function: &str, id: Uuid, body: String) -> Result<RawResponse, ConnectionLost>;
    /// Waits for its end and returns the exit code.
    async fn wait_for_exit(&self) -> i32;
    /// Sends SIGKILL.
    fn kill(&self);
    /// The process id, if it is a process.
    fn pid(&self) -> Option<u32> {
        None
    }
}

/// A handler's HTTP response.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The reason phrase of the status line.
    pub reason: String,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The connection was refused, or closed before a response.
#[derive(Clone, Debug)]
pub struct ConnectionLost(pub String);

/// The reason phrase of a response, which is an extension of it if it is not the usual one.
pub(super) fn reason_phrase(status: StatusCode, extensions: &Extensions) -> String {
    match extensions.get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).into_owned(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// The headers of an invocation's request, but for `Transfer-Encoding`.
pub(super) fn request_headers(id: Uuid) -> [(&'static str, String); 4] {
    [
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("user-agent", format!("Azure-Functions-Host/{HOST_VERSION}")),
        ("x-azure-functions-hostversion", HOST_VERSION.to_owned()),
        ("x-azure-functions-invocationid", id.to_string()),
    ]
}

pub(super) async fn exit_code(exit: &watch::Sender<Option<i32>>) -> i32 {
    let code = exit.subscribe().wait_for(Option::is_some).await.ok().and_then(|code| *code);
    // The sender exists, so there is a code.
    code.unwrap_or(KILLED)
}

/// The HTTP request of an invocation, as the host sends it.
pub(crate) fn request(function: &str, id: Uuid, body: String) -> Request<Body> {
    let mut request = Request::post(format!("/{function}"));
    for (name, value) in request_headers(id) {
        request = request.header(name, value);
    }
    request
        .header("host", "127.0.0.1")
        .header("transfer-encoding", "chunked")
        .body(UnsizedBody::body(body))
        .unwrap_or_default()
}

/// A handler in this process. Clones share the handler.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    start: Box<dyn Fn(u32) -> Option<Router> + Send + Sync>,
    starts: AtomicU32,
    current: Mutex<Option<Arc<EmbeddedHandle>>>,
}

struct EmbeddedHandle {
    router: Option<Router>,
    exit: watch::Sender<Option<i32>>,
}

impl Embedded {
    /// A handler that responds with `router`.
    pub fn new(router: Router) -> Self {
        Self::starting_with(move |_| Some(router.clone()))
    }

    /// A handler that responds with the router that `start` returns for the first start (1), the second, and so on;
    /// with `None` it never becomes ready.
    pub fn starting_with(start: impl Fn(u32) -> Option<Router> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { start: Box::new(start), starts: AtomicU32::new(0), current: Mutex::default() }))
    }

    /// Ends the simulated process with this exit code.
    pub fn exit(&self, code: i32) {
        if let Some(life) = &*self.0.current.lock().unwrap_or_else(PoisonError::into_inner) {
            life.exit.send_replace(Some(code));
        }
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.0.starts.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Worker for Embedded {
    async fn start(&self, _: &FunctionApp, _: &Log) -> io::Result<Arc<dyn RunningWorker>> {
        let count = self.0.starts.fetch_add(1, Ordering::SeqCst) + 1;
        let life = Arc::new(EmbeddedHandle { router: (self.0.start)(count), exit: watch::Sender::new(None) });
        *self.0.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(life.clone());
        Ok(life)
    }
}

#[async_trait]
impl RunningWorker for EmbeddedHandle {
    async fn is_ready(&self) -> bool {
        match &self.router {
            Some(router) if self.exit.borrow().is_none() => router
                .clone()
                .oneshot(Request::get("/").body(Body::empty()).unwrap_or_default())
                .await
                .is_ok(),
            _ => false,
        }
    }

    async fn post(&self, function: &str, id: Uuid, body: String) -> Result<RawResponse, ConnectionLost> {
        let Some(router) = self.router.clone().filter(|_| self.exit.borrow().is_none()) else {
            return Err(ConnectionLost("Connection refused".to_owned()));
        };
        let answer = async {
            let response = match router.oneshot(request(function, id, body)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let content_type = response.headers().get("content-type");
            let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let status = response.status();
            let reason = reason_phrase(status, response.extensions());
            let body = body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.map_err(|error| ConnectionLost(error.to_string()))?;
            Ok(RawResponse { status, reason, content_type, body })
        };
        // Dropping the future stops the handler at its current await, the closest equivalent of SIGKILL in one process.
        tokio::select! {
            biased;
            code = self.wait_for_exit() => Err(ConnectionLost(format!("the process has ended (exit code {code})"))),
            answer = answer => answer,
        }
    }

    async fn wait_for_exit(&self) -> i32 {
        exit_code(&self.exit).await
    }

    fn kill(&self) {
        self.exit.send_if_modified(|code| {
            let lives = code.is_none();
            *code = code.or(Some(KILLED));
            lives
        });
    }
}
