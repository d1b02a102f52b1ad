//! firstpass as its users meet it: the real handler, driven in the host's wire format, on the sandbox tenant.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, and a panic is a verdict"
)]

mod alerts;
mod azurite;
mod azurite_queue;
mod blob_service;
mod deadlines;
mod demo;
mod examples;
mod faulty_ledger;
mod flow;
mod helpers;
mod host_contract;
mod host_files;
mod http;
mod http_answers;
mod http_connector;
mod http_docs;
mod http_limits;
mod http_mails;
mod http_misuse;
mod http_thousand;
mod judge;
mod kill;
mod layers;
mod leaks;
mod leases;
mod ledgers;
mod local_host;
mod local_process;
mod logging;
mod logic_app;
mod on_demand;
mod platform;
mod poison;
mod process;
mod queues;
mod raw;
mod retries;
mod sandbox;
mod schema;
mod scope;
mod startup;
mod stories;
mod strict;
mod strict_access;
mod strict_page;
mod subscription;
mod zones;
