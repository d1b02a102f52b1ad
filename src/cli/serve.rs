//! `firstpass serve`: the handler that host.json starts.

use std::{net::Ipv4Addr, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;

use crate::{
    app::App,
    azure::QueueService,
    environment::Environment,
    host::{self, Handler},
    settings::{Settings, SettingsError},
    telemetry,
};

/// Serves until the host ends the process. `build` makes the App from the settings; `layer` may wrap the router. It
/// never returns `Ok`: the host treats a handler that exits with 0 as running (azure-functions-host, `WorkerProcess.cs`).
///
/// # Errors
/// When the port is missing or in use.
pub fn run(
    env: &Environment,
    build: impl FnOnce(Settings) -> Result<Arc<App>, SettingsError>,
    layer: impl FnOnce(Router) -> Router,
) -> Result<(), String> {
    telemetry::init(env, telemetry::streams());
    let port = env.get("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|port| port.parse::<u16>().ok()).ok_or(
        "FUNCTIONS_CUSTOMHANDLER_PORT is not set: the Functions host starts `serve` (`func start`). \
         To see firstpass at work without a host, run `cargo demo`.",
    )?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
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
        let router = layer(host::router(handler(env, build)));
        axum::serve(listener, router).await.map_err(|error| error.to_string())?;
        Err("the server stopped".into())
    })
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
    Settings::read(env).and_then(build).inspect_err(|report| {
        tracing::error!(
            event = "settings.rejected",
            %report,
            "The settings are not valid; every invocation fails with this report until they are corrected"
        );
    })
}
