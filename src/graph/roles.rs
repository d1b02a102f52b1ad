//! The roles and groups of an account. `pass/guard.rs` decides which of them are privileged.

use std::collections::BTreeSet;

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
    role_definition_id: Option<Uuid>,
    directory_scope_id: Option<String>,
    role_definition: Option<RoleDefinition>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleDefinition {
    display_name: Option<String>,
}

impl RoleAssignment {
    /// The role; `None` if Graph does not say which it is.
    fn role(self) -> Option<Role> {
        Some(Role {
            id: self.role_definition_id?,
            name: self.role_definition.and_then(|role| role.display_name),
            is_direct: true,
            scope: self.directory_scope_id,
        })
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
    group_id: Option<Uuid>,
    group: Option<ExpandedGroup>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpandedGroup {
    id: Uuid,
    display_name: Option<String>,
    is_assignable_to_role: Option<bool>,
}

/// Whether roles can be assigned to a group; `None` if Graph hides the group. Every group has a name. Without the permission to
/// read groups, Graph sends only the id.
fn is_role_group(display_name: Option<&str>, is_assignable_to_role: Option<bool>) -> Option<bool> {
    is_assignable_to_role.or(display_name.map(|_| false))
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
    let message = error.message.raw().to_ascii_lowercase();
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
        let memberships = privileges.readable(memberships)?;
        let has_name = |membership: &&Membership| membership.display_name.is_some();
        let shown: BTreeSet<String> =
            memberships.iter().filter(has_name).map(|shown| shown.kind.clone()).collect();
        for membership in memberships {
            // The permission to read one group is the permission to read all.
            let is_permission = !shown.contains(&membership.kind);
            privileges.add(membership, is_permission);
        }
        // What the account holds itself comes first: it says the scope. A group's role is in the memberships only.
        let active = privileges.readable(active)?;
        let mut direct = privileges.roles(active);
        let is_inherited = |role: &Role| !direct.iter().any(|own| own.id == role.id);
        let inherited: Vec<Role> = privileges.active.drain(..).filter(is_inherited).collect();
        direct.extend(inherited);
        privileges.active = direct;
        let eligible = match eligible {
            Err(error) if is_without_pim(&error) => Vec::new(),
            eligible => privileges.readable(eligible)?,
        };
        privileges.eligible = privileges.roles(eligible);
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
                let matters = |eligible: &EligibleGroup| match &eligible.group {
                    Some(group) => {
                        let is_privileged =
                            is_role_group(group.display_name.as_deref(), group.is_assignable_to_role);
                        is_privileged.unwrap_or(true) || protected == Some(group.id)
                    }
                    None => true,
                };
                let name = |EligibleGroup { group, group_id }| {
                    let id = group.as_ref().map(|group| group.id).or(group_id);
                    let name = group.and_then(|group| group.display_name);
                    name.or_else(|| id.map(|id| id.to_string())).unwrap_or_else(|| "hidden".to_owned())
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
            // Graph says the name of every group that it does not hide.
            Ok(group) if group.visibility.is_hidden() || group.display_name.is_none() => {
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

    /// The roles that are assigned. Graph hides what a role without an id is, so it counts as unreadable.
    fn roles(&mut self, assignments: Vec<RoleAssignment>) -> Vec<Role> {
        let roles: Vec<Option<Role>> = assignments.into_iter().map(RoleAssignment::role).collect();
        if roles.contains(&None) {
            self.unknown = Some(hidden("a role of the account", false));
        }
        roles.into_iter().flatten().collect()
    }

    fn add(&mut self, membership: Membership, is_permission: bool) {
        let hidden = |what: &str, id: Uuid| hidden(&format!("the {what} {id}"), is_permission);
        match membership.kind.as_str() {
            "#microsoft.graph.group" => {
                let Membership { id, display_name: name, is_assignable_to_role, .. } = membership;
                self.groups.push(id);
                match is_role_group(name.as_deref(), is_assignable_to_role) {
                    Some(true) => self.role_groups.push(name.unwrap_or_else(|| id.to_string())),
                    Some(false) => {}
                    None => self.unknown = Some(hidden("group", id)),
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
fn hidden(what: &str, is_permission: bool) -> Unread {
    Unread { why: format!("the properties of {what} are hidden"), is_permission }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The privileges of who is in these groups, each with a name and whether roles can be assigned to it.
    fn in_groups(groups: &[(Option<&str>, Option<bool>)]) -> PrivilegeSnapshot {
        let membership = |(name, is_assignable): &(Option<&str>, Option<bool>)| {
            let kind = "#microsoft.graph.group";
            let group = json!({"@odata.type": kind, "id": Uuid::nil(), "displayName": name, "isAssignableToRole": is_assignable});
            serde_json::from_value(group).unwrap()
        };
        PrivilegeSnapshot::new(Ok(groups.iter().map(membership).collect()), Ok(Vec::new()), Ok(Vec::new()))
            .unwrap()
    }

    #[test]
    fn a_group_is_hidden_only_if_neither_its_name_nor_its_kind_is_said() {
        for (name, is_assignable, is_hidden, role_groups) in [
            (Some("Crew"), None, false, 0),
            (Some("Crew"), Some(false), false, 0),
            (None, Some(false), false, 0),
            (Some("Tier 0"), Some(true), false, 1),
            (None, Some(true), false, 1),
            (None, None, true, 0),
        ] {
            let privileges = in_groups(&[(name, is_assignable)]);
            let case = format!("{name:?} {is_assignable:?}");
            assert_eq!(
                (privileges.unknown.is_some(), privileges.role_groups.len()),
                (is_hidden, role_groups),
                "{case}"
            );
        }
    }

    #[test]
    fn one_hidden_group_among_others_is_no_missing_permission() {
        let is_permission = |groups: &[_]| in_groups(groups).unknown.unwrap().is_permission;
        assert!(is_permission(&[(None, None), (None, None)]));
        assert!(!is_permission(&[(Some("Crew"), None), (None, None)]));
    }
}
