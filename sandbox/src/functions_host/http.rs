//! The HTTP trigger: routes, keys, and the host's own responses.

use std::{io, sync::Arc, time::Duration};

use axum::{
    Router, body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    FunctionsHost, Instance,
    function::{AuthLevel, Function, Http, Trigger},
    header_names::{HeaderNames, NamingListener},
    http_payload::{self, AccessKey, HttpCall},
    log::Cause,
    timer,
};

/// The platform's front end answers 504 after 230 seconds; the function continues.
const FRONT_END_TIMEOUT: Duration = Duration::from_secs(230);
/// Limit of the platform.
const MAX_BODY: usize = 100 * 1024 * 1024;

impl FunctionsHost {
    /// The routes of the HTTP functions, and `/admin/functions/…`. Header names are in lower case: only a connection of
    /// [`serve`](Self::serve) has them as the caller wrote them.
    pub fn router(&self) -> Router {
        Router::new().fallback(handle_request).with_state(self.0.clone())
    }

    /// Serves [`router`](Self::router) until the process ends.
    ///
    /// # Errors
    /// When the address is not loopback, or the listener fails.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<()> {
        if !listener.local_addr()?.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the local host listens on loopback addresses only",
            ));
        }
        let router = self.router().into_make_service_with_connect_info::<HeaderNames>();
        axum::serve(NamingListener(listener), router).await
    }
}

async fn handle_request(State(host): State<Arc<Instance>>, request: Request) -> Response {
    if host.supervisor.has_stopped() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path().trim_matches('/').to_owned();
    if path.is_empty() {
        // The host's home page.
        return StatusCode::OK.into_response();
    }
    if let Some(function) = path.strip_prefix("admin/functions/") {
        return run_manually(host, function, &parts, &body);
    }
    let routed = host.app.functions.values().filter(|function| !function.is_disabled).find_map(|function| {
        let Trigger::Http(http) = &function.trigger else { return None };
        Some((function, http, match_route(&host, http, &parts.method, &path)?))
    });
    // A method that the function does not have is 404, not 405: its route does not match
    // (WebScriptHostHttpRoutesManager.cs).
    let Some((function, http, parameters)) = routed else { return StatusCode::NOT_FOUND.into_response() };
    let key = key(&parts).and_then(|key| access_key(&host, function, &key));
    if !is_authorized(http.auth_level, key) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let call = HttpCall { key, parameters, ..call(&parts, &body) };
    let payload = http_payload::invocation(&function.name, &function.input, &call, host.storage.now());
    let (instance, function) = (host.clone(), function.clone());
    let (send, receive) = tokio::sync::oneshot::channel();
    // The function continues if the caller disconnects.
    host.spawn(async move {
        let ran = instance.invoke(&function, &payload).await;
        let (invocation, outputs) = ran.into_invocation(&function, Cause::Http, 1);
        instance.log.write(invocation);
        drop(send.send(outputs.map(|outputs| outputs.answer)));
    });
    match tokio::time::timeout(FRONT_END_TIMEOUT, receive).await {
        Ok(Ok(Some(answer))) => answer.into_response(),
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

/// `POST /admin/functions/{function}` returns before the function has run (FunctionsController.cs).
fn run_manually(host: Arc<Instance>, function: &str, parts: &Parts, body: &[u8]) -> Response {
    match key(parts) {
        Some(key) if key == host.keys.master => {}
        Some(key) if key == host.keys.host => return StatusCode::FORBIDDEN.into_response(),
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    }
    match parts.method {
        Method::POST => {}
        Method::GET | Method::PUT | Method::DELETE => {
            return (StatusCode::NOT_IMPLEMENTED, "not simulated").into_response();
        }
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    if !is_json(&parts.headers) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if !serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object()) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let Some(function) = host.app.functions.values().find(|f| f.name.eq_ignore_ascii_case(function)).cloned()
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !matches!(function.trigger, Trigger::Timer(_)) {
        return (StatusCode::NOT_IMPLEMENTED, "not simulated").into_response();
    }
    let instance = host.clone();
    host.spawn(async move {
        drop(timer::run_manually(&instance, &function).await);
    });
    StatusCode::ACCEPTED.into_response()
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("json"))
}

/// The route parameters, if the route matches; case-insensitive.
fn match_route(host: &Instance, http: &Http, method: &Method, path: &str) -> Option<Vec<(String, String)>> {
    if !http.methods.is_empty() && !http.methods.iter().any(|known| known == method.as_str()) {
        return None;
    }
    let route = format!("{}/{}", host.app.host.route_prefix, http.route);
    let (expected, called) = (route.trim_start_matches('/').split('/'), path.split('/'));
    if expected.clone().count() != called.clone().count() {
        return None;
    }
    let mut parameters = Vec::new();
    for (expected, called) in expected.zip(called) {
        let called = decoded(called);
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => parameters.push((name.to_owned(), called)),
            None if expected.eq_ignore_ascii_case(&called) => {}
            None => return None,
        }
    }
    Some(parameters)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn is_authorized(level: AuthLevel, key: Option<AccessKey>) -> bool {
    match level {
        AuthLevel::Anonymous => true,
        AuthLevel::Function => key.is_some(),
        AuthLevel::Admin => key == Some(AccessKey::Master),
    }
}

fn access_key(host: &Instance, function: &Function, key: &str) -> Option<AccessKey> {
    let keys = &host.keys;
    if key == keys.master {
        Some(AccessKey::Master)
    } else if key == keys.host {
        Some(AccessKey::Host)
    } else {
        keys.functions.get(&function.name).is_some_and(|known| known == key).then_some(AccessKey::Function)
    }
}

/// The key in `x-functions-key`, or else in the query option `code`.
fn key(parts: &Parts) -> Option<String> {
    match parts.headers.get("x-functions-key") {
        Some(key) => key.to_str().ok().map(str::to_owned),
        None => query(&parts.uri).into_iter().find(|(name, _)| name == "code").map(|(_, value)| value),
    }
}

fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        })
        .collect()
}

fn call<'a>(parts: &'a Parts, body: &'a [u8]) -> HttpCall<'a> {
    let names = parts.extensions.get::<ConnectInfo<HeaderNames>>();
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        let name = names.map_or_else(|| name.to_string(), |names| names.0.as_written(name.as_str()));
        (name, String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let authority =
        parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    HttpCall {
        method: parts.method.as_str(),
        url: format!("http://{authority}{}", parts.uri),
        query: query(&parts.uri),
        headers: parts.headers.iter().map(header).collect(),
        body,
        ..HttpCall::default()
    }
}
