//! The case of the callers' header names, which the host keeps and hyper does not: read from the connection's bytes.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The header names of one connection, as its caller wrote them last.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderNames(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// By their lower-case form.
    names: BTreeMap<String, String>,
    line: Vec<u8>,
}

impl HeaderNames {
    pub(super) fn as_written(&self, name: &str) -> String {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// A line of a body counts too: its name has an effect only if it is also that of a header.
    fn read(&self, bytes: &[u8]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte != b'\n' {
                seen.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut seen.line);
            if let Some((name, _)) = String::from_utf8_lossy(&line).split_once(':') {
                seen.names.insert(name.to_ascii_lowercase(), name.to_owned());
            }
        }
    }
}

/// A listener whose connections remember their header names.
pub(super) struct NamingListener(pub(super) TcpListener);

impl Listener for NamingListener {
    type Io = NamingStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (NamingStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (NamingStream { stream, names: HeaderNames::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, NamingListener>> for HeaderNames {
    fn connect_info(stream: IncomingStream<'_, NamingListener>) -> Self {
        stream.io().names.clone()
    }
}

pub(super) struct NamingStream {
    stream: TcpStream,
    names: HeaderNames,
}

impl AsyncRead for NamingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.names.read(&buf.filled()[before..]);
        poll
    }
}

impl AsyncWrite for NamingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
