//! The roles and groups of an account. `pass/guard.rs` decides which of them are privileged.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::{Graph, query},
    error::{GraphError, GraphErrorKind, Unread, refusal_kept},
    groups::{GroupKind, GroupVisibility},
    null::{Nullable, visible},
    owners::{self, Owned},
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
    /// Why Graph lists no eligible roles: it says that the tenant does not have Privileged Identity Management.
    pub without_pim: Option<GraphError>,
    /// The same of the groups that the user can become a member or owner of.
    pub groups_without_pim: Option<GraphError>,
    /// Whether Graph lists a group whose member or owner the user can become, whatever group it is.
    pub shows_eligible_group: bool,
    /// Names of the user's role-assignable groups.
    pub role_groups: Vec<String>,
    /// Names of the role-assignable groups, and of the group of protected accounts, that the user owns.
    pub owned_groups: Vec<String>,
    /// The applications that the user owns.
    pub owned_applications: Vec<String>,
    /// Why what the user owns could not be read. Then nothing is said of it.
    pub owners_unread: Option<GraphError>,
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
    role_definition_id: Nullable<Uuid>,
    directory_scope_id: Option<String>,
    role_definition: Option<RoleDefinition>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleDefinition {
    #[serde(default, deserialize_with = "visible")]
    display_name: Option<String>,
}

