//! What the app may do in Microsoft Graph.
//!
//! It starts with what docs/PERMISSIONS.md asks for in any case. Taking one away shows what an admin sees who forgot it.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::{
    State,
    calls::subscriptions,
    query::Query,
    route::Route,
    wire::{GraphCall, GraphError},
};

/// An application permission, by the name that it has in Entra ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// `GroupMember.Read.All`
    GroupMemberRead,
    /// `GroupMember.ReadWrite.All`, which firstpass does not ask for.
    GroupMemberReadWrite,
    /// `Group.Read.All`, which firstpass asks for where EVENT_GRID_PARTNER_TOPIC is set.
    GroupRead,
    /// `Policy.Read.AuthenticationMethod`
    PolicyReadAuthenticationMethod,
    /// `RoleManagement.Read.Directory`
    RoleManagementRead,
    /// `User.Read.All`
    UserRead,
    /// `User-LifeCycleInfo.Read.All`, which firstpass does not ask for.
    UserLifeCycleInfoRead,
    /// `UserAuthMethod-TAP.ReadWrite.All`
    PassReadWrite,
}

impl Permission {
    /// What docs/PERMISSIONS.md asks for in any case. Sending mail is not among it: Exchange grants that.
    pub const ASKED_FOR: [Self; 5] = [
        Self::UserRead,
        Self::GroupMemberRead,
        Self::RoleManagementRead,
        Self::PolicyReadAuthenticationMethod,
        Self::PassReadWrite,
    ];

    /// What it asks for besides where EVENT_GRID_PARTNER_TOPIC is set.
    pub const ASKED_FOR_NOTIFICATIONS: Self = Self::GroupRead;

    const ALL: [Self; 8] = [
        Self::UserRead,
        Self::GroupMemberRead,
        Self::RoleManagementRead,
        Self::PolicyReadAuthenticationMethod,
        Self::PassReadWrite,
        Self::GroupMemberReadWrite,
        Self::GroupRead,
        Self::UserLifeCycleInfoRead,
    ];

    /// Its name in Entra ID.
    pub fn name(self) -> &'static str {
        match self {
            Self::GroupMemberRead => "GroupMember.Read.All",
            Self::GroupMemberReadWrite => "GroupMember.ReadWrite.All",
            Self::GroupRead => "Group.Read.All",
            Self::PolicyReadAuthenticationMethod => "Policy.Read.AuthenticationMethod",
            Self::RoleManagementRead => "RoleManagement.Read.Directory",
            Self::UserRead => "User.Read.All",
            Self::UserLifeCycleInfoRead => "User-LifeCycleInfo.Read.All",
            Self::PassReadWrite => "UserAuthMethod-TAP.ReadWrite.All",
        }
    }

    /// The permission with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Whether somebody who was granted these may do it. Who may change memberships, or read all of a group, may
    /// read memberships.
    pub(super) fn is_among(self, granted: &BTreeSet<Self>) -> bool {
        let greater: &[Self] = match self {
            Self::GroupMemberRead => &[Self::GroupMemberReadWrite, Self::GroupRead],
            _ => &[],
        };
        granted.contains(&self) || greater.iter().any(|permission| granted.contains(permission))
    }

    /// What stands in for the answer where the permission is missing.
    pub(super) fn refusal(self) -> GraphError {
        let (code, message) = match self {
            Self::PassReadWrite | Self::PolicyReadAuthenticationMethod => {
                ("accessDenied", "Request Authorization failed".to_owned())
            }
            _ => (
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.".to_owned(),
            ),
        };
        GraphError::new(StatusCode::FORBIDDEN, code, message)
    }
}

/// Refuses what the app has no permission for. A method that nobody has is refused later, as such.
pub(super) fn check(state: &State, route: &Route, call: &GraphCall, query: &Query) -> Result<(), GraphError> {
    let needed = match route {
        Route::Users | Route::User(_) | Route::Manager(_) | Route::TransitiveMemberOf(_) => {
            Permission::UserRead
        }
        Route::Group(_) | Route::Members(_) => Permission::GroupMemberRead,
        Route::MemberRefs(_) | Route::MemberRef(..) => Permission::GroupMemberReadWrite,
        Route::Subscriptions | Route::Subscription(_) => Permission::GroupRead,
        Route::Passes(_) | Route::Pass(..) => Permission::PassReadWrite,
        Route::PassPolicy => Permission::PolicyReadAuthenticationMethod,
        Route::RoleAssignments | Route::RoleEligibility => Permission::RoleManagementRead,
        // Exchange decides.
        Route::SendMail(_) => return Ok(()),
    };
    let granted = &state.tenant.granted;
    if !needed.is_among(granted) {
        return Err(match route {
            Route::RoleEligibility => eligibility_refusal(),
            Route::Subscriptions | Route::Subscription(_) => subscriptions::refusal(),
            _ => needed.refusal(),
        });
    }
    let selects_leave_date =
        query.get("$select").is_some_and(|names| names.contains("employeeLeaveDateTime"));
    if selects_leave_date
        && call.method == Method::GET
        && !granted.contains(&Permission::UserLifeCycleInfoRead)
    {
        return Err(Permission::UserLifeCycleInfoRead.refusal());
    }
    Ok(())
}

/// Privileged Identity Management wraps its own error into a message.
fn eligibility_refusal() -> GraphError {
    let inner = r#"{"errorCode":"PermissionScopeNotGranted","message":"Authorization failed due to missing permission scope RoleEligibilitySchedule.Read.Directory,RoleManagement.Read.Directory.","instanceAnnotations":[]}"#;
    GraphError::new(StatusCode::FORBIDDEN, "UnknownError", inner)
}

/// An object of a type that the app may not read, as a list shows it all the same: its id and type, and null for what
/// else was asked for.
pub(super) fn hide(object: Value) -> Value {
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
