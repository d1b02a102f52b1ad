//! The sandbox's own endpoints, and the one that App Service has for managed identities.

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post},
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Fault, Sandbox,
    query::Query,
    transport::{TOKEN, TOKEN_EXPIRES_ON},
    wire::{Answer, GraphError},
};

pub(super) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/state", get(show_state))
        .route("/sandbox/clock", get(show_clock).post(advance_clock))
        .route("/sandbox/faults", post(arm_fault).delete(clear_faults))
        .route("/msi/token", get(hand_out_token))
}

/// The whole tenant as JSON: what tests in other processes look at.
pub(super) fn state(sandbox: &Sandbox) -> Value {
    let now = sandbox.now();
    let state = sandbox.lock();
    let tenant = &state.tenant;
    let users = tenant.users.values().map(|person| {
        let mut user = person.to_graph();
        user.insert("manager".to_owned(), json!(person.manager));
        user.insert("privileged".to_owned(), json!(tenant.is_privileged(person.id, now)));
        Value::Object(user)
    });
    let passes = tenant.passes.values().map(|pass| {
        let mut shown = pass.to_graph_with_code(now);
        shown.insert("userId".to_owned(), json!(pass.user));
        Value::Object(shown)
    });
    let groups = tenant.groups.values().map(|group| {
        let mut shown = group.to_graph();
        shown.insert("members".to_owned(), json!(tenant.members(group.id, now)));
        Value::Object(shown)
    });
    json!({
        "now": now,
        "users": users.collect::<Value>(),
        "passes": passes.collect::<Value>(),
        "groups": groups.collect::<Value>(),
        "mails": state.mails.iter().map(|mail| mail.to_state()).collect::<Value>(),
        "requests": state.requests.list(),
    })
}

async fn show_state(State(sandbox): State<Sandbox>) -> Response {
    Answer::ok(state(&sandbox)).into_response()
}

async fn show_clock(State(sandbox): State<Sandbox>) -> Response {
    let now = sandbox.now();
    Answer::ok(json!({ "now": now })).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: i64,
}

async fn advance_clock(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    match serde_json::from_slice::<Advance>(&body) {
        Ok(Advance { advance_seconds }) => {
            sandbox.advance(TimeDelta::try_seconds(advance_seconds).unwrap_or_default());
            show_clock(State(sandbox)).await
        }
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

async fn arm_fault(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    match serde_json::from_slice::<Fault>(&body) {
        Ok(fault) => {
            sandbox.inject(fault);
            Answer::no_content().into_response()
        }
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Response {
    sandbox.clear_faults();
    Answer::no_content().into_response()
}

/// What `IDENTITY_ENDPOINT` points at in App Service. The expiry is a string there, and so it is here.
async fn hand_out_token(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let target = format!("?{}", query.unwrap_or_default());
    let query = match Query::parse(&target) {
        Ok(query) => query,
        Err(error) => return error.into_answer(sandbox.now(), &sandbox.ids(&headers)).into_response(),
    };
    if !headers.contains_key("x-identity-header") {
        return refuse(&sandbox, "The header X-IDENTITY-HEADER is missing.");
    }
    if query.get("api-version") != Some("2019-08-01") {
        return refuse(&sandbox, "The api-version must be 2019-08-01.");
    }
    let Some(resource) = query.get("resource") else {
        return refuse(&sandbox, "The resource is missing.");
    };
    let token = json!({
        "access_token": TOKEN,
        "expires_on": TOKEN_EXPIRES_ON.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    Answer::ok(token).into_response()
}

fn refuse(sandbox: &Sandbox, problem: impl Into<String>) -> Response {
    let error = GraphError::new(StatusCode::BAD_REQUEST, "SandboxBadRequest", problem);
    error.into_answer(sandbox.now(), &sandbox.ids(&HeaderMap::new())).into_response()
}
