//! `firstpass demo`: the whole job on a simulated tenant, through the real handler and the host's wire contract.
//!
//! The run happens in virtual time, so waiting for a lagging replica or a redelivery costs nothing. Then time goes
//! on as usual, for a page that shows every mail as its reader sees it.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    sync::Arc,
};

use chrono::{DateTime, NaiveTime, Utc};
use clap::Args;
use tokio::net::TcpListener;

use super::{
    Sandbox,
    inbox::{self, Page},
    local_host::{LocalHost, Settled},
    report::{Report, Row},
    samples::{self, SENDER, SERVICE_DESK},
};
use crate::{
    app::App,
    clock::Clock,
    host,
    ledger::memory::MemoryLedger,
    settings::{Environment, Settings},
    telemetry,
};

/// Options of `firstpass demo`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// End after the table, without serving the page
    #[arg(long)]
    once: bool,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Where to serve the page
    #[arg(long, default_value = "127.0.0.1:8088", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// Runs the demo.
///
/// # Errors
/// In words, when the page cannot be served.
pub fn run(options: &Options, env: &Environment) -> Result<(), String> {
    telemetry::init(&quiet(env), std::io::stderr);
    // Virtual time needs a runtime of one thread.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        tokio::time::pause();
        let epoch = this_morning(Clock::system().now());
        let sandbox = Sandbox::new(samples::samples(epoch), epoch);
        let progress: Progress = if options.json { Progress::to_stderr() } else { Progress::to_stdout() };
        let report = perform(&sandbox, &progress).await?;
        if options.json {
            progress.result(&report.to_json().to_string());
        } else {
            progress.result(&report.to_table());
        }
        tokio::time::resume();
        if options.once { Ok(()) } else { serve(options.listen, sandbox, &report, &progress).await }
    })
}

/// What the people of the sample tenant get, in one sweep.
///
/// # Errors
/// In words, when the sample settings do not work: a mistake of ours.
pub async fn perform(sandbox: &Sandbox, progress: &Progress) -> Result<Report, String> {
    let settings = Settings::read(&sample_settings()).map_err(|report| report.to_string())?;
    let zone = settings.pass.time_zone;
    let ledger = Arc::new(MemoryLedger::default());
    let app = App::new(settings, sandbox.transport(), sandbox.credential(), ledger, sandbox.clock())
        .map_err(|error| error.to_string())?;
    let host = LocalHost::new(host::router(Ok(Arc::new(app))), sandbox.clock());

    progress.line("The timer fires: who starts within the next days?");
    let swept = host.fire_timer().await;
    if !swept.is_success() {
        return Err(swept.log().to_owned());
    }
    let jobs = swept.jobs();
    progress.line(&format!("SweepJoiners queued {} jobs. OnGroupAdd takes them one by one:", jobs.len()));
    let total = jobs.len();
    let mut rows: Vec<Row> = Vec::new();
    let mut requests = sandbox.requests().len();
    host.work(jobs, |settled: Settled| {
        let before = std::mem::replace(&mut requests, sandbox.requests().len());
        let row = Row::new(sandbox, zone, &settled, requests - before);
        progress.line(&format!("  {:>2}/{total}  {:<8} {}", rows.len() + 1, row.outcome, row.name));
        rows.push(row);
    })
    .await;
    Ok(Report::new(sandbox, rows))
}

async fn serve(
    listen: SocketAddr,
    sandbox: Sandbox,
    report: &Report,
    progress: &Progress,
) -> Result<(), String> {
    if !listen.ip().is_loopback() {
        return Err(format!("{listen} is not an address of this machine alone: the page shows passes"));
    }
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot serve the page on {listen}: {error}; choose another with --listen")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    progress.line(&format!("\nEvery mail as its reader sees it: http://{address}/   (Ctrl+C ends)"));
    let router = inbox::router(&Page::new(&sandbox, report)).merge(sandbox.router());
    axum::serve(listener, router)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await
        .map_err(|error| error.to_string())
}

/// Settings as an admin of the sample tenant would make them. Its headquarters are in California, so that is the
/// zone of everyone whose country has several.
pub fn sample_settings() -> Environment {
    Environment::from_iter([
        ("SANDBOX_URL", "http://127.0.0.1"),
        ("MAIL_FROM", SENDER),
        ("ALERT_TO", SERVICE_DESK),
        ("COMPANY_NAME", "Contoso"),
        ("TIME_ZONE", "America/Los_Angeles"),
        ("SERVICE_DESK_NAME", "Contoso Service Desk"),
        ("SERVICE_DESK_EMAIL", SERVICE_DESK),
        ("SERVICE_DESK_PHONE", "+1 425 555 0100"),
    ])
}

/// Five in the morning, UTC, of the day it is: the sweep's usual time.
fn this_morning(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::from_hms_opt(5, 0, 0).unwrap_or(NaiveTime::MIN)).and_utc()
}

/// The demo's own lines tell the story; the log only joins in when it is asked for.
fn quiet(env: &Environment) -> Environment {
    Environment::from_iter([("RUST_LOG", env.get("RUST_LOG").unwrap_or("off"))])
}

/// Where the demo says what it is doing.
#[derive(Debug)]
pub struct Progress {
    lines: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    Stderr,
    Nowhere,
}

impl Progress {
    /// Lines beside the result.
    pub fn to_stdout() -> Self {
        Self { lines: Target::Stdout }
    }

    /// Lines apart from the result, and only where a person watches.
    pub fn to_stderr() -> Self {
        let watched = std::io::stderr().is_terminal();
        Self { lines: if watched { Target::Stderr } else { Target::Nowhere } }
    }

    fn line(&self, text: &str) {
        // Nobody reads a closed pipe: not worth failing for.
        let _ = match self.lines {
            Target::Stdout => writeln!(std::io::stdout(), "{text}"),
            Target::Stderr => writeln!(std::io::stderr(), "{text}"),
            Target::Nowhere => Ok(()),
        };
    }

    fn result(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
