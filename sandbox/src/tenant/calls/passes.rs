//! Temporary Access Passes and their policy.

use axum::http::StatusCode;
use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Scene;
use crate::tenant::{
    Pass, PassSpec, Person, Untargeted,
    page::{context_url, entity},
    wire::{Answer, GraphError},
};

/// How far back a start may lie. Assumed: Microsoft does not say what becomes of one in the past.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

const TYPE: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";

/// What a POST may say. Anything else is refused, a code above all: it is Graph that makes codes.
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
pub(super) fn policy(scene: &Scene<'_>) -> Result<Answer, GraphError> {
    scene.query.allow(scene.call, &[])?;
    let context = "authenticationMethodConfigurations/$entity";
    let mut policy = scene.tenant.policy.to_graph();
    let targets = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations('TemporaryAccessPass')\
                   /microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration/includeTargets";
    policy.insert("includeTargets@odata.context".to_owned(), context_url(scene.call, targets).into());
    Ok(Answer::ok(entity(scene.call, context, policy)))
}

/// `GET /users/{key}/authentication/temporaryAccessPassMethods`: at most one, dead or alive.
pub(super) fn list(scene: &Scene<'_>, key: &str) -> Result<Answer, GraphError> {
    scene.query.allow_none()?;
    let user = scene.user(key)?.id;
    let pass = scene.tenant.passes.get(&user).map(|pass| pass.to_graph(scene.now));
    let value: Value = pass.into_iter().map(Value::Object).collect();
    let body = crate::tenant::schema::object(json!({ "value": value }));
    Ok(Answer::ok(entity(scene.call, &collection(key), body)))
}

/// `GET /users/{key}/authentication/temporaryAccessPassMethods/{id}`
pub(super) fn get(scene: &Scene<'_>, key: &str, id: &str) -> Result<Answer, GraphError> {
    scene.query.allow_none()?;
    let pass = find(scene, key, id)?;
    Ok(Answer::ok(entity(scene.call, &format!("{}/$entity", collection(key)), pass.to_graph(scene.now))))
}

/// `DELETE /users/{key}/authentication/temporaryAccessPassMethods/{id}`
pub(super) fn delete(mut scene: Scene<'_>, key: &str, id: &str) -> Result<Answer, GraphError> {
    let pass = find(&scene, key, id)?.clone();
    scene.tenant.delete_pass(pass.user);
    scene.note_passes(None, Some(pass));
    Ok(Answer::no_content())
}

/// `POST /users/{key}/authentication/temporaryAccessPassMethods`: makes a pass, in place of the one there was.
pub(super) fn create(mut scene: Scene<'_>, key: &str) -> Result<Answer, GraphError> {
    scene.query.allow_none()?;
    let wanted = read(&scene)?;
    let person = scene.user(key)?;
    let user = person.id;
    check_person(&scene, person)?;
    let spec = plan(&scene, &wanted)?;
    let replaced = scene.tenant.passes.get(&user).cloned();
    scene.tenant.add_pass(user, spec);
    let made = scene.tenant.passes.get(&user).cloned();
    let shown = made.as_ref().map(|pass| pass.to_graph_with_code(scene.now)).unwrap_or_default();
    let answer = entity(scene.call, &format!("{}/$entity", collection(key)), shown);
    scene.note_passes(made, replaced);
    Ok(Answer::created(answer))
}

fn read(scene: &Scene<'_>) -> Result<NewPass, GraphError> {
    let body = Value::Object(scene.call.json()?);
    // serde's message could quote the body; Graph's says no more than this either.
    let wanted: NewPass = serde_json::from_value(body).map_err(|_| {
        GraphError::bad_request("Invalid JSON payload for temporaryAccessPassAuthenticationMethod.")
    })?;
    match wanted.odata_type.as_deref() {
        None | Some(TYPE) => Ok(wanted),
        Some(other) => Err(GraphError::bad_request(format!("A type named '{other}' is not expected here."))),
    }
}

fn check_person(scene: &Scene<'_>, person: &Person) -> Result<(), GraphError> {
    let policy = &scene.tenant.policy;
    if person.is_external_guest() {
        return Err(refused("Temporary Access Pass cannot be added to an external guest user."));
    }
    let is_refused =
        !scene.tenant.policy_includes(person.id, scene.now) && policy.untargeted == Untargeted::Refused;
    if !policy.enabled || is_refused {
        return Err(refused(
            "Converged UserCredentialPolicy does not allow creating or updating this authentication method. \
             AuthMethodType [TemporaryAccessPass].",
        ));
    }
    if policy.refuse_when_exists && scene.tenant.passes.contains_key(&person.id) {
        // Reported, never with its text: only that it speaks of a pass that already exists.
        return Err(refused("A Temporary Access Pass already exists for this user."));
    }
    Ok(())
}

fn plan(scene: &Scene<'_>, wanted: &NewPass) -> Result<PassSpec, GraphError> {
    let policy = &scene.tenant.policy;
    let (shortest, longest) = (policy.minimum_lifetime, policy.maximum_lifetime);
    let lifetime = wanted.lifetime_in_minutes.map_or(policy.default_lifetime, i64::from);
    if !(shortest..=longest).contains(&lifetime) {
        return Err(refused(&format!(
            "Invalid LifetimeInMinutes specified. The valid range between {shortest} and {longest}."
        )));
    }
    let one_time = wanted.is_usable_once.unwrap_or(policy.one_time_only);
    if policy.one_time_only && !one_time {
        // The text is not known.
        return Err(refused("Invalid IsUsableOnce specified. The policy requires one-time use."));
    }
    let opens_at = wanted.start_date_time.map_or(scene.now, |start| start.to_utc());
    if opens_at < scene.now - CLOCK_SKEW {
        return Err(refused("Invalid StartDateTime specified. It must not be in the past."));
    }
    let spec = PassSpec::opening(opens_at).created(scene.now).lasting(lifetime);
    Ok(if one_time { spec.one_time() } else { spec })
}

/// The authentication methods' own 400, with the code that they share for everything.
fn refused(message: &str) -> GraphError {
    GraphError::new(StatusCode::BAD_REQUEST, "badRequest", message)
}

fn find<'a>(scene: &'a Scene<'_>, key: &str, id: &str) -> Result<&'a Pass, GraphError> {
    let user = scene.user(key)?.id;
    let id: Option<Uuid> = id.parse().ok();
    let pass = scene.tenant.passes.get(&user).filter(|pass| Some(pass.id) == id);
    // The code is assumed: documented are only 404 and that there is an envelope.
    pass.ok_or_else(|| GraphError::new(StatusCode::NOT_FOUND, "resourceNotFound", "Resource not found."))
}

fn collection(key: &str) -> String {
    format!("users('{}')/authentication/temporaryAccessPassMethods", key.replace('\'', "''"))
}
