//! The app's permissions in Microsoft Graph.
//!
//! A tenant starts with those that docs/PERMISSIONS.md always requires.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::wire::ErrorResponse;

/// An application permission of Microsoft Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// `GroupMember.Read.All`
    GroupMemberRead,
    /// `GroupMember.ReadWrite.All`, which firstpass does not need.
    GroupMemberReadWrite,
    /// `Group.Read.All`, which firstpass needs if EVENT_GRID_PARTNER_TOPIC is set.
    GroupRead,
    /// `Policy.Read.AuthenticationMethod`
    PolicyReadAuthenticationMethod,
    /// `RoleManagement.Read.Directory`
    RoleManagementRead,
    /// `User.Read.All`
    UserRead,
    /// `User-LifeCycleInfo.Read.All`, for leave dates.
    UserLifeCycleInfoRead,
    /// `UserAuthMethod-TAP.ReadWrite.All`
    PassReadWrite,
    /// `UserAuthenticationMethod.Read.All`, which firstpass needs if JOINER_CHECK has `methods`.
    MethodRead,
    /// `AuditLog.Read.All`, which firstpass can use.
    AuditLogRead,
    /// `PrivilegedEligibilitySchedule.Read.AzureADGroup`, which firstpass can use.
    GroupEligibilityRead,
    /// `Member.Read.Hidden`, which firstpass needs for groups with hidden membership.
    HiddenMemberRead,
    /// `Directory.Write.Restricted`, which changes members of restricted management administrative units.
    RestrictedWrite,
    /// `Domain.Read.All`, which firstpass can use.
    DomainRead,
    /// `Policy.Read.ConditionalAccess`, which firstpass can use.
    ConditionalAccessRead,
    /// `UserAuthenticationMethod.ReadWrite.All`, which is more than firstpass needs.
    MethodReadWrite,
    /// `Mail.Send`, which is more than firstpass needs: it permits every mailbox.
    MailSend,
}

impl Permission {
    /// The permissions that docs/PERMISSIONS.md requires with the default settings. Exchange grants the right to send mail.
    pub const ALWAYS_REQUIRED: [Self; 6] = [
        Self::UserRead,
        Self::GroupMemberRead,
        Self::RoleManagementRead,
        Self::PolicyReadAuthenticationMethod,
        Self::PassReadWrite,
        Self::MethodRead,
    ];

    /// The additional permission if EVENT_GRID_PARTNER_TOPIC is set.
    pub const REQUIRED_FOR_NOTIFICATIONS: Self = Self::GroupRead;

    const ALL: [Self; 17] = [
        Self::UserRead,
        Self::GroupMemberRead,
        Self::RoleManagementRead,
        Self::PolicyReadAuthenticationMethod,
        Self::PassReadWrite,
        Self::GroupMemberReadWrite,
        Self::GroupRead,
        Self::UserLifeCycleInfoRead,
        Self::MethodRead,
        Self::AuditLogRead,
        Self::GroupEligibilityRead,
        Self::HiddenMemberRead,
        Self::RestrictedWrite,
        Self::DomainRead,
        Self::ConditionalAccessRead,
        Self::MethodReadWrite,
        Self::MailSend,
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
            Self::MethodRead => "UserAuthenticationMethod.Read.All",
            Self::AuditLogRead => "AuditLog.Read.All",
            Self::GroupEligibilityRead => "PrivilegedEligibilitySchedule.Read.AzureADGroup",
            Self::HiddenMemberRead => "Member.Read.Hidden",
            Self::RestrictedWrite => "Directory.Write.Restricted",
            Self::DomainRead => "Domain.Read.All",
            Self::ConditionalAccessRead => "Policy.Read.ConditionalAccess",
            Self::MethodReadWrite => "UserAuthenticationMethod.ReadWrite.All",
            Self::MailSend => "Mail.Send",
        }
    }

    /// The permission with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    /// Whether `granted` includes this permission, directly or through one that implies it.
    pub(super) fn is_among(self, granted: &BTreeSet<Self>) -> bool {
        let greater: &[Self] = match self {
            Self::GroupMemberRead => &[Self::GroupMemberReadWrite, Self::GroupRead],
            Self::PassReadWrite | Self::MethodRead => &[Self::MethodReadWrite],
            _ => &[],
        };
        granted.contains(&self) || greater.iter().any(|permission| granted.contains(permission))
    }

    pub(super) fn refusal(self) -> ErrorResponse {
        let (code, message) = match self {
            Self::PassReadWrite | Self::MethodRead | Self::PolicyReadAuthenticationMethod => {
                ("accessDenied", "Request Authorization failed".to_owned())
            }
            // Reported by many callers of these policies.
            Self::ConditionalAccessRead => (
                "AccessDenied",
                "You cannot perform the requested operation, required scopes are missing in the token."
                    .to_owned(),
            ),
            Self::AuditLogRead => (
                "Authentication_MSGraphPermissionMissing",
                "Calling principal does not have required MSGraph permissions AuditLog.Read.All".to_owned(),
            ),
            _ => (
                "Authorization_RequestDenied",
                "Insufficient privileges to complete the operation.".to_owned(),
            ),
        };
        ErrorResponse::new(StatusCode::FORBIDDEN, code, message)
    }
}
