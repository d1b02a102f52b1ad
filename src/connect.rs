//! From settings to an [`App`] that talks to the tenant they name.

use std::{error::Error, sync::Arc, time::Duration};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, HttpClient, Transport, Url},
};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use reqwest::ClientBuilder;
use uuid::Uuid;

#[cfg(feature = "sandbox")]
use crate::sandbox::loopback::SandboxUrl;
use crate::{
    app::App,
    clock::Clock,
    ledger::{
        Ledger,
        blob::{BlobLedger, has_sas},
        memory::MemoryLedger,
    },
    queue::Queues,
    settings::{Problem, QueueAccess, QueueService, Report, Settings, TenantAccess},
};

/// A running App, and what it needs around it.
#[derive(Debug)]
pub struct Connection {
    /// The App.
    pub app: Arc<App>,
    /// The sandbox that it talks to, whose time it must keep.
    #[cfg(feature = "sandbox")]
    pub sandbox: Option<Arc<SandboxUrl>>,
}

/// Builds the App.
///
/// # Errors
/// What keeps it from working, as a report on the settings behind it.
pub fn connect(settings: Settings) -> Result<Connection, Report> {
    let ledger_url = settings.ledger_url.clone();
    match settings.tenant.clone() {
        TenantAccess::Graph { client_id, managed_identity } => {
            let http: Arc<dyn HttpClient> = Arc::new(http_client(|client| client)?);
            let credential = credential(client_id, managed_identity, http.clone())?;
            let ledger = ledger(ledger_url, Some(credential.clone()))?;
            let queues =
                settings.queues.as_ref().map(|service| queues(service, managed_identity)).transpose()?;
            let app = app(settings, http, credential, ledger, queues, Clock::system())?;
            Ok(Connection {
                app,
                #[cfg(feature = "sandbox")]
                sandbox: None,
            })
        }
        #[cfg(feature = "sandbox")]
        TenantAccess::Sandbox { url, client_id, managed_identity } => {
            let http = local_client()?;
            let sandbox = SandboxUrl::new(http.clone(), url.as_str(), Clock::system())
                .map_err(|error| report("SANDBOX_URL", error.to_string()))?;
            let credential = if managed_identity {
                credential(client_id, managed_identity, Arc::new(http))?
            } else {
                sandbox.credential()
            };
            // What signs in to the sandbox is nobody to a real storage account.
            let ledger = ledger(ledger_url, None)?;
            let service =
                settings.queues.as_ref().filter(|s| !matches!(s.access, QueueAccess::Identity { .. }));
            let queues = service.map(|service| queues(service, false)).transpose()?;
            let app = app(settings, sandbox.clone(), credential, ledger, queues, sandbox.clock())?;
            Ok(Connection { app, sandbox: Some(sandbox) })
        }
    }
}

#[cfg(feature = "sandbox")]
pub(crate) fn local_client() -> Result<reqwest::Client, Report> {
    http_client(to_this_machine)
}

/// For plain http to this machine: no proxy has a part in it, and there need not be a certificate here.
fn to_this_machine(client: ClientBuilder) -> ClientBuilder {
    client.no_proxy().tls_certs_only([])
}

fn http_client(adapt: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<reqwest::Client, Report> {
    // Fails where it was done before in this process, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none());
    adapt(client).build().map_err(|error| {
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        report("SSL_CERT_FILE", format!("does not help, and without certificates there is no TLS: {cause}"))
    })
}

fn app(
    settings: Settings,
    transport: Arc<dyn HttpClient>,
    credential: Arc<dyn TokenCredential>,
    ledger: Arc<dyn Ledger>,
    queues: Option<Queues>,
    clock: Clock,
) -> Result<Arc<App>, Report> {
    let app = App::new(settings, transport, credential, ledger, clock)
        .map_err(|error| report("LANGUAGE", error.to_string()))?;
    Ok(Arc::new(match queues {
        Some(queues) => app.with_queues(queues),
        None => app,
    }))
}

fn credential(
    client_id: Option<Uuid>,
    managed_identity: bool,
    http: Arc<dyn HttpClient>,
) -> Result<Arc<dyn TokenCredential>, Report> {
    let failed = |error: azure_core::Error| {
        report("AZURE_CLIENT_ID", format!("does not lead to an identity: {error}"))
    };
    if managed_identity {
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(|id| UserAssignedId::ClientId(id.to_string())),
            client_options: ClientOptions {
                transport: Some(Transport::new(http)),
                ..ClientOptions::default()
            },
        };
        Ok(ManagedIdentityCredential::new(Some(options)).map_err(failed)?)
    } else {
        tracing::info!(
            event = "start.credential",
            why = "no managed identity here: using the one of `az login`"
        );
        Ok(DeveloperToolsCredential::new(None).map_err(failed)?)
    }
}

/// How long one request to storage may take; answers take milliseconds.
const STORAGE_TRY: Duration = Duration::from_secs(5);

/// Plain http is to this machine, see `settings`: as with a sandbox.
fn storage_client(url: &Url) -> Result<Arc<dyn HttpClient>, Report> {
    let is_local = url.scheme() == "http";
    let http = http_client(|client| {
        let client = client.timeout(STORAGE_TRY).no_gzip();
        if is_local { to_this_machine(client) } else { client }
    })?;
    Ok(Arc::new(http))
}

/// The app's queues, where the host keeps them. Without a managed identity it is the one of `az login` that signs in.
pub(crate) fn queues(service: &QueueService, managed_identity: bool) -> Result<Queues, Report> {
    let http = storage_client(&service.url)?;
    let credential = match service.access {
        QueueAccess::Identity { client_id } => Some(credential(client_id, managed_identity, http.clone())?),
        QueueAccess::Sas(_) | QueueAccess::Key { .. } => None,
    };
    // The account has its own time, whatever time it is in a sandbox.
    Queues::in_azure(service, credential.as_ref(), &http, &Clock::system())
        .map_err(|error| report("AzureWebJobsStorage", error.to_string()))
}

/// The ledger in blob storage; in memory where no URL is set, which only a sandbox may do without. A URL with a SAS
/// says itself who is asking.
fn ledger(url: Option<Url>, credential: Option<Arc<dyn TokenCredential>>) -> Result<Arc<dyn Ledger>, Report> {
    let Some(url) = url else { return Ok(Arc::new(MemoryLedger::default())) };
    let credential = credential.filter(|_| !has_sas(&url));
    if credential.is_none() && !has_sas(&url) {
        return Err(report("LEDGER_URL", "needs a SAS beside SANDBOX_URL".into()));
    }
    let http = storage_client(&url)?;
    let ledger =
        BlobLedger::new(url, credential, http).map_err(|error| report("LEDGER_URL", error.to_string()))?;
    Ok(Arc::new(ledger))
}

fn report(name: &'static str, what: String) -> Report {
    Report(vec![Problem { name, what, example: "" }])
}
