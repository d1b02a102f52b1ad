//! Subscriptions to change notifications. An app sees only its own.

use axum::http::StatusCode;
use chrono::{DateTime, FixedOffset, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    page::{entity, page},
    segments,
    subscription::{APPLICATION_ID, MAX_SUBSCRIPTION_LIFETIME, Subscription, group_of},
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// The maximum number of subscriptions to directory objects: of an app, and of a tenant.
const MAX_PER_APP: usize = 100;
const MAX_PER_TENANT: usize = 1000;
const MAX_CLIENT_STATE: usize = 128;

/// The properties of a POST that the sandbox implements.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewSubscription {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    change_type: Option<String>,
    client_state: Option<String>,
    expiration_date_time: Option<DateTime<FixedOffset>>,
    notification_url: Option<String>,
    resource: Option<String>,
}

/// The properties that Graph has and the sandbox does not implement.
const UNIMPLEMENTED: &[&str] = &[
    "encryptionCertificate",
    "encryptionCertificateId",
    "includeResourceData",
    "latestSupportedTlsVersion",
    "lifecycleNotificationUrl",
    "notificationQueryOptions",
    "notificationUrlAppId",
];

/// `GET /subscriptions`: without client states, which are secret.
pub(super) fn list(ctx: &RequestContext<'_>) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    if query.get("$skiptoken").is_some() {
        query.allow(call, &["$skiptoken"])?;
    } else {
        query.allow_none()?;
    }
    let own = own(ctx);
    let ids: Vec<Uuid> = own.iter().map(|subscription| subscription.id).collect();
    page(call, query, tenant.page_size_cap, "subscriptions", &ids, |id| {
        let found = own.iter().find(|subscription| subscription.id == id);
        found.map(|subscription| Value::Object(subscription.to_graph())).into()
    })
}

/// `GET /subscriptions/{id}`
pub(super) fn get(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let found = find(ctx, key)?;
    Ok(GraphResponse::ok(entity(ctx.call, "subscriptions/$entity", found.to_graph())))
}

/// `POST /subscriptions`
pub(super) fn create(ctx: RequestContext<'_>) -> CallResult {
    ctx.query.allow_none()?;
    let new = validate(&ctx)?;
    let live = ctx.tenant.live_subscriptions(ctx.now);
    if let Some(existing) = live.values().find(|other| other.conflicts_with(&new)) {
        let reason = format!("Subscription Id {} already exists for the requested combination", existing.id);
        return Err(ErrorResponse::extension_error("Create", StatusCode::CONFLICT, "Conflict", &reason));
    }
    if own(&ctx).len() >= MAX_PER_APP || live.len() >= MAX_PER_TENANT {
        let reason = "Maximum number of subscriptions has been reached";
        return Err(ErrorResponse::extension_error("Create", StatusCode::FORBIDDEN, "Forbidden", reason));
    }
    let client_state = new.client_state.clone();
    let id = ctx.tenant.add_subscription(new);
    let made = ctx.tenant.subscriptions.get(&id).map(Subscription::to_graph);
    let mut made = made.unwrap_or_default();
    made.insert("clientState".to_owned(), json!(client_state));
    Ok(GraphResponse::created(entity(ctx.call, "subscriptions/$entity", made)))
}

/// `PATCH /subscriptions/{id}`: changes the expiry.
pub(super) fn renew(ctx: RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let id = find(&ctx, key)?.id;
    let requested = read(&ctx, "update")?;
    let NewSubscription { change_type: None, client_state: None, resource: None, .. } = requested else {
        return Err(invalid("Only expirationDateTime and notificationUrl can be updated."));
    };
    if requested.notification_url.is_some() {
        return Err(ErrorResponse::not_implemented("a new notificationUrl for a subscription"));
    }
    let expires = expiry(&ctx, &requested, "update")?;
    let subscription = ctx.tenant.subscriptions.get_mut(&id).ok_or_else(missing)?;
    subscription.expires = expires;
    let renewed = subscription.to_graph();
    Ok(GraphResponse::ok(entity(ctx.call, "subscriptions/$entity", renewed)))
}

/// `DELETE /subscriptions/{id}`
pub(super) fn delete(ctx: RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let id = find(&ctx, key)?.id;
    ctx.tenant.subscriptions.remove(&id);
    Ok(GraphResponse::no_content())
}

fn own<'a>(ctx: &'a RequestContext<'_>) -> Vec<&'a Subscription> {
    let live = ctx.tenant.live_subscriptions(ctx.now);
    live.into_values().filter(|subscription| subscription.application == APPLICATION_ID).collect()
}

fn find<'a>(ctx: &'a RequestContext<'_>, key: &str) -> Result<&'a Subscription, ErrorResponse> {
    let id: Option<Uuid> = key.parse().ok();
    own(ctx).into_iter().find(|subscription| Some(subscription.id) == id).ok_or_else(missing)
}

