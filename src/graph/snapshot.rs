//! All that is read of one joiner before anything is decided, in one round trip.

use uuid::Uuid;

use super::{
    batch::{Part, Parts},
    client::{Graph, query},
    error::{GraphError, GraphErrorKind},
    page::Page,
    passes::{self, Pass},
    policy::{self, PassPolicy},
    roles::{Membership, PrivilegeSnapshot, RoleAssignment},
    users::{Manager, USER_PROPERTIES, User},
};

/// The tenant as the flow saw it.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    /// The account.
    pub user: User,
    /// Their manager, if any.
    pub manager: Option<Manager>,
    /// Their passes; Graph keeps at most one.
    pub passes: Vec<Pass>,
    /// What makes the account too powerful for a pass by mail.
    pub privileges: PrivilegeSnapshot,
    /// What the tenant allows.
    pub policy: PassPolicy,
}

/// Why there is no reading.
#[derive(Clone, Debug)]
pub enum SnapshotError {
    /// No such user, or not yet on this replica.
    Missing,
    /// Graph failed. [`GraphErrorKind::NotFound`]: it knows the user, but not yet all of them.
    Graph(GraphError),
}

impl From<GraphError> for SnapshotError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

const USER: &str = "reading the user";
const MANAGER: &str = "reading the manager";
const PASSES: &str = "reading the passes";
const MEMBER_OF: &str = "reading the user's groups and roles";
const ASSIGNMENTS: &str = "reading the user's role assignments";
const ELIGIBLE: &str = "reading the user's eligible roles";
const POLICY: &str = "reading the Temporary Access Pass policy";

impl Graph {
    /// Reads all that a decision about `user` needs.
    ///
    /// The policy is a part like any other: it costs no round trip of its own and cannot be out of date.
    pub async fn snapshot(&self, user: Uuid) -> Result<TenantSnapshot, SnapshotError> {
        let mut parts = self.batch("reading the user, their passes and roles", parts(user)).await?;
        let account: User = match parts.take(USER) {
            Err(error) if error.kind == GraphErrorKind::NotFound => return Err(SnapshotError::Missing),
            account => account?,
        };
        let manager = match parts.take(MANAGER) {
            // A lagging replica answers with the same code, but names the user instead.
            Err(error) if error.kind == GraphErrorKind::NotFound && error.message.contains("'manager'") => {
                None
            }
            manager => Some(manager?),
        };
        let passes = parts.take::<Page<Pass>>(PASSES)?.value;
        let memberships: Result<Vec<Membership>, _> = self.list_part(&mut parts, MEMBER_OF).await;
        let active: Result<Vec<RoleAssignment>, _> = self.list_part(&mut parts, ASSIGNMENTS).await;
        let eligible: Result<Vec<RoleAssignment>, _> = self.list_part(&mut parts, ELIGIBLE).await;
        let privileges = PrivilegeSnapshot::new(memberships, active, eligible)?;
        Ok(TenantSnapshot { user: account, manager, passes, privileges, policy: parts.take(POLICY)? })
    }

    /// A list that starts in the batch and may go on beyond it.
    async fn list_part<T: serde::de::DeserializeOwned>(
        &self,
        parts: &mut Parts,
        what: &'static str,
    ) -> Result<Vec<T>, GraphError> {
        self.rest(what, parts.take::<Page<T>>(what)?, false).await
    }
}

fn parts(user: Uuid) -> Vec<Part> {
    let of_principal = format!("principalId eq '{user}'");
    let memberships = [("$select", "id,displayName,isAssignableToRole,roleTemplateId"), ("$top", "999")];
    let part = |what, path| Part { what, path };
    vec![
        part(USER, format!("/users/{user}{}", query(&[("$select", USER_PROPERTIES)]))),
        part(MANAGER, format!("/users/{user}/manager{}", query(&[("$select", "id,displayName,mail")]))),
        part(PASSES, passes::path(user)),
        part(MEMBER_OF, format!("/users/{user}/transitiveMemberOf{}", query(&memberships))),
        part(
            ASSIGNMENTS,
            format!("/roleManagement/directory/roleAssignments{}", query(&[("$filter", &of_principal)])),
        ),
        part(
            ELIGIBLE,
            format!(
                "/roleManagement/directory/roleEligibilityScheduleInstances{}",
                query(&[("$filter", &of_principal)])
            ),
        ),
        part(POLICY, policy::PATH.to_owned()),
    ]
}
