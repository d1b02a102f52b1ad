//! A minimal host: single invocations in the host's wire format, and a list of messages delivered one at a time. For
//! everything else see [`FunctionsHost`](super::FunctionsHost).

use std::{collections::VecDeque, time::Duration};

use axum::{Router, body};
use firstpass::{budget::DELIVERIES, clock::Clock};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use super::{
    handler_response::{Completed, HandlerResponse},
    http_payload::{self, AccessKey, HttpCall},
    log::Cause,
    payload,
    storage::{ScheduleStatus, StoredMessage},
    worker,
};

/// How long a message stays hidden after a failed delivery: `visibilityTimeout` in this app's host.json.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3 * 60);

/// `maxRetryCount` in this app's function.json of SweepJoiners.
const MAX_RETRIES: i64 = 5;

/// Invokes a handler's router as the Functions host does.
#[derive(Clone, Debug)]
pub struct LocalHost {
    handler: Router,
    clock: Clock,
}

impl LocalHost {
    /// A host for `handler` on the time of `clock`.
    pub fn new(handler: Router, clock: Clock) -> Self {
        Self { handler, clock }
    }

    /// Fires the timer, for the first attempt.
    pub async fn fire_timer(&self) -> HandlerResponse {
        let now = self.clock.now();
        let status = ScheduleStatus { last: Some(now), next: now, updated: Some(now) };
        let cause = Cause::Timer { is_past_due: false };
        let retry = payload::retry_context(0, MAX_RETRIES, None);
        let invocation = payload::timer("SweepJoiners", "timer", Some(status), &cause, Some(retry), now);
        self.invoke("SweepJoiners", &invocation).await
    }

    /// Delivers `message` with this `DequeueCount`.
    pub async fn deliver(&self, message: &str, delivery: u32) -> HandlerResponse {
        self.invoke("OnGroupAdd", &self.queue_invocation(message, delivery)).await
    }

    /// Calls an HTTP function with a JSON body.
    pub async fn call(&self, function: &str, request_body: &str) -> HandlerResponse {
        let headers = [
            ("Host", "firstpass.example".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("Content-Length", request_body.len().to_string()),
        ];
        let call = HttpCall {
            method: "POST",
            url: format!("https://firstpass.example/api/{function}"),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            key: Some(AccessKey::Function),
            body: request_body.as_bytes(),
            ..HttpCall::default()
        };
        self.invoke(function, &http_payload::invocation(function, "req", &call, self.clock.now())).await
    }

    /// Delivers `messages` one at a time. A failed one is delivered again after the visibility timeout, up to the
    /// maximum number of deliveries. `completed` is called for every message that leaves the queue.
    pub async fn work(&self, messages: Vec<String>, mut completed: impl FnMut(Completed)) {
        let mut queue: VecDeque<(String, u32)> = messages.into_iter().map(|message| (message, 1)).collect();
        let mut later = VecDeque::new();
        while let Some((message, delivery)) = queue.pop_front() {
            let answer = self.deliver(&message, delivery).await;
            if answer.is_success() || delivery == DELIVERIES {
                completed(Completed { message, answer, deliveries: delivery });
            } else {
                later.push_back((message, delivery + 1));
            }
            if queue.is_empty() && !later.is_empty() {
                tokio::time::sleep(VISIBILITY_TIMEOUT).await;
                queue.append(&mut later);
            }
        }
    }

    /// Sends any body to a function, valid or not.
    pub async fn post(&self, function: &str, request_body: String) -> HandlerResponse {
        let request = worker::request(function, Uuid::new_v4(), request_body);
        let response = match self.handler.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        let reason = worker::reason_phrase(status, response.extensions());
        let bytes = body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        HandlerResponse { status, reason, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    async fn invoke(&self, function: &str, invocation: &Value) -> HandlerResponse {
        self.post(function, invocation.to_string()).await
    }

    /// The invocation of a queue message.
    pub fn queue_invocation(&self, message: &str, delivery: u32) -> Value {
        let now = self.clock.now();
        payload::queue("OnGroupAdd", "msg", message, &StoredMessage::received(message, delivery, now), now)
    }
}