fn read(ctx: &RequestContext<'_>, what: &str) -> Result<NewSubscription, ErrorResponse> {
    let body = ctx.call.json()?;
    if let Some(name) = body.keys().find(|name| UNIMPLEMENTED.contains(&name.as_str())) {
        return Err(ErrorResponse::not_implemented(&format!("the property '{name}' of a subscription")));
    }
    let requested: NewSubscription = serde_json::from_value(Value::Object(body)).map_err(|_| {
        invalid(&format!(
            "Could not process subscription {what} payload. Are all property names spelled and camelCased properly? \
             Also are the datetimeoffest properties in a valid internet Date and Time format?"
        ))
    })?;
    match requested.odata_type.as_deref() {
        None | Some("#microsoft.graph.subscription" | "microsoft.graph.subscription") => Ok(requested),
        Some(other) => Err(invalid(&format!("A type named '{other}' is not expected here."))),
    }
}

fn validate(ctx: &RequestContext<'_>) -> Result<Subscription, ErrorResponse> {
    let requested = read(ctx, "creation")?;
    let expires = expiry(ctx, &requested, "creation")?;
    let required = |value: Option<String>, name: &str| {
        value.ok_or_else(|| invalid(&format!("{name} is a required property for subscription creation")))
    };
    let change_type = required(requested.change_type, "changeType")?;
    let notification_url = required(requested.notification_url, "notificationUrl")?;
    let resource = required(requested.resource, "resource")?;
    check_destination(&notification_url)?;
    let group = check_resource(&resource)?;
    // Graph sends `updated` for a created object.
    let kinds = ["updated", "deleted"];
    if !change_type.split(',').all(|kind| kinds.contains(&kind.trim().to_lowercase().as_str())) {
        return Err(invalid(&format!("The changeType '{change_type}' is not supported for this resource.")));
    }
    if requested.client_state.as_ref().is_some_and(|state| state.chars().count() > MAX_CLIENT_STATE) {
        return Err(invalid("The clientState has more than 128 characters."));
    }
    if !ctx.tenant.groups.contains_key(&group) {
        return Err(ErrorResponse::extension_error("Create", StatusCode::NOT_FOUND, "NotFound", "Not Found"));
    }
    let client_state = requested.client_state;
    Ok(Subscription {
        resource,
        change_type,
        client_state,
        ..Subscription::to_group(group, &notification_url, expires)
    })
}

fn expiry(
    ctx: &RequestContext<'_>,
    requested: &NewSubscription,
    what: &str,
) -> Result<DateTime<Utc>, ErrorResponse> {
    let Some(expires) = requested.expiration_date_time else {
        return Err(invalid(&format!("expirationDateTime is a required property for subscription {what}")));
    };
    let expires = expires.to_utc();
    if expires > ctx.now + MAX_SUBSCRIPTION_LIFETIME {
        let message = format!(
            "Subscription expiration can only be {} minutes in the future.",
            MAX_SUBSCRIPTION_LIFETIME.num_minutes()
        );
        return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "ExtensionError", message));
    }
    if expires <= ctx.now {
        return Err(invalid("Subscription expiration must be in the future."));
    }
    Ok(expires)
}

/// The group in `resource`. Other resources are not implemented.
fn check_resource(resource: &str) -> Result<Uuid, ErrorResponse> {
    if let Some(group) = group_of(resource) {
        return Ok(group);
    }
    let path: Vec<&str> = resource.trim_start_matches('/').split(['/', '(', '?']).collect();
    if resource.contains("://") || segments::unknown(&path).is_some() {
        return Err(invalid(&format!("Invalid resource '{resource}'.")));
    }
    Err(ErrorResponse::not_implemented(&format!("notifications of changes to '{resource}'")))
}

/// Accepts a URL of Event Grid with all four parts.
fn check_destination(url: &str) -> Result<(), ErrorResponse> {
    const PARTS: [&str; 4] = ["azuresubscriptionid", "resourcegroup", "partnertopic", "location"];
    if url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
        // Graph first sends a validation token to a webhook.
        return Err(ErrorResponse::not_implemented("notifications to a webhook"));
    }
    let query = url.split_once(":?").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("EventGrid"));
    let parts: Vec<(&str, &str)> = query
        .map(|(_, query)| query.split('&').filter_map(|part| part.split_once('=')).collect())
        .unwrap_or_default();
    let is_there =
        |name: &str| parts.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty());
    if PARTS.into_iter().all(is_there) {
        return Ok(());
    }
    Err(invalid("The notificationUrl is neither an https URL nor one of Event Grid with all its parts."))
}

fn missing() -> ErrorResponse {
    ErrorResponse::new(StatusCode::NOT_FOUND, "ResourceNotFound", "The object was not found.")
}

fn invalid(message: &str) -> ErrorResponse {
    ErrorResponse::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
}
