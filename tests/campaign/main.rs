//! The fault campaign: plays random scenarios full of faults and checks eight invariants (docs/CAMPAIGN.md).
//!
//! A *scenario* is one random sequence of user events and faults. Its seed decides all of it.
//!
//! [`scenario`], [`generate`], [`races`] and [`personas`] describe and draw a scenario. [`simulation`], [`queue`] and
//! [`events`] play it. [`http_recorder`] and [`ledger`] inject crashes and faults, and record into the [`trace`] what
//! the product reads and writes. [`checks`] contain the invariants, [`shrink`] reduces a failing scenario, and
//! [`runner`] plays many.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test binary without a public API: it prints its results, and a panic fails the scenario"
)]

mod args;
mod checks;
mod events;
mod generate;
mod http_recorder;
mod ledger;
mod personas;
mod queue;
mod races;
mod runner;
mod scenario;
mod shrink;
mod simulation;
mod trace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    if args.list {
        println!("campaign: test");
        return ExitCode::SUCCESS;
    }
    let is_green = match args.seed {
        _ if !args.is_selected() => {
            println!("campaign: 0 passed, 0 failed");
            true
        }
        Some(seed) => runner::replay(seed),
        None => runner::run_many(args.from, args.seeds, args.threads(), args.fail_fast),
    };
    if is_green { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
