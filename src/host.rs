//! The wire contract between the Functions host and a custom handler. No other module knows it.
//!
//! The host sends every trigger as a POST to `/{function name}` and reads `{"Outputs", "Logs", "ReturnValue"}` from the
//! answer. Facts from the host's source that shape this file (Azure/azure-functions-host, `WebJobs.Script`):
//! - strings in `Data` are JSON-encoded a second time; so are numbers in `Metadata`;
//! - an invocation with an empty answer does not end before `functionTimeout`, and then the host kills the process;
//! - an answer that is not 2xx fails the invocation and loses its outputs: the status for an HTTP caller is in
//!   `Outputs.res.statusCode`;
//! - a queue output that is an array of strings becomes one message for each string, unchanged;
//! - the id of the invocation is in a header; `traceparent` comes only where Application Insights is on.
//!
//! Everything that an invocation logs is below its span: see [`telemetry::context`].

use std::{error::Error, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{self, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tracing::Instrument;

use crate::{
    app::App,
    functions::{
        create_tap::{Headers, Reply, Request, create_tap},
        on_group_add::{Handled, QueueDelivery, on_group_add},
        sweep_joiners::sweep_joiners,
    },
    pass::Outcome,
    settings::SettingsError,
    telemetry,
};

/// A queue message has at most 64 KiB, and comes here encoded twice; an HTTP body can have any size.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What answers invocations: the App, or the report on settings that are not valid.
pub type Handler = Result<Arc<App>, SettingsError>;

/// The id that the host gives an invocation.
const INVOCATION_ID: &str = "x-azure-functions-invocationid";
/// The trace that the host's own telemetry of the invocation belongs to.
const TRACEPARENT: &str = "traceparent";

/// The routes that the host calls.
pub fn router(handler: Handler) -> Router {
    Router::new()
        .route("/SweepJoiners", post(on_timer))
        .route("/OnGroupAdd", post(on_message))
        .route("/CreateTap", post(on_request))
        .route_layer(middleware::from_fn(in_span))
        // The readiness probe, every 25 ms at the start: the host accepts any answer.
        .route("/", get(|| async { Json(json!({"status": "ready"})) }))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such function".into()) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(handler)
}

/// Answers within the span that all events of an invocation belong to.
async fn in_span(request: extract::Request, next: Next) -> Response {
    let function = request.uri().path().trim_start_matches('/');
    let headers = request.headers();
    let span =
        telemetry::context::invocation(text(headers, INVOCATION_ID), function, text(headers, TRACEPARENT));
    next.run(request).instrument(span).await
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
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
            tracing::error!(
                event = "sweep.failed",
                error = &error as &dyn Error,
                advice,
                "The sweep could not read the joiners, and the invocation fails"
            );
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
            let log = format!("{reference}: {}: {}", result.outcome.name(), result.outcome);
            match result.outcome {
                Outcome::Failed(_) => failure(StatusCode::INTERNAL_SERVER_ERROR, log),
                _ => done(json!({}), log),
            }
        }
        Handled::Queued(messages, log) => done(json!({ "jobs": messages }), log),
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
    let id = text(&headers, INVOCATION_ID).unwrap_or("unknown");
    let request = decoded(&invocation.data["req"]);
    let headers = callers_headers(&request["Headers"]);
    let request = Request { body: request["Body"].as_str(), headers: &headers, invocation: id };
    let Reply { status, retry_after, body } = create_tap(app, request).await;
    let content_type = if status < 400 { "application/json" } else { "application/problem+json" };
    let mut headers = json!({"content-type": content_type, "cache-control": "no-store"});
    if let Some(seconds) = retry_after {
        headers["retry-after"] = seconds.to_string().into();
    }
    // The host sends a string unchanged, and formats an object again.
    let res = json!({"statusCode": status, "headers": headers, "body": body.to_string()});
    done(json!({ "res": res }), format!("answered {status}"))
}

/// The headers of the HTTP request: arrays of values, with names in the case that the caller chose.
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

/// The App and the invocation, or the answer that says why one of them is missing.
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
        tracing::error!(
            event = "invocation.rejected",
            binding,
            problems,
            "The request is not an invocation by the Functions host"
        );
        Box::new(failure(
            StatusCode::BAD_REQUEST,
            format!("not an invocation by the Functions host: {problems}"),
        ))
    })
}

fn done(outputs: Value, log: String) -> Response {
    Json(json!({"Outputs": outputs, "Logs": [log], "ReturnValue": null})).into_response()
}

fn failure(status: StatusCode, why: String) -> Response {
    (status, Json(json!({"Outputs": {}, "Logs": [why], "ReturnValue": null}))).into_response()
}

/// The body of an invocation.
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
                // OnGroupAdd reports on a message that it cannot read.
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

    /// How often this message has been delivered, this delivery included. A field of the message can overwrite the
    /// host's value; 1 is then the safe assumption.
    fn dequeue_count(&self) -> u32 {
        number(self.metadata.get("DequeueCount")).unwrap_or(1)
    }

    /// The id of the message in the queue, as JSON; or the value of a field `id` of the message, which overwrites it.
    fn message_id(&self) -> String {
        self.metadata
            .get("Id")
            .or_else(|| self.metadata.get("id"))
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// When the message was put into the queue. A field of the message can overwrite this too; it only decides which
    /// events count as reported before.
    fn inserted(&self) -> Option<DateTime<Utc>> {
        DateTime::deserialize(decoded(self.metadata.get("InsertionTime")?)).ok()
    }

    /// How often the host will repeat this invocation under the function's retry policy, where it says so.
    fn retries_left(&self) -> Option<u32> {
        let context = decoded(self.metadata.get("RetryContext")?);
        Some(number(context.get("MaxRetryCount"))?.saturating_sub(number(context.get("RetryCount"))?))
    }
}

/// A number, or a string that contains one.
fn number(value: Option<&Value>) -> Option<u32> {
    decoded(value?).as_u64().and_then(|number| u32::try_from(number).ok())
}

/// A message as it was in the queue: without the encoding of the host, with its own.
fn raw(value: &Value) -> String {
    let text = value.as_str().map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.to_owned()));
    text.unwrap_or_else(|| value.to_string())
}

/// A value without the string encodings around it. A text that is not JSON stays as it is.
fn decoded(value: &Value) -> Value {
    let mut value = value.clone();
    // One for the message's own JSON, one for the host's encoding, and one more to be tolerant.
    for _ in 0..3 {
        match value.as_str().and_then(|text| serde_json::from_str(text).ok()) {
            Some(inner) => value = inner,
            None => break,
        }
    }
    value
}
