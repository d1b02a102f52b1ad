//! The sandbox without a network: an HTTP client that calls the router, and a credential to go with it.

use std::{convert::Infallible, fmt};

use async_trait::async_trait;
use axum::{
    Router,
    body::to_bytes,
    http::{self, Request, Response},
};
use azure_core::{
    Bytes,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    http::{AsyncRawResponse, Body, HttpClient, headers::Headers},
    time::OffsetDateTime,
};
use tower::ServiceExt;

use super::wire::Broken;

/// Where Graph lives.
pub(crate) const GRAPH_HOST: &str = "graph.microsoft.com";

/// The made-up token.
pub(crate) const TOKEN: &str = "sandbox";

/// 2099. azure_core renews a token by the computer's clock, whatever time it is in the tenant.
pub(crate) const TOKEN_EXPIRES_ON: i64 = 4_070_908_800;

/// A transport that calls the router in the same process.
pub(crate) struct InProcess {
    router: Router,
}

impl InProcess {
    pub(crate) fn new(router: Router) -> Self {
        Self { router }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for InProcess {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        check_is_graph(request.url())?;
        let Ok(response) = self.router.clone().oneshot(to_http(request)?).await.map_err(|e: Infallible| e);
        match response.extensions().get::<Broken>() {
            None => from_http(response).await,
            Some(Broken::Refused) => {
                Err(Error::with_message(ErrorKind::Connection, "the connection was refused"))
            }
            Some(Broken::Lost) => Err(Error::with_message(ErrorKind::Io, "the connection was cut")),
        }
    }
}

/// A token for Graph goes to Graph, or to the sandbox in its place, and nowhere else.
pub(crate) fn check_is_graph(url: &azure_core::http::Url) -> azure_core::Result<()> {
    if url.scheme() == "https" && url.host_str() == Some(GRAPH_HOST) {
        return Ok(());
    }
    Err(Error::with_message(
        ErrorKind::Other,
        format!("the sandbox plays https://{GRAPH_HOST} only, not {url}"),
    ))
}

fn to_http(request: &azure_core::http::Request) -> azure_core::Result<Request<axum::body::Body>> {
    let Body::Bytes(body) = request.body() else {
        return Err(Error::with_message(ErrorKind::Other, "the sandbox does not take streams"));
    };
    let mut builder = Request::builder().method(request.method().as_ref()).uri(request.path_and_query());
    for (name, value) in request.headers().iter() {
        builder = builder.header(name.as_str(), value.as_str());
    }
    builder.body(body.clone().into()).map_err(|error| Error::new(ErrorKind::DataConversion, error))
}

async fn from_http(response: Response<axum::body::Body>) -> azure_core::Result<AsyncRawResponse> {
    let (http::response::Parts { status, headers, .. }, body) = response.into_parts();
    let mut copied = Headers::new();
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        copied.insert(name.as_str().to_owned(), value);
    }
    let body: Bytes = to_bytes(body, usize::MAX).await.map_err(|error| Error::new(ErrorKind::Io, error))?;
    Ok(AsyncRawResponse::from_bytes(status.as_u16().into(), copied, body))
}

/// A credential whose token the sandbox believes.
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
