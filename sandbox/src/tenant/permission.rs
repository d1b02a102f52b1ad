//! What the app may do in Microsoft Graph.
//!
//! It starts with what docs/PERMISSIONS.md asks for in any case. Taking one away shows what an admin sees who forgot it.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::wire::ErrorResponse;

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
    pub(super) fn refusal(self) -> ErrorResponse {
        let (code, message) = match self {
            Self::PassReadWrite | Self::PolicyReadAuthenticationMethod => {
                ("accessDenied", "Request Authorization failed".to_owned())
            }
            _ => (
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.".to_owned(),
            ),
        };
        ErrorResponse::new(StatusCode::FORBIDDEN, code, message)
    }
}
