//! The entry point of requests: the journal, and the faults of whole requests.

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::Response,
    routing::get,
};

use super::{
    Sandbox, batch, control,
    dispatch::{apply_fault, dispatch},
    faults::FaultKind,
    identity::issue_token,
    wire::{ConnectionFault, ErrorResponse, GraphCall, GraphResponse},
};

/// Graph's maximum size of a request, in bytes.
const BODY_MAX: usize = 4 * 1024 * 1024;

pub(super) fn router(sandbox: Sandbox) -> Router {
    let dated = middleware::map_response_with_state(sandbox.clone(), date);
    control::routes().route("/msi/token", get(issue_token)).fallback(graph).layer(dated).with_state(sandbox)
}

/// Sets `Date` to the tenant's time; hyper would set the system's.
async fn date(State(sandbox): State<Sandbox>, mut response: Response) -> Response {
    let text = sandbox.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(header::DATE, value);
    }
    response
}

/// Processes the request in a task of its own: as in Graph, a caller that disconnects does not cancel the request.
async fn graph(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let ids = sandbox.request_ids(request.headers());
    let working = sandbox.clone();
    let result = match read(request).await {
        Ok(call) => tokio::spawn(async move { handle_request(&working, &call).await })
            .await
            .map_err(|_| ErrorResponse::internal()),
        Err(error) => Err(error),
    };
    result.unwrap_or_else(|error| error.into_graph_response(sandbox.now(), &ids)).into_response()
}

async fn read(request: Request) -> Result<GraphCall, ErrorResponse> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.path_and_query().map_or("/", |url| url.as_str()).to_owned();
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
        ErrorResponse::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            "The request is too large.",
        )
    })?;
    let mut call = GraphCall { target: url.clone(), method: parts.method, url, headers: parts.headers, body };
    if !call.is_webhook() {
        call.target = target(&call.url)?.to_owned();
    }
    Ok(call)
}

fn target(url: &str) -> Result<&str, ErrorResponse> {
    match url.strip_prefix("/v1.0") {
        Some(target) if target.starts_with('/') => Ok(target),
        _ if url.starts_with("/beta/") => Err(ErrorResponse::not_implemented("the beta version")),
        _ => {
            let version = url.split(['/', '?']).nth(1).unwrap_or_default();
            Err(ErrorResponse::bad_request(format!("Invalid version: {version}")))
        }
    }
}

/// Processes one HTTP request: journal, fault, and call or batch.
async fn handle_request(sandbox: &Sandbox, call: &GraphCall) -> GraphResponse {
    let fault = sandbox.lock().faults.select(call, sandbox.now());
    if fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Refuse) {
        return GraphResponse::refused();
    }
    if call.is_webhook() {
        return dispatch(sandbox, call, fault).await;
    }
    let entry = sandbox.lock().requests.start(sandbox.now(), call);
    let mut parts = Vec::new();
    let response = if call.is_batch() {
        apply_fault(sandbox, call, fault.map(|fault| fault.kind), batch::run(sandbox, call, &mut parts)).await
    } else {
        dispatch(sandbox, call, fault).await
    };
    let requests = &mut sandbox.lock().requests;
    match response.connection_fault {
        Some(ConnectionFault::Refused) => requests.remove(entry),
        broken => requests.finish(entry, response.status.as_u16(), broken.is_some(), parts),
    }
    response
}
