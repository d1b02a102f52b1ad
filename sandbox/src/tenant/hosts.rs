//! Host names: Graph's, and those of this machine.

use std::net::IpAddr;

use azure_core::{
    error::{Error, ErrorKind},
    http::Url,
};

pub(crate) const GRAPH_HOST: &str = "graph.microsoft.com";
/// Those of the national clouds (<https://learn.microsoft.com/graph/deployments>).
const NATIONAL_HOSTS: [&str; 2] = ["graph.microsoft.us", "dod-graph.microsoft.us"];

/// Whether `host` is Graph's, in any cloud.
pub(crate) fn is_graph(host: &str) -> bool {
    host == GRAPH_HOST || NATIONAL_HOSTS.contains(&host)
}

/// Whether `host` names this machine: `localhost` or a loopback address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// That of endpoints for codes and alerts.
pub(crate) const HOOKS_HOST: &str = "hooks.contoso.example";

/// Refuses a URL that is neither Graph's nor that of the simulated endpoints, so that no token is sent elsewhere.
pub(crate) fn check_is_simulated(url: &Url) -> azure_core::Result<()> {
    let is_simulated = |host: &str| is_graph(host) || host == HOOKS_HOST;
    if url.scheme() == "https" && url.host_str().is_some_and(is_simulated) {
        return Ok(());
    }
    Err(Error::with_message(
        ErrorKind::Other,
        format!("the sandbox simulates https://{GRAPH_HOST} and https://{HOOKS_HOST} only, not {url}"),
    ))
}
