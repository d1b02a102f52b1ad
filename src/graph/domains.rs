//! The tenant's domains.

use serde::Deserialize;

use super::{client::Graph, error::GraphError};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    id: String,
    #[serde(default)]
    is_verified: bool,
}

impl Graph {
    /// The tenant's verified domains, as Graph writes them. This needs `Domain.Read.All`.
    pub(crate) async fn domains(&self) -> Result<Vec<String>, GraphError> {
        let domains: Vec<Domain> = self.list("reading the tenant's domains", "/domains", false).await?;
        Ok(domains.into_iter().filter(|domain| domain.is_verified).map(|domain| domain.id).collect())
    }
}
