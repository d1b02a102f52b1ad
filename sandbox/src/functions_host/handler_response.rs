//! The response of a handler to an invocation.

use axum::http::StatusCode;
use serde_json::Value;

/// A handler's answer to an invocation.
#[derive(Clone, Debug)]
pub struct HandlerResponse {
    /// The status; anything but 2xx is a failed invocation.
    pub status: StatusCode,
    /// The body, `null` where there was none or no JSON.
    pub body: Value,
}

impl HandlerResponse {
    /// Whether the host takes the invocation as done.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The first of the handler's own words.
    pub fn log(&self) -> &str {
        self.body["Logs"][0].as_str().unwrap_or_default()
    }

    /// The messages that go out to the queue.
    pub fn jobs(&self) -> Vec<String> {
        let jobs = self.body["Outputs"]["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        jobs.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// How a message left the queue.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The message.
    pub message: String,
    /// The answer to its last delivery.
    pub answer: HandlerResponse,
    /// How often it was delivered.
    pub deliveries: u32,
}
