//! `firstpass sandbox`: a simulated tenant on this machine, for a `serve` beside SANDBOX_URL.

use std::{io::Write, net::SocketAddr};

use clap::Args;
use tokio::net::TcpListener;

use super::{Sandbox, generate::generate, loopback};
use crate::{
    clock::Clock,
    settings::{Environment, sign_of_azure},
    telemetry,
};

/// Options of `firstpass sandbox`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where to listen; an address of this machine alone
    #[arg(long, default_value = "127.0.0.1:8089", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How many joiners the tenant has
    #[arg(long, default_value_t = 20)]
    joiners: usize,
    /// Which of all such tenants: the same seed makes the same one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds that every answer takes
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// The share of requests that meet a fault, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "RATE")]
    faults: f64,
}

/// Serves until Ctrl+C.
///
/// # Errors
/// In words, when the address is not loopback or cannot be listened on.
pub fn run(options: &Options, env: &Environment) -> Result<(), String> {
    telemetry::init(env, std::io::stderr);
    if !options.listen.ip().is_loopback() {
        return Err(format!(
            "{} is not an address of this machine alone: a sandbox hands out passes",
            options.listen
        ));
    }
    if let Some(sign) = sign_of_azure(env) {
        return Err(format!("{sign} says that this is Azure: a sandbox has no place there"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let now = Clock::system().now();
        let mut tenant = generate(options.joiners, options.seed, now);
        tenant.latency = std::time::Duration::from_millis(options.latency);
        let sandbox = Sandbox::new(tenant, now);
        sandbox.misbehave(options.faults);
        let listener = TcpListener::bind(options.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let _ = writeln!(
            std::io::stdout(),
            "SANDBOX_URL=http://{address}   state: http://{address}/sandbox/state"
        );
        tokio::select! {
            ended = loopback::serve(sandbox, listener) => ended.map_err(|error| error.to_string()),
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}
