//! `firstpass-sandbox serve`: the product's handler on the sandbox at `SANDBOX_URL`, which another process serves.
//!
//! Nothing else has to be set. The clock follows the sandbox's. The ledger is in memory, or in a container of a storage
//! emulator on this machine: a simulated tenant must not change the records of a real one.

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

use self::transport::{LoopbackUrl, SandboxUrl};
use crate::tenant::samples::SENDER;

/// Stands for a ledger in memory where the product wants a URL.
const NO_LEDGER: &str = "https://memory.invalid/ledger";

/// Serves the Functions host until it kills the process.
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
            Some(sandbox) => sandbox.keep_time(router),
            None => router,
        },
    )
}

/// The settings as the product reads them: what it requires has a value.
pub fn product_environment(env: &Environment) -> Environment {
    env.clone().or([("MAIL_FROM", SENDER), ("LEDGER_URL", NO_LEDGER)])
}

/// The App on the sandbox at `SANDBOX_URL`.
///
/// # Errors
/// Every setting that keeps it from working.
pub fn build_app(
    settings: Settings,
    env: &Environment,
) -> Result<(Arc<App>, Arc<SandboxUrl>), SettingsError> {
    let url = check(env)?;
    let http = startup::loopback_client()?;
    let sandbox = SandboxUrl::new(http.clone(), url.clone(), Clock::system());
    let IdentitySettings { client_id, .. } = settings.identity;
    let identity = env.get("IDENTITY_ENDPOINT").and_then(|text| Url::parse(text).ok());
    // A token from another identity endpoint is none of the sandbox's business.
    let credential = if identity.is_some_and(|identity| url.is_origin_of(&identity)) {
        startup::credential(client_id, true, Arc::new(http))?
    } else {
        sandbox.credential()
    };
    let ledger: Arc<dyn Ledger> = if settings.ledger_url.as_str() == NO_LEDGER {
        Arc::new(MemoryLedger::default())
    } else {
        // The identity of the sandbox means nothing to a storage account.
        startup::ledger(&settings.ledger_url, None)?
    };
    let service = settings.queues.clone().filter(|s| !matches!(s.access, QueueAccess::Identity { .. }));
    let queues = service.map(|service| startup::queues(&service, false)).transpose()?;
    let app = startup::app(settings, sandbox.clone(), credential, ledger, queues, sandbox.clock())?;
    Ok((app, sandbox))
}

/// The sandbox's URL, if it and the ledger's are on this machine and this machine is not Azure's.
fn check(env: &Environment) -> Result<LoopbackUrl, SettingsError> {
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
    if let Some(sign) = sign_of_azure(env) {
        let what = format!("must not be set in Azure ({sign} says that this is Azure): remove it");
        problem("SANDBOX_URL", what, "");
    }
    if env.get("LEDGER_URL").is_some_and(|text| text.parse::<LoopbackUrl>().is_err()) {
        let what = "is not on this machine, and a simulated tenant must not change real records: use a storage \
                    emulator, or remove it";
        problem("LEDGER_URL", what.to_owned(), "");
    }
    match url {
        Some((_, Some(url))) if problems.is_empty() => Ok(url),
        _ => Err(SettingsError(problems)),
    }
}

/// A variable that says that this is Azure, where a sandbox refuses to work.
///
/// Linux Consumption is known by its CONTAINER_NAME alone, but so are many containers that are not Azure's: it
/// counts beside the name that App Service gives every app.
pub(crate) fn sign_of_azure(env: &Environment) -> Option<&'static str> {
    let is_set = |name: &&str| env.get(name).is_some();
    let container = || Some("CONTAINER_NAME").filter(is_set).filter(|_| is_set(&"WEBSITE_SITE_NAME"));
    ["WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "LEGION_SERVICE_HOST"]
        .into_iter()
        .find(is_set)
        .or_else(container)
}
