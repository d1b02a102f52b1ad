//! The binary. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use firstpass::{cli::Cli, environment::Environment};

fn main() -> ExitCode {
    Cli::parse().run(&Environment::process())
}
