//! `POST /$batch`

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Part, Sandbox,
    dispatch::dispatch,
    faults::{FaultKind, SelectedFault},
    wire::{CallResult, ConnectionFault, ErrorResponse, GraphCall, GraphResponse},
};

const PARTS_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    requests: Vec<PartRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PartRequest {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
    /// The misspelling that Microsoft's SDK for Python writes into every part. Graph ignores it.
    #[serde(default, rename = "depends_on")]
    misspelt_depends_on: Vec<String>,
}

/// Runs the parts concurrently and notes them in `journal` in the order of the request.
pub(super) async fn run(sandbox: &Sandbox, call: &GraphCall, journal: &mut Vec<Part>) -> CallResult {
    if call.method != Method::POST {
        return Err(ErrorResponse::method_not_allowed());
    }
    let parts = parse(call)?;
    let faults = select(sandbox, &parts);
    if faults.iter().flatten().any(|fault| fault.kind == FaultKind::Refuse) {
        return Ok(GraphResponse::refused());
    }
    let mut working = Vec::new();
    for ((id, part), fault) in parts.into_iter().zip(faults) {
        let sandbox = sandbox.clone();
        working.push(tokio::spawn(async move {
            let response = dispatch(&sandbox, &part, fault).await;
            (id, part, response)
        }));
    }
    let mut responses = Vec::new();
    let mut broken = None;
    for task in working {
        let (id, part, response) = task.await.map_err(|_| ErrorResponse::internal())?;
        broken = broken.or(response.connection_fault);
        journal.push(Part {
            method: part.method.to_string(),
            url: part.url,
            status: response.status.as_u16(),
        });
        responses.push(part_response(&id, response));
    }
    // Graph does not promise an order, so the responses come in another one than the requests.
    responses.reverse();
    Ok(GraphResponse {
        connection_fault: broken.filter(|kind| *kind == ConnectionFault::Lost),
        ..GraphResponse::ok(json!({ "responses": responses }))
    })
}

/// The faults are selected first: one of them can refuse the connection of the whole batch.
fn select(sandbox: &Sandbox, parts: &[(String, GraphCall)]) -> Vec<Option<SelectedFault>> {
    let now = sandbox.now();
    let faults = &mut sandbox.lock().faults;
    parts.iter().map(|(_, part)| faults.select_for_part(part, now)).collect()
}

fn parse(call: &GraphCall) -> Result<Vec<(String, GraphCall)>, ErrorResponse> {
    let body = Value::Object(call.json()?);
    let envelope: Envelope = serde_json::from_value(body)
        .map_err(|error| ErrorResponse::bad_request(format!("Invalid batch payload format: {error}.")))?;
    let parts = envelope.requests;
    if parts.is_empty() || parts.len() > PARTS_MAX {
        let message =
            format!("Number of batch request steps exceeds the maximum value of {PARTS_MAX}, or is zero.");
        return Err(ErrorResponse::bad_request(message));
    }
    for (at, part) in parts.iter().enumerate() {
        if parts[..at].iter().any(|earlier| earlier.id.eq_ignore_ascii_case(&part.id)) {
            return Err(ErrorResponse::bad_request(format!("Request id '{}' is not unique.", part.id)));
        }
    }
    parts.into_iter().map(|part| part.into_call(call)).collect()
}

impl PartRequest {
    fn into_call(self, batch: &GraphCall) -> Result<(String, GraphCall), ErrorResponse> {
        let Self { id, method, url, headers, body, depends_on, misspelt_depends_on } = self;
        if !(depends_on.is_empty() && misspelt_depends_on.is_empty()) {
            return Err(ErrorResponse::not_implemented("'dependsOn' in a batch"));
        }
        if !url.starts_with('/') {
            return Err(ErrorResponse::bad_request(format!(
                "The url of request '{id}' is not relative: '{url}'."
            )));
        }
        let method: Method = method
            .parse()
            .map_err(|_| ErrorResponse::bad_request(format!("Invalid method in request '{id}'.")))?;
        let headers = part_headers(&headers, batch)?;
        let writes = matches!(method, Method::POST | Method::PUT | Method::PATCH);
        if (writes || body.is_some()) && !headers.contains_key(header::CONTENT_TYPE) {
            let message = format!("Write request with id '{id}' does not contain a Content-Type header.");
            return Err(ErrorResponse::bad_request(message));
        }
        if writes && body.is_none() {
            return Err(ErrorResponse::bad_request(format!(
                "Write request with id '{id}' does not contain a body."
            )));
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        Ok((id, GraphCall { method, target: url.clone(), url, headers, body }))
    }
}

/// A part has its own headers; the token, `Host` and `client-request-id` are the batch's.
fn part_headers(own: &Map<String, Value>, batch: &GraphCall) -> Result<HeaderMap, ErrorResponse> {
    let mut headers = HeaderMap::new();
    for name in [header::AUTHORIZATION, header::HOST, HeaderName::from_static("client-request-id")] {
        if let Some(value) = batch.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in own {
        let pair =
            HeaderName::try_from(name).ok().zip(value.as_str().and_then(|v| HeaderValue::try_from(v).ok()));
        let (name, value) =
            pair.ok_or_else(|| ErrorResponse::bad_request(format!("Invalid header '{name}'.")))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn part_response(id: &str, response: GraphResponse) -> Value {
    let mut headers = Map::new();
    if response.body.is_some() {
        headers.insert("Content-Type".to_owned(), "application/json".into());
    }
    if let Some(retry_after) = response.retry_after {
        headers.insert("Retry-After".to_owned(), retry_after.into());
    }
    let mut part = Map::new();
    part.insert("id".to_owned(), id.into());
    part.insert("status".to_owned(), response.status.as_u16().into());
    part.insert("headers".to_owned(), Value::Object(headers));
    if let Some(body) = response.body {
        part.insert("body".to_owned(), body);
    }
    Value::Object(part)
}
