//! One request and one response on a connection, byte for byte.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::helpers::process::unchunked;

/// A response. Header names are in lower case: HTTP has no case in them, and hyper writes none.
#[derive(Debug, PartialEq)]
pub struct Response {
    pub status_line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Response {
    /// Reads the text of a response whose body is not chunked (any more).
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (status_line, headers) = head.split_once('\n').unwrap();
        let headers = headers.lines().map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { status_line: status_line.to_owned(), headers: headers.collect(), body: body.to_owned() }
    }
}

/// The body is empty if the connection ends before the body does.
pub async fn send(address: SocketAddr, request: &[u8]) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let is_end = stream.read_buf(&mut bytes).await.unwrap() == 0;
        let text = String::from_utf8(bytes.clone()).unwrap_or_default();
        if let Some((head, rest)) = text.split_once("\r\n\r\n")
            && let Some(body) = whole_body(&head.to_ascii_lowercase(), rest).or(is_end.then(String::new))
        {
            return Response::parse(&format!("{}\n\n{body}", head.replace("\r\n", "\n")));
        }
        assert!(!is_end, "the connection ends early: {text}");
    }
}

/// The body, if it is complete.
fn whole_body(head: &str, rest: &str) -> Option<String> {
    if head.contains("transfer-encoding: chunked") {
        return unchunked(rest);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().unwrap());
    (rest.len() >= length).then(|| rest.to_owned())
}
