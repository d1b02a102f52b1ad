//! A simulated Azure Functions host. It reads host.json and the function.json files, starts the handler, and triggers
//! its functions. `docs/ARCHITECTURE.md` lists the source of each rule, and what is not simulated.
//!
//! Reading order: [`config`] is the configuration; [`storage`] the storage account, which hosts can share; [`worker`]
//! the handler; `supervisor` restarts it; [`queue`], `timer` and [`http`] are the triggers; `payload`, `http_payload`,
//! `outputs` and `http_answer` are an invocation and its results, `dotnet` the forms of values in them; [`log`] records
//! them.

mod clock;
pub mod config;
mod dotnet;
pub mod function;
pub mod handler_response;
mod header_names;
pub mod host_json;
pub mod http;
mod http_answer;
mod http_payload;
pub mod local_host;
pub mod log;
mod memory_queue;
mod message_encoding;
mod outputs;
pub(crate) mod payload;
mod plan;
pub mod process;
pub mod queue;
mod reader;
pub mod schedule;
pub mod storage;
mod supervisor;
mod timer;
mod unsized_body;
pub mod worker;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};
use uuid::Uuid;

pub use self::{
    config::{CONTRACTS, Files, FunctionApp},
    log::{Cause, Disposition, Failure, Invocation, Log},
    memory_queue::{MemoryQueue, queues},
    message_encoding::encode_base64,
    plan::Plan,
    process::Process,
    reader::{ConfigError, ConfigProblem},
    storage::Storage,
    worker::{Embedded, Worker},
};
use self::{
    function::{Function, Trigger},
    handler_response::HandlerResponse,
    outputs::Outputs,
    supervisor::Supervisor,
};

/// A running host: one instance of the function app with a handler of its own. Dropping it ends it without a shutdown,
/// as a power failure would.
pub struct FunctionsHost(Arc<Instance>);

/// What a host does that its configuration does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The access keys; random ones by default.
    pub keys: Keys,
    /// How early timers fire: the Functions host 4.1037 was observed to fire up to 2 ms early.
    pub timer_early: TimeDelta,
}

/// The access keys of the HTTP functions.
#[derive(Clone)]
pub struct Keys {
    /// The master key: valid for everything.
    pub master: String,
    /// The host key: valid for every function of level `function`.
    pub host: String,
    /// Function keys, by function.
    pub functions: BTreeMap<String, String>,
}

struct Instance {
    id: Uuid,
    app: FunctionApp,
    keys: Keys,
    timer_early: TimeDelta,
    storage: Storage,
    log: Log,
    supervisor: Supervisor,
    tasks: Mutex<JoinSet<()>>,
}

struct AttemptOutcome {
    id: Uuid,
    started: DateTime<Utc>,
    took: Duration,
    answer: Option<HandlerResponse>,
    result: Result<Outputs, Failure>,
}

impl FunctionsHost {
    /// Starts the handler and listens to the triggers. Needs a tokio runtime; with [`Embedded`] its time may be paused.
    pub fn start(app: FunctionApp, worker: Arc<dyn Worker>, storage: Storage) -> Self {
        Self::start_with(app, worker, storage, Options::default())
    }

    /// As [`start`](Self::start), with options.
    pub fn start_with(app: FunctionApp, worker: Arc<dyn Worker>, storage: Storage, options: Options) -> Self {
        let instance = Arc::new(Instance {
            id: Uuid::new_v4(),
            app,
            keys: options.keys,
            timer_early: options.timer_early,
            storage,
            log: Log::default(),
            supervisor: Supervisor::default(),
            tasks: Mutex::default(),
        });
        let running = instance.clone();
        instance.spawn(async move { running.supervisor.run(&*worker, &running.app, &running.log).await });
        for function in instance.app.functions.values().filter(|function| !function.is_disabled) {
            let (host, function) = (instance.clone(), function.clone());
            match function.trigger.clone() {
                Trigger::Timer(timer) => instance.spawn(timer::listen(host, function, timer)),
                Trigger::Queue(source) => instance.spawn(queue::listen(host, function, source.queue)),
                Trigger::Http(_) => {}
            }
        }
        Self(instance)
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// The storage account.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// The access keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Runs a function with a timer trigger, as `POST /admin/functions/{function}` does, and waits for its end. Failures
    /// are retried; returns the last attempt.
    ///
    /// # Errors
    /// When there is no such function, or its trigger is not a timer.
    pub async fn run(&self, function: &str) -> Result<Invocation, String> {
        let found =
            self.0.app.functions.get(function).ok_or_else(|| format!("there is no function {function}"))?;
        timer::run_manually(&self.0, found).await
    }

    /// Sends SIGKILL to the handler and waits until the host notices. Running invocations fail, and the host restarts
    /// the handler, up to the third failure.
    pub async fn kill_worker(&self) {
        self.0.supervisor.kill_worker().await;
    }

    /// The handler's process id, if it is a process.
    pub fn worker_pid(&self) -> Option<u32> {
        self.0.supervisor.worker()?.pid()
    }

    /// Waits until the handler is ready; `false` if the host has stopped.
    pub async fn is_ready(&self) -> bool {
        self.0.supervisor.ready().await.is_some()
    }

    /// Whether the host stopped: the handler failed three times, or was not ready in time.
    pub fn has_stopped(&self) -> bool {
        self.0.supervisor.has_stopped()
    }

    /// Waits until the host has stopped.
    pub async fn wait_until_stopped(&self) {
        self.0.supervisor.wait_until_stopped().await;
    }

    /// Ends the host and the handler at once. Messages are not released: they become visible when their lease expires,
    /// ten minutes after the last renewal.
    pub fn kill(&self) {
        self.0.kill();
    }
}

impl Drop for FunctionsHost {
    fn drop(&mut self) {
        self.0.kill();
    }
}

impl fmt::Debug for FunctionsHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionsHost")
            .field("id", &self.0.id)
            .field("log", &self.0.log)
            .finish_non_exhaustive()
    }
}

