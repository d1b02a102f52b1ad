//! The tenant itself.

use serde::Deserialize;
use uuid::Uuid;

use super::{
    client::{Graph, query},
    error::GraphError,
};

#[derive(Deserialize)]
struct Organization {
    id: Uuid,
}

impl Graph {
    /// The id of the tenant. This needs `Organization.Read.All`.
    ///
    /// # Errors
    /// When Graph does not say it.
    pub(crate) async fn tenant_id(&self) -> Result<Uuid, GraphError> {
        const READING: &str = "reading the id of the tenant (Organization.Read.All)";
        let path = format!("/organization{}", query(&[("$select", "id")]));
        let organizations: Vec<Organization> = self.list(READING, &path, false).await?;
        match organizations[..] {
            [Organization { id }] => Ok(id),
            _ => {
                Err(GraphError::unreadable(READING, "Graph listed another number of organizations than one"))
            }
        }
    }
}
