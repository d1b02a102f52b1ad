//! The users whom a command is about: how an admin names them, and how the command does.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::graph::{Graph, Names};

/// How an admin finds an object id without firstpass.
const HOW_TO_FIND: &str = "Give the object id: Entra admin center, Users, the account, Object ID; or \
    `az ad user show --id NAME --query id`";

/// The object id of the user whom an admin calls `user`.
///
/// # Errors
/// When there is no such user, or Graph does not say; then how to get the id.
pub(super) async fn find(graph: Option<&Graph>, user: &str) -> Result<Uuid, String> {
    if let Ok(id) = user.trim().parse() {
        return Ok(id);
    }
    let Some(graph) = graph else {
        return Err(format!(
            "the object id of {user} is not known, because Graph is not asked. {HOW_TO_FIND}"
        ));
    };
    match graph.find_user(user.trim()).await {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(format!("there is no user {user} in the tenant")),
        Err(error) => Err(format!("the object id of {user} is not known: {error}. {HOW_TO_FIND}")),
    }
}

/// The names of users, as far as Graph says them.
#[derive(Clone, Debug, Default)]
pub struct People(BTreeMap<Uuid, Names>);

impl People {
    /// The names of `users`; none if Graph does not answer.
    pub async fn read(graph: &Graph, users: &[Uuid]) -> Self {
        Self(graph.names(users).await.unwrap_or_default())
    }

    /// The display name and the sign-in name, as far as they are known.
    pub fn names(&self, user: Uuid) -> Names {
        self.0.get(&user).cloned().unwrap_or_default()
    }

    /// Whether anybody has a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The user in one line: the names, or else the object id.
    pub fn line(&self, user: Uuid) -> String {
        let Names { display_name, user_principal_name } = self.names(user);
        match (display_name, user_principal_name) {
            (Some(display), Some(name)) if display != name => format!("{display}, {name}"),
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => user.to_string(),
        }
    }
}
