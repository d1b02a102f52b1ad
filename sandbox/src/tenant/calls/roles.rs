//! Directory roles: active and eligible assignments.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    AppRole, IDENTITY_ID, Permission, RoleAssignment, filter,
    page::{page, selected},
    roles::AUTHENTICATION_ADMINISTRATOR,
    schema::{self, Schema, object},
    wire::{CallResult, ErrorResponse},
};

/// `GET /roleManagement/directory/roleAssignments`: direct assignments only.
pub(super) fn assignments(ctx: &RequestContext<'_>) -> CallResult {
    let resource = "roleManagement/directory/roleAssignments";
    let own = ctx.tenant.app_role.map(|role| RoleAssignment {
        id: IDENTITY_ID,
        principal: IDENTITY_ID,
        role: AUTHENTICATION_ADMINISTRATOR,
        unit: match role {
            AppRole::Tenant => None,
            AppRole::Unit(unit) => Some(unit),
        },
    });
    let roles: Vec<RoleAssignment> = ctx.tenant.roles.iter().cloned().chain(own).collect();
    of_principal(ctx, &roles, resource, &schema::ROLE_ASSIGNMENT, RoleAssignment::to_assignment)
}

/// `GET /roleManagement/directory/roleEligibilityScheduleInstances`
pub(super) fn eligibility(ctx: &RequestContext<'_>) -> CallResult {
    if !ctx.tenant.pim_licensed {
        return Err(no_licence());
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

/// `GET /identityGovernance/privilegedAccess/group/eligibilityScheduleInstances`: groups that a user can activate. Whether
/// Graph lists what a user has through another group is not known; here it does not.
pub(super) fn group_eligibility(ctx: &RequestContext<'_>) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    if !tenant.pim_licensed {
        return Err(no_licence());
    }
    query.allow(call, &["$filter", "$expand", "$top", "$skiptoken"])?;
    let expands = match query.get("$expand") {
        None => false,
        Some("group") => true,
        Some(other) => return Err(ErrorResponse::not_implemented(&format!("'$expand={other}' here"))),
    };
    let text = query
        .get("$filter")
        .ok_or_else(|| ErrorResponse::bad_request("A filter on principalId or groupId is required."))?;
    let principal = filter::principal(text)?;
    let groups: Vec<Uuid> = tenant
        .eligible_members
        .iter()
        .filter(|(member, group)| *member == principal && tenant.groups.contains_key(group))
        .map(|(_, group)| *group)
        .collect();
    let context = "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";
    page(call, query, tenant.page_size_cap, context, &groups, |group| {
        let mut shown = object(json!({
            "id": format!("{group}_member_{principal}"),
            "accessId": "member",
            "principalId": principal,
            "groupId": group,
            "memberType": "direct",
            "eligibilityScheduleId": format!("{group}_member_{principal}"),
            "startDateTime": null,
            "endDateTime": null,
        }));
        if expands {
            let whole = tenant.groups.get(&group).map(|group| schema::GROUP.project(group.to_graph(), None));
            let group = whole.map_or(Value::Null, |group| {
                ctx.mask_without(Permission::GroupMemberRead, Value::Object(group))
            });
            shown.insert("group".to_owned(), group);
        }
        Some(Value::Object(shown)).into()
    })
}

fn no_licence() -> ErrorResponse {
    let message = "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.";
    ErrorResponse::new(StatusCode::BAD_REQUEST, "AadPremiumLicenseRequired", message)
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
