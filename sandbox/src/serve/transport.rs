//! A transport to a sandbox in another process on this machine.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
};
use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    http::{AsyncRawResponse, HttpClient, Method, Url, headers::HeaderName},
};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{clock::Clock, transport::LimitedClient};

use crate::tenant::{
    hosts::{GRAPH_HOST, check_is_simulated, is_loopback},
    token::{access_token, resource},
};

/// An `http` URL of this machine.
#[derive(Clone, Debug)]
pub struct LoopbackUrl(Url);

impl LoopbackUrl {
    /// Whether `other` has the same scheme, host and port.
    pub fn is_origin_of(&self, other: &Url) -> bool {
        self.0.origin() == other.origin()
    }
}

impl FromStr for LoopbackUrl {
    type Err = NotLoopback;

    fn from_str(text: &str) -> Result<Self, NotLoopback> {
        let is_local = |url: &Url| url.scheme() == "http" && url.host_str().is_some_and(is_loopback);
        Url::parse(text).ok().filter(is_local).map(Self).ok_or(NotLoopback)
    }
}

/// The identity of the app in a sandbox in another process.
#[derive(Debug)]
struct RemoteIdentity {
    client: Arc<dyn HttpClient>,
    base: Url,
}

#[async_trait]
impl TokenCredential for RemoteIdentity {
    /// If the sandbox issues none, it is one without claims, which it accepts too.
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        #[derive(serde::Deserialize)]
        struct Issued {
            access_token: String,
        }
        let mut url = self.base.clone();
        url.set_path("/sandbox/token");
        url.query_pairs_mut().clear().append_pair("resource", resource(scopes));
        let request = azure_core::http::Request::new(url, Method::Get);
        let answer = self.client.execute_request(&request).await?.try_into_raw_response().await?;
        let issued = serde_json::from_slice::<Issued>(answer.body().as_ref());
        access_token(issued.map_or_else(|_| "sandbox".to_owned(), |issued| issued.access_token))
    }
}

/// The URL is not `http`, or names another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLoopback;

/// A transport to a sandbox in another process. It redirects requests for `https://graph.microsoft.com` to the sandbox,
/// so that the App uses the real URLs, and reads the tenant's time from the `Date` of each response.
#[derive(Debug)]
pub struct SandboxTransport {
    client: reqwest::Client,
    base: Url,
    local: Clock,
    offset: Arc<Mutex<TimeDelta>>,
}

impl SandboxTransport {
    /// A transport to the sandbox at `url`. `local` is this process's own clock.
    pub fn new(client: reqwest::Client, url: LoopbackUrl, local: Clock) -> Arc<Self> {
        Arc::new(Self { client, base: url.0, local, offset: Arc::default() })
    }

    /// A clock that follows the sandbox's. It shows the local time until the first response: see
    /// [`SandboxTransport::sync`].
    pub fn clock(&self) -> Clock {
        let (local, offset) = (self.local.clone(), self.offset.clone());
        Clock::from_fn(move || local.now() + *offset.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A credential with the sandbox's tokens. The identity endpoint is not asked: an app that has one uses it itself.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        let client = LimitedClient::for_tokens(Arc::new(self.client.clone()));
        Arc::new(RemoteIdentity { client, base: self.base.clone() })
    }

    /// Reads the sandbox's time.
    ///
    /// # Errors
    /// When no sandbox answers.
    pub async fn sync(&self) -> azure_core::Result<()> {
        let mut url = self.base.clone();
        url.set_path("/sandbox/clock");
        url.set_query(None);
        let response = self.send(&azure_core::http::Request::new(url, Method::Get)).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Error::with_message(ErrorKind::Other, format!("no sandbox responds at {}", self.base)))
    }

    /// Adds a layer that reads the sandbox's time before each request: a sweep uses the time before it calls Graph.
    pub fn sync_clock(self: Arc<Self>, router: Router) -> Router {
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let sandbox = self.clone();
            async move {
                // The request itself reports a sandbox that does not answer.
                drop(sandbox.sync().await);
                next.run(request).await
            }
        }))
    }

    async fn send(&self, request: &azure_core::http::Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.client.execute_request(request).await?;
        let date = response.headers().get_optional_str(&HeaderName::from_static("date"));
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.adjust_clock(date.to_utc());
        }
        Ok(response)
    }

    /// `Date` has whole seconds. Smaller differences are ignored, so that the clock does not jump back and forth.
    fn adjust_clock(&self, date: DateTime<Utc>) {
        let seen = date - self.local.now();
        let mut offset = self.offset.lock().unwrap_or_else(PoisonError::into_inner);
        if (seen - *offset).abs() > TimeDelta::seconds(1) {
            *offset = seen;
        }
    }

    fn redirect(&self, request: &azure_core::http::Request) -> azure_core::Result<azure_core::http::Request> {
        check_is_simulated(request.url())?;
        let mut request = request.clone();
        // Links in Graph's responses point to the requested host.
        let host = request.url().host_str().unwrap_or(GRAPH_HOST).to_owned();
        request.insert_header("host", host);
        let url = request.url_mut();
        let is_redirected = url.set_scheme(self.base.scheme()).is_ok()
            && url.set_host(self.base.host_str()).is_ok()
            && url.set_port(self.base.port()).is_ok();
        if is_redirected {
            Ok(request)
        } else {
            Err(Error::with_message(ErrorKind::Other, "the URL cannot be redirected to the sandbox"))
        }
    }
}

#[async_trait]
impl HttpClient for SandboxTransport {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        self.send(&self.redirect(request)?).await
    }
}
