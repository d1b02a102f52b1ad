//! The custom-handler wire contract of the Functions host. Nothing else knows that it exists.
//!
//! The host POSTs every trigger to `/{function name}` and takes `{"Outputs", "Logs", "ReturnValue"}` back. Facts
//! from the host's source that shape this file (Azure/azure-functions-host, `WebJobs.Script`):
//! - strings in `Data` are JSON-encoded once more; so are numbers in `Metadata`;
//! - an empty answer leaves the invocation hanging until its time-out kills the process;
//! - an answer that is not 2xx fails the invocation, and its outputs are dropped: HTTP statuses travel in
//!   `Outputs.res.statusCode`;
//! - a queue output that is an array of strings goes out verbatim, one message a string.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    app::App,
    functions::{
        create_tap::{Headers, Reply, Request, create_tap},
        on_group_add::{Handled, QueueDelivery, on_group_add},
        sweep_joiners::sweep_joiners,
    },
    pass::Outcome,
    settings::SettingsError,
};

/// A message is at most 64 KiB in a queue and doubly encoded here; HTTP bodies are up to their callers.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What answers invocations: the App, or the report on the settings that keep it from being one.
pub type Handler = Result<Arc<App>, SettingsError>;

/// The routes that the host calls.
pub fn router(handler: Handler) -> Router {
    Router::new()
        // The readiness probe, every 25 ms at the start: any answer will do.
        .route("/", get(|| async { Json(json!({"status": "ready"})) }))
        .route("/SweepJoiners", post(on_timer))
        .route("/OnGroupAdd", post(on_message))
        .route("/CreateTap", post(on_request))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such function".into()) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(handler)
}

async fn on_timer(State(handler): State<Handler>, body: Bytes) -> Response {
    let (app, invocation) = match ready(&handler, &body, "timer") {
        Ok(ready) => ready,
        Err(response) => return *response,
    };
    match sweep_joiners(app, invocation.retries_left()).await {
        Ok(found) => {
            let messages: Vec<String> = found.to_messages().collect();
            done(json!({"jobs": messages}), format!("queued {} jobs", found.jobs.len()))
        }
        Err(error) => {
            let advice = error.advice();
            tracing::error!(event = "sweep.failed", %error, advice);
            failure(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}; to do: {advice}"))
        }
    }
}

async fn on_message(State(handler): State<Handler>, body: Bytes) -> Response {
    let (app, invocation) = match ready(&handler, &body, "msg") {
        Ok(ready) => ready,
        Err(response) => return *response,
    };
    let delivery = QueueDelivery {
        message: decoded(&invocation.data["msg"]),
        raw: raw(&invocation.data["msg"]),
        id: invocation.message_id(),
        inserted: invocation.inserted().unwrap_or_else(|| app.services.clock.now()),
        count: invocation.dequeue_count(),
    };
    match on_group_add(app, &delivery).await {
        Handled::Ran(reference, result) => {
            let said = format!("{reference}: {}: {}", result.outcome.name(), result.outcome);
            match result.outcome {
                Outcome::Failed(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, said),
                _ => done(json!({}), said),
            }
        }
        Handled::Queued(messages, said) => done(json!({ "jobs": messages }), said),
        Handled::Unreadable(problems) => {
            done(json!({}), format!("message not understood: {}", problems.join("; ")))
        }
    }
}

async fn on_request(State(handler): State<Handler>, headers: HeaderMap, body: Bytes) -> Response {
    let (app, invocation) = match ready(&handler, &body, "req") {
        Ok(ready) => ready,
        Err(response) => return *response,
    };
    let id =
        headers.get("x-azure-functions-invocationid").and_then(|id| id.to_str().ok()).unwrap_or("unknown");
    let request = decoded(&invocation.data["req"]);
    let headers = callers_headers(&request["Headers"]);
    let request = Request { body: request["Body"].as_str(), headers: &headers, invocation: id };
    let Reply { status, retry_after, body } = create_tap(app, request).await;
    let content_type = if status < 400 { "application/json" } else { "application/problem+json" };
    let mut headers = json!({"content-type": content_type, "cache-control": "no-store"});
    if let Some(seconds) = retry_after {
        headers["retry-after"] = seconds.to_string().into();
    }
    // The body as a string goes out as it is; as an object the host would write it anew.
    let res = json!({"statusCode": status, "headers": headers, "body": body.to_string()});
    done(json!({ "res": res }), format!("answered {status}"))
}

