//! What the app's own token says.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use tokio::time::timeout;
use uuid::Uuid;

use super::{client::Graph, error::GraphError, retry::Idempotency};
use crate::budget;

/// The claims that are read.
#[derive(Deserialize)]
struct Claims {
    tid: Uuid,
}

impl Graph {
    /// The id of the tenant that issued the app's token; `None` if the token does not say it. This needs no permission and no
    /// request to Graph.
    ///
    /// # Errors
    /// When there is no token.
    pub(crate) async fn token_tenant(&self) -> Result<Option<Uuid>, GraphError> {
        const READING: &str = "reading the tenant of the app's token";
        match timeout(budget::GRAPH_TRY, self.token()).await {
            Ok(Ok(token)) => Ok(tenant_of(token.token.secret())),
            Ok(Err(error)) => Err(GraphError::from_transport(READING, Idempotency::Idempotent, &error)),
            Err(_) => Err(GraphError::timed_out(READING)),
        }
    }
}

/// The token is not verified: it comes from the identity endpoint over a connection of our own.
fn tenant_of(token: &str) -> Option<Uuid> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.tid)
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
            assert_eq!(tenant_of(&token), expected, "{token}");
        }
    }
}
