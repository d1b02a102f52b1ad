//! What the app's own token says.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::{client::Graph, error::GraphError, retry::Idempotency};
use crate::budget;

/// What a token for Graph says of its owner, as far as it is read
/// (<https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Claims {
    /// The tenant.
    #[serde(deserialize_with = "tolerant")]
    pub tid: Option<Uuid>,
    /// The app to which it was issued.
    #[serde(deserialize_with = "tolerant")]
    pub appid: Option<Uuid>,
    /// The object id of whoever it stands for: of an app's, that of its identity.
    #[serde(deserialize_with = "tolerant")]
    pub oid: Option<Uuid>,
    /// `app` for an app that acts for itself; an optional claim.
    #[serde(deserialize_with = "tolerant")]
    pub idtyp: Option<String>,
    /// The permissions of an app that acts for itself.
    #[serde(deserialize_with = "tolerant")]
    pub roles: Option<Vec<String>>,
    /// The permissions of an app that acts for a person.
    #[serde(deserialize_with = "tolerant")]
    pub scp: Option<String>,
    /// When it was issued, in seconds since 1970.
    #[serde(deserialize_with = "tolerant")]
    pub iat: Option<i64>,
    /// When it ends.
    #[serde(deserialize_with = "tolerant")]
    pub exp: Option<i64>,
}

/// `None` for a claim of another form.
fn tolerant<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

impl Graph {
    /// The id of the tenant that issued the app's token; `None` if the token does not say it. This needs no permission and no
    /// request to Graph.
    ///
    /// # Errors
    /// When there is no token.
    pub(crate) async fn token_tenant(&self) -> Result<Option<Uuid>, GraphError> {
        Ok(self.token_claims().await?.tid)
    }

    /// What the app's token says; nothing if it is not a JSON Web Token.
    ///
    /// # Errors
    /// When there is no token.
    pub(crate) async fn token_claims(&self) -> Result<Claims, GraphError> {
        const READING: &str = "reading the tenant of the app's token";
        match timeout(budget::GRAPH_TRY, self.token()).await {
            Ok(Ok(token)) => Ok(claims_of(token.token.secret()).unwrap_or_default()),
            Ok(Err(error)) => Err(GraphError::from_transport(READING, Idempotency::Idempotent, &error)),
            Err(_) => Err(GraphError::timed_out(READING)),
        }
    }
}

/// The token is not verified: it comes from the identity endpoint over a connection of our own.
fn claims_of(token: &str) -> Option<Claims> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_read_from_a_token_that_has_it() {
        let tenant = Uuid::from_u128(7);
        let with = |claims: String| format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
        for (token, expected) in [
            (with(format!(r#"{{"aud": "x", "tid": "{tenant}"}}"#)), Some(tenant)),
            (with(r#"{"tid": "contoso.com"}"#.into()), None),
            (with("{}".into()), None),
            ("sandbox".into(), None),
            ("a.!.c".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(claims_of(&token).and_then(|claims| claims.tid), expected, "{token}");
        }
    }
}