/// The headers of the caller's own request: arrays of values, under names in the caller's case.
fn callers_headers(headers: &Value) -> Headers {
    let values = |value: &Value| match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        value => vec![value.as_str().unwrap_or_default().to_owned()],
    };
    let named = |(name, value): (&String, &Value)| {
        values(value).into_iter().map(|v| (name.clone(), v)).collect::<Vec<_>>()
    };
    headers.as_object().into_iter().flatten().flat_map(named).collect()
}

/// The App and the invocation, or the answer that says why there is none.
fn ready<'a>(
    handler: &'a Handler,
    body: &[u8],
    binding: &str,
) -> Result<(&'a App, Invocation), Box<Response>> {
    let app = match handler {
        Ok(app) => app.as_ref(),
        Err(report) => return Err(Box::new(failure(StatusCode::INTERNAL_SERVER_ERROR, report.to_string()))),
    };
    Invocation::parse(body, binding).map(|invocation| (app, invocation)).map_err(|problems| {
        let problems = problems.join("; ");
        tracing::error!(event = "invocation.unreadable", binding, problems);
        Box::new(failure(
            StatusCode::BAD_REQUEST,
            format!("not an invocation by the Functions host: {problems}"),
        ))
    })
}

fn done(outputs: Value, said: String) -> Response {
    Json(json!({"Outputs": outputs, "Logs": [said], "ReturnValue": null})).into_response()
}

fn failure(status: StatusCode, why: String) -> Response {
    (status, Json(json!({"Outputs": {}, "Logs": [why], "ReturnValue": null}))).into_response()
}

/// What the host sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Invocation {
    data: Map<String, Value>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

impl Invocation {
    fn parse(body: &[u8], binding: &str) -> Result<Self, Vec<String>> {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return Err(vec!["the body is not JSON".into()]);
        };
        let mut problems = Vec::new();
        match value.get("Data") {
            None => problems.push("Data is missing".to_owned()),
            Some(Value::Object(data)) if !data.contains_key(binding) => {
                problems.push(format!("Data.{binding} is missing"))
            }
            Some(Value::Object(data)) => match decoded(&data[binding]) {
                Value::Object(_) => {}
                // What a message should be is for its reader to say.
                _ if binding == "msg" && !data[binding].is_null() => {}
                _ => problems.push(format!("Data.{binding} has the wrong type")),
            },
            Some(_) => problems.push("Data is not an object".to_owned()),
        }
        if !matches!(value.get("Metadata"), None | Some(Value::Object(_))) {
            problems.push("Metadata is not an object".to_owned());
        }
        match Self::deserialize(value) {
            Ok(invocation) if problems.is_empty() => Ok(invocation),
            _ => Err(problems),
        }
    }

    /// How often this message has been delivered, this time included. A message could overwrite it; the first
    /// delivery is then the safe guess.
    fn dequeue_count(&self) -> u32 {
        number(self.metadata.get("DequeueCount")).unwrap_or(1)
    }

    /// The queue's name for the message, or whatever the message put in its place.
    fn message_id(&self) -> String {
        self.metadata
            .get("Id")
            .or_else(|| self.metadata.get("id"))
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// When the message was put into the queue. A message could overwrite this, too, and nothing depends on it but
    /// what counts as told before.
    fn inserted(&self) -> Option<DateTime<Utc>> {
        DateTime::deserialize(decoded(self.metadata.get("InsertionTime")?)).ok()
    }

    /// How often the host will run this invocation again by the function's retry policy, where it tells.
    fn retries_left(&self) -> Option<u32> {
        let context = decoded(self.metadata.get("RetryContext")?);
        Some(number(context.get("MaxRetryCount"))?.saturating_sub(number(context.get("RetryCount"))?))
    }
}

/// A number, or a string of one.
fn number(value: Option<&Value>) -> Option<u32> {
    decoded(value?).as_u64().and_then(|number| u32::try_from(number).ok())
}

/// A message as it lay in the queue: without the host's encoding, and with its own.
fn raw(value: &Value) -> String {
    let text = value.as_str().map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()));
    text.unwrap_or_else(|| value.to_string())
}

/// A value without the encodings that the host (or a test) wrapped it in. A text that is no JSON is itself.
fn decoded(value: &Value) -> Value {
    let mut value = value.clone();
    // The message's own JSON, once for the host's encoding, and once more to be tolerant.
    for _ in 0..3 {
        match value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
            Some(inner) => value = inner,
            None => break,
        }
    }
    value
}
