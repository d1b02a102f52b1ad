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

/// Serves until the host kills the process, with the App that `build` makes of the settings. `layer` may wrap the
/// router. There is no way out but failure: the host believes that a handler which ends with 0 is alive
/// (azure-functions-host, `WorkerProcess.cs`).
///
/// # Errors
/// When the port is not set or cannot be listened on.
pub fn run(
    env: &Environment,
    build: impl FnOnce(Settings) -> Result<Arc<App>, SettingsError>,
    layer: impl FnOnce(Router) -> Router,
) -> Result<(), String> {
    telemetry::init(env, std::io::stdout);
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
        tracing::info!(event = "start.listening", port, version = env!("CARGO_PKG_VERSION"));
        let router = layer(host::router(handler(env, build)));
        axum::serve(listener, router).await.map_err(|error| error.to_string())?;
        Err("the server stopped".into())
    })
}

/// What answers invocations. With settings that need attention, the report on them answers every invocation. The
/// process stays up: the host would only restart it, and stop after three times without saying why.
fn handler(env: &Environment, build: impl FnOnce(Settings) -> Result<Arc<App>, SettingsError>) -> Handler {
    for name in Settings::unknown_names(env) {
        tracing::warn!(
            event = "settings.unknown",
            name,
            why = "looks like a setting of firstpass, but is none"
        );
    }
    if let Err(report) = QueueService::read(env) {
        tracing::warn!(event = "settings.queues_unknown", %report, effect = "given-up messages are not looked at");
    }
    Settings::read(env).and_then(build).inspect_err(|report| {
        tracing::error!(event = "settings.invalid", %report);
    })
}
