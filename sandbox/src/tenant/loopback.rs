//! The sandbox as a server on a loopback address.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::{self, Next},
    response::Response,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::{Sandbox, wire::ConnectionFault};

/// Serves the sandbox until the process ends.
///
/// # Errors
/// When the address is not loopback, because the sandbox does not authenticate its callers, or when the listener fails.
pub async fn serve(sandbox: Sandbox, listener: TcpListener) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the sandbox listens on loopback addresses only",
        ));
    }
    let router = sandbox.router().layer(middleware::from_fn(abort_connection_on_fault));
    axum::serve(
        AbortableListener(listener),
        router.into_make_service_with_connect_info::<ConnectionAbortHandle>(),
    )
    .await
}

/// Closes the connection instead of sending a response that a fault has replaced.
async fn abort_connection_on_fault(
    ConnectInfo(handle): ConnectInfo<ConnectionAbortHandle>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<ConnectionFault>().is_some() {
        handle.0.store(true, Ordering::SeqCst);
    }
    response
}

struct AbortableListener(TcpListener);

/// Aborts one connection.
#[derive(Clone)]
struct ConnectionAbortHandle(Arc<AtomicBool>);

struct AbortableStream {
    stream: TcpStream,
    is_aborted: Arc<AtomicBool>,
}

impl Listener for AbortableListener {
    type Io = AbortableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (AbortableStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (AbortableStream { stream, is_aborted: Arc::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, AbortableListener>> for ConnectionAbortHandle {
    fn connect_info(stream: IncomingStream<'_, AbortableListener>) -> Self {
        Self(stream.io().is_aborted.clone())
    }
}

impl AsyncRead for AbortableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for AbortableStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_aborted.load(Ordering::SeqCst) {
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
