//! What the host starts and sends invocations to: a handler, in this process or as one of its own.

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
    http::{Request, StatusCode},
};
use tokio::sync::watch;
use tower::ServiceExt;
use uuid::Uuid;

use super::{config::FunctionApp, log::Log};

/// SIGKILL, as .NET reports it.
pub const KILLED: i32 = 128 + 9;

/// A handler that can be started, again and again.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Starts it. What it prints goes to `log`.
    async fn start(&self, app: &FunctionApp, log: &Log) -> io::Result<Arc<dyn RunningWorker>>;
}

/// A handler that was started.
#[async_trait]
pub trait RunningWorker: Send + Sync {
    /// Whether `GET /` is answered.
    async fn is_ready(&self) -> bool;
    /// Sends an invocation.
    async fn post(&self, function: &str, id: Uuid, body: String) -> Result<RawResponse, ConnectionLost>;
    /// Waits for the process to end; its exit code.
    async fn wait_for_exit(&self) -> i32;
    /// SIGKILL.
    fn kill(&self);
    /// The process, if it is one.
    fn pid(&self) -> Option<u32> {
        None
    }
}

/// What a handler answers.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The status.
    pub status: StatusCode,
    /// Its content type.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The connection was refused, or ended before an answer came.
#[derive(Clone, Debug)]
pub struct ConnectionLost(pub String);

/// Waits for the exit code of a process that `exit` tells of.
pub(super) async fn exit_code(exit: &watch::Sender<Option<i32>>) -> i32 {
    let code = exit.subscribe().wait_for(Option::is_some).await.ok().and_then(|code| *code);
    // The sender is at hand, so there is a code.
    code.unwrap_or(KILLED)
}

/// The request of an invocation, as the host makes it.
pub(crate) fn request(function: &str, id: Uuid, body: String) -> Request<Body> {
    Request::post(format!("/{function}"))
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Azure-Functions-Host/4.x")
        .header("x-azure-functions-hostversion", "4.x")
        .header("x-azure-functions-invocationid", id.to_string())
        .body(Body::from(body))
        .unwrap_or_default()
}

/// A handler in this process. Clones are the same handler.
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
    /// A handler that answers with `router` from the start.
    pub fn new(router: Router) -> Self {
        Self::starting_with(move |_| Some(router.clone()))
    }

    /// A handler that answers with what `start` returns for the first start (1), the second, and so on; with
    /// nothing, it never gets ready.
    pub fn starting_with(start: impl Fn(u32) -> Option<Router> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { start: Box::new(start), starts: AtomicU32::new(0), current: Mutex::default() }))
    }

    /// The process ends by itself.
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
        let Some(router) = self.router.clone() else {
            return Err(ConnectionLost("nobody listens".to_owned()));
        };
        let answer = async {
            let response = match router.oneshot(request(function, id, body)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let content_type = response.headers().get("content-type");
            let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let status = response.status();
            let body = body::to_bytes(response.into_body(), usize::MAX).await;
            let body = body.map_err(|error| ConnectionLost(error.to_string()))?;
            Ok(RawResponse { status, content_type, body })
        };
        // Dropping the answer's future is as near as one process gets to SIGKILL: nothing more of it runs.
        tokio::select! {
            biased;
            code = self.wait_for_exit() => Err(ConnectionLost(format!("the process is gone (exit code {code})"))),
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
