//! What a user owns. Whoever owns a role-assignable group can become its member, and whoever owns an application can sign in
//! as it.

use serde::Deserialize;
use uuid::Uuid;

use super::{client::query, groups::GroupKind, null::visible};

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
    /// An app registration, or the identity of an app in this tenant; that of an AI agent is one too.
    #[serde(
        rename = "#microsoft.graph.application",
        alias = "#microsoft.graph.servicePrincipal",
        alias = "#microsoft.graph.agentIdentityBlueprint",
        alias = "#microsoft.graph.agentIdentityBlueprintPrincipal",
        alias = "#microsoft.graph.agentIdentity"
    )]
    Application(OwnedApplication),
    #[serde(other)]
    Other,
}

/// An application. That it is one is all that matters, so its name may be missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnedApplication {
    id: Uuid,
    #[serde(default, deserialize_with = "visible")]
    display_name: Option<String>,
}

impl OwnedApplication {
    /// The name, or the id where Graph hides the name: the app asks for no permission to read applications.
    pub(super) fn name(self) -> String {
        self.display_name.unwrap_or_else(|| self.id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_can_sign_in_as_an_application_is_one() {
        for (kind, is_application) in [
            ("application", true),
            ("servicePrincipal", true),
            ("agentIdentityBlueprint", true),
            ("agentIdentityBlueprintPrincipal", true),
            ("agentIdentity", true),
            ("device", false),
            ("administrativeUnit", false),
        ] {
            let owned = json!({"@odata.type": format!("#microsoft.graph.{kind}"), "id": Uuid::nil()});
            let owned: Owned = serde_json::from_value(owned).unwrap();
            assert_eq!(matches!(owned, Owned::Application(_)), is_application, "{kind}");
        }
    }
}
