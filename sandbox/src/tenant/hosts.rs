//! Host names: Graph's, and those of this machine.

use std::net::IpAddr;

use azure_core::{
    error::{Error, ErrorKind},
    http::Url,
};

pub(crate) const GRAPH_HOST: &str = "graph.microsoft.com";

/// Whether `host` names this machine: `localhost` or a loopback address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses a URL that is not Graph's, so that no token for Graph is sent elsewhere.
pub(crate) fn check_is_graph(url: &Url) -> azure_core::Result<()> {
    if url.scheme() == "https" && url.host_str() == Some(GRAPH_HOST) {
        return Ok(());
    }
    Err(Error::with_message(
        ErrorKind::Other,
        format!("the sandbox simulates https://{GRAPH_HOST} only, not {url}"),
    ))
}
