//! The Functions host on this machine: it reads host.json and the function.json files, starts the handler, and sets
//! its functions off as the real host does. `docs/ARCHITECTURE.md` says where each rule comes from, and what is
//! left out.
//!
//! Reading order: [`config`] is what the files say, [`storage`] what several hosts share, [`worker`] the handler;
//! `supervisor` keeps the handler alive; [`queue`], `timer` and [`http`] are what sets functions off; `payload` and
//! `outputs` are an invocation and its answer; [`log`] is what happened.

mod clock;
pub mod config;
pub mod function;
pub mod handler_response;
pub mod host_json;
pub mod http;
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
pub mod worker;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
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

/// A running host: one instance of the function app, with a handler of its own. It ends when it is dropped, as if
/// the machine were switched off.
pub struct FunctionsHost(Arc<Instance>);

/// What opens the HTTP functions.
#[derive(Clone)]
pub struct Keys {
    /// Opens everything.
    pub master: String,
    /// Opens every function of level `function`.
    pub host: String,
    /// Keys of single functions.
    pub functions: BTreeMap<String, String>,
}

struct Instance {
    id: Uuid,
    app: FunctionApp,
    keys: Keys,
    storage: Storage,
    log: Log,
    supervisor: Supervisor,
    tasks: Mutex<JoinSet<()>>,
}

/// An attempt to run a function.
struct AttemptOutcome {
    id: Uuid,
    started: DateTime<Utc>,
    took: Duration,
    answer: Option<HandlerResponse>,
    result: Result<Outputs, Failure>,
}

impl FunctionsHost {
    /// Starts the handler and listens to everything that sets its functions off. Needs a tokio runtime; with
    /// [`Embedded`] its time may be paused.
    pub fn start(app: FunctionApp, worker: Arc<dyn Worker>, storage: Storage) -> Self {
        Self::start_with_keys(app, worker, storage, Keys::random())
    }

    /// The same with keys that are known.
    pub fn start_with_keys(app: FunctionApp, worker: Arc<dyn Worker>, storage: Storage, keys: Keys) -> Self {
        let instance = Arc::new(Instance {
            id: Uuid::new_v4(),
            app,
            keys,
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

    /// What happened so far.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// What this host shares with others.
    pub fn storage(&self) -> &Storage {
        &self.0.storage
    }

    /// What opens its HTTP functions.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Runs a timer's function once, as `POST /admin/functions/{function}` does, and waits for its end.
    ///
    /// # Errors
    /// When there is no such function, or it is none of a timer.
    pub async fn run(&self, function: &str) -> Result<Invocation, String> {
        let found =
            self.0.app.functions.get(function).ok_or_else(|| format!("there is no function {function}"))?;
        timer::run_manually(&self.0, found).await
    }

    /// SIGKILL for the handler, from outside, and waits until the host has noticed: what the handler was working on
    /// fails, and it is started again, unless this was the third time.
    pub async fn kill_worker(&self) {
        self.0.supervisor.kill_worker().await;
    }

    /// The process of the handler, where it is one.
    pub fn worker_pid(&self) -> Option<u32> {
        self.0.supervisor.worker()?.pid()
    }

    /// Waits until the handler answers.
    pub async fn is_ready(&self) -> bool {
        self.0.supervisor.ready().await.is_some()
    }

    /// Whether the handler failed three times, or did not get ready in time, and the host stopped.
    pub fn has_stopped(&self) -> bool {
        self.0.supervisor.has_stopped()
    }

    /// Waits until it has.
    pub async fn wait_until_stopped(&self) {
        self.0.supervisor.wait_until_stopped().await;
    }

    /// Ends the host and the handler at once, as if the machine were switched off: nothing is given back, so what
    /// was being worked on shows again when its lease is over, ten minutes after it was last renewed.
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

impl Keys {
    /// Keys that nobody knows yet.
    pub fn random() -> Self {
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

    /// One invocation, from waiting for the handler to writing the outputs.
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
            // There is one handler for all: everything else that it works on is lost with it.
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
        *answer = Some(HandlerResponse { status: reply.status, body });
        match outputs::read(function, &reply) {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// One after the other, and no way back: a failure leaves those behind that were sent before.
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
