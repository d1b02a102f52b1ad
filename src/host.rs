//! The wire contract between the Functions host and a custom handler. No other module knows it.
//!
//! The host sends every trigger as a POST to `/{function name}` and reads `{"Outputs", "Logs", "ReturnValue"}` from the
//! answer. Facts from the host's source that shape this file (Azure/azure-functions-host, `WebJobs.Script`):
//! - strings in `Data` are JSON-encoded a second time; so are numbers in `Metadata`;
//! - an invocation with an empty answer does not end before `functionTimeout`, and then the host kills the process;
//! - an answer that is not 2xx fails the invocation and loses its outputs, its `Logs` and its body: of it, only the reason
//!   phrase of the status line arrives, in the host's exception; the status for an HTTP caller is in
//!   `Outputs.res.statusCode`;
//! - a queue output that is an array of strings becomes one message for each string, unchanged;
//! - the host's own metadata of a message is replaced by fields of the message with the same name, but can be told from
//!   them: a field of the message is encoded a second time, whatever its type;
//! - the id of the invocation is in a header; `traceparent` comes only where Application Insights is on.
//!
//! Everything that an invocation logs is below its span: see [`telemetry::context`].

mod local_port;

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{self, DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use chrono::{DateTime, Utc};
use futures::FutureExt;
use hyper::ext::ReasonPhrase;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, time::Instant};
use tracing::Instrument;

use self::local_port::INVOCATION_ID;
use crate::{
    app::{App, Look},
    functions::{
        create_tap::{Headers, Reply, Request, create_tap, internal_error, not_set_up},
        on_group_add::{Handled, QueueDelivery, on_group_add},
        sweep_joiners::sweep_joiners,
    },
    mail_limiter::{Sender, sending_as},
    pass::{Outcome, alert::Alert},
    range,
    rate_limiter::OncePerMinute,
    settings::SettingsError,
    telemetry,
};

/// A queue message has at most 64 KiB, and comes here encoded twice; an HTTP body can have any size.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// More invocations than the host runs at the same time on one instance: one timer, `batchSize` + `newBatchThreshold` messages,
/// and calls. Others wait before their body is read, so that their number does not decide about the memory.
const MAX_CONCURRENT: usize = 128;

/// In characters. Exceptions are shown in one line.
const MAX_REASON_PHRASE: usize = 100;

/// What answers invocations: the App, or the report on settings that are not valid.
pub type Handler = Result<Arc<App>, SettingsError>;

#[derive(Clone)]
struct HandlerState {
    handler: Handler,
    /// The reports in the log on settings that are not valid.
    reports: Arc<OncePerMinute>,
    /// Of invocations that run at the same time.
    permits: Arc<Semaphore>,
}

/// The trace that the host's own telemetry of the invocation belongs to.
const TRACEPARENT: &str = "traceparent";

/// The routes that the host calls.
pub fn router(handler: Handler) -> Router {
    let permits = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let state = HandlerState { handler, reports: Arc::default(), permits };
    if let Err(report) = &state.handler {
        state.log_report(report);
    }
    Router::new()
        .route("/SweepJoiners", post(on_timer))
        .route("/OnGroupAdd", post(on_message))
        .route("/CreateTap", post(on_request))
        .route_layer(middleware::from_fn_with_state(state.clone(), in_span))
        // The readiness probe, every 25 ms at the start: the host accepts any answer.
        .route("/", get(|| async { Json(json!({"status": "ready"})) }))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such function", String::new()) })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::<OncePerMinute>::default(), from_host))
        .with_state(state)
}

/// Refuses what does not come from the host, before its body is read. A page can send many requests: not each has a line.
async fn from_host(
    State(reports): State<Arc<OncePerMinute>>,
    request: extract::Request,
    next: Next,
) -> Response {
    let Some((status, why)) = local_port::refusal(&request) else { return next.run(request).await };
    if reports.is_due() {
        tracing::warn!(
            event = "request.refused",
            why,
            "A request to the handler's port did not come from the Functions host"
        );
    }
    failure(status, why, why.to_owned())
}

