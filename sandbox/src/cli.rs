//! The command line of `firstpass-sandbox`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use firstpass::{cli::jobs, environment::Environment, telemetry};

use crate::{demo, sandbox_command, serve};

/// A simulated tenant for firstpass
#[derive(Debug, Parser)]
#[command(name = "firstpass-sandbox", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one sweep on a simulated tenant and show the result; needs no account and no settings
    Demo(demo::Options),
    /// Serve a simulated tenant on this machine
    Sandbox(sandbox_command::Options),
    /// Serve the Functions host as `firstpass serve` does, on the simulated tenant at SANDBOX_URL
    Serve,
    /// List, requeue or delete the messages in the poison queue, as `firstpass jobs` does
    Jobs(jobs::Options),
}

/// Reads the arguments and the environment of this process, and runs the command.
pub fn main() -> ExitCode {
    let env = Environment::process();
    let done = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options, &env),
        Command::Sandbox(options) => sandbox_command::run(&options, &env),
        Command::Serve => serve::run(&env),
        Command::Jobs(options) => jobs::run(&options, &env),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            telemetry::complain(&reason);
            ExitCode::FAILURE
        }
    }
}
