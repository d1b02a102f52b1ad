//! Members of a group.

use std::collections::BTreeSet;

use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::{Graph, query},
    error::GraphError,
    users::{CANDIDATE_PROPERTIES, Candidate},
};

const USER: &str = "#microsoft.graph.user";

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "@odata.type")]
    kind: String,
    id: Uuid,
}

#[derive(Deserialize)]
struct Member {
    #[serde(rename = "@odata.type")]
    kind: String,
    #[serde(flatten)]
    user: Candidate,
}

impl Graph {
    /// The users among the direct members of `group`.
    ///
    /// Not `/members/microsoft.graph.user`: that cast reads an index in which a new member may be missing.
    pub async fn members(&self, group: Uuid) -> Result<Vec<Candidate>, GraphError> {
        const OPERATION: &str = "reading the members of the joiner group";
        let path = format!(
            "/groups/{group}/members{}",
            query(&[("$select", CANDIDATE_PROPERTIES), ("$top", "999")])
        );
        let members: Vec<Member> = self.list(OPERATION, &path, false).await?;
        let users: Vec<Candidate> = members.into_iter().filter(|m| m.kind == USER).map(|m| m.user).collect();
        // Without the permission to read users, Graph answers 200 with ids alone.
        if users.iter().any(|user| user.user_principal_name.is_none()) {
            return Err(GraphError::missing_permission(
                OPERATION,
                "the members have no properties: grant User.Read.All",
            ));
        }
        Ok(users)
    }

    /// The object ids of the users among the direct members of `group`.
    pub(crate) async fn users_in(&self, group: Uuid) -> Result<BTreeSet<Uuid>, GraphError> {
        let path = format!("/groups/{group}/members{}", query(&[("$select", "id"), ("$top", "999")]));
        let members: Vec<Id> = self.list("reading the members of the on-demand group", &path, false).await?;
        Ok(members.into_iter().filter(|member| member.kind == USER).map(|member| member.id).collect())
    }
}
