//! Integration tests: firstpass as the Functions host runs it, in the host's wire format, on the sandbox tenant.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, and a panic is a failure"
)]

mod alert_webhook;
mod commands;
mod compat;
mod demo;
mod digest;
mod doctor;
mod first_evening;
mod graph;
mod helpers;
mod host;
mod host_files;
mod hostile;
mod http;
mod joiners;
mod layers;
mod leaks;
mod ledger;
mod local_host;
mod logging;
mod logic_app;
mod mails;
mod nullable;
mod on_demand;
mod queries;
mod queue;
mod sandbox;
mod schema;
mod sending;
mod settings_docs;
mod strict;
mod strict_access;
mod strict_page;
mod troubleshooting;
mod two_processes;
mod webhook;

use helpers::process;
