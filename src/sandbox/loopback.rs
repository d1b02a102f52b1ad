//! The sandbox for other processes of this machine: a server, and the transport that `SANDBOX_URL` asks for.

use std::{
    error, fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use axum::{
    Router,
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::{self, Next},
    response::Response,
    serve::{IncomingStream, Listener},
};
use azure_core::{
    credentials::TokenCredential,
    error::{Error, ErrorKind},
    http::{AsyncRawResponse, HttpClient, Method, Url, headers::HeaderName},
};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::{
    Sandbox,
    transport::{GRAPH_HOST, SandboxCredential, check_is_graph},
    wire::Broken,
};
use crate::clock::Clock;

/// Serves the sandbox until the process ends. Refuses an address that others could reach: the tenant is made up, and
/// its doors are open.
pub async fn serve(sandbox: Sandbox, listener: TcpListener) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the sandbox listens on loopback addresses only",
        ));
    }
    let router = sandbox.router().layer(middleware::from_fn(cut_when_broken));
    axum::serve(Lines(listener), router.into_make_service_with_connect_info::<Scissors>()).await
}

/// In place of an answer that a fault took away, the caller sees the connection end.
async fn cut_when_broken(
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<Broken>().is_some() {
        scissors.0.store(true, Ordering::SeqCst);
    }
    response
}

/// A listener whose connections can be cut.
struct Lines(TcpListener);

/// Cuts one connection.
#[derive(Clone)]
struct Scissors(Arc<AtomicBool>);

struct Line {
    stream: TcpStream,
    is_cut: Arc<AtomicBool>,
}

impl Listener for Lines {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Line { stream, is_cut: Arc::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Lines>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, Lines>) -> Self {
        Self(stream.io().is_cut.clone())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A transport to a sandbox in another process. It sends what is meant for `https://graph.microsoft.com` there, so
/// that URLs and policies are the real ones, and learns the tenant's time from the answers.
#[derive(Debug)]
pub struct SandboxUrl {
    client: reqwest::Client,
    base: Url,
    local: Clock,
    ahead: Arc<Mutex<TimeDelta>>,
}

/// A sandbox must be on this machine.
#[derive(Debug)]
pub struct NotLoopback(String);

impl fmt::Display for NotLoopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SANDBOX_URL must be http:// and a loopback address, like http://127.0.0.1:8089, not {}",
            self.0
        )
    }
}

impl error::Error for NotLoopback {}

impl SandboxUrl {
    /// A transport to the sandbox at `url`, which must be `http` and loopback. `local` is this process's own clock.
    pub fn new(client: reqwest::Client, url: &str, local: Clock) -> Result<Arc<Self>, NotLoopback> {
        let base = Url::parse(url).ok().filter(is_local).ok_or_else(|| NotLoopback(url.to_owned()))?;
        Ok(Arc::new(Self { client, base, local, ahead: Arc::default() }))
    }

    /// A clock that follows the sandbox's. Until the first answer it shows the local time: see [`SandboxUrl::sync`].
    pub fn clock(&self) -> Clock {
        let (local, ahead) = (self.local.clone(), self.ahead.clone());
        Clock::from_fn(move || local.now() + *ahead.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A credential whose token the sandbox believes.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::new(SandboxCredential)
    }

    /// Asks the sandbox what time it is. Fails if there is none.
    pub async fn sync(&self) -> azure_core::Result<()> {
        let mut url = self.base.clone();
        url.set_path("/sandbox/clock");
        url.set_query(None);
        let response = self.send(&azure_core::http::Request::new(url, Method::Get)).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Error::with_message(ErrorKind::Other, format!("there is no sandbox at {}", self.base)))
    }

    /// `router`, told the sandbox's time before each request: a sweep asks what day it is before it asks Graph.
    pub fn keep_time(self: Arc<Self>, router: Router) -> Router {
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let sandbox = self.clone();
            async move {
                // A sandbox that is away is found out by the request itself.
                drop(sandbox.sync().await);
                next.run(request).await
            }
        }))
    }

    async fn send(&self, request: &azure_core::http::Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.client.execute_request(request).await?;
        let date = response.headers().get_optional_str(&HeaderName::from_static("date"));
        if let Some(date) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.follow(date.to_utc());
        }
        Ok(response)
    }

    /// A `Date` has whole seconds, so a difference of less says nothing, and believing it would make the clock jump
    /// to and fro.
    fn follow(&self, date: DateTime<Utc>) {
        let seen = date - self.local.now();
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if (seen - *ahead).abs() > TimeDelta::seconds(1) {
            *ahead = seen;
        }
    }

    fn redirect(&self, request: &azure_core::http::Request) -> azure_core::Result<azure_core::http::Request> {
        check_is_graph(request.url())?;
        let mut request = request.clone();
        // Graph answers with links to the host that was asked for.
        request.insert_header("host", GRAPH_HOST);
        let url = request.url_mut();
        let moved = url.set_scheme(self.base.scheme()).is_ok()
            && url.set_host(self.base.host_str()).is_ok()
            && url.set_port(self.base.port()).is_ok();
        if moved {
            Ok(request)
        } else {
            Err(Error::with_message(ErrorKind::Other, "not a URL that can be moved"))
        }
    }
}

fn is_local(url: &Url) -> bool {
    url.scheme() == "http" && url.host_str().is_some_and(is_loopback)
}

/// Whether `host` names this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[async_trait]
impl HttpClient for SandboxUrl {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<AsyncRawResponse> {
        self.send(&self.redirect(request)?).await
    }
}
