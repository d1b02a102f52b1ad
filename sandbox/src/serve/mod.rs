//! `firstpass-sandbox serve`: the product's handler on the sandbox at `SANDBOX_URL`, which runs in another process.
//!
//! No other setting is required. The clock follows the sandbox's. The ledger is in memory, or in a storage emulator on
//! this machine: a simulated tenant must not change the records of a real one.

pub mod transport;

use std::sync::{Arc, OnceLock};

use azure_core::http::Url;
use firstpass::{
    app::App,
    azure::QueueAccess,
    cli::serve,
    clock::Clock,
    environment::Environment,
    ledger::{Ledger, memory::MemoryLedger},
    settings::{IdentitySettings, SettingProblem, Settings, SettingsError},
    startup,
};

use self::transport::{LoopbackUrl, SandboxTransport};
use crate::{azure::azure_variable, tenant::samples::SENDER};

/// The `LEDGER_URL` that means a ledger in memory: the product requires a URL.
const MEMORY_LEDGER_URL: &str = "https://localhost/memory";

/// Serves the Functions host until the host ends the process.
///
/// # Errors
/// When the port is not set or cannot be listened on.
pub fn run(env: &Environment) -> Result<(), String> {
    let sandbox = OnceLock::new();
    let product_env = product_environment(env);
    serve::run(
        &product_env,
        |settings| {
            let (app, url) = build_app(settings, env)?;
            drop(sandbox.set(url));
            Ok(app)
        },
        |router| match sandbox.get().cloned() {
            Some(sandbox) => sandbox.sync_clock(router),
            None => router,
        },
    )
}

/// `env` with defaults for the settings that the product requires.
pub fn product_environment(env: &Environment) -> Environment {
    // A generated tenant can have more joiners in a week than most companies.
    env.clone().or([("MAIL_FROM", SENDER), ("LEDGER_URL", MEMORY_LEDGER_URL), ("SWEEP_MAX", "1000")])
}

/// Builds the App on the sandbox at `SANDBOX_URL`.
///
/// # Errors
/// Every setting that is wrong.
pub fn build_app(
    settings: Settings,
    env: &Environment,
) -> Result<(Arc<App>, Arc<SandboxTransport>), SettingsError> {
    let url = check_settings(env)?;
    let http = startup::loopback_client()?;
    let sandbox = SandboxTransport::new(http.clone(), url.clone(), Clock::system());
    let IdentitySettings { client_id, .. } = settings.identity;
    let identity = env.get("IDENTITY_ENDPOINT").and_then(|text| Url::parse(text).ok());
    // Only the sandbox's own identity endpoint may provide the token: a real one must not reach the sandbox.
    let credential = if identity.is_some_and(|identity| url.is_origin_of(&identity)) {
        startup::credential(client_id, true)?
    } else {
        sandbox.credential()
    };
    let ledger: Arc<dyn Ledger> = if settings.ledger_url.as_url().as_str() == MEMORY_LEDGER_URL {
        Arc::new(MemoryLedger::default())
    } else {
        // A storage account does not accept the sandbox's token.
        startup::ledger(&settings.ledger_url, None)?
    };
    let service = settings.queues.clone().filter(|s| !matches!(s.access, QueueAccess::Identity { .. }));
    let queues = service.map(|service| startup::queues(&service, false)).transpose()?;
    let app = startup::app(settings, sandbox.clone(), credential, ledger, queues, sandbox.clock())?;
    Ok((app, sandbox))
}

/// Checks that the sandbox and the ledger are on this machine and that this is not Azure.
fn check_settings(env: &Environment) -> Result<LoopbackUrl, SettingsError> {
    const EXAMPLE: &str = "http://127.0.0.1:8089";
    let mut problems = Vec::new();
    let mut problem = |name, detail, example| problems.push(SettingProblem { name, detail, example });
    let url = env.get("SANDBOX_URL").map(|text| (text, text.parse::<LoopbackUrl>().ok()));
    match &url {
        None => problem("SANDBOX_URL", "is missing".to_owned(), EXAMPLE),
        Some((text, None)) => {
            let what = format!("is not the http:// address of a sandbox on this machine: \"{text}\"");
            problem("SANDBOX_URL", what, EXAMPLE);
        }
        Some((_, Some(_))) => {}
    }
    if let Some(variable) = azure_variable(env) {
        let what = format!("must not be set in Azure ({variable} is set, so this is Azure): remove it");
        problem("SANDBOX_URL", what, "");
    }
    if env.get("LEDGER_URL").is_some_and(|text| text.parse::<LoopbackUrl>().is_err()) {
        let what = "is not an http:// address of this machine, and a simulated tenant must not change real records: \
                    use a storage emulator, or remove it";
        problem("LEDGER_URL", what.to_owned(), "");
    }
    match url {
        Some((_, Some(url))) if problems.is_empty() => Ok(url),
        _ => Err(SettingsError(problems)),
    }
}
