//! The sandbox without a network: an HTTP client that calls the router.

use std::{convert::Infallible, fmt};

use async_trait::async_trait;
use axum::{
    Router,
    body::to_bytes,
    http::{self, Request, Response},
};
use azure_core::{
    Bytes,
    error::{Error, ErrorKind},
    http::{AsyncRawResponse, Body, HttpClient, headers::Headers},
};
use tower::ServiceExt;

use super::{hosts::check_is_simulated, wire::ConnectionFault};

/// A transport that calls the router in the same process.
pub(crate) struct InProcessTransport {
    router: Router,
}

impl InProcessTransport {
    pub(crate) fn new(router: Router) -> Self {
        Self { router }
    }
}

impl fmt::Debug for InProcessTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessTransport").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for InProcessTransport {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        check_is_simulated(request.url())?;
        let Ok(response) = self.router.clone().oneshot(to_http(request)?).await.map_err(|e: Infallible| e);
        match response.extensions().get::<ConnectionFault>() {
            None => from_http(response).await,
            Some(ConnectionFault::Refused) => {
                Err(Error::with_message(ErrorKind::Connection, "the connection was refused"))
            }
            Some(ConnectionFault::Lost) => {
                Err(Error::with_message(ErrorKind::Io, "the connection was closed before a response"))
            }
        }
    }
}

fn to_http(request: &azure_core::http::Request) -> azure_core::Result<Request<axum::body::Body>> {
    let Body::Bytes(body) = request.body() else {
        return Err(Error::with_message(ErrorKind::Other, "the sandbox does not accept streamed bodies"));
    };
    let mut builder = Request::builder().method(request.method().as_ref()).uri(request.path_and_query());
    if let Some(host) = request.url().host_str() {
        builder = builder.header(http::header::HOST, host);
    }
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
