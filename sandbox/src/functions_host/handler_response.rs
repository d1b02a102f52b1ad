//! The response of a handler to an invocation.

use axum::http::StatusCode;
use serde_json::Value;

/// A handler's response to an invocation.
#[derive(Clone, Debug)]
pub struct HandlerResponse {
    /// The HTTP status; anything but 2xx is a failed invocation.
    pub status: StatusCode,
    /// The reason phrase of the status line; the host's exception shows it.
    pub reason: String,
    /// The body; `null` if it is empty or not JSON.
    pub body: Value,
}

impl HandlerResponse {
    /// Whether the invocation succeeded.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The first line of the handler's log.
    pub fn log(&self) -> &str {
        self.body["Logs"][0].as_str().unwrap_or_default()
    }

    /// The messages for the queue.
    pub fn jobs(&self) -> Vec<String> {
        let jobs = self.body["Outputs"]["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        jobs.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// A message that left the queue.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The message.
    pub message: String,
    /// The response to its last delivery.
    pub answer: HandlerResponse,
    /// How often it was delivered.
    pub deliveries: u32,
}
