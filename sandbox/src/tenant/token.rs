//! Access tokens of the sandbox.

use std::fmt;

use async_trait::async_trait;
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    time::OffsetDateTime,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{APPLICATION_ID, Sandbox, TENANT_ID, hosts::GRAPH_HOST};

/// The year 2099, in seconds since 1970: azure_core renews tokens by the system clock, not by the tenant's.
pub(super) const TOKEN_EXPIRES_ON: i64 = 4_070_908_800;

/// The object id of the app's identity.
pub const IDENTITY_ID: Uuid = Uuid::from_u128(0x6f1d_5b02_0000_4000_8000_0000_0000_0003);

/// How long a token of a managed identity is used.
const USED_FOR: TimeDelta = TimeDelta::hours(24);

/// The token for a resource, as the identity endpoint issues it: a JSON Web Token that nobody signed. Its roles are those that are
/// granted now; requests are authorised by those that are granted then.
pub(super) fn token(sandbox: &Sandbox, resource: &str) -> String {
    let now = sandbox.now();
    let roles: Vec<&str> =
        sandbox.edit(|tenant| tenant.granted.iter().map(|granted| granted.name()).collect());
    let mut claims = json!({
        "aud": resource.trim_end_matches('/'),
        "iat": now.timestamp(),
        "nbf": now.timestamp(),
        "exp": (now + USED_FOR).timestamp(),
        "appid": APPLICATION_ID,
        "idtyp": "app",
        "oid": IDENTITY_ID,
        "tid": TENANT_ID,
        "ver": "1.0",
    });
    // Without any, the claim is not there.
    if !roles.is_empty() {
        claims["roles"] = json!(roles);
    }
    of_claims(claims)
}

/// A token with these claims.
pub fn of_claims(claims: Value) -> String {
    let [header, claims] =
        [r#"{"typ":"JWT","alg":"none"}"#, &claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part));
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
pub(crate) struct SandboxCredential(pub(super) Sandbox);

impl fmt::Debug for SandboxCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxCredential").finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenCredential for SandboxCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        access_token(token(&self.0, resource(scopes)))
    }
}

/// The resource of these scopes.
pub(crate) fn resource<'a>(scopes: &[&'a str]) -> &'a str {
    scopes.first().copied().unwrap_or_default().trim_end_matches(".default")
}

/// `token`, which does not expire in the time of a test.
pub(crate) fn access_token(token: String) -> azure_core::Result<AccessToken> {
    let expires_on = OffsetDateTime::from_unix_timestamp(TOKEN_EXPIRES_ON)
        .map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
    Ok(AccessToken::new(token, expires_on))
}
