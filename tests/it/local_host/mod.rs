//! The local host behaves as the Functions host does, whatever the handler does: with simulated handlers, in virtual
//! time.

mod captures;
mod handler;
mod http;
mod queue;
mod timer;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{environment::Environment, host};
use firstpass_sandbox::{
    functions_host::{
        Cause, Embedded, Failure, FunctionApp, FunctionsHost, Keys, Options, Process, Storage, Worker,
        encode_base64,
        function::{AuthLevel, Trigger},
        log::{Level, Log},
    },
    tenant::{Sandbox, Tenant},
};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::ServiceExt;

use crate::helpers::{NOW, TestApp, tenant_with_emma, time};

const QUEUE: &str = "pass-jobs";
const POISON: &str = "pass-jobs-poison";

/// The calls of a handler: function, invocation, time.
type Calls = Arc<Mutex<Vec<(String, Value, DateTime<Utc>)>>>;

/// A tenant's clock, an empty storage account, and the calls of its handlers.
struct Setup {
    sandbox: Sandbox,
    storage: Storage,
    calls: Calls,
}

impl Setup {
    fn new() -> Self {
        let sandbox = Sandbox::new(Tenant::new(7), time(NOW));
        let storage = Storage::new(sandbox.clock());
        Self { sandbox, storage, calls: Calls::default() }
    }

    /// A handler that responds with `answer(function, number of this call)`.
    fn handler<F, A>(&self, answer: F) -> Embedded
    where
        F: Fn(String, usize) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send,
    {
        let (calls, sandbox) = (self.calls.clone(), self.sandbox.clone());
        let invoked = async move |Path(function): Path<String>, body: String| {
            let count = {
                let mut calls = calls.lock().unwrap();
                calls.push((function.clone(), serde_json::from_str(&body).unwrap(), sandbox.now()));
                calls.len()
            };
            answer(function, count).await
        };
        Embedded::new(Router::new().route("/", get("")).route("/{function}", post(invoked)))
    }

    fn start(&self, worker: &Embedded) -> FunctionsHost {
        self.start_with(worker, &[])
    }

    fn start_with(&self, worker: &Embedded, settings: &[(&str, &str)]) -> FunctionsHost {
        let keys = Keys {
            master: "master".into(),
            host: "host".into(),
            functions: [("CreateTap".to_owned(), "tap".to_owned())].into(),
        };
        let options = Options { keys, ..Options::default() };
        FunctionsHost::start_with(app(settings), Arc::new(worker.clone()), self.storage.clone(), options)
    }

    fn put(&self, message: &str) {
        self.storage.put(QUEUE, encode_base64(message)).unwrap();
    }

    fn calls(&self) -> Vec<(String, Value, DateTime<Utc>)> {
        self.calls.lock().unwrap().clone()
    }

    /// The time of each call, in seconds from the start.
    fn seconds(&self) -> Vec<i64> {
        self.calls().iter().map(|(_, _, at)| (*at - time(NOW)).num_seconds()).collect()
    }

    fn advance(&self, by: TimeDelta) {
        self.sandbox.advance(by);
        self.storage.notify_clock_changed();
    }
}

/// This build's function app, with a daily sweep at 06:00.
pub fn app(settings: &[(&str, &str)]) -> FunctionApp {
    let defaults = [("AzureWebJobsStorage", "UseDevelopmentStorage=true"), ("SWEEP_SCHEDULE", "0 0 6 * * *")];
    let settings: Environment = defaults.iter().chain(settings).copied().collect();
    FunctionApp::embedded(&settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn done(outputs: Value) -> Response {
    axum::Json(json!({"Outputs": outputs, "Logs": ["said"], "ReturnValue": null})).into_response()
}

fn failed() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!({"Logs": ["sorry"]}))).into_response()
}

/// The failure that [`failed`] is for the host.
fn status_500() -> Failure {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Failure::Status { status, reason: "Internal Server Error".to_owned() }
}

async fn minutes(count: u64) {
    sleep(Duration::from_secs(60 * count)).await;
}
