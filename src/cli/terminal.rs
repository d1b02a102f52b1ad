//! What the commands for a person have in common; `serve` is for the host.

use std::io::Write;

use crate::{environment::Environment, telemetry};

/// Runs the work of a command. It logs only if RUST_LOG is set.
///
/// # Errors
/// Those of the work.
pub(super) fn run<T>(env: &Environment, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    if env.get("RUST_LOG").is_some() {
        telemetry::init(env, std::io::stderr);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(work)
}

pub(super) fn print(line: &str) {
    // A closed pipe is not an error of the command.
    let _ = writeln!(std::io::stdout(), "{line}");
}
