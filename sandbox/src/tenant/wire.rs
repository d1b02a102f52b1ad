//! Requests to Graph and its responses.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    response::Response,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    hosts::{GRAPH_HOST, HOOKS_HOST, is_graph, is_loopback},
    token::audience,
};

/// A request to Graph, alone or as a part of a batch.
#[derive(Clone)]
pub(super) struct GraphCall {
    pub(super) method: Method,
    /// The path and query as sent; a part of a batch has no `/v1.0`.
    pub(super) url: String,
    /// The path and query after `/v1.0`.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl GraphCall {
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(super) fn is_batch(&self) -> bool {
        self.path() == "/$batch"
    }

    pub(super) fn is_advanced(&self) -> bool {
        self.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"))
    }

    /// The base URL of links in the response: the requested host, as in Graph. For a `Host` that is not this machine it
    /// is the real Graph.
    pub(super) fn root(&self) -> String {
        match self.header(header::HOST).and_then(|host| host.parse::<Authority>().ok()) {
            Some(authority) if is_loopback(authority.host()) => format!("http://{authority}/v1.0"),
            _ => format!("https://{}/v1.0", self.graph_host()),
        }
    }

    /// The host of Graph in the cloud that the request was sent to.
    fn graph_host(&self) -> &str {
        self.header(header::HOST).filter(|host| is_graph(host)).unwrap_or(GRAPH_HOST)
    }

    /// Whether it is for the endpoints of other systems.
    pub(super) fn is_webhook(&self) -> bool {
        self.header(header::HOST) == Some(HOOKS_HOST)
    }

    pub(super) fn check_bearer(&self) -> Result<(), ErrorResponse> {
        let token = self.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        match token.map(str::trim).unwrap_or_default() {
            "" => Err(ErrorResponse::unauthenticated("Access token is empty.")),
            token if audience(token) != self.graph_host() => {
                Err(ErrorResponse::unauthenticated("Access token validation failure. Invalid audience."))
            }
            _ => Ok(()),
        }
    }

    /// The media type of the body, without parameters.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.header(header::CONTENT_TYPE)?.split(';').next().map(str::trim)
    }

    /// The body, which must be a JSON object with the Content-Type of JSON.
    pub(super) fn json(&self) -> Result<Map<String, Value>, ErrorResponse> {
        let Some(kind) = self.content_type() else {
            let message =
                "Write requests (excluding DELETE) must contain the Content-Type header declaration.";
            return Err(ErrorResponse::bad_request(message));
        };
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(ErrorResponse::bad_request(format!(
                "The content type '{kind}' is not supported here."
            )));
        }
        let unreadable = || ErrorResponse::bad_request("Unable to read JSON request payload.");
        match serde_json::from_slice(&self.body).map_err(|_| unreadable())? {
            Value::Object(members) => Ok(members),
            _ => Err(unreadable()),
        }
    }
}

pub(super) type CallResult = Result<GraphResponse, ErrorResponse>;

/// A response before it is sent.
#[derive(Clone)]
pub(super) struct GraphResponse {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    /// The text of the header; Graph is reported to send fractions.
    pub(super) retry_after: Option<String>,
    pub(super) connection_fault: Option<ConnectionFault>,
    pub(super) ids: Option<RequestIds>,
}

/// What happens to a connection instead of a response. It is an extension of the HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// The connection was refused; the request had no effect.
    Refused,
    /// The request took effect, and the response was lost.
    Lost,
}

/// The ids of an exchange, in `request-id` and `client-request-id`.
#[derive(Clone)]
pub(super) struct RequestIds {
    pub(super) request: Uuid,
    pub(super) client: String,
}

impl GraphResponse {
    fn new(status: StatusCode, body: Option<Value>) -> Self {
        Self { status, body, retry_after: None, connection_fault: None, ids: None }
    }

    pub(super) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, Some(body))
    }

    pub(super) fn created(body: Value) -> Self {
        Self::new(StatusCode::CREATED, Some(body))
    }

    pub(super) fn accepted() -> Self {
        Self::new(StatusCode::ACCEPTED, None)
    }

    pub(super) fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None)
    }

    pub(super) fn refused() -> Self {
        Self { connection_fault: Some(ConnectionFault::Refused), ..Self::new(StatusCode::BAD_GATEWAY, None) }
    }

    /// The response with the headers that all of Graph's have, except `Date`.
    pub(super) fn into_response(self) -> Response {
        let body = self.body.as_ref().map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let json = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";
        set(headers, header::CONTENT_TYPE, self.body.map(|_| json.to_owned()));
        set(headers, header::RETRY_AFTER, self.retry_after);
        if let Some(RequestIds { request, client }) = self.ids {
            set(headers, HeaderName::from_static("request-id"), Some(request.to_string()));
            set(headers, HeaderName::from_static("client-request-id"), Some(client));
        }
        if let Some(broken) = self.connection_fault {
            response.extensions_mut().insert(broken);
        }
        response
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
        headers.insert(name, value);
    }
}

/// An error of Graph.
#[derive(Clone, Debug)]
pub(super) struct ErrorResponse {
    status: StatusCode,
    code: String,
    message: String,
    retry_after: Option<String>,
}

impl ErrorResponse {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), retry_after: None }
    }

    /// 400 of the OData front end.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 400 of the directory.
    pub(super) fn request_bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// 404 for an object or a relationship that does not exist.
    pub(super) fn not_found(key: &str) -> Self {
        let message = format!(
            "Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        );
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    /// 400 for a query that the directory does not support.
    pub(super) fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", message)
    }

    /// 501: the sandbox does not implement it; Graph may.
    pub(super) fn not_implemented(what: &str) -> Self {
        let message = format!("The sandbox does not implement {what}.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "SandboxNotImplemented", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "Specified HTTP method is not allowed for the request target.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest", message)
    }

    fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken", message)
    }

    pub(super) fn throttled(code: &str, message: &str, retry_after: Option<String>) -> Self {
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, message) }
    }

    pub(super) fn unavailable(retry_after: String) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "serviceNotAvailable", "");
        Self { retry_after: Some(retry_after), ..error }
    }

    /// An error of the service behind Graph: `Operation: …; Exception: […]`.
    pub(super) fn extension_error(operation: &str, status: StatusCode, name: &str, reason: &str) -> Self {
        let message = format!("Operation: {operation}; Exception: [Status Code: {name}; Reason: {reason}]");
        Self::new(status, "ExtensionError", message)
    }

    /// 500: a bug of the sandbox.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "The sandbox failed.")
    }

    /// The error in Graph's envelope.
    pub(super) fn into_graph_response(self, now: DateTime<Utc>, ids: &RequestIds) -> GraphResponse {
        let date = now.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = json!({
            "error": {
                "code": self.code,
                "message": self.message,
                "innerError": {
                    "date": date.trim_end_matches('Z'),
                    "request-id": ids.request,
                    "client-request-id": ids.client,
                },
            },
        });
        GraphResponse {
            retry_after: self.retry_after,
            ids: Some(ids.clone()),
            ..GraphResponse::new(self.status, Some(body))
        }
    }
}
