//! The command line.

use std::{net::Ipv4Addr, process::ExitCode};

use axum::Router;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;

use crate::{
    connect::connect,
    host, jobs,
    settings::{Environment, QueueService, Settings},
    telemetry,
};

/// First-day passes for Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Azure Functions host (what host.json starts)
    Serve,
    /// List the jobs that were given up, put them back, or delete them
    Jobs(jobs::Options),
    /// Show the whole job on a simulated tenant; needs nothing
    #[cfg(feature = "sandbox")]
    Demo(crate::sandbox::demo::Options),
    /// Serve a simulated tenant on this machine, for SANDBOX_URL
    #[cfg(feature = "sandbox")]
    Sandbox(crate::sandbox::command::Options),
}

impl Cli {
    /// Runs the command; ends when it ends.
    pub fn run(self, env: &Environment) -> ExitCode {
        let done = match self.command {
            Command::Serve => serve(env),
            Command::Jobs(options) => jobs::run(&options, env),
            #[cfg(feature = "sandbox")]
            Command::Demo(options) => crate::sandbox::demo::run(&options, env),
            #[cfg(feature = "sandbox")]
            Command::Sandbox(options) => crate::sandbox::command::run(&options, env),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                telemetry::complain(&why);
                ExitCode::FAILURE
            }
        }
    }
}

/// Serves until the host kills the process. There is no way out but failure: a handler that ends with 0 would be
/// believed to be alive (azure-functions-host, `WorkerProcess.cs`).
fn serve(env: &Environment) -> Result<(), String> {
    telemetry::init(env, std::io::stdout);
    let port = env.get("FUNCTIONS_CUSTOMHANDLER_PORT").and_then(|port| port.parse::<u16>().ok()).ok_or(
        "FUNCTIONS_CUSTOMHANDLER_PORT is not set: `serve` is started by the Functions host (`func start`). \
         To see firstpass at work without one, run `firstpass demo`.",
    )?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        let port = listener.local_addr().map_or(port, |address| address.port());
        tracing::info!(event = "start.listening", port, version = env!("CARGO_PKG_VERSION"));
        axum::serve(listener, handler(env)).await.map_err(|error| error.to_string())?;
        Err("the server stopped".into())
    })
}

/// The handler; with settings that need attention, the report on them answers every invocation. The process stays
/// up: the host would only restart it, and give up after three times without saying why.
fn handler(env: &Environment) -> Router {
    for name in Settings::lookalikes(env) {
        tracing::warn!(
            event = "settings.unknown",
            name,
            why = "looks like a setting of firstpass, but is none"
        );
    }
    if let Err(report) = QueueService::read(env) {
        tracing::warn!(event = "settings.queues_unknown", %report, effect = "given-up messages are not looked at");
    }
    match Settings::read(env).and_then(connect) {
        Ok(connection) => {
            let router = host::router(Ok(connection.app));
            #[cfg(feature = "sandbox")]
            let router = match connection.sandbox {
                Some(sandbox) => sandbox.keep_time(router),
                None => router,
            };
            router
        }
        Err(report) => {
            tracing::error!(event = "settings.invalid", %report);
            host::router(Err(report))
        }
    }
}
