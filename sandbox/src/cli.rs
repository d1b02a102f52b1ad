//! The command line of `firstpass-sandbox`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use firstpass::{
    cli::{self, Build, Site},
    environment::Environment,
    settings::Settings,
};

use crate::{demo, sandbox_command, serve};

/// A simulated tenant for firstpass
#[derive(Debug, Parser)]
#[command(name = "firstpass-sandbox", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// Run one sweep on a simulated tenant and show the result; needs no account and no settings
    Demo(demo::Options),
    /// Serve a simulated tenant on this machine
    Sandbox(sandbox_command::Options),
    /// Serve the Functions host as `firstpass serve` does, on the simulated tenant at SANDBOX_URL
    Serve,
    #[command(flatten)]
    Product(cli::Command),
}

/// Reads the arguments and the environment of this process, and runs the command.
pub fn main() -> ExitCode {
    let env = Environment::process();
    let done = match Cli::parse().command {
        Top::Demo(options) => demo::run(&options, &env),
        Top::Sandbox(options) => sandbox_command::run(&options, &env),
        Top::Serve => serve::run(&env),
        Top::Product(command) => return cli::exit_code(on_sandbox(&command, &env)),
    };
    cli::exit_code(done.map(|()| ExitCode::SUCCESS))
}

/// Runs a command of the product on the tenant at SANDBOX_URL.
fn on_sandbox(command: &cli::Command, env: &Environment) -> Result<ExitCode, String> {
    let build: &Build = &|env| {
        Box::pin(async move {
            let settings = Settings::read(&serve::product_environment(&env))?;
            let (app, sandbox) = serve::build_app(settings, &env)?;
            // The first request reports a sandbox that does not answer.
            drop(sandbox.sync().await);
            Ok(app)
        })
    };
    command.run(&Site { env: env.clone(), build })
}
