//! `firstpass-sandbox demo`: one sweep on a simulated tenant, with the real handler and the host's wire format, and a
//! page to continue from there.
//!
//! Sweeps run in virtual time, so that waiting for a lagging replica or a redelivery costs no real time. Between
//! actions the clock runs normally.
//!
//! Reading order: [`setup`] is firstpass on the sample tenant; `sweep` runs it; [`actions`] are the page's buttons;
//! `history` keeps what the tenant does not; `views` is the page's data; [`web`] serves the page.

pub mod actions;
mod history;
mod progress;
pub mod report;
pub mod setup;
mod sweep;
mod views;
pub mod web;

use std::net::SocketAddr;

use clap::Args;
use firstpass::{clock::Clock, environment::Environment, telemetry};
use tokio::net::TcpListener;

pub use self::progress::Progress;
use self::{setup::Setup, sweep::this_morning};
use crate::tenant::{Sandbox, samples};

/// Options of `firstpass-sandbox demo`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Exit after the table, without serving the page
    #[arg(long)]
    once: bool,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// The address to serve the page on; it must be a loopback address
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// Runs the demo.
///
/// # Errors
/// When the sweep fails or the page cannot be served.
pub fn run(options: &Options, env: &Environment) -> Result<(), String> {
    telemetry::init(&quiet(env), std::io::stderr);
    // Pausing tokio's clock requires the current-thread runtime.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let epoch = this_morning(Clock::system().now());
        let setup = Setup::new(Sandbox::new(samples::samples(epoch), epoch))?;
        let progress: Progress = if options.json { Progress::to_stderr() } else { Progress::to_stdout() };
        let report = setup.run_first_sweep(&progress).await?;
        if options.json {
            progress.result(&report.to_json().to_string());
        } else {
            progress.result(&report.to_table());
        }
        if options.once { Ok(()) } else { serve(options.listen, setup, &progress).await }
    })
}

async fn serve(listen: SocketAddr, setup: Setup, progress: &Progress) -> Result<(), String> {
    if !listen.ip().is_loopback() {
        return Err(format!("{listen} is not a loopback address: the page shows passes"));
    }
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot serve the page on {listen}: {error}; choose another with --listen")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    progress.line(&format!("\nThe page: http://{address}/   (Ctrl+C ends the demo)"));
    axum::serve(listener, web::router(setup))
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await
        .map_err(|error| error.to_string())
}

/// Turns the log off unless RUST_LOG asks for it.
fn quiet(env: &Environment) -> Environment {
    Environment::from_iter([("RUST_LOG", env.get("RUST_LOG").unwrap_or("off"))])
}
