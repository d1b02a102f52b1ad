//! Groups and their members.

use serde_json::Value;
use uuid::Uuid;

use super::Scene;
use crate::sandbox::{
    Group, Permission,
    page::{entity, page, selected},
    schema,
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
    let id: Uuid =
        key.parse().map_err(|_| GraphError::bad_request(format!("Invalid object identifier '{key}'.")))?;
    scene.tenant.groups.get(&id).ok_or_else(|| GraphError::not_found(key))
}
