//! Invocations in the wire format of the host's default mode (no request forwarding).
//!
//! Strings, and all values but objects and dates, are JSON-encoded a second time (azure-functions-host,
//! `ScriptInvocationContextExtensions.cs`). What the metadata holds was observed on the Functions host 4.1037.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    dotnet::{Token, iso},
    log::Cause,
    storage::{ScheduleStatus, StoredMessage},
};

/// The invocation for a queue message: its text, and the fields of its JSON in the metadata, where they replace entries
/// of the same name.
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
        ("InsertionTime", second(message.inserted)),
        ("ExpirationTime", second(message.expires)),
        ("NextVisibleTime", second(message.visible)),
    ] {
        metadata.insert(name.to_owned(), value.into());
    }
    metadata.insert("sys".to_owned(), sys(function, now));
    copy_fields(text, &mut metadata);
    json!({"Data": {binding: encoded(text)}, "Metadata": metadata})
}

/// The invocation for a timer. There is no status without `useMonitor`, or for a manual run before the first one.
/// `retry` is the `RetryContext` of a function with a retry policy.
pub(crate) fn timer(
    function: &str,
    binding: &str,
    status: Option<ScheduleStatus>,
    cause: &Cause,
    retry: Option<Value>,
    now: DateTime<Utc>,
) -> Value {
    let status = status.map(|status| {
        let [last, updated] = [status.last, status.updated].map(|time| {
            time.map_or_else(
                || "0001-01-01T00:00:00+00:00".to_owned(),
                |time| iso(time.naive_utc()) + "+00:00",
            )
        });
        json!({"Last": last, "Next": iso(status.next.naive_utc()) + "+00:00", "LastUpdated": updated})
    });
    let is_past_due = matches!(cause, Cause::Timer { is_past_due: true });
    let timer =
        json!({"Schedule": {"AdjustForDST": true}, "ScheduleStatus": status, "IsPastDue": is_past_due});
    let mut metadata = json!({"sys": sys(function, now)});
    if let Cause::Admin = cause {
        // The input of the call; the host uses none for a timer.
        metadata[binding] = encoded("").into();
    }
    if let Some(retry) = retry {
        metadata["RetryContext"] = retry;
    }
    json!({"Data": {binding: timer}, "Metadata": metadata})
}

/// The `RetryContext` of attempt `count`, from 0, and of the failure before it.
pub(crate) fn retry_context(count: u32, max: i64, failure: Option<&str>) -> Value {
    // The host's object has 3.4 KB: the inner exceptions and their stack traces.
    let exception = failure.map(|message| {
        json!({
            "ClassName": "Microsoft.Azure.WebJobs.Host.FunctionInvocationException",
            "Message": message,
            "InnerException": null,
            "StackTraceString": null,
            "HResult": -2_146_233_088,
        })
    });
    json!({"RetryCount": count, "MaxRetryCount": max, "Exception": exception, "Instance": null, "State": {}})
}

/// Copies the fields of a JSON object, except lists and null. An entry of the same name in any case keeps its name.
pub(super) fn copy_fields(text: &str, metadata: &mut Map<String, Value>) {
    let Ok(Token::Object(fields)) = serde_json::from_str(text) else { return };
    for (name, value) in fields.0 {
        match value {
            Token::Null | Token::Array(_) => {}
            object @ Token::Object(_) => set(metadata, name, object.to_value()),
            scalar => set(metadata, name, encoded(&scalar.text()).into()),
        }
    }
}

/// Sets an entry. Its name is not case-sensitive, and remains as it was first written.
pub(super) fn set(metadata: &mut Map<String, Value>, name: String, value: Value) {
    match metadata.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        Some((_, known)) => *known = value,
        None => drop(metadata.insert(name, value)),
    }
}

pub(super) fn sys(function: &str, now: DateTime<Utc>) -> Value {
    json!({"MethodName": function, "UtcNow": iso(now.naive_utc()) + "Z", "RandGuid": Uuid::new_v4()})
}

pub(super) fn encoded(text: &str) -> String {
    Value::from(text).to_string()
}

/// Storage counts in whole seconds.
fn second(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}
