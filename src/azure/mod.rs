//! Azure Storage: connection strings, shared access signatures and error answers.

pub(crate) mod connection_string;
mod ledger_url;
pub(crate) mod queue_service;
pub(crate) mod refusal;
pub(crate) mod sas;

use std::sync::Arc;

use azure_core::http::{ClientOptions, ExponentialRetryOptions, HttpClient, RetryOptions, Transport, Url};

pub use self::{
    ledger_url::LedgerUrl,
    queue_service::{QueueAccess, QueueService},
};
pub(crate) use self::{refusal::StorageRefusal, sas::has_sas};
use crate::transport::LimitedClient;

/// The options of a storage client that sends a request again at most `max_retries` times.
pub(crate) fn client_options(transport: Arc<dyn HttpClient>, max_retries: u32) -> ClientOptions {
    let retry = ExponentialRetryOptions { max_retries, ..ExponentialRetryOptions::default() };
    ClientOptions {
        retry: RetryOptions::exponential(retry),
        transport: Some(Transport::new(LimitedClient::for_storage(transport))),
        ..ClientOptions::default()
    }
}

/// Whether the URL has a user name or a password.
pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether the URL leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}
