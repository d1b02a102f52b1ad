//! Access tokens of the sandbox.

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    time::OffsetDateTime,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{TENANT_ID, hosts::GRAPH_HOST};

/// The year 2099, in seconds since 1970: azure_core renews tokens by the system clock, not by the tenant's.
pub(super) const TOKEN_EXPIRES_ON: i64 = 4_070_908_800;

/// The token for a resource, as the identity endpoint issues it: a JSON Web Token that nobody signed.
pub(super) fn token(resource: &str) -> String {
    let audience = resource.trim_end_matches('/');
    let claims = json!({"aud": audience, "tid": TENANT_ID, "idtyp": "app"}).to_string();
    let [header, claims] =
        [r#"{"typ":"JWT","alg":"none"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.sandbox")
}

/// The host of the resource that the sandbox issued this token for. It accepts any other token for Graph.
pub(super) fn audience(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    let audience = claims["aud"].as_str().map(|audience| audience.trim_start_matches("https://"));
    audience.unwrap_or(GRAPH_HOST).to_owned()
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
