//! Which accounts are privileged: no pass for them is sent by mail.
//!
//! With the application permission, Graph creates a pass for any user, Global Admins included. So this guard is needed,
//! and it fails closed: an account whose privileges cannot be read is treated as privileged.

use std::fmt;

use uuid::{Uuid, uuid};

use crate::graph::{PrivilegeSnapshot, Unread, roles::Role};

/// Why an account is privileged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivilegeFinding {
    /// It holds this role.
    Holds(Role),
    /// It can activate this role.
    CanActivate(Role),
    /// It is in the group of protected accounts, which has this name.
    Protected(String),
    /// It is in this role-assignable group.
    RoleGroup(String),
    /// It can make itself a member or owner of this group, which is role-assignable or that of protected accounts.
    CanJoin(String),
    /// It owns this group, which is role-assignable or that of protected accounts, and can make itself a member.
    OwnsGroup(String),
    /// It owns this application, and can sign in as it.
    OwnsApplication(String),
    /// Its privileges could not be read.
    Unknown(Unread),
}

/// Built-in roles without control over other accounts and without access to secrets: they read reports and
/// announcements, or invite guests. Every other role, custom ones included, makes an account privileged.
///
/// Microsoft's page "Privileged roles and permissions" lets an Authentication Administrator act on holders of these and
/// of two more roles, Authentication and Password Administrator. Both can reset other users, so they are not listed here.
const NON_PRIVILEGED_ROLES: [Uuid; 6] = [
    uuid!("88d8e3e3-8f55-4a1e-953a-9b9898b8876b"), // Directory Readers
    uuid!("95e79109-95c0-4d8e-aee3-d01accf2d47b"), // Guest Inviter
    uuid!("790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b"), // Message Center Reader
    uuid!("4a5d8f65-41da-4de4-8968-e035b65339cf"), // Reports Reader
    uuid!("75934031-6c7e-415a-99d7-48dbd49e875e"), // Usage Summary Reports Reader
    uuid!("27460883-1df1-4691-b032-3b79643e5e63"), // User Experience Success Manager
];

/// What makes the account privileged; `None` if it is not.
pub(crate) fn finding(privileges: &PrivilegeSnapshot) -> Option<PrivilegeFinding> {
    let privileged =
        |roles: &[Role]| roles.iter().find(|role| !NON_PRIVILEGED_ROLES.contains(&role.id)).cloned();
    let protected = privileges.protected_group.clone().map(PrivilegeFinding::Protected);
    protected
        .or_else(|| privileged(&privileges.active).map(PrivilegeFinding::Holds))
        .or_else(|| privileged(&privileges.eligible).map(PrivilegeFinding::CanActivate))
        .or_else(|| privileges.role_groups.first().cloned().map(PrivilegeFinding::RoleGroup))
        .or_else(|| privileges.eligible_groups.first().cloned().map(PrivilegeFinding::CanJoin))
        .or_else(|| privileges.owned_groups.first().cloned().map(PrivilegeFinding::OwnsGroup))
        .or_else(|| unreadable(privileges))
}

/// That the account owns an application, if so. No new joiner does, but a developer whom a helpdesk serves.
pub(crate) fn owned_application(privileges: &PrivilegeSnapshot) -> Option<PrivilegeFinding> {
    privileges.owned_applications.first().cloned().map(PrivilegeFinding::OwnsApplication)
}

/// That the privileges could not be read, if so.
pub fn unreadable(privileges: &PrivilegeSnapshot) -> Option<PrivilegeFinding> {
    privileges.unknown.clone().map(PrivilegeFinding::Unknown)
}

impl fmt::Display for PrivilegeFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds(role) => write!(f, "the account holds the role {}", label(role)),
            Self::CanActivate(role) => write!(f, "the account can activate the role {}", label(role)),
            Self::Protected(name) => {
                write!(f, "the account is in the group of protected accounts, \"{name}\"")
            }
            Self::RoleGroup(name) => write!(f, "the account is in the role-assignable group \"{name}\""),
            Self::CanJoin(name) => {
                write!(f, "the account can activate its membership of the privileged group \"{name}\"")
            }
            Self::OwnsGroup(name) => write!(f, "the account owns the privileged group \"{name}\""),
            Self::OwnsApplication(name) => write!(f, "the account owns the application {name}"),
            Self::Unknown(why) => write!(f, "the privileges of the account could not be read: {why}"),
        }
    }
}