impl Default for Keys {
    /// New random keys.
    fn default() -> Self {
        let key = || Uuid::new_v4().simple().to_string();
        Self { master: key(), host: key(), functions: BTreeMap::new() }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Instance {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    fn kill(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.supervisor.end();
        self.storage.abandon_host(self.id);
    }

    /// Runs one invocation: waits for the handler, posts, and writes the outputs.
    async fn invoke(&self, function: &Function, payload: &Value) -> AttemptOutcome {
        let (id, started, begin) = (Uuid::new_v4(), self.storage.now(), Instant::now());
        let mut answer = None;
        let attempt = self.post_invocation(function, id, payload.to_string(), &mut answer);
        let limit = self.app.host.function_timeout;
        let ended = match limit {
            Some(limit) => tokio::time::timeout(limit, attempt).await.ok(),
            None => Some(attempt.await),
        };
        let mut result = ended.unwrap_or_else(|| {
            // All invocations share one handler: those that run at the same time fail too.
            self.supervisor.restart();
            Err(Failure::TimedOut)
        });
        if let Ok(outputs) = &result
            && let Err(reason) = self.queue_messages(&outputs.messages)
        {
            result = Err(Failure::Output(reason));
        }
        AttemptOutcome { id, started, took: begin.elapsed(), answer, result }
    }

    /// An invocation that failed before the handler was called.
    fn fail(&self, failure: Failure) -> AttemptOutcome {
        AttemptOutcome {
            id: Uuid::new_v4(),
            started: self.storage.now(),
            took: Duration::ZERO,
            answer: None,
            result: Err(failure),
        }
    }

    async fn post_invocation(
        &self,
        function: &Function,
        id: Uuid,
        body: String,
        answer: &mut Option<HandlerResponse>,
    ) -> Result<Outputs, Failure> {
        let worker = self.supervisor.ready().await.ok_or(Failure::NotReady)?;
        let reply = worker.post(&function.name, id, body).await.map_err(|lost| Failure::Lost(lost.0))?;
        let body = serde_json::from_slice(&reply.body).unwrap_or_default();
        *answer = Some(HandlerResponse { status: reply.status, reason: reply.reason.clone(), body });
        match outputs::read(function, &reply) {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Not atomic: when one message fails, the earlier ones stay queued.
    fn queue_messages(&self, messages: &[(String, Vec<u8>)]) -> Result<(), String> {
        for (queue, message) in messages {
            if self.supervisor.has_stopped() {
                return Err("the host ended".to_owned());
            }
            self.storage.put(queue, message_encoding::encode(message, self.app.host.queues.base64))?;
        }
        Ok(())
    }
}

impl AttemptOutcome {
    fn into_invocation(
        self,
        function: &Function,
        cause: Cause,
        attempt: u32,
    ) -> (Invocation, Option<Outputs>) {
        let Self { id, started, took, answer, result } = self;
        let (result, outputs) = match result {
            Ok(outputs) => (Ok(()), Some(outputs)),
            Err(failure) => (Err(failure), None),
        };
        let logs = outputs.as_ref().map(|outputs| outputs.logs.clone()).unwrap_or_default();
        let function = function.name.clone();
        (Invocation { id, function, cause, attempt, started, took, answer, result, logs }, outputs)
    }
}
