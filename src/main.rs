//! The binary; see the library for everything else.

use std::process::ExitCode;

use clap::Parser;
use firstpass::{cli::Cli, environment::Environment};

fn main() -> ExitCode {
    Cli::parse().run(&Environment::process())
}
