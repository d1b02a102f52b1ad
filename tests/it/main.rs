//! firstpass as its users meet it: the real handler, driven in the host's wire format, on the sandbox tenant.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, and a panic is a verdict"
)]

mod process;

#[cfg(not(feature = "sandbox"))]
mod deployed;

#[cfg(feature = "sandbox")]
mod azurite;
#[cfg(feature = "sandbox")]
mod blob_service;
#[cfg(feature = "sandbox")]
mod campaign;
#[cfg(feature = "sandbox")]
mod claims;
#[cfg(feature = "sandbox")]
mod demo;
#[cfg(feature = "sandbox")]
mod flow;
#[cfg(feature = "sandbox")]
mod functions_folder;
#[cfg(feature = "sandbox")]
mod helpers;
#[cfg(feature = "sandbox")]
mod host_contract;
#[cfg(feature = "sandbox")]
mod http;
#[cfg(feature = "sandbox")]
mod kill;
#[cfg(feature = "sandbox")]
mod leaks;
#[cfg(feature = "sandbox")]
mod ledgers;
#[cfg(feature = "sandbox")]
mod logic_app;
#[cfg(feature = "sandbox")]
mod platform;
#[cfg(feature = "sandbox")]
mod raw;
#[cfg(feature = "sandbox")]
mod retries;
#[cfg(feature = "sandbox")]
mod schema;
#[cfg(feature = "sandbox")]
mod scope;
#[cfg(feature = "sandbox")]
mod setup;
#[cfg(feature = "sandbox")]
mod stories;
