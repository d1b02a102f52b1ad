//! Members of a group.

use std::collections::BTreeSet;

use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::{Graph, query},
    error::{GraphError, Unread, if_exists, refusal_kept},
    null::{Nullable, visible, without_nulls},
    page::{Item, Page, Readable},
    users::{CANDIDATE_PROPERTIES, Candidate},
};

/// A direct member of a group.
#[derive(Deserialize)]
#[serde(tag = "@odata.type")]
enum Member<U> {
    #[serde(rename = "#microsoft.graph.user")]
    User(U),
    /// Its members are not listed here.
    #[serde(rename = "#microsoft.graph.group")]
    Group,
    /// A device, a service principal: none of them gets a pass, so nothing of it is read.
    #[serde(other)]
    Other,
}

impl<U> Member<U> {
    fn user(self) -> Option<U> {
        match self {
            Self::User(user) => Some(user),
            Self::Group | Self::Other => None,
        }
    }
}

/// How many of them are groups.
fn groups<U>(members: &[Member<U>]) -> usize {
    members.iter().filter(|member| matches!(member, Member::Group)).count()
}

#[derive(Deserialize)]
struct Id {
    id: Uuid,
}

/// The direct members of a group.
#[derive(Clone, Debug, Default)]
pub struct GroupMembers<U> {
    /// The users.
    pub users: U,
    /// How many groups there are. Their members are not listed here.
    pub groups: usize,
    /// The ids of members who have an unknown form, or what stands for an id.
    pub malformed: Vec<String>,
}

/// A group, with what says whether it is privileged.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupKind {
    pub(super) id: Uuid,
    display_name: Nullable<String>,
    is_assignable_to_role: Nullable<bool>,
}

impl GroupKind {
    /// Whether Graph shows the group.
    pub(super) fn is_named(&self) -> bool {
        self.display_name.0.is_some()
    }

    /// Whether roles can be assigned to it; `None` if Graph hides the group. Every group has a name. Without the permission to
    /// read groups, Graph sends only the id.
    pub(super) fn is_role_group(&self) -> Option<bool> {
        self.is_assignable_to_role.0.or(self.is_named().then_some(false))
    }

    /// The name, or the id of a group that Graph does not name.
    pub(super) fn name(self) -> String {
        self.display_name.name().unwrap_or_else(|| self.id.to_string())
    }
}

/// A group whose members are joiners.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinerGroup {
    /// Its name.
    #[serde(default, deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// The rule of a dynamic group.
    pub membership_rule: Option<String>,
    #[serde(default, deserialize_with = "without_nulls")]
    group_types: Vec<String>,
    /// Whether the rule is evaluated: `On` or `Paused`.
    pub membership_rule_processing_state: Option<String>,
}

impl JoinerGroup {
    /// Whether a rule says who is in it.
    pub(crate) fn is_dynamic(&self) -> bool {
        self.group_types.iter().any(|kind| kind == "DynamicMembership")
    }
}

const VISIBILITY: &str = "reading whether the group hides its members";
/// Why a group seems to have no members.
const HIDDEN: &str = "the group hides its members: grant Member.Read.Hidden";

/// Whether a group hides its members from apps without `Member.Read.Hidden` (group resource page).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct GroupVisibility {
    visibility: Nullable<String>,
}

impl GroupVisibility {
    pub(super) fn is_hidden(&self) -> bool {
        self.visibility.0.as_deref() == Some("HiddenMembership")
    }
}

