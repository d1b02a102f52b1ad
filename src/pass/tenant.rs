//! The tenant that this app is for.

use uuid::Uuid;

use super::services::Services;
use crate::graph::GraphError;

impl Services {
    /// The id of the tenant. It is read once for each process.
    ///
    /// # Errors
    /// When Graph does not say it; then the next call asks again.
    pub(crate) async fn tenant_id(&self) -> Result<Uuid, GraphError> {
        self.tenant.get_or_try_init(|| self.graph.tenant_id()).await.copied()
    }
}
