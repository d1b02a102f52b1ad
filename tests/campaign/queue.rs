//! The queue and the workers: deliveries of messages, calls of CreateTap, and crashes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use firstpass::budget::DELIVERIES;
use firstpass_sandbox::functions_host::{handler_response::HandlerResponse, local_host::VISIBILITY_TIMEOUT};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::sleep};
use uuid::Uuid;

use crate::{
    checks::immediate,
    scenario::{Crash, QueueFault},
    simulation::{FUNCTION_TIMEOUT, Simulation},
    trace::{INVOCATION, Initiator, Invocation, InvocationResult, NOTES, PoisonedJob},
};

/// The platform ends an HTTP call after this time.
const CALL_TIMEOUT: Duration = Duration::from_secs(230);
/// How long a message stays invisible after its worker crashed.
const CRASH_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(600);

impl Simulation {
    /// Puts a message on the queue, and applies the queue fault that waits for its user.
    pub fn enqueue(self: &Arc<Self>, message: String) {
        self.trace().output += &message;
        let fault = take(&self.queue_faults, user_of(&message));
        let delay = if let Some(QueueFault::Delayed(delay)) = fault { delay } else { Duration::ZERO };
        if fault == Some(QueueFault::Duplicated) {
            self.spawn(self.clone().process(message.clone(), Duration::ZERO, None));
        }
        self.spawn(self.clone().process(message, delay, fault));
    }

    /// Puts the messages of an answer on the queue.
    fn enqueue_all(self: &Arc<Self>, answer: &HandlerResponse) {
        if answer.is_success() {
            answer.jobs().into_iter().for_each(|message| self.enqueue(message));
        }
    }

    /// Delivers a message until it succeeds, or moves it to the poison queue after the last delivery.
    async fn process(self: Arc<Self>, message: String, delay: Duration, fault: Option<QueueFault>) {
        sleep(delay).await;
        let mut result = InvocationResult::WorkerCrashed;
        for delivery in 1..=DELIVERIES {
            let Ok(_worker) = self.workers.acquire().await else { return };
            result = match fault {
                Some(QueueFault::Redelivered(after)) if delivery == 1 => {
                    self.deliver_twice(&message, after).await
                }
                _ => self.deliver(&message, delivery).await,
            };
            drop(_worker);
            match &result {
                InvocationResult::Finished(outcome, _) if outcome != "failed" => return,
                InvocationResult::WorkerCrashed => sleep(CRASH_VISIBILITY_TIMEOUT).await,
                _ => sleep(VISIBILITY_TIMEOUT).await,
            }
        }
        self.add_line(&format!("poisoned: {message}"));
        let key = field(&message, "jobKey");
        let worker_crashed = result == InvocationResult::WorkerCrashed;
        self.trace().poisoned_jobs.push(PoisonedJob { key, worker_crashed });
    }

    async fn deliver_twice(self: &Arc<Self>, message: &str, after: Duration) -> InvocationResult {
        let second = async {
            sleep(after).await;
            self.deliver(message, 2).await
        };
        let (first, second) = tokio::join!(self.deliver(message, 1), second);
        if matches!(&first, InvocationResult::Finished(outcome, _) if outcome != "failed") {
            first
        } else {
            second
        }
    }