/// Answers within the span that all events of an invocation belong to, also if its work panics.
async fn in_span(State(state): State<HandlerState>, request: extract::Request, next: Next) -> Response {
    let function = request.uri().path().trim_start_matches('/').to_owned();
    let headers = request.headers();
    let id = text(headers, INVOCATION_ID).map(str::to_owned);
    let span = telemetry::context::invocation(id.as_deref(), &function, text(headers, TRACEPARENT));
    let name = &function;
    let work = async {
        let _permit = state.permits.acquire().await;
        // No lock outlives the panic in a state that others could see: all data of an invocation are its own.
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => state.panicked(name, id.as_deref().unwrap_or("unknown")).await,
        }
    };
    sending_as(Sender::of_function(&function), work.instrument(span)).await
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn on_timer(State(state): State<HandlerState>, body: Bytes) -> Response {
    let (app, invocation) = match state.ready(&body, "timer") {
        Ok(ready) => ready,
        Err(response) => return *response,
    };
    let started = Instant::now();
    let found = sweep_joiners(app, invocation.retries_left()).await;
    guarded(app.care_for_alerts(started, Look::Now)).await;
    match found {
        Ok(found) => {
            let messages: Vec<String> = found.to_messages().collect();
            done(json!({"jobs": messages}), format!("queued {} jobs", found.jobs.len()))
        }
        Err(error) => {
            let log = format!("{error}. {}", error.advice());
            failure(StatusCode::INTERNAL_SERVER_ERROR, &error.summary(), log)
        }
    }
}

