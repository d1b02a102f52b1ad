//! The names of users, for people who read a list of them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    batch::{MAX_PARTS, Part, read_body},
    client::{Graph, query},
    error::{GraphError, if_exists},
    null::visible,
};

/// The names of a user, each in one line of bounded length.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// The display name.
    #[serde(default, deserialize_with = "visible")]
    pub display_name: Option<String>,
    /// The sign-in name.
    #[serde(default, deserialize_with = "visible")]
    pub user_principal_name: Option<String>,
}

/// The batches that are read at the same time.
const AT_ONCE: usize = 4;

impl Graph {
    /// The names of `users`, without those who do not exist.
    ///
    /// # Errors
    /// When Graph does not answer at all.
    pub async fn names(&self, users: &[Uuid]) -> Result<BTreeMap<Uuid, Names>, GraphError> {
        // Collected, because of a closure that borrows the compiler does not see that its futures can be sent.
        let batches: Vec<_> = users.chunks(MAX_PARTS).map(|users| self.names_in_batch(users)).collect();
        let mut read = stream::iter(batches).buffer_unordered(AT_ONCE);
        let mut names = BTreeMap::new();
        while let Some(batch) = read.try_next().await? {
            names.extend(batch);
        }
        Ok(names)
    }

    async fn names_in_batch(&self, users: &[Uuid]) -> Result<Vec<(Uuid, Names)>, GraphError> {
        const OPERATION: &str = "reading the names of users";
        let select = query(&[("$select", "id,displayName,userPrincipalName")]);
        let part = |user: &Uuid| Part { operation: OPERATION, path: format!("/users/{user}{select}") };
        let results = self.batch_in_order(OPERATION, users.iter().map(part).collect()).await?;
        let read = users.iter().zip(results).filter_map(|(user, result)| {
            let names = if_exists(result.and_then(|body| read_body::<Names>(OPERATION, &body)));
            Some((*user, names.ok()??))
        });
        Ok(read.collect())
    }
}