    async fn deliver(self: &Arc<Self>, message: &str, delivery: u32) -> InvocationResult {
        if ["syncedGroup", "dailyLook", "sweepContinues", "continuedGroup"]
            .iter()
            .any(|name| !field(message, name).is_empty())
        {
            // The message behind the jobs of a group sync or a sweep is not a job: it issues no pass and sends no alert.
            let answer = self.host.deliver(message, delivery).await;
            let outcome = if answer.is_success() { "done" } else { "failed" };
            return InvocationResult::Finished(outcome.into(), answer.log().to_owned());
        }
        let user = user_of(message);
        if !field(message, "notesDue").is_empty() {
            let work = async {
                let answer = self.host.deliver(message, delivery).await;
                self.trace().output += &answer.body.to_string();
                self.enqueue_all(&answer);
                let outcome = if answer.is_success() { "done" } else { "failed" };
                InvocationResult::Finished(outcome.into(), answer.log().to_owned())
            };
            let key = format!("notes/{user}");
            return self.invoke(key, user, NOTES, delivery, FUNCTION_TIMEOUT, work).await;
        }
        let (key, reason) = (field(message, "jobKey"), field(message, "reason"));
        let work = async {
            let answer = self.host.deliver(message, delivery).await;
            self.trace().output += &answer.body.to_string();
            self.enqueue_all(&answer);
            let mut parts = answer.log().splitn(3, ": ").skip(1).map(str::to_owned);
            InvocationResult::Finished(parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        };
        self.invoke(key, user, &reason, delivery, FUNCTION_TIMEOUT, work).await
    }

    pub async fn create_tap(self: Arc<Self>, user: Uuid) {
        let work = async {
            let answer = self.host.call("CreateTap", &json!({"UserName": user}).to_string()).await;
            self.record_call(&answer)
        };
        self.invoke(format!("http/{user}"), user, "http", 1, CALL_TIMEOUT, work).await;
    }

    /// Checks the answer to a call, and records that the caller got the code.
    fn record_call(&self, answer: &HandlerResponse) -> InvocationResult {
        let res = &answer.body["Outputs"]["res"];
        let body = res["body"].as_str().unwrap_or_default();
        let status = res["statusCode"].to_string();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        if status != "201" {
            self.trace().output += &answer.body.to_string();
            return InvocationResult::Finished(status, body["title"].as_str().unwrap_or_default().to_owned());
        }
        immediate::check_pass_events(self);
        let trace = &mut *self.trace();
        let returned =
            trace.passes.iter_mut().find(|tracked| body["temporaryAccessPass"] == tracked.pass.code.reveal());
        match returned {
            None => trace.violated(1, "CreateTap returned a code that no pass has".into()),
            Some(tracked) => {
                tracked.returned_to_caller = true;
                // A person may end the pass before the answer arrives; another invocation may not.
                if matches!(tracked.ended_by, Some(Initiator::Invocation(_))) {
                    trace.violated(1, "CreateTap returned the code of a pass that had been ended".into());
                }
            }
        }
        InvocationResult::Finished(status, "returned to the caller".into())
    }

    /// Runs one invocation on a worker that may crash, and checks it afterwards.
    async fn invoke(
        &self,
        job_key: String,
        user: Uuid,
        reason: &str,
        delivery: u32,
        time_limit: Duration,
        work: impl Future<Output = InvocationResult>,
    ) -> InvocationResult {
        let crash = take(&self.crashes, user);
        let crash_signal = Arc::new(Notify::new());
        let id = {
            let mut trace = self.trace();
            trace.invocations.push(Invocation {
                job_key: job_key.clone(),
                user,
                reason: reason.to_owned(),
                responses: BTreeMap::new(),
                read_at: self.now(),
                record: None,
                record_read: 0,
                crash,
                operations: Vec::new(),
                crash_signal: crash_signal.clone(),
                leased_at: None,
                post_started: 0,
                result: InvocationResult::Running,
            });
            trace.invocations.len() - 1
        };
        let end_after = if let Some(Crash::After(after)) = crash { after } else { time_limit };
        let result = tokio::select! {
            biased;
            () = crash_signal.notified() => InvocationResult::WorkerCrashed,
            result = INVOCATION.scope(id, work) => result,
            () = sleep(end_after) => InvocationResult::WorkerCrashed,
        };
        if result == InvocationResult::WorkerCrashed
            && end_after == time_limit
            && !matches!(crash, Some(Crash::At { .. }))
        {
            self.trace().violated(6, format!("{job_key}: an invocation ran longer than its time limit"));
        }
        self.trace().invocations[id].result = result.clone();
        let description = match &result {
            InvocationResult::Finished(outcome, reason) => format!("{outcome}: {reason}"),
            _ => "the worker crashed".into(),
        };
        self.add_line(&format!("[{id}] {job_key}, delivery {delivery}: {description}"));
        immediate::check_pass_events(self);
        immediate::check_result(self, id);
        result
    }
}

/// Removes and returns the first entry for this user.
fn take<T: Copy>(waiting: &Mutex<Vec<(Uuid, T)>>, user: Uuid) -> Option<T> {
    let mut waiting = waiting.lock().unwrap();
    let at = waiting.iter().position(|(for_user, _)| *for_user == user)?;
    Some(waiting.remove(at).1)
}

fn field(message: &str, name: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    message[name].as_str().unwrap_or_default().to_owned()
}

fn user_of(message: &str) -> Uuid {
    let user = ["userId", "notesDue"].iter().find_map(|name| field(message, name).parse().ok());
    user.unwrap_or_default()
}
