//! The demo's web server. It accepts requests from this machine and from its own page only.

use std::net::IpAddr;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    actions::{Action, ActionError},
    setup::Setup,
    views,
};

/// The page loads nothing from other hosts and cannot be framed.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    frame-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A mail can run, load and submit nothing; only the page can frame it.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; \
    form-action 'none'; sandbox; frame-ancestors 'self'";

const PAGE: &str = include_str!("page/page.html");
const ASSETS: [(&str, &str, &str); 8] = [
    ("page.css", "text/css", include_str!("page/page.css")),
    ("views.css", "text/css", include_str!("page/views.css")),
    ("main.js", "text/javascript", include_str!("page/main.js")),
    ("dom.js", "text/javascript", include_str!("page/dom.js")),
    ("timeline.js", "text/javascript", include_str!("page/timeline.js")),
    ("inbox.js", "text/javascript", include_str!("page/inbox.js")),
    ("passes.js", "text/javascript", include_str!("page/passes.js")),
    ("requests.js", "text/javascript", include_str!("page/requests.js")),
];

/// The page at `/`, its data and actions under `/demo`, and the tenant's own endpoints.
pub fn router(setup: Setup) -> Router {
    let tenant = setup.sandbox.router();
    Router::new()
        .route("/", get(|| async { content("text/html", PAGE_POLICY, PAGE.to_owned()) }))
        .route("/demo/assets/{name}", get(asset))
        .route("/demo/state", get(|State(setup): State<Setup>| async move { Json(views::state(&setup)) }))
        .route("/demo/mails/{index}", get(mail))
        .route("/demo/passes/{id}/code", get(code))
        .route("/demo/{action}", post(run_action))
        .with_state(setup)
        .merge(tenant)
        .layer(middleware::from_fn(check_origin))
}

async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(known, ..)| *known == name) {
        Some((_, kind, text)) => content(kind, PAGE_POLICY, (*text).to_owned()),
        None => refuse(StatusCode::NOT_FOUND, ["there is no such file"]),
    }
}

async fn mail(State(setup): State<Setup>, Path(index): Path<usize>) -> Response {
    match setup.sandbox.mails().get(index) {
        // Links in it do not open: the sandbox directive allows no new window.
        Some(mail) => {
            let html = mail.content().replacen("<head>", "<head><base target=\"_blank\">", 1);
            content("text/html", MAIL_POLICY, html)
        }
        None => refuse(StatusCode::NOT_FOUND, ["there is no such mail"]),
    }
}

async fn code(State(setup): State<Setup>, Path(id): Path<Uuid>) -> Response {
    let code = setup.history().passes.iter().find(|record| record.pass.id == id).map(|s| s.pass.code.clone());
    match code {
        Some(code) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(json!({"code": code.reveal()}))).into_response()
        }
        None => refuse(StatusCode::NOT_FOUND, ["there is no such pass"]),
    }
}

/// Runs an action and returns the new state.
async fn run_action(
    State(setup): State<Setup>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // HTML forms cannot send this type, and cross-origin scripts would need a CORS preflight, which is not answered.
    if !header(&headers, header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json")) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, ["the content type must be application/json"]);
    }
    let action = match Action::parse(&name, &body, &setup) {
        Ok(action) => action,
        Err(ActionError::Unknown) => return refuse(StatusCode::NOT_FOUND, ["there is no such action"]),
        Err(ActionError::Problems(problems)) => return refuse(StatusCode::BAD_REQUEST, problems),
    };
    // A separate task: a closed connection does not cancel the action.
    let actor = setup.clone();
    match tokio::spawn(async move { actor.run(action).await }).await {
        Ok(()) => Json(views::state(&setup)).into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, ["the demo failed"]),
    }
}

/// Rejects requests from other pages in the same browser, and requests to a foreign name that resolves to this machine
/// (DNS rebinding).
async fn check_origin(request: Request, next: Next) -> Response {
    match rejection(request.uri().path(), request.headers()) {
        Some(reason) => refuse(StatusCode::FORBIDDEN, [reason]),
        None => next.run(request).await,
    }
}

fn rejection(path: &str, headers: &HeaderMap) -> Option<&'static str> {
    let host = header(headers, header::HOST).unwrap_or_default();
    if !is_this_machine(host) {
        return Some("the Host must be this machine");
    }
    if header(headers, header::ORIGIN).is_some_and(|origin| origin != format!("http://{host}")) {
        return Some("the Origin is another site");
    }
    // A link from another site may open the page, which does nothing by itself.
    let site = header(headers, HeaderName::from_static("sec-fetch-site"));
    if path != "/" && site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("the request comes from another site");
    }
    None
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn content(kind: &str, policy: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, text).into_response()
}

fn refuse<P: Into<String>>(status: StatusCode, problems: impl IntoIterator<Item = P>) -> Response {
    let problems: Vec<String> = problems.into_iter().map(Into::into).collect();
    (status, Json(json!({"problems": problems}))).into_response()
}
