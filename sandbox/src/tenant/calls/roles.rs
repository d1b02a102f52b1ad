//! Directory roles: active and eligible assignments.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    RoleAssignment, filter,
    page::{page, selected},
    schema::{self, Schema},
    wire::{CallResult, ErrorResponse},
};

/// `GET /roleManagement/directory/roleAssignments`: direct assignments only.
pub(super) fn assignments(ctx: &RequestContext<'_>) -> CallResult {
    let resource = "roleManagement/directory/roleAssignments";
    of_principal(ctx, &ctx.tenant.roles, resource, &schema::ROLE_ASSIGNMENT, RoleAssignment::to_assignment)
}

/// `GET /roleManagement/directory/roleEligibilityScheduleInstances`
pub(super) fn eligibility(ctx: &RequestContext<'_>) -> CallResult {
    if !ctx.tenant.pim_licensed {
        let message =
            "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
        return Err(ErrorResponse::new(StatusCode::BAD_REQUEST, "AadPremiumLicenseRequired", message));
    }
    let resource = "roleManagement/directory/roleEligibilityScheduleInstances";
    of_principal(
        ctx,
        &ctx.tenant.eligible,
        resource,
        &schema::ROLE_ELIGIBILITY,
        RoleAssignment::to_eligibility,
    )
}

fn of_principal(
    ctx: &RequestContext<'_>,
    all: &[RoleAssignment],
    resource: &str,
    schema: &Schema,
    to_graph: fn(&RoleAssignment) -> Map<String, Value>,
) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    query.allow(call, &["$filter", "$select", "$expand", "$top", "$skiptoken"])?;
    let expands = match query.get("$expand") {
        None => false,
        Some("roleDefinition") => true,
        Some(other) => return Err(ErrorResponse::not_implemented(&format!("'$expand={other}' here"))),
    };
    let select = query.select(&[schema])?;
    let text = query
        .get("$filter")
        .ok_or_else(|| ErrorResponse::bad_request("A filter on principalId is required."))?;
    let principal = filter::principal(text)?;
    let mut ids: Vec<Uuid> =
        all.iter().filter(|held| held.principal == principal).map(|held| held.id).collect();
    ids.sort_unstable();
    let context = format!("{resource}{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        let held = all.iter().find(|held| held.id == id);
        held.map(|held| {
            let mut shown = schema.project(to_graph(held), select.as_deref());
            if expands {
                shown.insert("roleDefinition".to_owned(), held.role_definition());
            }
            Value::Object(shown)
        })
        .into()
    })
}
