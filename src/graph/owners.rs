//! What a user owns. Whoever owns a role-assignable group can become its member, and whoever owns an application can sign in
//! as it.

use serde::Deserialize;
use uuid::Uuid;

use super::{client::query, groups::GroupKind};

pub(super) const OPERATION: &str = "reading what the user owns";

/// The path of what a user owns, as [`Owned`]s.
pub(super) fn path(user: Uuid) -> String {
    let properties = [("$select", "id,displayName,isAssignableToRole"), ("$top", "999")];
    format!("/users/{user}/ownedObjects{}", query(&properties))
}

/// What is in `ownedObjects`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "@odata.type")]
pub(super) enum Owned {
    #[serde(rename = "#microsoft.graph.group")]
    Group(GroupKind),
    #[serde(rename = "#microsoft.graph.application")]
    Application(OwnedApplication),
    /// What makes an application sign in to a tenant.
    #[serde(rename = "#microsoft.graph.servicePrincipal")]
    ServicePrincipal(OwnedApplication),
    #[serde(other)]
    Other,
}

/// An application. That it is one is all that matters, so its name may be missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnedApplication {
    id: Uuid,
    display_name: Option<String>,
}

impl OwnedApplication {
    /// The name, or the id where Graph hides the name: the app asks for no permission to read applications.
    pub(super) fn name(self) -> String {
        self.display_name.unwrap_or_else(|| self.id.to_string())
    }
}
