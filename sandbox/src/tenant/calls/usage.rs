//! What shows the use of an account: authentication methods and the report on registrations.

use axum::http::StatusCode;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::RequestContext;
use crate::tenant::{
    method,
    page::entity,
    schema::object,
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// How long the report lacks a new account or method. Assumed: Microsoft only says that it lags.
const REPORT_LAG: TimeDelta = TimeDelta::days(1);

/// `GET /users/{key}/authentication/methods`: the password, the pass, and what the user registered.
pub(super) fn methods(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let person = ctx.user(key)?;
    let pass = ctx.tenant.passes.get(&person.id).map(|pass| pass.to_graph(ctx.now));
    let value: Value = method::listed(person).into_iter().chain(pass).map(Value::Object).collect();
    let context = format!("users('{}')/authentication/methods", key.replace('\'', "''"));
    Ok(GraphResponse::ok(entity(ctx.call, &context, object(json!({ "value": value })))))
}

/// `GET /reports/authenticationMethods/userRegistrationDetails/{id}`
pub(super) fn registration_details(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let until = ctx.now - REPORT_LAG;
    let person = ctx.user(key).ok().filter(|person| person.created.is_none_or(|created| created <= until));
    // The code is assumed.
    let missing =
        || ErrorResponse::new(StatusCode::NOT_FOUND, "ResourceNotFound", "The resource is not found.");
    let person = person.ok_or_else(missing)?;
    let known = person.methods.iter().filter(|m| m.created_at.is_none_or(|created| created <= until));
    let names: Vec<&str> = known.map(method::reported).collect();
    let has_methods = !names.is_empty();
    let details = object(json!({
        "id": person.id,
        "userPrincipalName": person.user_principal_name,
        "userDisplayName": person.display_name,
        "userType": if person.guest { "guest" } else { "member" },
        "isAdmin": false,
        "isSsprRegistered": has_methods,
        "isSsprEnabled": false,
        "isSsprCapable": false,
        "isMfaRegistered": has_methods,
        "isMfaCapable": has_methods,
        "isPasswordlessCapable": false,
        "methodsRegistered": names,
        "isSystemPreferredAuthenticationMethodEnabled": true,
        "systemPreferredAuthenticationMethods": [],
        "userPreferredMethodForSecondaryAuthentication": "none",
        "lastUpdatedDateTime": until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }));
    Ok(GraphResponse::ok(entity(
        ctx.call,
        "reports/authenticationMethods/userRegistrationDetails/$entity",
        details,
    )))
}