impl RoleAssignment {
    /// The role; `None` if Graph does not say which it is.
    fn role(self) -> Option<Role> {
        Some(Role {
            id: self.role_definition_id.0?,
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
    display_name: Nullable<String>,
    #[serde(flatten)]
    visibility: GroupVisibility,
}

/// A group whose member or owner the user can become.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EligibleGroup {
    group_id: Option<Uuid>,
    group: Option<GroupKind>,
}

/// The path of the groups and directory roles of a user, as [`Membership`]s.
pub(super) fn memberships_path(user: Uuid) -> String {
    let properties = [("$select", "id,displayName,isAssignableToRole,roleTemplateId"), ("$top", "999")];
    format!("/users/{user}/transitiveMemberOf{}", query(&properties))
}

/// The path of the active roles of a principal, which are assigned to it directly, as [`RoleAssignment`]s.
pub(super) fn assignments_path(principal: Uuid) -> String {
    let of_principal = format!("principalId eq '{principal}'");
    let with_names = [("$filter", of_principal.as_str()), ("$expand", "roleDefinition")];
    format!("/roleManagement/directory/roleAssignments{}", query(&with_names))
}

impl Graph {
    /// The active roles of a principal that are assigned to it directly.
    pub(crate) async fn roles_of(&self, principal: Uuid) -> Result<Vec<Role>, GraphError> {
        let path = assignments_path(principal);
        let roles: Vec<RoleAssignment> =
            self.list("reading the roles of the app's identity", &path, false).await?;
        Ok(roles.into_iter().filter_map(RoleAssignment::role).collect())
    }
}

/// What is in `transitiveMemberOf`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "@odata.type")]
pub(super) enum Membership {
    #[serde(rename = "#microsoft.graph.group")]
    Group(GroupKind),
    #[serde(rename = "#microsoft.graph.directoryRole")]
    Role(DirectoryRole),
    /// Administrative units grant no privileges to their members.
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryRole {
    id: Uuid,
    display_name: Nullable<String>,
    role_template_id: Nullable<Uuid>,
}

/// Whether the tenant does not have Privileged Identity Management: no user there has an eligible role.
///
/// Without the licence the code is `AadPremiumLicenseRequired`. Before the first use the message is "The tenant has not onboarded
/// to PIM." (azure-docs-powershell-azuread issue 414), with a code that means a missing permission elsewhere.
pub(super) fn is_without_pim(error: &GraphError) -> bool {
    let message = error.message.raw().to_ascii_lowercase();
    error.is_about_pim_licence() || (message.contains("not onboarded") && message.contains("pim"))
}

impl PrivilegeSnapshot {
    pub(super) fn new(
        memberships: Result<Vec<Membership>, GraphError>,
        active: Result<Vec<RoleAssignment>, GraphError>,
        eligible: Result<Vec<RoleAssignment>, GraphError>,
    ) -> Result<Self, GraphError> {
        let mut privileges = Self::default();
        let is_empty = memberships.as_ref().is_ok_and(Vec::is_empty);
        let memberships = privileges.readable(memberships)?;
        // The permission to read one group, or role, is the permission to read all.
        let shows_group = |m: &Membership| matches!(m, Membership::Group(g) if g.is_named());
        let shows_role = |m: &Membership| matches!(m, Membership::Role(r) if r.display_name.0.is_some());
        let shown = (memberships.iter().any(shows_group), memberships.iter().any(shows_role));
        for membership in memberships {
            match membership {
                Membership::Group(group) => privileges.add_group(group, !shown.0),
                Membership::Role(role) => privileges.add_role(role, !shown.1),
                Membership::Other => {}
            }
        }
        // What the account holds itself comes first: it says the scope. A group's role is in the memberships only.
        let active = privileges.readable(active)?;
        let mut direct = privileges.roles(active);
        // Graph lists a role for the whole tenant among the memberships too.
        if is_empty && direct.iter().any(|role| role.scope.as_deref() == Some("/")) {
            privileges.not_listed("holds a role");
        }
        let is_inherited = |role: &Role| !direct.iter().any(|own| own.id == role.id);
        let inherited: Vec<Role> = privileges.active.drain(..).filter(is_inherited).collect();
        direct.extend(inherited);
        privileges.active = direct;
        let eligible = match eligible {
            Err(error) if is_without_pim(&error) => {
                privileges.without_pim = Some(error);
                Vec::new()
            }
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
                self.shows_eligible_group = !eligible.is_empty();
                let matters = |eligible: &EligibleGroup| {
                    eligible.group.as_ref().is_none_or(|group| {
                        group.is_role_group().unwrap_or(true) || protected == Some(group.id)
                    })
                };
                let name = |EligibleGroup { group, group_id }| {
                    group.map(GroupKind::name).or(group_id.map(|id: Uuid| id.to_string()))
                };
                let named = eligible.into_iter().filter(matters).map(name);
                self.eligible_groups =
                    named.map(|name| name.unwrap_or_else(|| "hidden".to_owned())).collect();
            }
            Err(error) if is_without_pim(&error) => self.groups_without_pim = Some(error),
            Err(error) if error.status == Some(403) => self.eligible_groups_unread = Some(error),
            Err(error) => self.unknown = Some(Unread::from(&error)),
        }
        Ok(())
    }

    /// Notes what the user owns that matters. Microsoft documents this list for users alone, and it is reported to answer
    /// applications (pnpcore issue 1630). So no error says anything of the account, and neither does a list that hides every group;
    /// a list that leaves out what decides does.
    pub(super) fn add_owned(&mut self, read: Result<Vec<Owned>, GraphError>, protected: Option<Uuid>) {
        let owned = match read {
            Ok(owned) => owned,
            Err(error) if error.kind == GraphErrorKind::Unreadable => {
                self.unknown.get_or_insert(Unread::from(&error));
                return;
            }
            Err(error) => {
                self.owners_unread = Some(error);
                return;
            }
        };
        let is_shown =
            |owned: &Owned| matches!(owned, Owned::Group(group) if group.is_role_group().is_some());
        let shows_groups = owned.iter().any(is_shown);
        for owned in owned {
            match owned {
                Owned::Group(group) => match group.is_role_group() {
                    Some(true) => self.owned_groups.push(group.name()),
                    _ if protected == Some(group.id) => self.owned_groups.push(group.name()),
                    Some(false) => {}
                    None if shows_groups => {
                        self.unknown.get_or_insert(hidden(&format!("the owned group {}", group.id), false));
                    }
                    None => {
                        let why = "the properties of the owned groups are hidden";
                        self.owners_unread = Some(GraphError::missing_permission(owners::OPERATION, why));
                    }
                },
                Owned::Application(app) => self.owned_applications.push(app.name()),
                Owned::Other => {}
            }
        }
    }

    /// Notes that the memberships are not listed although the account certainly has one, because it does what `why` says.
    pub(crate) fn not_listed(&mut self, why: &str) {
        let why = format!("Graph lists no group and no role of the account, which {why}");
        self.unknown.get_or_insert(Unread { why, is_permission: false });
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
                let ProtectedGroup { id, display_name, .. } = group;
                self.protected_group = Some(display_name.name().unwrap_or_else(|| id.to_string()));
            }
            // Graph says the name of every group that it does not hide.
            Ok(group) if group.visibility.is_hidden() || group.display_name.0.is_none() => {
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

    fn add_group(&mut self, group: GroupKind, is_permission: bool) {
        self.groups.push(group.id);
        match group.is_role_group() {
            Some(true) => self.role_groups.push(group.name()),
            Some(false) => {}
            None => self.unknown = Some(hidden(&format!("the group {}", group.id), is_permission)),
        }
    }

    fn add_role(&mut self, role: DirectoryRole, is_permission: bool) {
        match role.role_template_id.0 {
            Some(id) => {
                self.active.push(Role { id, name: role.display_name.name(), is_direct: false, scope: None });
            }
            None => self.unknown = Some(hidden(&format!("the role {}", role.id), is_permission)),
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

    #[test]
    fn what_was_not_answered_is_unknown() {
        type List<T> = Result<Vec<T>, GraphError>;
        fn lacks<T>() -> List<T> {
            Err(GraphError::unreadable("reading a part", "no such part"))
        }
        let of = |memberships: List<Membership>, active: List<RoleAssignment>, eligible| {
            PrivilegeSnapshot::new(memberships, active, eligible).unwrap().unknown.is_some()
        };
        assert!(!of(Ok(vec![]), Ok(vec![]), Ok(vec![])));
        assert!(of(lacks(), Ok(vec![]), Ok(vec![])));
        assert!(of(Ok(vec![]), lacks(), Ok(vec![])));
        assert!(of(Ok(vec![]), Ok(vec![]), lacks()));
        let mut privileges = PrivilegeSnapshot::default();
        privileges.add_owned(lacks(), None);
        assert!(privileges.unknown.is_some());
        let mut privileges = PrivilegeSnapshot::default();
        privileges.add_owned(Err(GraphError::timed_out("reading a part")), None);
        let (unknown, unread) = (privileges.unknown, privileges.owners_unread);
        assert!(unknown.is_none() && unread.is_some(), "nobody promises this list");
    }

    #[test]
    fn hidden_groups_of_an_owner_say_nothing_unless_others_are_shown() {
        let owned = |names: &[Option<&str>]| {
            let group = |name: &Option<&str>| {
                let kind = "#microsoft.graph.group";
                json!({"@odata.type": kind, "id": Uuid::nil(), "displayName": name, "isAssignableToRole": null})
            };
            let list = names.iter().map(|name| serde_json::from_value(group(name)).unwrap()).collect();
            let mut privileges = PrivilegeSnapshot::default();
            privileges.add_owned(Ok(list), None);
            (privileges.owners_unread.is_some(), privileges.unknown.is_some())
        };
        assert_eq!(owned(&[Some("Crew"), Some("Club")]), (false, false));
        assert_eq!(owned(&[None, None]), (true, false));
        assert_eq!(owned(&[Some("Crew"), None]), (false, true));
    }
}