impl Graph {
    /// The direct members of `group`.
    ///
    /// Not `/members/microsoft.graph.user`: that cast reads an index in which a new member may be missing.
    pub async fn members(&self, group: Uuid) -> Result<GroupMembers<Vec<Candidate>>, GraphError> {
        const OPERATION: &str = "reading the members of the joiner group";
        let path = format!(
            "/groups/{group}/members{}",
            query(&[("$select", CANDIDATE_PROPERTIES), ("$top", "999")])
        );
        let (mut members, mut words, mut groups) = (Readable::default(), BTreeSet::new(), 0);
        let keep = |page: Vec<Item<Member<Candidate>>>| {
            members.add(page, |member| {
                groups += usize::from(matches!(member, Member::Group));
                Some(member.user()?.compact(&mut words))
            });
        };
        self.pages(OPERATION, &path, false, keep).await?;
        let Readable { items: users, malformed } = members.logged(OPERATION);
        if users.is_empty() && malformed.is_empty() {
            self.check_membership_is_visible(OPERATION, group).await?;
        }
        // Without the permission to read users, Graph answers 200 with ids alone.
        if !users.is_empty() && users.iter().all(Candidate::is_hidden) {
            return Err(GraphError::missing_permission(
                OPERATION,
                "the members have no properties: grant User.Read.All",
            ));
        }
        Ok(GroupMembers { users, groups, malformed })
    }

    /// The direct members of `group`, the users by their object ids.
    ///
    /// A malformed member is an error: without it, they would count as removed, and later as added.
    pub(crate) async fn users_in(&self, group: Uuid) -> Result<GroupMembers<BTreeSet<Uuid>>, GraphError> {
        const OPERATION: &str = "reading the members of the on-demand group";
        let path = format!("/groups/{group}/members{}", query(&[("$select", "id"), ("$top", "999")]));
        let members: Vec<Member<Id>> = self.list(OPERATION, &path, false).await?;
        if members.is_empty() {
            self.check_membership_is_visible(OPERATION, group).await?;
        }
        let groups = groups(&members);
        let users = members.into_iter().filter_map(Member::user).map(|user| user.id).collect();
        Ok(GroupMembers { users, groups, malformed: Vec::new() })
    }

    /// Fails if the app sees no member of `group` because the group hides them: Graph answers as if it had none.
    async fn check_membership_is_visible(
        &self,
        operation: &'static str,
        group: Uuid,
    ) -> Result<(), GraphError> {
        let is_hidden = self.visibility(operation, group).await?.is_hidden();
        if is_hidden { Err(GraphError::missing_permission(operation, HIDDEN)) } else { Ok(()) }
    }

    /// The group itself; `None` if there is none.
    pub(crate) async fn joiner_group(&self, group: Uuid) -> Result<Option<JoinerGroup>, GraphError> {
        let properties = "id,displayName,groupTypes,membershipRule,membershipRuleProcessingState";
        let path = format!("/groups/{group}{}", query(&[("$select", properties)]));
        if_exists(self.get("reading the joiner group", &path).await)
    }

    async fn visibility(&self, operation: &'static str, group: Uuid) -> Result<GroupVisibility, GraphError> {
        self.get(operation, &format!("/groups/{group}{}", query(&[("$select", "id,visibility")]))).await
    }

    /// Why the app cannot tell who is in `group`; `None` if it can, or if there is no such group.
    pub(crate) async fn hides_members(&self, group: Uuid) -> Result<Option<Unread>, GraphError> {
        match self.visibility(VISIBILITY, group).await {
            Ok(read) if read.is_hidden() => self.shows_no_member(group).await,
            Err(error) if error.is_transient() => Err(error),
            _ => Ok(None),
        }
    }

    /// Why the app cannot tell who is in `group`, which hides its members; `None` if the app sees one. An empty group counts as
    /// hidden.
    pub(super) async fn shows_no_member(&self, group: Uuid) -> Result<Option<Unread>, GraphError> {
        let first = format!("/groups/{group}/members{}", query(&[("$select", "id"), ("$top", "1")]));
        let page = refusal_kept(self.get::<Page<Member<Id>>>(VISIBILITY, &first).await)?;
        let shows_one = page.is_ok_and(|page| !page.value.is_empty());
        let why = format!("the group {group} hides its members: grant Member.Read.Hidden");
        Ok((!shows_one).then_some(Unread { why, is_permission: true }))
    }
}
