//! `firstpass demo`: the whole job on a simulated tenant, through the real handler and the host's wire contract.
//!
//! The first sweep happens in virtual time, so waiting for a lagging replica or a redelivery costs nothing. Then time
//! goes on as usual, for a page that shows what happened and has buttons to go on with the observer.
//!
//! Reading order: [`setup`] is the tenant with firstpass set up in it; [`actions`] is what the page's buttons do;
//! `history` remembers what the tenant forgets; `views` is the page's data; [`web`] serves all that.

pub mod actions;
mod history;
pub mod report;
pub mod setup;
mod views;
pub mod web;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, NaiveTime, Utc};
use clap::Args;
use firstpass::{clock::Clock, settings::Environment, telemetry};
use tokio::net::TcpListener;

use self::setup::Setup;
use crate::{
    demo::report::{Report, Row},
    functions_host::{Cause, FunctionsHost, Invocation},
    tenant::{Sandbox, samples},
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

/// What the people of the sample tenant get, in one sweep.
///
/// # Errors
/// In words, when the sweep fails.
pub async fn run_sweep(setup: &Setup, progress: &Progress) -> Result<Report, String> {
    progress.line("The timer fires: who starts within the next days?");
    let (host, rows) = start_observed_host(setup, progress);
    let swept = host.run("SweepJoiners").await?;
    if let Some(answer) = swept.answer.filter(|answer| !answer.is_success()) {
        return Err(answer.log().to_owned());
    }
    host.storage().wait_until_empty(setup.queue()).await;
    Ok(Report::new(&setup.sandbox, rows.take()))
}

/// A host that tells, job by job, what becomes of its messages.
fn start_observed_host(setup: &Setup, progress: &Progress) -> (FunctionsHost, JobRows) {
    let host = setup.host();
    let rows = JobRows::default();
    let observer = Mutex::new(ProgressObserver {
        jobs: 0,
        requests: setup.sandbox.requests().len(),
        rows: rows.clone(),
    });
    let (setup, progress) = (setup.clone(), progress.clone());
    host.log().observe(move |invocation| {
        observer.lock().unwrap_or_else(PoisonError::into_inner).record(invocation, &setup, &progress);
    });
    (host, rows)
}

/// What became of the jobs.
#[derive(Clone, Default)]
struct JobRows(Arc<Mutex<Vec<Row>>>);

impl JobRows {
    fn take(&self) -> Vec<Row> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct ProgressObserver {
    jobs: usize,
    requests: usize,
    rows: JobRows,
}

impl ProgressObserver {
    fn record(&mut self, invocation: &Invocation, setup: &Setup, progress: &Progress) {
        let Setup { sandbox, settings, .. } = setup;
        let before = std::mem::replace(&mut self.requests, sandbox.requests().len());
        if let Cause::Admin = invocation.cause {
            let is_job = |message: &String| message.contains("jobKey");
            self.jobs = invocation
                .answer
                .as_ref()
                .map_or(0, |answer| answer.jobs().iter().filter(|m| is_job(m)).count());
            let jobs = self.jobs;
            progress.line(&format!("SweepJoiners queued {jobs} jobs. OnGroupAdd takes them one by one:"));
        } else if let Some(completed) = invocation.completed()
            && let Some(row) = Row::new(sandbox, settings.pass.time_zone, &completed, self.requests - before)
        {
            let mut rows = self.rows.0.lock().unwrap_or_else(PoisonError::into_inner);
            let number = rows.len() + 1;
            progress.line(&format!("  {number:>2}/{}  {:<8} {}", self.jobs, row.outcome, row.name));
            rows.push(row);
        }
    }
}

async fn serve(listen: SocketAddr, setup: Setup, progress: &Progress) -> Result<(), String> {
    if !listen.ip().is_loopback() {
        return Err(format!("{listen} is not an address of this machine alone: the page shows passes"));
    }
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        format!("cannot serve the page on {listen}: {error}; choose another with --listen")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    progress.line(&format!("\nSee it, and go on with the observer: http://{address}/   (Ctrl+C ends)"));
    axum::serve(listener, web::router(setup))
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await
        .map_err(|error| error.to_string())
}

/// Five in the morning, UTC, of the day it is: the sweep's usual time.
fn this_morning(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::from_hms_opt(5, 0, 0).unwrap_or(NaiveTime::MIN)).and_utc()
}

/// The demo's own lines start_observed_host the observer; the log only joins in when it is asked for.
fn quiet(env: &Environment) -> Environment {
    Environment::from_iter([("RUST_LOG", env.get("RUST_LOG").unwrap_or("off"))])
}

/// Where the demo says what it is doing.
#[derive(Clone, Debug)]
pub struct Progress {
    target: ProgressTarget,
}

#[derive(Clone, Copy, Debug)]
enum ProgressTarget {
    Stdout,
    Stderr,
    Nowhere,
}

impl Progress {
    /// No lines at all.
    pub fn silent() -> Self {
        Self { target: ProgressTarget::Nowhere }
    }

    /// Lines beside the result.
    pub fn to_stdout() -> Self {
        Self { target: ProgressTarget::Stdout }
    }

    /// Lines apart from the result, and only where a person watches.
    pub fn to_stderr() -> Self {
        let watched = std::io::stderr().is_terminal();
        Self { target: if watched { ProgressTarget::Stderr } else { ProgressTarget::Nowhere } }
    }

    fn line(&self, text: &str) {
        // Nobody reads a closed pipe: not worth failing for.
        let _ = match self.target {
            ProgressTarget::Stdout => writeln!(std::io::stdout(), "{text}"),
            ProgressTarget::Stderr => writeln!(std::io::stderr(), "{text}"),
            ProgressTarget::Nowhere => Ok(()),
        };
    }

    fn result(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
