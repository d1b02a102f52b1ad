//! Runs the sweep and reports its jobs.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::{
    progress::Progress,
    report::{Report, Row},
    setup::Setup,
};
use crate::functions_host::{Cause, FunctionsHost, Invocation};

/// Runs one sweep and all jobs that it queues.
///
/// # Errors
/// When the sweep fails.
pub(super) async fn run_sweep(setup: &Setup, progress: &Progress) -> Result<Report, String> {
    progress.line("SweepJoiners looks for joiners of the next days.");
    let (host, rows) = start_observed_host(setup, progress);
    let swept = host.run("SweepJoiners").await?;
    if let Some(answer) = swept.answer.filter(|answer| !answer.is_success()) {
        return Err(answer.log().to_owned());
    }
    host.storage().wait_until_empty(setup.queue()).await;
    let waiting = setup.ledger.pending_alerts().await.map_err(|error| error.to_string())?;
    Ok(Report::new(&setup.sandbox, rows.take(), waiting.len()))
}

/// Starts a host that prints and collects the outcome of each job.
pub(super) fn start_observed_host(setup: &Setup, progress: &Progress) -> (FunctionsHost, JobRows) {
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

/// The outcomes of jobs, shared with the observer of the host's log.
#[derive(Clone, Default)]
pub(super) struct JobRows(Arc<Mutex<Vec<Row>>>);

impl JobRows {
    pub(super) fn take(&self) -> Vec<Row> {
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
            progress
                .line(&format!("SweepJoiners queued {jobs} jobs. OnGroupAdd processes them one at a time:"));
        } else if let Some(completed) = invocation.completed()
            && let Some(row) = Row::new(sandbox, &settings.pass, &completed, self.requests - before)
        {
            let mut rows = self.rows.0.lock().unwrap_or_else(PoisonError::into_inner);
            let number = rows.len() + 1;
            progress.line(&format!("  {number:>2}/{}  {:<8} {}", self.jobs, row.outcome, row.name));
            rows.push(row);
        }
    }
}

/// 05:00 UTC on the day of `now`: the time of the daily sweep.
pub(super) fn this_morning(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive().and_time(NaiveTime::from_hms_opt(5, 0, 0).unwrap_or(NaiveTime::MIN)).and_utc()
}

pub(super) fn next_sweep(now: DateTime<Utc>) -> DateTime<Utc> {
    let today = this_morning(now);
    if today > now { today } else { today + TimeDelta::days(1) }
}
