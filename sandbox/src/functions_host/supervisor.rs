//! Restarts the handler, and stops the host after repeated failures (`HttpFunctionInvocationDispatcher.cs`,
//! `WorkerProcess.cs`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    config::FunctionApp,
    log::{Level, Log},
    worker::{RunningWorker, Worker},
};

const PROBE_INTERVAL: Duration = Duration::from_millis(25);
/// How long an invocation waits for a ready handler; then the host stops. Observed on the Functions host 4.1037, as the
/// next one.
const READY_TIMEOUT: Duration = Duration::from_secs(142);
/// How long the handler lives on after the `functionTimeout` of an invocation.
const KILL_DELAY: Duration = Duration::from_secs(2);
/// The number of failures that stops the host, unless `FAILURE_RESET` passes between two of them.
const MAX_FAILURES: usize = 3;
const FAILURE_RESET: Duration = Duration::from_secs(30 * 60);

/// The exit code with which a handler asks for a restart.
const RESTART_EXIT_CODE: i32 = 200;

pub(super) struct Supervisor {
    state: watch::Sender<State>,
    restart: Notify,
    /// The started handler, ready or not.
    worker: Mutex<Option<Arc<dyn RunningWorker>>>,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<dyn RunningWorker>),
    Stopped,
}

enum WorkerEnd {
    Failure,
    Restart,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::Starting), restart: Notify::new(), worker: Mutex::default() }
    }
}

impl Supervisor {
    /// Starts the handler, and again whenever it ends, until it has failed too often.
    pub(super) async fn run(&self, worker: &dyn Worker, app: &FunctionApp, log: &Log) {
        let mut failures: Vec<Instant> = Vec::new();
        while failures.len() < MAX_FAILURES && !self.has_stopped() {
            self.set(State::Starting);
            if let WorkerEnd::Failure = self.run_once(worker, app, log).await {
                if failures.last().is_some_and(|last| last.elapsed() > FAILURE_RESET) {
                    failures.clear();
                }
                failures.push(Instant::now());
            }
        }
        if !self.has_stopped() {
            log.print(
                Level::Error,
                "Exceeded http worker restart retry count: the handler failed three times.",
            );
            self.end();
        }
    }

    async fn run_once(&self, worker: &dyn Worker, app: &FunctionApp, log: &Log) -> WorkerEnd {
        let running = match worker.start(app, log).await {
            Ok(running) => running,
            Err(error) => {
                log.print(Level::Error, format!("The handler cannot be started: {error}"));
                // The host does not try again. It stops when an invocation has waited too long for the handler.
                return std::future::pending().await;
            }
        };
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(running.clone());
        let probe = async {
            while !running.is_ready().await {
                sleep(PROBE_INTERVAL).await;
            }
        };
        tokio::select! {
            started = timeout(app.host.initialization_timeout, probe) => if started.is_err() {
                log.print(Level::Error, "The handler did not respond to GET / in time.");
                running.kill();
                return WorkerEnd::Failure;
            },
            end = self.wait_for_end(&*running, log) => return end,
        }
        self.set(State::Ready(running.clone()));
        self.wait_for_end(&*running, log).await
    }

    /// The host ignores exit code 0: it takes the handler for running, and every invocation fails.
    async fn wait_for_end(&self, running: &dyn RunningWorker, log: &Log) -> WorkerEnd {
        let code = tokio::select! {
            code = running.wait_for_exit() => code,
            () = self.restart.notified() => {
                sleep(KILL_DELAY).await;
                running.kill();
                return WorkerEnd::Restart;
            }
        };
        if code != 0 {
            self.set(State::Starting);
        }
        log.print(Level::Error, format!("The handler ended with exit code {code}."));
        match code {
            // No later time-out of an invocation comes either: every one ends at once.
            0 => std::future::pending().await,
            RESTART_EXIT_CODE => WorkerEnd::Restart,
            _ => WorkerEnd::Failure,
        }
    }

    /// Kills and restarts the handler; this does not count as a failure.
    pub(super) fn restart(&self) {
        // Another time-out before the kill does not restart the next handler too.
        self.restart.notify_waiters();
    }

    /// Kills the handler from outside and waits until the host has noticed.
    pub(super) async fn kill_worker(&self) {
        let Some(worker) = self.worker() else { return };
        worker.kill();
        if worker.wait_for_exit().await != 0 {
            let is_it = |state: &State| matches!(state, State::Ready(ready) if Arc::ptr_eq(ready, &worker));
            // Cannot fail: `self` owns the sender.
            drop(self.state.subscribe().wait_for(|state| !is_it(state)).await);
        }
    }

    pub(super) fn end(&self) {
        self.set(State::Stopped);
        if let Some(worker) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            worker.kill();
        }
    }

    /// Waits for a ready handler; `None` if the host has stopped.
    pub(super) async fn ready(&self) -> Option<Arc<dyn RunningWorker>> {
        let mut state = self.state.subscribe();
        let completed =
            timeout(READY_TIMEOUT, state.wait_for(|state| !matches!(state, State::Starting))).await;
        match completed {
            Ok(Ok(state)) => match &*state {
                State::Ready(running) => Some(running.clone()),
                State::Starting | State::Stopped => None,
            },
            _ => {
                self.end();
                None
            }
        }
    }

    pub(super) fn worker(&self) -> Option<Arc<dyn RunningWorker>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has_stopped(&self) -> bool {
        matches!(*self.state.borrow(), State::Stopped)
    }

    pub(super) async fn wait_until_stopped(&self) {
        let mut state = self.state.subscribe();
        // Cannot fail: `self` owns the sender.
        drop(state.wait_for(|state| matches!(state, State::Stopped)).await);
    }

    /// A host that has stopped does not start again.
    fn set(&self, state: State) {
        self.state.send_if_modified(|current| {
            let runs = !matches!(current, State::Stopped);
            if runs {
                *current = state;
            }
            runs
        });
    }
}
