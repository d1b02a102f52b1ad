//! Groups and their members.

use serde_json::Value;
use uuid::Uuid;

use super::Scene;
use crate::tenant::{
    Group, Permission, Tenant,
    page::{entity, page, selected},
    schema,
    transport::GRAPH_HOST,
    wire::{Answer, GraphError},
};

/// `GET /groups/{key}`
pub(super) fn get(scene: &Scene<'_>, key: &str) -> Result<Answer, GraphError> {
    scene.query.allow(scene.call, &["$select"])?;
    let select = scene.query.select(&[&schema::GROUP])?;
    let group = find(scene, key)?.to_graph();
    let context = format!("groups{}/$entity", selected(select.as_deref()));
    Ok(Answer::ok(entity(scene.call, &context, schema::GROUP.cut(group, select.as_deref()))))
}

/// `GET /groups/{key}/members`: users, nested groups and devices, direct members only.
pub(super) fn members(scene: &Scene<'_>, key: &str) -> Result<Answer, GraphError> {
    let Scene { tenant, query, call, now, .. } = scene;
    query.allow(call, &["$select", "$top", "$skiptoken"])?;
    let select = query.select(&[&schema::USER, &schema::GROUP, &schema::DEVICE])?;
    let group = find(scene, key)?.id;
    let known = |id: &Uuid| !render(scene, *id, None).is_null();
    let ids: Vec<Uuid> = tenant.members(group, *now).into_iter().filter(known).collect();
    let context = format!("directoryObjects{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| render(scene, id, select.as_deref()))
}

/// `POST /groups/{key}/members/$ref`: who is added stands in the body, as a link.
pub(super) fn add_member(scene: Scene<'_>, key: &str) -> Result<Answer, GraphError> {
    scene.query.allow_none()?;
    let group = writable(&scene, key)?;
    let body = scene.call.json()?;
    let member = match body.get("@odata.id").and_then(Value::as_str) {
        Some(link) if body.len() == 1 => linked(&scene, link)?,
        _ => {
            return Err(GraphError::request_bad_request(
                "A reference consists of '@odata.id' and nothing else.",
            ));
        }
    };
    if scene.tenant.members(group, scene.now).contains(&member) {
        return Err(GraphError::request_bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    scene.tenant.add_member(group, member);
    Ok(Answer::no_content())
}

/// `DELETE /groups/{key}/members/{member}/$ref`
pub(super) fn remove_member(scene: Scene<'_>, key: &str, member: &str) -> Result<Answer, GraphError> {
    scene.query.allow_none()?;
    let group = writable(&scene, key)?;
    let found = object_id(member)?;
    if !scene.tenant.members(group, scene.now).contains(&found) {
        return Err(GraphError::not_found(member));
    }
    scene.tenant.remove_member(group, found);
    Ok(Answer::no_content())
}

/// The group, if this app may change who is in it.
fn writable(scene: &Scene<'_>, key: &str) -> Result<Uuid, GraphError> {
    let group = find(scene, key)?;
    // A role-assignable group takes `RoleManagement.ReadWrite.Directory` besides, which nobody has here.
    if group.is_dynamic() || group.assignable_to_role {
        return Err(Permission::GroupMemberReadWrite.refusal());
    }
    Ok(group.id)
}

/// The user whom a link names, by object id.
fn linked(scene: &Scene<'_>, link: &str) -> Result<Uuid, GraphError> {
    let root = [scene.call.root(), format!("https://{GRAPH_HOST}/v1.0")];
    let path = root.iter().find_map(|root| link.strip_prefix(root.as_str()));
    let id = match path.map(|path| path.split('/').collect::<Vec<_>>()).as_deref() {
        Some(["", "directoryObjects" | "users", id]) => object_id(id)?,
        Some(["", "devices" | "groups" | "contacts" | "servicePrincipals", _]) => {
            return Err(GraphError::not_implemented("adding anything but users to a group"));
        }
        _ => return Err(GraphError::request_bad_request(format!("Invalid reference '{link}'."))),
    };
    let Tenant { groups, devices, contacts, .. } = &*scene.tenant;
    if groups.contains_key(&id) || devices.contains_key(&id) || contacts.contains_key(&id) {
        return Err(GraphError::not_implemented("adding anything but users to a group"));
    }
    scene.user(&id.to_string()).map(|user| user.id)
}

fn render(scene: &Scene<'_>, id: Uuid, select: Option<&[String]>) -> Value {
    let user = || {
        let user = schema::USER.cut_and_name(scene.tenant.users.get(&id)?.to_graph(), select);
        Some(scene.limit(Permission::UserRead, user))
    };
    let group =
        || scene.tenant.groups.get(&id).map(|group| schema::GROUP.cut_and_name(group.to_graph(), select));
    let device =
        || scene.tenant.devices.get(&id).map(|device| schema::DEVICE.cut_and_name(device.to_graph(), select));
    user().or_else(group).or_else(device).into()
}

fn find<'a>(scene: &'a Scene<'_>, key: &str) -> Result<&'a Group, GraphError> {
    let id = object_id(key)?;
    scene.tenant.groups.get(&id).ok_or_else(|| GraphError::not_found(key))
}

fn object_id(text: &str) -> Result<Uuid, GraphError> {
    text.parse().map_err(|_| GraphError::bad_request(format!("Invalid object identifier '{text}'.")))
}
