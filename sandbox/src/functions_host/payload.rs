//! Invocations in the wire format of the host's default mode (no request forwarding).
//!
//! Strings, and all values but objects and dates, are JSON-encoded a second time (azure-functions-host,
//! `ScriptInvocationContextExtensions.cs`).

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::storage::{ScheduleStatus, StoredMessage};

/// The invocation for a queue message: its text, and the top-level fields of its JSON in the metadata, where they
/// replace entries of the same name (`Utility.ApplyBindingData`).
pub(crate) fn queue(
    function: &str,
    binding: &str,
    text: &str,
    message: &StoredMessage,
    now: DateTime<Utc>,
) -> Value {
    let mut metadata = Map::new();
    for (name, value) in [
        ("DequeueCount", message.dequeue_count.to_string()),
        ("Id", encoded(&message.id.to_string())),
        ("PopReceipt", encoded(&message.receipt.to_string())),
        ("InsertionTime", time(message.inserted)),
        ("ExpirationTime", time(message.expires)),
        ("NextVisibleTime", time(message.visible)),
    ] {
        metadata.insert(name.to_owned(), value.into());
    }
    metadata.insert("sys".to_owned(), sys(function, now));
    if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_array()) {
            metadata.retain(|known, _| !known.eq_ignore_ascii_case(&name));
            let value = if value.is_object() { value } else { Value::from(value.to_string()) };
            metadata.insert(name, value);
        }
    }
    json!({"Data": {binding: encoded(text)}, "Metadata": metadata})
}

/// The invocation for a timer. There is no status without `useMonitor`, or for a manual run before the first one.
pub(crate) fn timer(
    function: &str,
    binding: &str,
    status: Option<ScheduleStatus>,
    is_past_due: bool,
    now: DateTime<Utc>,
) -> Value {
    let status = status.map(|status| {
        let last = status.last.map_or_else(|| "0001-01-01T00:00:00+00:00".to_owned(), time);
        json!({"Last": last, "Next": time(status.next), "LastUpdated": time(status.updated)})
    });
    let timer =
        json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": status, "IsPastDue": is_past_due});
    json!({"Data": {binding: timer}, "Metadata": {"sys": sys(function, now)}})
}

pub(crate) fn http(function: &str, binding: &str, request: Value, now: DateTime<Utc>) -> Value {
    let metadata = json!({"Query": request["Query"], "Headers": {}, "sys": sys(function, now)});
    json!({"Data": {binding: request}, "Metadata": metadata})
}

/// The `RetryContext` of a retry by the function's retry policy.
pub(super) fn retry_context(count: u32, max: i64, exception: &str) -> Value {
    json!({"RetryCount": count, "MaxRetryCount": max, "Exception": {"Message": exception}})
}

fn sys(function: &str, now: DateTime<Utc>) -> Value {
    let now = now.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({"MethodName": function, "UtcNow": now, "RandGuid": Uuid::new_v4()})
}

fn encoded(text: &str) -> String {
    Value::from(text).to_string()
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
