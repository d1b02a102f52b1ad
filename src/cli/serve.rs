//! `firstpass serve`: the handler that host.json starts.

use std::{net::Ipv4Addr, panic, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::task::TaskTracker;

use crate::{
    app::App,
    azure::QueueService,
    budget,
    environment::Environment,
    host::{self, Handler},
    settings::{Settings, SettingsError},
    telemetry,
};

/// Serves until the host ends the process. `build` makes the App from the settings; `layer` may wrap the router. It
/// never returns `Ok`: the host treats a handler that exits with 0 as running (azure-functions-host, `WorkerProcess.cs`).
///
/// # Errors
/// When the port is missing or in use, or the host is gone.
pub fn run(
    env: &Environment,
    build: impl FnOnce(Settings) -> Result<Arc<App>, SettingsError>,
    layer: impl FnOnce(Router) -> Router,
) -> Result<(), String> {
    telemetry::init(env, telemetry::streams());
    telemetry::panics::log();
    let port = env.get("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|port| port.parse::<u16>().ok()).ok_or(
        "FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Functions host starts `serve` (`func start`). \
         To see firstpass at work without a host, run `cargo demo`.",
    )?;
    // Only the host sets this. A person who starts `serve` may close the shell.
    let is_child_of_host = env.get("FUNCTIONS_CUSTOMHANDLER_WORKER_ID").is_some();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let host_is_gone = parent_is_gone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        let port = listener.local_addr().map_or(port, |address| address.port());
        tracing::info!(
            event = "handler.started",
            port,
            version = env!("CARGO_PKG_VERSION"),
            "The handler listens for the Functions host"
        );
        let invocations = TaskTracker::new();
        let router = layer(host::router(handler(env, build)))
            .layer(middleware::from_fn_with_state(invocations.clone(), run_to_the_end));
        tokio::select! {
            served = axum::serve(listener, router) => {
                served.map_err(|error| error.to_string())?;
                Err("the server stopped".into())
            }
            () = host_is_gone, if is_child_of_host => {
                tracing::warn!(
                    event = "handler.orphaned",
                    running = invocations.len(),
                    "The Functions host is gone; the handler ends after its running invocations"
                );
                invocations.close();
                drop(timeout(budget::FUNCTION_TIMEOUT, invocations.wait()).await);
                Err("the Functions host is gone".into())
            }
        }
    })
}

/// Answers in a task of its own. The server drops the work of a connection that closes, and a host that dies closes all:
/// a job would end between its pass and its record.
async fn run_to_the_end(State(invocations): State<TaskTracker>, request: Request, next: Next) -> Response {
    match invocations.spawn(next.run(request)).await {
        Ok(response) => response,
        // The connection is reset, and the host repeats the invocation.
        Err(panicked) => panic::resume_unwind(panicked.into_panic()),
    }
}

/// Returns when the process that started this one has ended. A host that is killed does not end its handler.
#[cfg(unix)]
fn parent_is_gone() -> impl Future<Output = ()> {
    use std::os::unix::process::parent_id;

    const INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
    let parent = parent_id();
    async move {
        while parent_id() == parent {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Never returns: only Unix shows which process is the parent now.
#[cfg(not(unix))]
fn parent_is_gone() -> impl Future<Output = ()> {
    std::future::pending()
}

/// The handler of invocations. If the settings are not valid, it answers with the report on them: the host would
/// restart a process that ends three times, and then stop without a reason.
fn handler(env: &Environment, build: impl FnOnce(Settings) -> Result<Arc<App>, SettingsError>) -> Handler {
    for name in Settings::unknown_names(env) {
        tracing::warn!(
            event = "setting.ignored",
            name,
            "The setting has no effect: firstpass has none of that name, but a similar one"
        );
    }
    if let Err(report) = QueueService::read(env) {
        tracing::warn!(
            event = "queues.not_located",
            %report,
            "AzureWebJobsStorage has an unknown form; everything works except reading the poison queue"
        );
    }
    Settings::read_with_folder(env).and_then(build)
}
