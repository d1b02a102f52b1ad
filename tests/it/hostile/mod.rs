//! What a hostile ledger, queue, Graph or caller sends, some of it over real connections.

mod bodies;
mod environment;
mod failing_alerts;
mod floods;
mod foreign_words;
mod gzip;
mod panics;
mod ranges;
mod secrets;

use std::{
    fmt,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use async_trait::async_trait;
use azure_core::{
    Bytes, Error,
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    http::{AsyncRawResponse, HttpClient, Request},
    time::OffsetDateTime,
};
use firstpass::startup::loopback_client;
use futures::{StreamExt, stream};
use tracing::dispatcher::{get_default, with_default};

/// Serves every connection with `answer`, which gets the request, and closes it. Returns the port.
pub fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || answer(&request(&mut stream), &mut stream));
        }
    });
    port
}

/// A port at which nobody listens.
pub fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends an answer with this head and body.
pub fn send(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    // The client may have gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Head and body of a request.
fn request(stream: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let shown = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = shown.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length =
                lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return shown;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return shown,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Sends each request to this port, with its path and query, over a real connection of the product's client.
///
/// The request runs in a thread of its own: the time of a test with paused time stands still meanwhile. Of the body it reads
/// 32 MiB.
#[derive(Clone, Copy, Debug)]
pub struct ToPort(pub u16);

#[async_trait]
impl HttpClient for ToPort {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        let url = request.url_mut();
        url.set_scheme("http").and_then(|()| url.set_port(Some(self.0))).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        let log = get_default(Clone::clone);
        let send = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            with_default(&log, || {
                runtime.block_on(async {
                    let answer = loopback_client().unwrap().execute_request(&request).await?;
                    let (status, headers, mut body) = answer.deconstruct();
                    let (mut chunks, mut length) = (Vec::new(), 0);
                    while length < 32 << 20
                        && let Some(chunk) = body.next().await
                    {
                        length += chunk.as_ref().map_or(0, Bytes::len);
                        chunks.push(chunk);
                    }
                    Ok(AsyncRawResponse::new(status, headers, Box::pin(stream::iter(chunks))))
                })
            })
        };
        tokio::task::spawn_blocking(send).await.map_err(|error| Error::new(ErrorKind::Other, error))?
    }
}

/// Issues this token.
pub struct FixedToken(pub &'static str);

impl fmt::Debug for FixedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedToken")
    }
}

#[async_trait]
impl TokenCredential for FixedToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires_on = OffsetDateTime::from_unix_timestamp(4_070_908_800).unwrap();
        Ok(AccessToken::new(self.0, expires_on))
    }
}
