//! `firstpass-sandbox sandbox`: serves a simulated tenant on this machine and, on request, runs the function app on it.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use clap::Args;
use firstpass::{clock::Clock, environment::Environment, telemetry};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{
    azure::azure_variable,
    functions_host::{FunctionApp, FunctionsHost, Process, Storage},
    tenant::{
        EventGrid, Identity, Permission, Person, Sandbox,
        generate::generate,
        loopback,
        samples::{ON_DEMAND_GROUP, PARTNER_TOPIC},
    },
};

/// Options of `firstpass-sandbox sandbox`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The address to listen on; it must be a loopback address
    #[arg(long, default_value = "127.0.0.1:8089", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The number of joiners in the tenant
    #[arg(long, default_value_t = 20)]
    joiners: usize,
    /// The seed of the tenant: on the same day, the same seed makes the same tenant
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The tenant's time at the start, such as 2026-11-22T05:00:00Z; the default is the time on this machine
    #[arg(long, value_name = "TIME")]
    now: Option<DateTime<Utc>>,
    /// The latency of every response, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// The share of requests that meet a fault, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "RATE")]
    faults: f64,
    /// Also run the function app on this tenant, as the Functions host does: timer, queue, and HTTP at this address
    #[arg(long, value_name = "ADDRESS")]
    functions: Option<SocketAddr>,
    /// The only X-IDENTITY-HEADER that the identity endpoint accepts; without it, any value that is not empty
    #[arg(long, value_name = "SECRET")]
    identity_header: Option<String>,
    /// The client id of the app's only identity, which is then a user-assigned one
    #[arg(long, value_name = "GUID")]
    client_id: Option<Uuid>,
}

/// Serves until the process receives Ctrl+C or SIGTERM.
///
/// # Errors
/// When an address is not loopback, when this is Azure, or when it cannot listen.
pub fn run(options: &Options, env: &Environment) -> Result<(), String> {
    telemetry::init(env, std::io::stderr);
    for address in [Some(options.listen), options.functions].into_iter().flatten() {
        if !address.ip().is_loopback() {
            return Err(format!(
                "{address} is not a loopback address: the sandbox does not authenticate its callers"
            ));
        }
    }
    if let Some(variable) = azure_variable(env) {
        return Err(format!("{variable} is set, so this is Azure: the sandbox does not run in Azure"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let now = options.now.unwrap_or_else(|| Clock::system().now());
        let mut tenant = generate(options.joiners, options.seed, now);
        tenant.latency = std::time::Duration::from_millis(options.latency);
        let sandbox = Sandbox::new(tenant, now);
        sandbox.set_fault_rate(options.faults);
        sandbox
            .set_identity(Identity { header: options.identity_header.clone(), client_id: options.client_id });
        let (listener, address) = listen(options.listen).await?;
        print(&format!("SANDBOX_URL=http://{address}   state: http://{address}/sandbox/state"));
        let functions = run_functions(options.functions, address, sandbox.clone(), env);
        tokio::select! {
            ended = loopback::serve(sandbox, listener) => ended.map_err(|error| error.to_string()),
            failed = functions => failed,
            () = shutdown_signal() => Ok(()),
        }
    })
}

/// Waits for Ctrl+C or SIGTERM, so that the handler process ends with this one.
async fn shutdown_signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    drop(tokio::signal::ctrl_c().await);
}

/// The sign-in name of a member of the on-demand group, and the object id of a joiner who is none.
fn examples(sandbox: &Sandbox, group: &str) -> (String, String) {
    let now = sandbox.now();
    sandbox.edit(|tenant| {
        let members = group.parse().map(|group| tenant.members(group, now)).unwrap_or_default();
        let is_plain = |person: &&Person| !person.guest && person.enabled && !person.other_mails.is_empty();
        let plain = || tenant.users.values().filter(is_plain);
        let member = plain().find(|person| members.contains(&person.id));
        let joiner = plain().find(|person| person.hire_date.is_some() && !members.contains(&person.id));
        (
            member.map(|person| person.user_principal_name.clone()).unwrap_or_default(),
            joiner.map(|person| person.id.to_string()).unwrap_or_default(),
        )
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}

fn print(line: &str) {
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs this build's function app on the tenant at `sandbox_address` until it fails; waits forever without `address`.
async fn run_functions(
    address: Option<SocketAddr>,
    sandbox_address: SocketAddr,
    sandbox: Sandbox,
    env: &Environment,
) -> Result<(), String> {
    let Some(address) = address else { return std::future::pending().await };
    let url = format!("http://{sandbox_address}");
    let set: Vec<(&str, &str)> = env.names().filter_map(|name| Some((name, env.get(name)?))).collect();
    let settings_with = |defaults: &[(&str, &str)]| -> Environment {
        defaults.iter().copied().chain(set.iter().copied()).chain([("SANDBOX_URL", url.as_str())]).collect()
    };
    let group = sandbox.edit(|tenant| {
        tenant.granted.insert(Permission::REQUIRED_FOR_NOTIFICATIONS);
        tenant.find_group(ON_DEMAND_GROUP).map(|group| group.id.to_string()).unwrap_or_default()
    });
    let defaults = [
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
        ("ON_DEMAND_GROUP_ID", group.as_str()),
        ("EVENT_GRID_PARTNER_TOPIC", PARTNER_TOPIC),
        ("CREATE_TAP_OPEN", "true"),
    ];
    let host =
        settings_with(&[&defaults[..], &[("AzureWebJobsStorage", "UseDevelopmentStorage=true")]].concat());
    let mut app = FunctionApp::embedded(&host).map_err(|problems| problems.to_string())?;
    // The queues are in this process, so the handler gets no storage connection.
    app.settings = settings_with(&defaults);
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let worker = Process::new(".", Some(executable))?;
    let storage = Storage::new(sandbox.clock());
    if let Some(queue) = app.queue_of("OnGroupAdd") {
        sandbox.connect_event_grid(EventGrid::delivering_to(storage.event_sink(queue)));
    }
    let host = FunctionsHost::start(app, Arc::new(worker), storage.clone());
    host.log().observe(|ran| {
        let result = ran.result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
        let (function, attempt, took) = (&ran.function, ran.attempt, ran.took.as_millis());
        tracing::info!(event = "function.ran", function, attempt, took_ms = took, result, logs = ?ran.logs);
    });
    let (listener, address) = listen(address).await?;
    let master = &host.keys().master;
    // Somebody who gets a pass, and somebody who is no member of the group yet.
    let (colleague, joiner) = examples(&sandbox, &group);
    print(&format!(
        "curl -d '{{\"UserName\": \"{colleague}\"}}' 'http://{address}/api/CreateTap?code={master}'"
    ));
    print(&format!(
        "curl -H 'Content-Type: application/json' -d '{{\"input\": \"\"}}' 'http://{address}/admin/functions/SweepJoiners?code={master}'"
    ));
    print(&format!(
        "curl -X PUT '{url}/sandbox/groups/{group}/members/{joiner}'   # a pass on demand; run the sweep once before"
    ));
    // A change of the tenant's clock does not wake the tasks of the host.
    let watch_clock = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            storage.notify_clock_changed();
        }
    };
    tokio::select! {
        served = host.serve(listener) => served.map_err(|error| error.to_string()),
        () = host.wait_until_stopped() => Err("the handler did not get ready in time, or failed three times".to_owned()),
        () = watch_clock => Ok(()),
    }
}
