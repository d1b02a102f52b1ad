//! The data of one joiner that a decision needs, read in one round trip.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    batch::{Part, Parts},
    client::{Graph, query},
    error::{GraphError, GraphErrorKind, Unread, refusal_kept},
    method_policy::{self, MethodPolicy, PolicyOf},
    owners,
    page::Page,
    passes::{self, Pass},
    policy::{self, PassPolicy},
    roles::{self, Membership, PrivilegeSnapshot, RoleAssignment},
    usage::{UsageParts, UsageSnapshot},
    users::{self, LeaveDate, Manager, USER_PROPERTIES, User},
};

/// The state of the tenant for one user.
#[derive(Clone, Debug)]
pub struct TenantSnapshot {
    /// The account.
    pub user: User,
    /// The user's manager.
    pub manager: Option<Manager>,
    /// Why Graph does not show the manager.
    pub manager_refused: Option<GraphError>,
    /// Whether the manager's account is disabled: then nobody counts as the manager.
    pub manager_left: bool,
    /// The user's last day, as a time in UTC, or why Graph does not show it.
    pub leave_date: Result<Option<DateTime<Utc>>, GraphError>,
    /// The user's passes; Graph keeps at most one.
    pub passes: Vec<Pass>,
    /// Why Graph does not show them: of this account, or of any.
    pub passes_refused: Option<GraphError>,
    /// The user's roles and groups.
    pub privileges: PrivilegeSnapshot,
    /// Why the app cannot tell whether the user is in the group that decides about a pass.
    pub hidden_group: Option<Unread>,
    /// The tenant's rules for passes.
    pub policy: PassPolicy,
    /// Its rules for passkeys, if they can be read.
    pub passkeys: Option<MethodPolicy>,
    /// What shows that the account is in use, as far as it was asked for.
    pub usage: UsageSnapshot,
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The user does not exist, or not yet in this replica.
    #[error("the user does not exist in the tenant, or not yet in this replica")]
    Missing,
    /// A read failed. [`GraphErrorKind::NotFound`]: the replica has the user, but not yet all related objects.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

const USER: &str = "reading the user";
const MANAGER: &str = "reading the manager";
const LEAVE_DATE: &str = "reading the user's leave date";
const PASSES: &str = "reading the passes";
const MEMBER_OF: &str = "reading the user's groups and roles";
const ASSIGNMENTS: &str = "reading the user's role assignments";
const ELIGIBLE: &str = "reading the user's eligible roles";
const GROUP_ELIGIBLE: &str = "reading the groups that the user can activate";
const PROTECTED: &str = "reading the group of protected accounts";
const PASSKEYS: &str = "reading the policy for passkeys";
pub(crate) const POLICY: &str = "reading the Temporary Access Pass policy";

/// The operations without which it is not known whether an account is privileged.
pub(crate) const OF_PRIVILEGES: [&str; 4] = [MEMBER_OF, ASSIGNMENTS, ELIGIBLE, PROTECTED];

impl Graph {
    /// Reads the data that a decision about `user` needs: `usage` included, and whether they are in the `protected` group.
    ///
    /// The policy is read each time: in the batch it costs no round trip.
    pub async fn snapshot(
        &self,
        user: Uuid,
        protected: Option<Uuid>,
        usage: UsageParts,
    ) -> Result<TenantSnapshot, SnapshotError> {
        let (snapshot, forbidden) = self.snapshot_in_part(user, protected, usage).await?;
        match forbidden.into_iter().find(|error| error.operation == POLICY) {
            Some(error) => Err(error.into()),
            None => Ok(snapshot),
        }
    }