async fn on_message(State(state): State<HandlerState>, body: Bytes) -> Response {
    let (app, invocation) = match state.ready(&body, "msg") {
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
    let started = Instant::now();
    let handled = on_group_add(app, &delivery).await;
    guarded(app.care_for_alerts(started, Look::Sometimes)).await;
    match handled {
        Handled::Ran(reference, result) => {
            let log = format!("{reference}: {}: {}", result.outcome.name(), result.outcome);
            match &result.outcome {
                Outcome::Failed(why) => failure(StatusCode::INTERNAL_SERVER_ERROR, &why.summary(), log),
                _ => match result.notes {
                    Some(notes) => done(json!({"jobs": [notes.to_message()]}), log),
                    None => done(json!({}), log),
                },
            }
        }
        Handled::Queued(messages, log) => done(json!({ "jobs": messages }), log),
        Handled::Unreadable(problems) => {
            done(json!({}), format!("message not understood: {}", problems.join("; ")))
        }
    }
}

async fn on_request(State(state): State<HandlerState>, headers: HeaderMap, body: Bytes) -> Response {
    let id = text(&headers, INVOCATION_ID).unwrap_or("unknown");
    if let Err(report) = &state.handler {
        state.log_report(report);
        return answer(&not_set_up(id));
    }
    let (app, invocation) = match state.ready(&body, "req") {
        Ok(ready) => ready,
        Err(response) => return *response,
    };
    let request = decoded(&invocation.data["req"]);
    let headers = callers_headers(&request["Headers"]);
    let key_name = key_name(&request["Identities"]);
    let request = Request { body: request["Body"].as_str(), headers: &headers, key_name, invocation: id };
    let reply = create_tap(app, request).await;
    guarded(app.wake(false)).await;
    answer(&reply)
}

fn answer(Reply { status, retry_after, body }: &Reply) -> Response {
    let content_type = if *status < 400 { "application/json" } else { "application/problem+json" };
    let mut headers = json!({"content-type": content_type, "cache-control": "no-store"});
    if let Some(seconds) = retry_after {
        headers["retry-after"] = seconds.to_string().into();
    }
    // The host sends a string unchanged, and formats an object again.
    let res = json!({"statusCode": status, "headers": headers, "body": body.to_string()});
    done(json!({ "res": res }), format!("answered {status}"))
}

/// The name of the function key that the caller has, which the host has checked.
fn key_name(identities: &Value) -> Option<&str> {
    const KEY_ID: &str = "http://schemas.microsoft.com/2017/07/functions/claims/keyid";
    let mut identities = identities.as_array()?.iter();
    let claims = identities.find(|identity| identity["AuthenticationType"] == "WebJobsAuthLevel")?["Claims"]
        .as_array()?;
    claims.iter().find(|claim| claim["Type"] == KEY_ID)?["Value"].as_str()
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

impl HandlerState {
    /// The App and the invocation, or the answer that says why one of them is missing.
    fn ready(&self, body: &[u8], binding: &str) -> Result<(&App, Invocation), Box<Response>> {
        let app = self.handler.as_ref().map_err(|report| {
            self.log_report(report);
            let summary = format!("settings not valid: {}", report.names().join(", "));
            Box::new(failure(StatusCode::INTERNAL_SERVER_ERROR, &summary, report.to_string()))
        })?;
        Invocation::parse(body, binding).map(|invocation| (app.as_ref(), invocation)).map_err(|problems| {
            let problems = problems.join("; ");
            tracing::error!(
                event = "invocation.rejected",
                binding,
                problems,
                "The request is not an invocation by the Functions host"
            );
            let summary = "not an invocation by the Functions host";
            Box::new(failure(StatusCode::BAD_REQUEST, summary, format!("{summary}: {problems}")))
        })
    }

    /// Alerts that the work panicked, and answers. What its job had begun is found by its next delivery, as after a crash.
    async fn panicked(&self, function: &str, id: &str) -> Response {
        let what = telemetry::panics::last().unwrap_or_else(|| "a panic".to_owned());
        if let Ok(app) = &self.handler {
            let alert = Alert {
                    kind: "panic",
                    headline: "A mistake in firstpass ended an invocation".into(),
                    who: format!("whom the invocation {id} of {function} was about: its lines in the log name the job"),
                    what_happened: what,
                    what_to_do: "Report this text with the lines of the invocation to the maintainers. The host delivers a \
                                 message ten times in all; a call of CreateTap may be repeated with the same Idempotency-Key. \
                                 Others are not concerned."
                        .into(),
                    reference: id.to_owned(),
                };
            guarded(async {
                let _ = app.services.alert(&alert).await;
            })
            .await;
        }
        if function == "CreateTap" {
            return answer(&internal_error(id));
        }
        let summary = "a mistake in firstpass ended the invocation";
        failure(StatusCode::INTERNAL_SERVER_ERROR, summary, summary.to_owned())
    }

    fn log_report(&self, report: &SettingsError) {
        if self.reports.is_due() {
            tracing::error!(
                event = "settings.rejected",
                %report,
                "The settings are not valid; every invocation fails until they are corrected"
            );
        } else {
            tracing::warn!(
                event = "settings.rejected",
                "The settings are not valid; a line of the last minute has the report"
            );
        }
    }
}

/// Care for alerts must not cost the answer: what a sweep has found would be lost with it.
async fn guarded(work: impl Future<Output = ()>) {
    // The hook has logged the panic.
    drop(AssertUnwindSafe(work).catch_unwind().await);
}

fn done(outputs: Value, log: String) -> Response {
    Json(json!({"Outputs": outputs, "Logs": [log], "ReturnValue": null})).into_response()
}

/// The answer that fails an invocation. `summary` is for a person and has no names of users and no text of other systems.
/// The host shows it, as the reason phrase, in its exception; it drops the body.
fn failure(status: StatusCode, summary: &str, log: String) -> Response {
    let body = Json(json!({"Outputs": {}, "Logs": [log], "ReturnValue": null}));
    let visible = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let phrase: String = summary.chars().map(visible).take(MAX_REASON_PHRASE).collect();
    match ReasonPhrase::try_from(phrase.into_bytes()) {
        Ok(phrase) => (status, Extension(phrase), body).into_response(),
        Err(_) => (status, body).into_response(),
    }
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

    /// How often this message has been delivered, this delivery included. Only the host says so, as a plain string of
    /// digits. A field of the message has one more pair of quotes, and counts as 1, the safe assumption.
    fn dequeue_count(&self) -> u32 {
        match self.metadata.get("DequeueCount") {
            Some(Value::String(count)) => count.parse().unwrap_or(1),
            Some(count) => number(Some(count)).unwrap_or(1),
            None => 1,
        }
    }

    /// The id of the message in the queue, as JSON; or the value of a field `id` of the message, which overwrites it.
    fn message_id(&self) -> String {
        self.metadata
            .get("Id")
            .or_else(|| self.metadata.get("id"))
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// When the message was put into the queue, as the host says; a field of the message is encoded once more and is no
    /// time.
    fn inserted(&self) -> Option<DateTime<Utc>> {
        range::ours(self.metadata.get("InsertionTime")?).ok()
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
