//! The command line.

pub mod jobs;
pub mod serve;
pub mod sweep;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{environment::Environment, startup, telemetry};

/// Temporary Access Passes for new joiners in Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Azure Functions host (what host.json starts)
    Serve,
    /// List, requeue or delete the messages in the poison queue
    Jobs(jobs::Options),
    /// List and approve the people whom a sweep holds back (SWEEP_MAX)
    Sweep(sweep::Options),
}

impl Cli {
    /// Runs the command until it ends.
    pub fn run(self, env: &Environment) -> ExitCode {
        let done = match self.command {
            Command::Serve => serve::run(env, startup::build_app, |router| router),
            Command::Jobs(options) => jobs::run(&options, env),
            Command::Sweep(options) => sweep::run(&options, env),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                telemetry::complain(&why);
                ExitCode::FAILURE
            }
        }
    }
}
