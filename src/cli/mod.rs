//! The command line.

pub mod doctor;
pub mod issue;
pub mod jobs;
pub mod people;
pub mod preview;
pub mod revoke;
pub mod serve;
mod settings_file;
pub mod status;
pub mod sweep;
mod terminal;

use std::{fmt, path::PathBuf, pin::Pin, process::ExitCode, sync::Arc};

use clap::{Args, Parser, Subcommand};

use crate::{
    app::App,
    environment::Environment,
    settings::{Settings, SettingsError},
    startup, telemetry,
};

/// Temporary Access Passes for new joiners in Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Top,
}

#[derive(Debug, Subcommand)]
enum Top {
    /// Serve the Azure Functions host (what host.json starts)
    Serve,
    #[command(flatten)]
    Other(Command),
}

/// The commands for a person.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, requeue or delete the messages in the poison queue
    Jobs(WithSettings<jobs::Options>),
    /// Show what the app found when it examined itself, its settings and its tenant
    Doctor(WithSettings<doctor::Options>),
    /// Say what a sweep would do; list and approve the people whom it holds back (SWEEP_MAX)
    Sweep(WithSettings<sweep::Options>),
    /// Show what was done for everybody, or for one user, by the ledger
    Status(WithSettings<status::Options>),
    /// Show every mail in every language, with the templates and settings as they are
    Preview(WithSettings<preview::Options>),
    /// Make a pass for a user and mail it, as a sweep does
    Issue(WithSettings<issue::Options>),
    /// Revoke the passes of a user, or all that were mailed and can still work
    Revoke(WithSettings<revoke::Options>),
}

/// The options of a command, with the one that all of them have.
#[derive(Debug, Args)]
pub struct WithSettings<Options: Args> {
    #[command(flatten)]
    options: Options,
    /// Take settings that the environment does not have from this file: what `az functionapp config appsettings list`
    /// prints, or a local.settings.json
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl<Options: Args> WithSettings<Options> {
    fn run<T>(
        &self,
        site: &Site<'_>,
        command: impl FnOnce(&Options, &Site<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        match &self.settings {
            None => command(&self.options, site),
            Some(path) => {
                let env = settings_file::read(path, site.env.clone())?;
                command(&self.options, &Site { env, build: site.build })
            }
        }
    }
}

/// Builds the app from settings.
pub type Build = dyn Fn(Environment) -> Pin<Box<dyn Future<Output = Result<Arc<App>, SettingsError>>>>;

/// What the commands work on.
pub struct Site<'a> {
    /// The settings, as names and values.
    pub env: Environment,
    /// Builds the app from them.
    pub build: &'a Build,
}

impl Site<'_> {
    /// The app, for a command that works as the functions do, with the identity of this process.
    ///
    /// # Errors
    /// A report on the settings that are not usable.
    pub async fn app(&self) -> Result<Arc<App>, String> {
        (self.build)(self.env.clone()).await.map_err(|report| report.to_string())
    }
}

impl fmt::Debug for Site<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl Command {
    /// Runs the command until it ends.
    ///
    /// # Errors
    /// The reason, and what to do.
    pub fn run(&self, site: &Site<'_>) -> Result<ExitCode, String> {
        match self {
            Self::Jobs(command) => command.run(site, jobs::run).map(|()| ExitCode::SUCCESS),
            Self::Doctor(command) => command.run(site, doctor::run),
            Self::Sweep(command) => command.run(site, sweep::run).map(|()| ExitCode::SUCCESS),
            Self::Status(command) => command.run(site, status::run).map(|()| ExitCode::SUCCESS),
            Self::Preview(command) => command.run(site, preview::run).map(|()| ExitCode::SUCCESS),
            Self::Issue(command) => command.run(site, issue::run),
            Self::Revoke(command) => command.run(site, revoke::run),
        }
    }
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let env = Environment::process();
    exit_code(match Cli::parse().command {
        Top::Serve => serve::run(&env, startup::build_app, |router| router).map(|()| ExitCode::SUCCESS),
        Top::Other(command) => {
            let build: &Build =
                &|env| Box::pin(async move { Settings::read_with_folder(&env).and_then(startup::build_app) });
            command.run(&Site { env, build })
        }
    })
}

/// The exit code of a command. If it failed, the reason is printed.
pub fn exit_code(done: Result<ExitCode, String>) -> ExitCode {
    done.unwrap_or_else(|why| {
        telemetry::complain(&why);
        ExitCode::FAILURE
    })
}