/// Which role, how the account has it, and where it applies.
fn label(role: &Role) -> String {
    let name = role.name.clone().unwrap_or_else(|| role.id.to_string());
    let through = if role.is_direct { "directly" } else { "through a group" };
    match role.scope.as_deref() {
        None | Some("/") => format!("{name} ({through}, for the tenant)"),
        Some(scope) => format!("{name} ({through}, for {scope})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(id: Uuid, name: Option<&str>) -> Role {
        Role { id, name: name.map(str::to_owned), is_direct: true, scope: Some("/".into()) }
    }

    #[test]
    fn only_non_privileged_roles_may_have_a_pass() {
        let roles = |ids: &[Uuid]| -> Vec<Role> { ids.iter().map(|id| role(*id, None)).collect() };
        let privileges = |active: &[Uuid], eligible: &[Uuid]| PrivilegeSnapshot {
            active: roles(active),
            eligible: roles(eligible),
            ..PrivilegeSnapshot::default()
        };
        let id = uuid!("62e90394-69f5-4237-9190-012177145e10");
        let admin = role(id, None);
        assert_eq!(finding(&privileges(&NON_PRIVILEGED_ROLES, &NON_PRIVILEGED_ROLES)), None);
        assert_eq!(
            finding(&privileges(&[NON_PRIVILEGED_ROLES[0], id], &[])),
            Some(PrivilegeFinding::Holds(admin.clone()))
        );
        assert_eq!(finding(&privileges(&[], &[id])), Some(PrivilegeFinding::CanActivate(admin)));
        let group = PrivilegeSnapshot { role_groups: vec!["Tier 0".into()], ..PrivilegeSnapshot::default() };
        assert_eq!(finding(&group), Some(PrivilegeFinding::RoleGroup("Tier 0".into())));
        let unread = Unread { why: "403".into(), is_permission: true };
        let unknown = PrivilegeSnapshot { unknown: Some(unread.clone()), ..PrivilegeSnapshot::default() };
        assert_eq!(finding(&unknown), Some(PrivilegeFinding::Unknown(unread)));
    }

    #[test]
    fn a_finding_names_the_role_or_its_id() {
        let role = |name: Option<&str>| role(Uuid::from_u128(7), name);
        let in_unit =
            Role { scope: Some("/administrativeUnits/9".into()), ..role(Some("Helpdesk Administrator")) };
        let inherited = Role { is_direct: false, scope: None, ..role(Some("Groups Administrator")) };
        for (finding, words) in [
            (
                PrivilegeFinding::Holds(role(Some("User Administrator"))),
                "holds the role User Administrator (directly, for the tenant)",
            ),
            (
                PrivilegeFinding::Holds(in_unit),
                "Helpdesk Administrator (directly, for /administrativeUnits/9)",
            ),
            (PrivilegeFinding::Holds(inherited), "Groups Administrator (through a group, for the tenant)"),
            (
                PrivilegeFinding::Protected("Break glass".into()),
                "the group of protected accounts, \"Break glass\"",
            ),
            (
                PrivilegeFinding::CanActivate(role(None)),
                "can activate the role 00000000-0000-0000-0000-000000000007 (directly, for the tenant)",
            ),
            (PrivilegeFinding::RoleGroup("Tier 0".into()), "is in the role-assignable group \"Tier 0\""),
            (
                PrivilegeFinding::CanJoin("Tier 0".into()),
                "can activate its membership of the privileged group \"Tier 0\"",
            ),
            (PrivilegeFinding::OwnsGroup("Tier 0".into()), "owns the privileged group \"Tier 0\""),
            (PrivilegeFinding::OwnsApplication("Payroll".into()), "owns the application Payroll"),
            (
                PrivilegeFinding::Unknown(Unread { why: "roles: 403".into(), is_permission: true }),
                "the privileges of the account could not be read: roles: 403",
            ),
        ] {
            assert!(finding.to_string().ends_with(words), "{finding}");
        }
    }
}
