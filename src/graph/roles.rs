//! The roles and groups of an account. `pass/guard.rs` decides which of them are privileged.

use serde::Deserialize;
use uuid::Uuid;

use super::error::{GraphError, GraphErrorKind, Unread};

/// A directory role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The id of the role definition; for built-in roles, of the template.
    pub id: Uuid,
    /// Its name; role assignments have none.
    pub name: Option<String>,
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
    /// All groups of the user, direct or nested.
    pub groups: Vec<Uuid>,
    /// Why a part could not be read; `None` if all was read.
    pub unknown: Option<Unread>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleAssignment {
    role_definition_id: Uuid,
}

impl From<RoleAssignment> for Role {
    fn from(assignment: RoleAssignment) -> Self {
        Self { id: assignment.role_definition_id, name: None }
    }
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

/// Graph's code for a tenant without the licence for eligible roles: no user there has one.
const NO_PIM_LICENCE: &str = "AadPremiumLicenseRequired";

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
        let active = privileges.readable(active)?;
        privileges.active.extend(active.into_iter().map(Role::from));
        let eligible = match eligible {
            Err(error) if *error.code == *NO_PIM_LICENCE => Vec::new(),
            eligible => privileges.readable(eligible)?,
        };
        privileges.eligible.extend(eligible.into_iter().map(Role::from));
        Ok(privileges)
    }

    /// Fails on an error after which a retry may succeed, a lagging replica's included; notes any other in `unknown`.
    fn readable<T>(&mut self, read: Result<Vec<T>, GraphError>) -> Result<Vec<T>, GraphError> {
        match read {
            Err(error) if error.is_transient() || error.kind == GraphErrorKind::NotFound => Err(error),
            Err(error) => {
                self.unknown = Some(Unread::from(&error));
                Ok(Vec::new())
            }
            Ok(items) => Ok(items),
        }
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
                Some(id) => self.active.push(Role { id, name: membership.display_name }),
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
