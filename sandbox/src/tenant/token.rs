//! Access tokens of the sandbox.

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    time::OffsetDateTime,
};

use super::hosts::GRAPH_HOST;

const TOKEN: &str = "sandbox";

/// The year 2099, in seconds since 1970: azure_core renews tokens by the system clock, not by the tenant's.
pub(super) const TOKEN_EXPIRES_ON: i64 = 4_070_908_800;

const OTHER_AUDIENCE_PREFIX: &str = "sandbox-for-";

/// The token for a resource, as the identity endpoint issues it.
pub(super) fn token(resource: &str) -> String {
    let host = resource.trim_start_matches("https://").trim_end_matches('/');
    if host == GRAPH_HOST { TOKEN.to_owned() } else { format!("{OTHER_AUDIENCE_PREFIX}{host}") }
}

/// Whether the sandbox issued this token for another resource than Graph.
pub(super) fn is_for_other_audience(token: &str) -> bool {
    token.starts_with(OTHER_AUDIENCE_PREFIX)
}

/// A credential whose token the sandbox accepts.
#[derive(Debug)]
pub(crate) struct SandboxCredential;

#[async_trait]
impl TokenCredential for SandboxCredential {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = OffsetDateTime::from_unix_timestamp(TOKEN_EXPIRES_ON)
            .map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
        Ok(AccessToken::new(TOKEN, expires_on))
    }
}
