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

/// The host of the resource that the sandbox issued this token for. It accepts any other token for Graph.
pub(super) fn audience(token: &str) -> &str {
    token.strip_prefix(OTHER_AUDIENCE_PREFIX).unwrap_or(GRAPH_HOST)
}

/// A credential whose token the sandbox accepts.
#[derive(Debug)]
pub(crate) struct SandboxCredential;

#[async_trait]
impl TokenCredential for SandboxCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = OffsetDateTime::from_unix_timestamp(TOKEN_EXPIRES_ON)
            .map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
        let resource = scopes.first().copied().unwrap_or_default().trim_end_matches(".default");
        Ok(AccessToken::new(token(resource), expires_on))
    }
}
