//! The fault campaign: weeks of bad luck for made-up joiners, and seven invariants that hold all the same.
//!
//! docs/CAMPAIGN.md tells what is played. In the order to read it: [`plan`], [`plots`] and [`cast`] draw a story, [`setup`] and
//! [`life`] play it, [`wire`] and [`ledger`] are where things go wrong and where it is noted what the flow saw,
//! [`checks`] are the invariants, [`shrink`] makes a failing story small, [`run`] plays many.

#![allow(
    unreachable_pub,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, it talks to people, and a panic is a verdict"
)]

mod args;
mod checks;
mod evidence;
mod ledger;
mod life;
mod personas;
mod plan;
mod run;
mod scenarios;
mod setup;
mod shrink;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    if args.list {
        println!("campaign: test");
        return ExitCode::SUCCESS;
    }
    let is_green = match args.seed {
        _ if !args.is_meant() => {
            println!("campaign: 0 passed, 0 failed");
            true
        }
        Some(seed) => run::replay(seed),
        None => run::many(args.from, args.seeds, args.threads(), args.fail_fast),
    };
    if is_green { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
