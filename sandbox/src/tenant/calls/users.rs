//! Users, their managers, groups and roles.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::{RequestContext, authorization::mask};
use crate::tenant::{
    Permission, RoleAssignment,
    directory::{role_object_id, role_to_graph},
    filter::UserFilter,
    page::{entity, page, selected},
    schema,
    wire::{CallResult, ErrorResponse, GraphResponse},
};

/// `GET /users`
pub(super) fn list(ctx: &RequestContext<'_>) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    query.allow(call, &["$filter", "$count", "$select", "$top", "$skiptoken"])?;
    let select = query.select(&[&schema::USER])?;
    let filter = query.get("$filter").map(UserFilter::parse).transpose()?;
    let counts = query.count()?;
    let needs_count = filter.as_ref().is_some_and(UserFilter::is_advanced);
    let is_counted_right = if counts { call.is_advanced() } else { !needs_count };
    if !is_counted_right {
        return Err(ErrorResponse::unsupported_query("Unsupported Query."));
    }
    let found =
        tenant.users.values().filter(|person| filter.as_ref().is_none_or(|filter| filter.matches(person)));
    let ids: Vec<Uuid> = found.map(|person| person.id).collect();
    let context = format!("users{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        tenant
            .users
            .get(&id)
            .map(|person| Value::Object(schema::USER.project(person.to_graph(), select.as_deref())))
            .into()
    })
}

/// `GET /users/{key}`
pub(super) fn get(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow(ctx.call, &["$select"])?;
    let select = ctx.query.select(&[&schema::USER])?;
    let person = ctx.user(key)?.to_graph();
    let context = format!("users{}/$entity", selected(select.as_deref()));
    Ok(GraphResponse::ok(entity(ctx.call, &context, schema::USER.project(person, select.as_deref()))))
}

/// `GET /directory/deletedItems/{id}`: a user with the default properties. The sandbox keeps no other deleted objects.
pub(super) fn get_deleted(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow_none()?;
    let id = key.parse().ok();
    let person = id.and_then(|id: Uuid| ctx.tenant.deleted.get(&id));
    let person = person.ok_or_else(|| ErrorResponse::not_found(key))?;
    // The name is free for another account.
    let name = format!("{}{}", person.id.simple(), person.user_principal_name);
    let mut properties = person.to_graph();
    properties.insert("userPrincipalName".to_owned(), name.into());
    let object = schema::object(schema::USER.project_with_type(properties, None));
    Ok(GraphResponse::ok(entity(ctx.call, "directoryObjects/$entity", object)))
}

/// `GET /users/{key}/manager`
pub(super) fn manager(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    ctx.query.allow(ctx.call, &["$select"])?;
    let select = ctx.query.select(&[&schema::USER, &schema::CONTACT])?;
    let select = select.as_deref();
    let manager = ctx.user(key)?.manager.ok_or_else(|| ErrorResponse::not_found("manager"))?;
    let object = match (ctx.tenant.users.get(&manager), ctx.tenant.contacts.get(&manager)) {
        (Some(person), _) => schema::USER.project_with_type(person.to_graph(), select),
        (None, Some(contact)) => schema::CONTACT.project_with_type(contact.to_graph(), select),
        (None, None) => return Err(ErrorResponse::not_found("manager")),
    };
    let context = format!("directoryObjects{}/$entity", selected(select));
    Ok(GraphResponse::ok(entity(ctx.call, &context, schema::object(object))))
}

/// `GET /users/{key}/ownedObjects`: groups, app registrations and service principals. The app has no permission to read the
/// latter two, so they have id and type only.
pub(super) fn owned_objects(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    query.allow(call, &["$select", "$top", "$skiptoken"])?;
    let select = query.select(&[&schema::GROUP, &schema::APPLICATION, &schema::SERVICE_PRINCIPAL])?;
    let select = select.as_deref();
    let user = ctx.user(key)?.id;
    let owned = tenant.owners.iter().filter(|(owner, _)| *owner == user);
    let ids: Vec<Uuid> = owned.map(|(_, object)| *object).collect();
    let context = format!("directoryObjects{}", selected(select));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        let group = tenant.groups.get(&id).map(|group| {
            let group = schema::GROUP.project_with_type(group.to_graph(), select);
            ctx.mask_without(Permission::GroupMemberRead, group)
        });
        let application = tenant
            .applications
            .get(&id)
            .map(|app| schema::APPLICATION.project_with_type(app.to_graph(), select));
        let service = tenant
            .service_principals
            .get(&id)
            .map(|app| schema::SERVICE_PRINCIPAL.project_with_type(app.to_graph(), select));
        group.or_else(|| application.or(service).map(mask)).into()
    })
}

/// `GET /users/{key}/transitiveMemberOf`: groups at any depth, and roles held directly or through them.
pub(super) fn transitive_member_of(ctx: &RequestContext<'_>, key: &str) -> CallResult {
    let RequestContext { tenant, query, call, now, .. } = ctx;
    query.allow(call, &["$select", "$top", "$skiptoken"])?;
    let select = query.select(&[&schema::GROUP, &schema::DIRECTORY_ROLE])?;
    let select = select.as_deref();
    let user = ctx.user(key)?.id;
    let groups = tenant.groups_of(user, *now);
    let may_see_hidden = tenant.granted.contains(&Permission::HiddenMemberRead);
    let groups: BTreeSet<Uuid> =
        groups.into_iter().filter(|id| may_see_hidden || !tenant.groups[id].hidden_membership).collect();
    // Graph lists roles for the tenant only; those for an administrative unit are in the assignments.
    let is_theirs = |held: &&RoleAssignment| held.principal == user || groups.contains(&held.principal);
    let held = tenant.roles.iter().filter(is_theirs).filter(|held| held.unit.is_none());
    let roles: BTreeMap<Uuid, Uuid> = held.map(|held| (role_object_id(held.role), held.role)).collect();
    let mut ids: Vec<Uuid> = groups.iter().chain(roles.keys()).copied().collect();
    ids.sort_unstable();
    let context = format!("directoryObjects{}", selected(select));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        match (roles.get(&id), tenant.groups.get(&id)) {
            (Some(role), _) => {
                let role = schema::DIRECTORY_ROLE.project_with_type(role_to_graph(*role), select);
                ctx.mask_without(Permission::RoleManagementRead, role)
            }
            (None, Some(group)) => {
                let group = schema::GROUP.project_with_type(group.to_graph(), select);
                ctx.mask_without(Permission::GroupMemberRead, group)
            }
            (None, None) => Value::Null,
        }
    })
}
