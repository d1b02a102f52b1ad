//! The roles and groups of an account. `pass/guard.rs` decides which of them are privileged.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::query,
    error::{GraphError, Unread, refusal_kept},
    groups::GroupVisibility,
};

/// A directory role of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The id of the role definition; for built-in roles, of the template.
    pub id: Uuid,
    /// Its name, if Graph says it.
    pub name: Option<String>,
    /// Whether the account holds it itself, and not through a group.
    pub is_direct: bool,
    /// Where it applies: `/` for the tenant, `/administrativeUnits/<id>`.
    pub scope: Option<String>,
}

/// The privileges of an account, as far as they could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivilegeSnapshot {
    /// Active roles, assigned directly or through a group.
    pub active: Vec<Role>,
    /// Roles that the user can activate.
    pub eligible: Vec<Role>,
    /// Names of the user's role-assignable groups.
    pub role_groups: Vec<String>,
    /// Names of the role-assignable groups, and of the group of protected accounts, whose member or owner the user can
    /// become in Privileged Identity Management.
    pub eligible_groups: Vec<String>,
    /// Why these could not be read. Then nothing is said of them.
    pub eligible_groups_unread: Option<GraphError>,
    /// All groups of the user, direct or nested.
    pub groups: Vec<Uuid>,
    /// The group of protected accounts, if the user is in it.
    pub protected_group: Option<String>,
    /// Why a part could not be read; `None` if all was read.
    pub unknown: Option<Unread>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleAssignment {
    role_definition_id: Uuid,
    directory_scope_id: Option<String>,
    role_definition: Option<RoleDefinition>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleDefinition {
    display_name: Option<String>,
}

impl From<RoleAssignment> for Role {
    fn from(assignment: RoleAssignment) -> Self {
        Self {
            id: assignment.role_definition_id,
            name: assignment.role_definition.and_then(|role| role.display_name),
            is_direct: true,
            scope: assignment.directory_scope_id,
        }
    }
}

/// The group of protected accounts (PROTECTED_GROUP_ID).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProtectedGroup {
    id: Uuid,
    display_name: Option<String>,
    #[serde(flatten)]
    visibility: GroupVisibility,
}

/// A group whose member or owner the user can become.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EligibleGroup {
    group_id: Uuid,
    group: Option<ExpandedGroup>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpandedGroup {
    display_name: Option<String>,
    is_assignable_to_role: Option<bool>,
}

/// The path of the groups and directory roles of a user, as [`Membership`]s.
pub(super) fn memberships_path(user: Uuid) -> String {
    let properties = [("$select", "id,displayName,isAssignableToRole,roleTemplateId"), ("$top", "999")];
    format!("/users/{user}/transitiveMemberOf{}", query(&properties))
}

/// A group or directory role in `transitiveMemberOf`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Membership {
    #[serde(rename = "@odata.type")]
    kind: String,
    id: Uuid,
    display_name: Option<String>,
    is_assignable_to_role: Option<bool>,
    role_template_id: Option<Uuid>,
}

/// Whether the tenant does not have Privileged Identity Management: no user there has an eligible role.
///
/// Without the licence the code is `AadPremiumLicenseRequired`. Before the first use the message is "The tenant has not onboarded
/// to PIM." (azure-docs-powershell-azuread issue 414), with a code that means a missing permission elsewhere.
fn is_without_pim(error: &GraphError) -> bool {
    let message = error.message.to_ascii_lowercase();
    &*error.code == "AadPremiumLicenseRequired"
        || (message.contains("not onboarded") && message.contains("pim"))
}

impl PrivilegeSnapshot {
    pub(super) fn new(
        memberships: Result<Vec<Membership>, GraphError>,
        active: Result<Vec<RoleAssignment>, GraphError>,
        eligible: Result<Vec<RoleAssignment>, GraphError>,
    ) -> Result<Self, GraphError> {
        let mut privileges = Self::default();
        for membership in privileges.readable(memberships)? {
            privileges.add(membership);
        }
        // What the account holds itself comes first: it says the scope. A group's role is in the memberships only.
        let mut direct: Vec<Role> = privileges.readable(active)?.into_iter().map(Role::from).collect();
        let is_inherited = |role: &Role| !direct.iter().any(|own| own.id == role.id);
        let inherited: Vec<Role> = privileges.active.drain(..).filter(is_inherited).collect();
        direct.extend(inherited);
        privileges.active = direct;
        let eligible = match eligible {
            Err(error) if is_without_pim(&error) => Vec::new(),
            eligible => privileges.readable(eligible)?,
        };
        privileges.eligible.extend(eligible.into_iter().map(Role::from));
        Ok(privileges)
    }

