//! The sandbox's own endpoints, `/sandbox/*`.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post, put},
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Fault, Method, NullProperty, Permission, Person, Sandbox, SendDenial, SendLimits, Tenant, method,
    query::Query,
    token::token,
    wire::{ErrorResponse, GraphResponse},
};

pub(super) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/state", get(show_state))
        .route("/sandbox/token", get(issue_token))
        .route("/sandbox/clock", get(show_clock).post(advance_clock))
        .route("/sandbox/faults", post(arm_fault).delete(clear_faults))
        .route("/sandbox/null-property", put(set_null_property).delete(clear_null_property))
        .route("/sandbox/groups/{group}/members/{user}", put(add_member).delete(remove_member))
        .route("/sandbox/users/{user}/methods/{kind}", put(register_method))
        .route("/sandbox/users/{user}/sign-in", put(sign_in))
        .route("/sandbox/permissions", get(show_permissions))
        .route("/sandbox/permissions/{name}", put(grant).delete(revoke))
        .route("/sandbox/send-limits", get(show_send_limits).put(set_send_limits))
        .route("/sandbox/send-denial", put(deny_sending).delete(allow_sending))
}

pub(super) fn state(sandbox: &Sandbox) -> Value {
    let now = sandbox.now();
    let state = sandbox.lock();
    let tenant = &state.tenant;
    let users = tenant.users.values().map(|person| {
        let mut user = person.to_graph();
        user.insert("manager".to_owned(), json!(person.manager));
        user.insert("methods".to_owned(), json!(method::listed(person)));
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
    let subscriptions = tenant.live_subscriptions(now).into_values();
    json!({
        "now": now,
        "users": users.collect::<Value>(),
        "passes": passes.collect::<Value>(),
        "groups": groups.collect::<Value>(),
        "subscriptions": subscriptions.map(|subscription| Value::Object(subscription.to_graph())).collect::<Value>(),
        "mails": state.mails.iter().map(|mail| mail.to_state()).collect::<Value>(),
        "webhooks": state.webhooks,
        "requests": state.requests.list(),
        "tokens": state.tokens,
    })
}

async fn show_state(State(sandbox): State<Sandbox>) -> Response {
    GraphResponse::ok(state(&sandbox)).into_response()
}

/// The token of the app's identity for `resource`, for a process without the identity endpoint.
async fn issue_token(State(sandbox): State<Sandbox>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(&format!("?{}", query.unwrap_or_default())).unwrap_or_default();
    let token = token(&sandbox, query.get("resource").unwrap_or_default());
    GraphResponse::ok(json!({ "access_token": token })).into_response()
}

async fn show_clock(State(sandbox): State<Sandbox>) -> Response {
    let now = sandbox.now();
    GraphResponse::ok(json!({ "now": now })).into_response()
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
            GraphResponse::no_content().into_response()
        }
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Response {
    sandbox.clear_faults();
    GraphResponse::no_content().into_response()
}

async fn set_null_property(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    match serde_json::from_slice::<NullProperty>(&body) {
        Ok(null) if null.property != "id" => {
            sandbox.lock().tenant.null_property = Some(null);
            GraphResponse::no_content().into_response()
        }
        Ok(_) => refuse(&sandbox, "An id is never null."),
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

async fn clear_null_property(State(sandbox): State<Sandbox>) -> Response {
    sandbox.lock().tenant.null_property = None;
    GraphResponse::no_content().into_response()
}

async fn add_member(State(sandbox): State<Sandbox>, Path((group, user)): Path<(String, String)>) -> Response {
    change_member(&sandbox, &group, &user, Tenant::add_member)
}

async fn remove_member(
    State(sandbox): State<Sandbox>,
    Path((group, user)): Path<(String, String)>,
) -> Response {
    change_member(&sandbox, &group, &user, Tenant::remove_member)
}

/// Changes a membership as an admin does; group and user by id or name.
fn change_member(
    sandbox: &Sandbox,
    group: &str,
    user: &str,
    change: fn(&mut Tenant, Uuid, Uuid),
) -> Response {
    let is_done = sandbox.edit(|tenant| {
        let by_id = group.parse().ok().and_then(|id| tenant.groups.get(&id));
        let group = by_id.or_else(|| tenant.find_group(group)).filter(|group| !group.is_dynamic())?.id;
        let user = tenant.find_user(user)?.id;
        change(tenant, group, user);
        Some(())
    });
    match is_done {
        Some(()) => GraphResponse::no_content().into_response(),
        None => refuse(sandbox, "There is no such user, or no such group with assigned members."),
    }
}

/// Registers an authentication method now, as the user does.
async fn register_method(
    State(sandbox): State<Sandbox>,
    Path((user, kind)): Path<(String, String)>,
) -> Response {
    let now = sandbox.now();
    change_user(&sandbox, &user, |person| person.methods.push(Method::of(&kind).created(now)))
}

/// A successful sign-in now, with a password for example.
async fn sign_in(State(sandbox): State<Sandbox>, Path(user): Path<String>) -> Response {
    let now = sandbox.now();
    change_user(&sandbox, &user, |person| person.last_sign_in = Some(now))
}

/// Changes an account; the user by id or sign-in name.
fn change_user(sandbox: &Sandbox, user: &str, change: impl FnOnce(&mut Person)) -> Response {
    let is_done = sandbox.edit(|tenant| {
        let user = tenant.find_user(user)?.id;
        tenant.change(user, change);
        Some(())
    });
    match is_done {
        Some(()) => GraphResponse::no_content().into_response(),
        None => refuse(sandbox, "There is no such user."),
    }
}

async fn show_send_limits(State(sandbox): State<Sandbox>) -> Response {
    let limits = sandbox.lock().tenant.send_limits;
    GraphResponse::ok(json!(limits)).into_response()
}

async fn set_send_limits(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    match serde_json::from_slice::<SendLimits>(&body) {
        Ok(limits) => {
            sandbox.lock().tenant.send_limits = limits;
            GraphResponse::no_content().into_response()
        }
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    why: SendDenial,
}

async fn deny_sending(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    match serde_json::from_slice::<Denial>(&body) {
        Ok(Denial { why }) => {
            sandbox.lock().tenant.send_denied = Some(why);
            GraphResponse::no_content().into_response()
        }
        Err(problem) => refuse(&sandbox, problem.to_string()),
    }
}

async fn allow_sending(State(sandbox): State<Sandbox>) -> Response {
    sandbox.lock().tenant.send_denied = None;
    GraphResponse::no_content().into_response()
}

async fn show_permissions(State(sandbox): State<Sandbox>) -> Response {
    let granted: Vec<_> = sandbox.lock().tenant.granted.iter().map(|permission| permission.name()).collect();
    GraphResponse::ok(json!({ "granted": granted })).into_response()
}

async fn grant(State(sandbox): State<Sandbox>, Path(name): Path<String>) -> Response {
    change_permission(&sandbox, &name, |granted, permission| granted.insert(permission))
}

async fn revoke(State(sandbox): State<Sandbox>, Path(name): Path<String>) -> Response {
    change_permission(&sandbox, &name, |granted, permission| granted.remove(&permission))
}

fn change_permission(
    sandbox: &Sandbox,
    name: &str,
    change: fn(&mut BTreeSet<Permission>, Permission) -> bool,
) -> Response {
    match Permission::named(name) {
        Some(permission) => {
            change(&mut sandbox.lock().tenant.granted, permission);
            GraphResponse::no_content().into_response()
        }
        None => refuse(sandbox, format!("The sandbox has no permission '{name}'.")),
    }
}

fn refuse(sandbox: &Sandbox, problem: impl Into<String>) -> Response {
    let error = ErrorResponse::new(StatusCode::BAD_REQUEST, "SandboxBadRequest", problem);
    error.into_graph_response(sandbox.now(), &sandbox.request_ids(&HeaderMap::new())).into_response()
}
