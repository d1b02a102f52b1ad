//! `firstpass demo`: the whole job on a simulated tenant, through the real handler and the host's wire contract.
//!
//! The run happens in virtual time, so waiting for a lagging replica or a redelivery costs nothing. Then time goes
//! on as usual, for a page that shows every mail as its reader sees it.

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use tokio::net::TcpListener;

use super::{
    Sandbox,
    functions_host::{Cause, Embedded, FunctionApp, FunctionsHost, Invocation, Storage},
    inbox::{self, Page},
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
    // One message at a time, so that each row's requests are its own.
    let app_settings = Environment::from_iter([
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("AzureFunctionsJobHost__extensions__queues__batchSize", "1"),
        ("AzureFunctionsJobHost__extensions__queues__newBatchThreshold", "0"),
    ]);
    let functions = FunctionApp::embedded(&app_settings).map_err(|problems| problems.to_string())?;
    let queue = functions.queue_of("OnGroupAdd").unwrap_or_default().to_owned();
    let worker = Arc::new(Embedded::new(host::router(Ok(Arc::new(app)))));
    let host = FunctionsHost::start(functions, worker, Storage::new(sandbox.clock()));

    progress.line("The timer fires: who starts within the next days?");
    let story = Arc::new(Mutex::new(Story::default()));
    host.log().observe({
        let (sandbox, progress, story) = (sandbox.clone(), progress.clone(), story.clone());
        move |invocation| {
            let mut story = story.lock().unwrap_or_else(PoisonError::into_inner);
            story.goes_on(invocation, &sandbox, zone, &progress);
        }
    });
    let swept = host.run("SweepJoiners").await?;
    if let Some(answer) = swept.answer.filter(|answer| !answer.is_success()) {
        return Err(answer.log().to_owned());
    }
    host.storage().drained(&queue).await;
    let rows = std::mem::take(&mut story.lock().unwrap_or_else(PoisonError::into_inner).rows);
    Ok(Report::new(sandbox, rows))
}

/// What the demo tells while it happens.
#[derive(Default)]
struct Story {
    jobs: usize,
    requests: usize,
    rows: Vec<Row>,
}

impl Story {
    fn goes_on(&mut self, invocation: &Invocation, sandbox: &Sandbox, zone: Tz, progress: &Progress) {
        let before = std::mem::replace(&mut self.requests, sandbox.requests().len());
        if let Cause::Admin = invocation.cause {
            self.jobs = invocation.answer.as_ref().map_or(0, |answer| answer.jobs().len());
            let jobs = self.jobs;
            progress.line(&format!("SweepJoiners queued {jobs} jobs. OnGroupAdd takes them one by one:"));
        } else if let Some(settled) = invocation.settled() {
            let row = Row::new(sandbox, zone, &settled, self.requests - before);
            let number = self.rows.len() + 1;
            progress.line(&format!("  {number:>2}/{}  {:<8} {}", self.jobs, row.outcome, row.name));
            self.rows.push(row);
        }
    }
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
#[derive(Clone, Debug)]
pub struct Progress {
    lines: Target,
}

#[derive(Clone, Copy, Debug)]
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
