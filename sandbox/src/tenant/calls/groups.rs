//! Groups and their members.

use serde_json::Value;
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    Group, Permission, Tenant,
    hosts::GRAPH_HOST,
    page::{entity, page, selected},
    schema,
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// `GET /groups/{key}`
pub(super) fn get(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow(ctx.call, &["$select"])?;
    let select = ctx.query.select(&[&schema::GROUP])?;
    let group = find(ctx, key)?.to_graph();
    let context = format!("groups{}/$entity", selected(select.as_deref()));
    Ok(GraphResponse::ok(entity(ctx.call, &context, schema::GROUP.project(group, select.as_deref()))))
}

/// `GET /groups/{key}/members`: direct members.
pub(super) fn members(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    let RequestContext { tenant, query, call, now, .. } = ctx;
    query.allow(call, &["$select", "$top", "$skiptoken"])?;
    let select =
        query.select(&[&schema::USER, &schema::GROUP, &schema::DEVICE, &schema::SERVICE_PRINCIPAL])?;
    let group = find(ctx, key)?.id;
    // Graph answers as if the group had no members.
    let is_hidden =
        tenant.groups[&group].hidden_membership && !tenant.granted.contains(&Permission::HiddenMemberRead);
    let known = |id: &Uuid| !is_hidden && !render(ctx, *id, None).is_null();
    let ids: Vec<Uuid> = tenant.members(group, *now).into_iter().filter(known).collect();
    let context = format!("directoryObjects{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| render(ctx, id, select.as_deref()))
}

/// `POST /groups/{key}/members/$ref`: the body links the new member.
pub(super) fn add_member(ctx: RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let group = writable(&ctx, key)?;
    let body = ctx.call.json()?;
    let member = match body.get("@odata.id").and_then(Value::as_str) {
        Some(link) if body.len() == 1 => linked(&ctx, link)?,
        _ => {
            return Err(ErrorResponse::request_bad_request(
                "A reference consists of '@odata.id' and nothing else.",
            ));
        }
    };
    if ctx.tenant.members(group, ctx.now).contains(&member) {
        return Err(ErrorResponse::request_bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    ctx.tenant.add_member(group, member);
    Ok(GraphResponse::no_content())
}

/// `DELETE /groups/{key}/members/{member}/$ref`
pub(super) fn remove_member(ctx: RequestContext<'_>, key: &str, member: &str) -> CallResult {
    ctx.query.allow_none()?;
    let group = writable(&ctx, key)?;
    let found = object_id(member)?;
    if !ctx.tenant.members(group, ctx.now).contains(&found) {
        return Err(ErrorResponse::not_found(member));
    }
    ctx.tenant.remove_member(group, found);
    Ok(GraphResponse::no_content())
}

/// The group, if the app may change its members.
fn writable(ctx: &RequestContext<'_>, key: &str) -> Result<Uuid, ErrorResponse> {
    let group = find(ctx, key)?;
    // A role-assignable group also requires `RoleManagement.ReadWrite.Directory`, which does not exist here.
    if group.is_dynamic() || group.assignable_to_role {
        return Err(Permission::GroupMemberReadWrite.refusal());
    }
    Ok(group.id)
}

/// The user whose object id is in the link.
fn linked(ctx: &RequestContext<'_>, link: &str) -> Result<Uuid, ErrorResponse> {
    let root = [ctx.call.root(), format!("https://{GRAPH_HOST}/v1.0")];
    let path = root.iter().find_map(|root| link.strip_prefix(root.as_str()));
    let id = match path.map(|path| path.split('/').collect::<Vec<_>>()).as_deref() {
        Some(["", "directoryObjects" | "users", id]) => object_id(id)?,
        Some(["", "devices" | "groups" | "contacts" | "servicePrincipals", _]) => {
            return Err(ErrorResponse::not_implemented("adding anything but users to a group"));
        }
        _ => return Err(ErrorResponse::request_bad_request(format!("Invalid reference '{link}'."))),
    };
    let Tenant { groups, devices, contacts, .. } = &*ctx.tenant;
    if groups.contains_key(&id) || devices.contains_key(&id) || contacts.contains_key(&id) {
        return Err(ErrorResponse::not_implemented("adding anything but users to a group"));
    }
    ctx.user(&id.to_string()).map(|user| user.id)
}

fn render(ctx: &RequestContext<'_>, id: Uuid, select: Option<&[String]>) -> Value {
    let user = || {
        let user = schema::USER.project_with_type(ctx.tenant.users.get(&id)?.to_graph(), select);
        Some(ctx.mask_without(Permission::UserRead, user))
    };
    let group =
        || ctx.tenant.groups.get(&id).map(|group| schema::GROUP.project_with_type(group.to_graph(), select));
    let device = || {
        ctx.tenant.devices.get(&id).map(|device| schema::DEVICE.project_with_type(device.to_graph(), select))
    };
    let app = || {
        let app = ctx.tenant.service_principals.get(&id)?;
        Some(schema::SERVICE_PRINCIPAL.project_with_type(app.to_graph(), select))
    };
    user().or_else(group).or_else(device).or_else(app).into()
}

fn find<'a>(ctx: &'a RequestContext<'_>, key: &str) -> Result<&'a Group, ErrorResponse> {
    let id = object_id(key)?;
    ctx.tenant.groups.get(&id).ok_or_else(|| ErrorResponse::not_found(key))
}

fn object_id(text: &str) -> Result<Uuid, ErrorResponse> {
    text.parse().map_err(|_| ErrorResponse::bad_request(format!("Invalid object identifier '{text}'.")))
}
