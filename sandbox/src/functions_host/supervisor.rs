//! Keeps the handler alive, and knows when to stop trying (`HttpFunctionInvocationDispatcher.cs`,
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

/// Between two probes of a handler that starts.
const PROBE_INTERVAL: Duration = Duration::from_millis(25);
/// How long it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an invocation waits for it; then the host stops.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// Failures that end the host, unless it was quiet for long between them.
const MAX_FAILURES: usize = 3;
const FAILURE_RESET: Duration = Duration::from_secs(30 * 60);

/// The exit code of a handler that wants to be started again.
const RESTART_EXIT_CODE: i32 = 200;

pub(super) struct Supervisor {
    state: watch::Sender<State>,
    restart: Notify,
    /// The handler, ready or not.
    worker: Mutex<Option<Arc<dyn RunningWorker>>>,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<dyn RunningWorker>),
    Stopped,
}

/// How a handler's life ended.
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
        while failures.len() < MAX_FAILURES {
            self.set(State::Starting);
            if let WorkerEnd::Failure = self.run_once(worker, app, log).await {
                if failures.last().is_some_and(|last| last.elapsed() > FAILURE_RESET) {
                    failures.clear();
                }
                failures.push(Instant::now());
            }
        }
        log.print(Level::Error, "The handler failed three times; the host stops.");
        self.end();
    }

    async fn run_once(&self, worker: &dyn Worker, app: &FunctionApp, log: &Log) -> WorkerEnd {
        let running = match worker.start(app, log).await {
            Ok(running) => running,
            Err(error) => {
                log.print(Level::Error, format!("The handler cannot be started: {error}"));
                return WorkerEnd::Failure;
            }
        };
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = Some(running.clone());
        let probe = async {
            while !running.is_ready().await {
                sleep(PROBE_INTERVAL).await;
            }
        };
        tokio::select! {
            started = timeout(START_TIMEOUT, probe) => if started.is_err() {
                log.print(Level::Error, "The handler did not answer GET / within 30 seconds.");
                running.kill();
                return WorkerEnd::Failure;
            },
            end = self.wait_for_end(&*running, log) => return end,
        }
        self.set(State::Ready(running.clone()));
        self.wait_for_end(&*running, log).await
    }

    /// Exit code 0 is no end to the host: it believes that the handler lives, and every invocation fails.
    async fn wait_for_end(&self, running: &dyn RunningWorker, log: &Log) -> WorkerEnd {
        let code = tokio::select! {
            code = running.wait_for_exit() => code,
            () = self.restart.notified() => {
                running.kill();
                return WorkerEnd::Restart;
            }
        };
        if code != 0 {
            self.set(State::Starting);
        }
        log.print(Level::Error, format!("The handler ended with exit code {code}."));
        match code {
            0 => {
                self.restart.notified().await;
                WorkerEnd::Restart
            }
            RESTART_EXIT_CODE => WorkerEnd::Restart,
            _ => WorkerEnd::Failure,
        }
    }

    /// Kills the handler and starts it again; this is no failure of its own.
    pub(super) fn restart(&self) {
        self.restart.notify_one();
    }

    /// Kills the handler as somebody else would.
    pub(super) async fn kill_worker(&self) {
        let Some(worker) = self.worker() else { return };
        worker.kill();
        if worker.wait_for_exit().await != 0 {
            let is_it = |state: &State| matches!(state, State::Ready(ready) if Arc::ptr_eq(ready, &worker));
            // The sender is ours, and so is alive.
            drop(self.state.subscribe().wait_for(|state| !is_it(state)).await);
        }
    }

    /// Ends the handler for good.
    pub(super) fn end(&self) {
        self.set(State::Stopped);
        if let Some(worker) = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take() {
            worker.kill();
        }
    }

    /// The handler, as soon as it is ready; `None` when there will be none.
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

    /// The handler, ready or not.
    pub(super) fn worker(&self) -> Option<Arc<dyn RunningWorker>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has_stopped(&self) -> bool {
        matches!(*self.state.borrow(), State::Stopped)
    }

    pub(super) async fn wait_until_stopped(&self) {
        let mut state = self.state.subscribe();
        // The sender is ours, and so is alive.
        drop(state.wait_for(|state| matches!(state, State::Stopped)).await);
    }

    fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}
