//! The permission that each call requires.

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::tenant::{
    Permission, Tenant,
    query::Query,
    route::Route,
    wire::{ErrorResponse, GraphCall},
};

/// Refuses a call without the required permission. A method that does not exist is refused later.
pub(super) fn check(
    tenant: &Tenant,
    route: &Route,
    call: &GraphCall,
    query: &Query,
    now: DateTime<Utc>,
) -> Result<(), ErrorResponse> {
    let needed = match route {
        Route::Users
        | Route::User(_)
        | Route::DeletedItem(_)
        | Route::Manager(_)
        | Route::TransitiveMemberOf(_) => Permission::UserRead,
        // Documented for delegated permissions only. An app with User.Read.All alone is reported to be answered (pnp/pnpcore
        // issue 1630).
        Route::OwnedObjects(_) if tenant.owners_refused => return Err(Permission::UserRead.refusal()),
        Route::OwnedObjects(_) => Permission::UserRead,
        Route::Group(_) | Route::Members(_) => Permission::GroupMemberRead,
        Route::MemberRefs(_) | Route::MemberRef(..) => Permission::GroupMemberReadWrite,
        Route::Subscriptions | Route::Subscription(_) => Permission::GroupRead,
        Route::Passes(key) | Route::Pass(key, _) if tenant.app_role_covers(key, now) => return Ok(()),
        Route::Passes(_) | Route::Pass(..) => Permission::PassReadWrite,
        Route::Methods(_) => Permission::MethodRead,
        Route::RegistrationDetails(_) => Permission::AuditLogRead,
        Route::PassPolicy | Route::MethodPolicy(_) => Permission::PolicyReadAuthenticationMethod,
        Route::ConditionalAccess => Permission::ConditionalAccessRead,
        Route::RoleAssignments | Route::RoleEligibility => Permission::RoleManagementRead,
        Route::GroupEligibility => Permission::GroupEligibilityRead,
        Route::Domains => Permission::DomainRead,
        // Exchange authorises it.
        Route::SendMail(_) => return Ok(()),
    };
    let granted = &tenant.granted;
    if !needed.is_among(granted) {
        return Err(match route {
            Route::RoleEligibility => {
                eligibility_refusal("RoleEligibilitySchedule.Read.Directory,RoleManagement.Read.Directory")
            }
            Route::GroupEligibility => eligibility_refusal("PrivilegedEligibilitySchedule.Read.AzureADGroup"),
            Route::Subscriptions | Route::Subscription(_) => {
                ErrorResponse::extension_error("Create", StatusCode::FORBIDDEN, "Forbidden", "")
            }
            _ => needed.refusal(),
        });
    }
    let selects = |name: &str| {
        call.method == Method::GET && query.get("$select").is_some_and(|names| names.contains(name))
    };
    if selects("employeeLeaveDateTime") && !granted.contains(&Permission::UserLifeCycleInfoRead) {
        return Err(Permission::UserLifeCycleInfoRead.refusal());
    }
    let is_activity = selects("signInActivity");
    if is_activity && !granted.contains(&Permission::AuditLogRead) {
        return Err(Permission::AuditLogRead.refusal());
    }
    // Sign-ins and the report on registrations need Entra ID P1.
    if (is_activity || matches!(route, Route::RegistrationDetails(_))) && !tenant.p1_licensed {
        let message = "Neither tenant is B2C or tenant doesn't have premium license";
        let code = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";
        return Err(ErrorResponse::new(StatusCode::FORBIDDEN, code, message));
    }
    Ok(())
}

/// The error of Privileged Identity Management, wrapped by Graph.
fn eligibility_refusal(scopes: &str) -> ErrorResponse {
    let message = format!("Authorization failed due to missing permission scope {scopes}.");
    let inner =
        json!({"errorCode": "PermissionScopeNotGranted", "message": message, "instanceAnnotations": []});
    ErrorResponse::new(StatusCode::FORBIDDEN, "UnknownError", inner.to_string())
}

/// An object in a list whose type the app may not read: id and type only, other properties null.
pub(super) fn mask(object: Value) -> Value {
    let Value::Object(members) = object else { return object };
    let hidden: Map<String, Value> = members
        .into_iter()
        .map(|(name, value)| {
            let is_shown = name == "id" || name.starts_with('@');
            (name, if is_shown { value } else { Value::Null })
        })
        .collect();
    Value::Object(hidden)
}
