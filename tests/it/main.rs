//! firstpass as its users meet it: the real handler, driven in the host's wire format, on the sandbox tenant.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, and a panic is a verdict"
)]

mod azurite;
mod blob_service;
mod campaign;
mod claims;
mod demo;
mod examples;
mod flow;
mod helpers;
mod host_contract;
#[cfg(feature = "sandbox")]
mod host_files;
#[cfg(feature = "sandbox")]
mod http;
mod judge;
mod kill;
#[cfg(feature = "sandbox")]
mod leaks;
mod ledgers;
#[cfg(feature = "sandbox")]
mod local_host;
#[cfg(feature = "sandbox")]
mod local_process;
mod logic_app;
#[cfg(feature = "sandbox")]
mod platform;
mod process;
mod raw;
mod retries;
mod schema;
mod scope;
mod setup;
mod stories;
#[cfg(feature = "sandbox")]
mod strict;
#[cfg(feature = "sandbox")]
mod strict_access;
#[cfg(feature = "sandbox")]
mod strict_page;
