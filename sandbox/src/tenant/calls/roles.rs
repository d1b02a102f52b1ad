//! Directory roles: held, and eligible for.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Scene;
use crate::tenant::{
    RoleHeld, filter,
    page::{page, selected},
    schema::{self, Schema},
    wire::{Answer, GraphError},
};

/// `GET /roleManagement/directory/roleAssignments`: direct ones only, not those through a group.
pub(super) fn assignments(scene: &Scene<'_>) -> Result<Answer, GraphError> {
    let resource = "roleManagement/directory/roleAssignments";
    of_principal(scene, &scene.tenant.roles, resource, &schema::ROLE_ASSIGNMENT, RoleHeld::to_assignment)
}

/// `GET /roleManagement/directory/roleEligibilityScheduleInstances`
pub(super) fn eligibility(scene: &Scene<'_>) -> Result<Answer, GraphError> {
    if !scene.tenant.pim_licensed {
        let message =
            "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
        return Err(GraphError::new(StatusCode::BAD_REQUEST, "AadPremiumLicenseRequired", message));
    }
    let resource = "roleManagement/directory/roleEligibilityScheduleInstances";
    of_principal(scene, &scene.tenant.eligible, resource, &schema::ROLE_ELIGIBILITY, RoleHeld::to_eligibility)
}

fn of_principal(
    scene: &Scene<'_>,
    all: &[RoleHeld],
    resource: &str,
    schema: &Schema,
    to_graph: fn(&RoleHeld) -> Map<String, Value>,
) -> Result<Answer, GraphError> {
    let Scene { tenant, query, call, .. } = scene;
    query.allow(call, &["$filter", "$select", "$top", "$skiptoken"])?;
    let select = query.select(&[schema])?;
    let text = query
        .get("$filter")
        .ok_or_else(|| GraphError::bad_request("A filter on principalId is required."))?;
    let principal = filter::principal(text)?;
    let mut ids: Vec<Uuid> =
        all.iter().filter(|held| held.principal == principal).map(|held| held.id).collect();
    ids.sort_unstable();
    let context = format!("{resource}{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        let held = all.iter().find(|held| held.id == id);
        held.map(|held| Value::Object(schema.cut(to_graph(held), select.as_deref()))).into()
    })
}