    /// The same for a token that may not read all of it, with what it may not. A policy that it may not read counts as one that says
    /// nothing.
    pub async fn snapshot_in_part(
        &self,
        user: Uuid,
        protected: Option<Uuid>,
        usage: UsageParts,
    ) -> Result<(TenantSnapshot, Vec<GraphError>), SnapshotError> {
        let group = protected.map(|group| Part {
            operation: PROTECTED,
            path: format!("/groups/{group}{}", query(&[("$select", "id,displayName,visibility")])),
        });
        let wanted = [parts(user), group.into_iter().collect(), usage.parts(user)].concat();
        let mut parts = self.batch("reading the user, their passes and roles", wanted).await?;
        let mut forbidden = parts.forbidden();
        // Only what the joiner's mail recommends depends on it.
        let passkeys = parts.take(PASSKEYS).ok();
        forbidden.retain(|error| !roles::is_without_pim(error) && error.operation != PASSKEYS);
        let mut account: User = match parts.take(USER) {
            Err(error) if error.kind == GraphErrorKind::NotFound => return Err(SnapshotError::Missing),
            account => account?,
        };
        let (manager, manager_refused): (Option<Manager>, _) = match parts.take(MANAGER) {
            // A lagging replica answers with the same code, but its message names the user. Another message names the manager,
            // or one who was deleted.
            Err(error)
                if error.kind == GraphErrorKind::NotFound
                    && !error.message.is_empty()
                    && !error.message.raw().to_lowercase().contains(&user.to_string()) =>
            {
                (None, None)
            }
            // They cost the copy, not the pass.
            manager => match refusal_kept(manager)? {
                Ok(manager) => (Some(manager), None),
                Err(error) => (None, Some(error)),
            },
        };
        let (manager, manager_left) = match manager {
            Some(Manager { account_enabled: Some(false), .. }) => (None, true),
            manager => (manager, false),
        };
        let leave_date = refusal_kept(parts.take::<LeaveDate>(LEAVE_DATE))?;
        let passes = refusal_kept(parts.take::<Page<Pass>>(PASSES))?;
        let memberships: Result<Vec<Membership>, _> = self.list_part(&mut parts, MEMBER_OF).await;
        let active: Result<Vec<RoleAssignment>, _> = self.list_part(&mut parts, ASSIGNMENTS).await;
        let eligible: Result<Vec<RoleAssignment>, _> = self.list_part(&mut parts, ELIGIBLE).await;
        let mut privileges = PrivilegeSnapshot::new(memberships, active, eligible)?;
        privileges.add_eligible_groups(self.list_part(&mut parts, GROUP_ELIGIBLE).await, protected)?;
        privileges.add_owned(self.list_part(&mut parts, owners::OPERATION).await, protected);
        if let Some(group) = protected {
            let (read, was_known) = (parts.take(PROTECTED), privileges.unknown.is_none());
            let is_read = read.is_ok();
            privileges.protect(read, self.shows_no_member(group)).await?;
            if is_read && was_known && privileges.unknown.is_some() {
                forbidden.push(GraphError::missing_permission(PROTECTED, "the group hides its members"));
            }
        }
        if account.user_principal_name.is_empty() {
            // The mail could not say how to sign in.
            privileges.unknown = Some(Unread {
                why: "the sign-in name of the account is hidden".into(),
                is_permission: false,
            });
            account.user_principal_name = account.id.to_string();
        }
        let usage = usage.read(&mut parts)?;
        let policy = match parts.take(POLICY) {
            Err(error) if error.status == Some(403) => PassPolicy::default(),
            policy => policy?,
        };
        let (passes, passes_refused) = match passes {
            Ok(page) => (page.value, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let snapshot = TenantSnapshot {
            user: account,
            manager,
            manager_refused,
            manager_left,
            leave_date: leave_date.map(|leave| leave.employee_leave_date_time),
            passes,
            passes_refused,
            privileges,
            hidden_group: None,
            policy,
            passkeys,
            usage,
        };
        Ok((snapshot, forbidden))
    }

    /// A list whose first page is in the batch.
    async fn list_part<T: serde::de::DeserializeOwned>(
        &self,
        parts: &mut Parts,
        operation: &'static str,
    ) -> Result<Vec<T>, GraphError> {
        self.rest(operation, parts.take::<Page<T>>(operation)?, false).await
    }
}

fn parts(user: Uuid) -> Vec<Part> {
    let of_principal = format!("principalId eq '{user}'");
    let with_names = [("$filter", of_principal.as_str()), ("$expand", "roleDefinition")];
    let part = |operation, path| Part { operation, path };
    vec![
        part(USER, format!("/users/{user}{}", query(&[("$select", USER_PROPERTIES)]))),
        part(MANAGER, users::manager_path(user)),
        part(LEAVE_DATE, users::leave_date_path(user)),
        part(PASSES, passes::path(user)),
        part(MEMBER_OF, roles::memberships_path(user)),
        part(ASSIGNMENTS, roles::assignments_path(user)),
        part(
            ELIGIBLE,
            format!("/roleManagement/directory/roleEligibilityScheduleInstances{}", query(&with_names)),
        ),
        part(
            GROUP_ELIGIBLE,
            format!(
                "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances{}",
                query(&[("$filter", of_principal.as_str()), ("$expand", "group")])
            ),
        ),
        part(owners::OPERATION, owners::path(user)),
        part(POLICY, policy::PATH.to_owned()),
        part(PASSKEYS, method_policy::path(PolicyOf::Passkeys)),
    ]
}
