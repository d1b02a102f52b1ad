//! Temporary Access Passes and their policy.

use axum::http::StatusCode;
use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    Pass, PassSpec, Permission, Person, Untargeted,
    page::{context_url, entity},
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// How far in the past a start may be. Assumed: Microsoft does not document it.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

const TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";

/// The properties of a POST. Others are refused, also `temporaryAccessPass`: Graph generates the code.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPass {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    start_date_time: Option<DateTime<FixedOffset>>,
    lifetime_in_minutes: Option<i32>,
    is_usable_once: Option<bool>,
}

/// `GET /policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass`
pub(super) fn policy(ctx: &RequestContext<'_>) -> CallResult {
    ctx.query.allow(ctx.call, &[])?;
    let context = "authenticationMethodConfigurations/$entity";
    let mut policy = ctx.tenant.policy.to_graph();
    let targets = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations('TemporaryAccessPass')\
                   /microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration/includeTargets";
    policy.insert("includeTargets@odata.context".to_owned(), context_url(ctx.call, targets).into());
    Ok(GraphResponse::ok(entity(ctx.call, context, policy)))
}

/// `GET /users/{key}/authentication/temporaryAccessPassMethods`: at most one, usable or not.
pub(super) fn list(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let user = ctx.user(key)?.id;
    let pass = ctx.tenant.passes.get(&user).map(|pass| pass.to_graph(ctx.now));
    let value: Value = pass.into_iter().map(Value::Object).collect();
    let body = crate::tenant::schema::object(json!({ "value": value }));
    Ok(GraphResponse::ok(entity(ctx.call, &collection(key), body)))
}

/// `GET /users/{key}/authentication/temporaryAccessPassMethods/{id}`
pub(super) fn get(ctx: &RequestContext<'_>, key: &str, id: &str) -> CallResult {
    ctx.query.allow_none()?;
    let pass = find(ctx, key, id)?;
    Ok(GraphResponse::ok(entity(ctx.call, &format!("{}/$entity", collection(key)), pass.to_graph(ctx.now))))
}

/// `DELETE /users/{key}/authentication/temporaryAccessPassMethods/{id}`
pub(super) fn delete(mut ctx: RequestContext<'_>, key: &str, id: &str) -> CallResult {
    let pass = find(&ctx, key, id)?.clone();
    check_management(&ctx, ctx.user(key)?)?;
    ctx.tenant.delete_pass(pass.user);
    ctx.record_pass_event(None, Some(pass));
    Ok(GraphResponse::no_content())
}

/// `POST /users/{key}/authentication/temporaryAccessPassMethods`: creates a pass and replaces an existing one.
pub(super) fn create(mut ctx: RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let requested = read(&ctx)?;
    let person = ctx.user(key)?;
    let user = person.id;
    check_person(&ctx, person)?;
    let spec = validate(&ctx, &requested)?;
    let replaced = ctx.tenant.passes.get(&user).cloned();
    ctx.tenant.add_pass(user, spec);
    let made = ctx.tenant.passes.get(&user).cloned();
    let shown = made.as_ref().map(|pass| pass.to_graph_with_code(ctx.now)).unwrap_or_default();
    let answer = entity(ctx.call, &format!("{}/$entity", collection(key)), shown);
    ctx.record_pass_event(made, replaced);
    Ok(GraphResponse::created(answer))
}

fn read(ctx: &RequestContext<'_>) -> Result<NewPass, ErrorResponse> {
    let body = Value::Object(ctx.call.json()?);
    // serde's message may quote the body.
    let requested: NewPass = serde_json::from_value(body).map_err(|_| {
        ErrorResponse::bad_request("Invalid JSON payload for temporaryAccessPassAuthenticationMethod.")
    })?;
    match requested.odata_type.as_deref() {
        None | Some(TYPE) => Ok(requested),
        Some(other) => {
            Err(ErrorResponse::bad_request(format!("A type named '{other}' is not expected here.")))
        }
    }
}

fn check_person(ctx: &RequestContext<'_>, person: &Person) -> Result<(), ErrorResponse> {
    let policy = &ctx.tenant.policy;
    check_management(ctx, person)?;
    if person.is_external_guest() {
        return Err(refused("Temporary Access Pass cannot be added to an external guest user."));
    }
    let is_refused =
        !ctx.tenant.policy_includes(person.id, ctx.now) && policy.untargeted == Untargeted::Refused;
    if !policy.enabled || is_refused {
        return Err(refused(
            "Converged UserCredentialPolicy does not allow creating or updating this authentication method. \
             AuthMethodType [TemporaryAccessPass].",
        ));
    }
    if policy.refuse_when_exists && ctx.tenant.passes.contains_key(&person.id) {
        // Reported without the exact text: it says that a pass already exists.
        return Err(refused("A Temporary Access Pass already exists for this user."));
    }
    Ok(())
}

/// Refuses a change of a member of a restricted management administrative unit.
fn check_management(ctx: &RequestContext<'_>, person: &Person) -> Result<(), ErrorResponse> {
    if !person.management_restricted || ctx.tenant.granted.contains(&Permission::RestrictedWrite) {
        return Ok(());
    }
    let message = "Insufficient privileges to complete the operation. Target object is a member of a restricted management \
                   administrative unit and can only be modified by administrators scoped to that administrative unit. \
                   Check that you are assigned a role that has permission to perform the operation for this restricted \
                   management administrative unit. Learn more: https://go.microsoft.com/fwlink/?linkid=2197831";
    Err(ErrorResponse::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", message))
}

fn validate(ctx: &RequestContext<'_>, requested: &NewPass) -> Result<PassSpec, ErrorResponse> {
    let policy = &ctx.tenant.policy;
    let (shortest, longest) = (policy.minimum_lifetime, policy.maximum_lifetime);
    let lifetime = requested.lifetime_in_minutes.map_or(policy.default_lifetime, i64::from);
    if !(shortest..=longest).contains(&lifetime) {
        return Err(refused(&format!(
            "Invalid LifetimeInMinutes specified. The valid range between {shortest} and {longest}."
        )));
    }
    let one_time = requested.is_usable_once.unwrap_or(policy.one_time_only);
    if policy.one_time_only && !one_time {
        // The exact text is not known.
        return Err(refused("Invalid IsUsableOnce specified. The policy requires one-time use."));
    }
    let opens_at = requested.start_date_time.map_or(ctx.now, |start| start.to_utc());
    if opens_at < ctx.now - CLOCK_SKEW {
        return Err(refused("Invalid StartDateTime specified. It must not be in the past."));
    }
    let spec = PassSpec::opening(opens_at).created(ctx.now).lasting(lifetime);
    Ok(if one_time { spec.one_time() } else { spec })
}

/// The 400 of the authentication methods, which has the same code for all reasons.
fn refused(message: &str) -> ErrorResponse {
    ErrorResponse::new(StatusCode::BAD_REQUEST, "badRequest", message)
}

fn find<'a>(ctx: &'a RequestContext<'_>, key: &str, id: &str) -> Result<&'a Pass, ErrorResponse> {
    let user = ctx.user(key)?.id;
    let id: Option<Uuid> = id.parse().ok();
    let pass = ctx.tenant.passes.get(&user).filter(|pass| Some(pass.id) == id);
    // The code is assumed; the 404 is documented.
    pass.ok_or_else(|| ErrorResponse::new(StatusCode::NOT_FOUND, "resourceNotFound", "Resource not found."))
}

fn collection(key: &str) -> String {
    format!("users('{}')/authentication/temporaryAccessPassMethods", key.replace('\'', "''"))
}