    /// Notes which of these groups matter. Without the permission or the licence, there are none as far as the app can tell.
    pub(super) fn add_eligible_groups(
        &mut self,
        read: Result<Vec<EligibleGroup>, GraphError>,
        protected: Option<Uuid>,
    ) -> Result<(), GraphError> {
        match refusal_kept(read)? {
            Ok(eligible) => {
                let matters = |group: &EligibleGroup| {
                    let is_privileged = match &group.group {
                        Some(ExpandedGroup { display_name: Some(_), is_assignable_to_role }) => {
                            *is_assignable_to_role == Some(true)
                        }
                        // Graph hides the properties of what the app may not read, and a group has a name.
                        _ => true,
                    };
                    is_privileged || protected == Some(group.group_id)
                };
                let name = |group: EligibleGroup| {
                    group
                        .group
                        .and_then(|group| group.display_name)
                        .unwrap_or_else(|| group.group_id.to_string())
                };
                self.eligible_groups = eligible.into_iter().filter(matters).map(name).collect();
            }
            Err(error) if is_without_pim(&error) => {}
            Err(error) if error.status == Some(403) => self.eligible_groups_unread = Some(error),
            Err(error) => self.unknown = Some(Unread::from(&error)),
        }
        Ok(())
    }

    /// Notes whether the account is in the group of protected accounts. A group that does not exist, or hides its members
    /// from the app, protects nobody, so it counts as unreadable. `hidden` reads the latter.
    pub(super) async fn protect(
        &mut self,
        read: Result<ProtectedGroup, GraphError>,
        hidden: impl Future<Output = Result<Option<Unread>, GraphError>>,
    ) -> Result<(), GraphError> {
        let unread = |why: String| Some(Unread { why, is_permission: true });
        match read {
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => self.unknown = unread(format!("the group of protected accounts: {error}")),
            Ok(group) if self.groups.contains(&group.id) => {
                self.protected_group = Some(group.display_name.unwrap_or_else(|| group.id.to_string()));
            }
            Ok(group) if group.visibility.is_hidden() => {
                if let Some(Unread { why, .. }) = hidden.await? {
                    self.unknown = unread(format!("the protected accounts: {why}"));
                }
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Fails on an error after which a retry may succeed, a lagging replica's included; notes any other in `unknown`.
    fn readable<T>(&mut self, read: Result<Vec<T>, GraphError>) -> Result<Vec<T>, GraphError> {
        Ok(refusal_kept(read)?.unwrap_or_else(|error| {
            self.unknown = Some(Unread::from(&error));
            Vec::new()
        }))
    }

    fn add(&mut self, membership: Membership) {
        match membership.kind.as_str() {
            "#microsoft.graph.group" => {
                self.groups.push(membership.id);
                match membership.display_name {
                    Some(name) if membership.is_assignable_to_role == Some(true) => {
                        self.role_groups.push(name)
                    }
                    Some(_) => {}
                    // Every group has a name. Without the permission to read groups, Graph sends only the id.
                    None => self.unknown = Some(hidden("group", membership.id)),
                }
            }
            "#microsoft.graph.directoryRole" => match membership.role_template_id {
                Some(id) => self.active.push(Role {
                    id,
                    name: membership.display_name,
                    is_direct: false,
                    scope: None,
                }),
                None => self.unknown = Some(hidden("role", membership.id)),
            },
            // Administrative units grant no privileges to their members.
            _ => {}
        }
    }
}

/// Graph hides the properties of what the app may not read.
fn hidden(what: &str, id: Uuid) -> Unread {
    Unread { why: format!("the properties of {what} {id} are hidden"), is_permission: true }
}
