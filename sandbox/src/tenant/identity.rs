//! The managed identity endpoint of App Service, at `/msi/token`.
//!
//! Its errors are App Service's, not Graph's: `statusCode`, `message`, `correlationId`.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Sandbox,
    query::Query,
    token::{TOKEN_EXPIRES_ON, token},
    wire::GraphResponse,
};

/// The current version of the protocol.
const API_VERSION: &str = "2019-08-01";

/// The managed identity of the app.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The only value of X-IDENTITY-HEADER that is accepted; `None` accepts any value that is not empty.
    pub header: Option<String>,
    /// The client id of a user-assigned identity, the only one. `None`: a system-assigned identity, and every
    /// user-assigned identity that is requested.
    pub client_id: Option<Uuid>,
}

/// A request for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenRequest {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// The resource that the token is for.
    pub resource: Option<String>,
    /// The requested user-assigned identity.
    pub client_id: Option<String>,
    /// The status of the response.
    pub status: u16,
}

pub(super) async fn issue_token(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(&format!("?{}", query.unwrap_or_default())).unwrap_or_default();
    let identity = sandbox.lock().identity.clone();
    let token = |resource: &str| token(&sandbox, resource);
    let response = identity.respond(&query, &headers, token).unwrap_or_else(|(status, message)| {
        let correlation = sandbox.request_ids(&headers).request;
        let body = json!({ "statusCode": status.as_u16(), "message": message, "correlationId": correlation });
        GraphResponse { status, ..GraphResponse::ok(body) }
    });
    let request = TokenRequest {
        at: sandbox.now(),
        resource: query.get("resource").map(str::to_owned),
        client_id: query.get("client_id").map(str::to_owned),
        status: response.status.as_u16(),
    };
    sandbox.lock().tokens.push(request);
    response.into_response()
}

impl Identity {
    fn respond(
        &self,
        query: &Query,
        headers: &HeaderMap,
        token: impl Fn(&str) -> String,
    ) -> Result<GraphResponse, (StatusCode, &'static str)> {
        let bad = |message| (StatusCode::BAD_REQUEST, message);
        let header = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
        match (header.unwrap_or_default(), &self.header) {
            ("", _) => return Err(bad("The header X-IDENTITY-HEADER is missing.")),
            (sent, Some(own)) if sent != own => {
                return Err((
                    StatusCode::UNAUTHORIZED,
                    "The header X-IDENTITY-HEADER is not IDENTITY_HEADER.",
                ));
            }
            _ => {}
        }
        if query.get("api-version") != Some(API_VERSION) {
            return Err(bad("The api-version must be 2019-08-01."));
        }
        let resource = query.get("resource").filter(|resource| !resource.is_empty());
        let resource = resource.ok_or_else(|| bad("The resource is missing."))?;
        if !self.has(query.get("client_id")) {
            let message = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.";
            return Err(bad(message));
        }
        // App Service returns the expiry as a string.
        Ok(GraphResponse::ok(json!({
            "access_token": token(resource),
            "client_id": query.get("client_id"),
            "expires_on": TOKEN_EXPIRES_ON.to_string(),
            "resource": resource,
            "token_type": "Bearer",
        })))
    }

    /// Whether the app has the requested identity; without a client id, the system-assigned one.
    fn has(&self, client_id: Option<&str>) -> bool {
        let asked = client_id.map(|id| id.parse::<Uuid>().ok());
        match (asked, self.client_id) {
            (None, own) => own.is_none(),
            (Some(asked), own) => asked.is_some() && (own.is_none() || asked == own),
        }
    }
}
