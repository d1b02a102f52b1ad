//! Builds the [`App`] from the settings.

use std::{
    error::Error,
    sync::{Arc, LazyLock},
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, HttpClient, Transport, Url},
};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use reqwest::ClientBuilder;
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use uuid::Uuid;

use crate::{
    app::App,
    azure::{LedgerUrl, QueueAccess, QueueService},
    budget,
    clock::Clock,
    environment::Environment,
    errors::{Cause, chain},
    ledger::{Ledger, blob::BlobLedger},
    queue::Queues,
    settings::{IdentitySettings, SettingProblem, Settings, SettingsError},
    transport::LimitedClient,
};

/// Builds the App for the tenant, the ledger and the queues in `settings`.
///
/// # Errors
/// A report on the settings that are not usable.
pub fn build_app(settings: Settings) -> Result<Arc<App>, SettingsError> {
    let IdentitySettings { client_id, managed } = settings.identity;
    let http: Arc<dyn HttpClient> = Arc::new(http_client(with_certificates(ClientBuilder::new())?)?);
    let credential = credential(client_id, managed)?;
    let ledger = ledger(&settings.ledger_url, Some(credential.clone()))?;
    let queues = settings.queues.as_ref().map(|service| queues(service, managed)).transpose()?;
    app(settings, http, credential, ledger, queues, Clock::system())
}

/// An HTTP client for services on this machine.
///
/// # Errors
/// When the client cannot be built.
pub fn loopback_client() -> Result<reqwest::Client, SettingsError> {
    http_client(for_loopback(ClientBuilder::new()))
}

/// Plain http to this machine needs neither a proxy nor certificates.
fn for_loopback(client: ClientBuilder) -> ClientBuilder {
    client.no_proxy().tls_certs_only([])
}

/// What every client with certificates uses. To load them takes most of a start's time, so it is done once in a process.
static TLS: LazyLock<Result<ClientConfig, rustls::Error>> = LazyLock::new(|| {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut tls = builder.with_platform_verifier()?.with_no_client_auth();
    tls.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
    Ok(tls)
});

fn with_certificates(client: ClientBuilder) -> Result<ClientBuilder, SettingsError> {
    Ok(client.tls_backend_preconfigured(TLS.clone().map_err(|error| no_certificates(&error))?))
}

fn http_client(client: ClientBuilder) -> Result<reqwest::Client, SettingsError> {
    // For clients without certificates. Fails if the process has a default provider already.
    drop(ring::default_provider().install_default());
    let client = client.connect_timeout(budget::CONNECT).redirect(reqwest::redirect::Policy::none());
    client.build().map_err(|error| no_certificates(&error))
}

fn no_certificates(error: &(dyn Error + 'static)) -> SettingsError {
    let cause = chain(&Cause::of(error));
    report("SSL_CERT_FILE", format!("leads to no certificates, and TLS needs them: {cause}"))
}

/// Builds the App from its parts.
///
/// # Errors
/// When LANGUAGE has no mail templates.
pub fn app(
    settings: Settings,
    transport: Arc<dyn HttpClient>,
    credential: Arc<dyn TokenCredential>,
    ledger: Arc<dyn Ledger>,
    queues: Option<Queues>,
    clock: Clock,
) -> Result<Arc<App>, SettingsError> {
    let app = App::new(settings, transport, credential, ledger, clock)
        .map_err(|error| report("LANGUAGE", error.to_string()))?;
    Ok(Arc::new(match queues {
        Some(queues) => app.with_queues(queues),
        None => app,
    }))
}

/// The managed identity's credential, or that of `az login` without a managed identity.
///
/// # Errors
/// When the identity cannot be used.
pub fn credential(
    client_id: Option<Uuid>,
    managed_identity: bool,
) -> Result<Arc<dyn TokenCredential>, SettingsError> {
    let failed = |error: azure_core::Error| {
        report("AZURE_CLIENT_ID", format!("does not lead to an identity: {}", chain(&Cause::of(&error))))
    };
    if managed_identity {
        // The endpoint is on this machine, or link-local: a proxy would ask another machine for its identity.
        let http: Arc<dyn HttpClient> =
            Arc::new(http_client(with_certificates(ClientBuilder::new())?.no_proxy())?);
        let options = ManagedIdentityCredentialOptions {
            user_assigned_id: client_id.map(|id| UserAssignedId::ClientId(id.to_string())),
            client_options: ClientOptions {
                transport: Some(Transport::new(LimitedClient::for_tokens(http))),
                ..ClientOptions::default()
            },
        };
        Ok(ManagedIdentityCredential::new(Some(options)).map_err(failed)?)
    } else {
        tracing::info!(
            event = "credential.chosen",
            "There is no managed identity; the identity of `az login` is used"
        );
        Ok(DeveloperToolsCredential::new(None).map_err(failed)?)
    }
}

/// The identity of a command: the managed one, or that of `az login`.
///
/// # Errors
/// When it cannot be used.
pub fn identity(env: &Environment) -> Result<Arc<dyn TokenCredential>, SettingsError> {
    let client_id = env.get("AZURE_CLIENT_ID").and_then(|text| text.parse().ok());
    credential(client_id, env.get("IDENTITY_ENDPOINT").is_some())
}

/// `settings` allows plain http for this machine only.
fn storage_client(url: &Url) -> Result<Arc<dyn HttpClient>, SettingsError> {
    let client = ClientBuilder::new().timeout(budget::STORAGE_TRY).no_gzip();
    let is_local = url.scheme() == "http";
    let client = if is_local { for_loopback(client) } else { with_certificates(client)? };
    Ok(Arc::new(http_client(client)?))
}

/// The queues in the host's storage account.
///
/// # Errors
/// When no client for the service can be built.
pub fn queues(service: &QueueService, managed_identity: bool) -> Result<Queues, SettingsError> {
    let http = storage_client(&service.url)?;
    let credential = match service.access {
        QueueAccess::Identity { client_id } => Some(credential(client_id, managed_identity)?),
        QueueAccess::Sas(_) | QueueAccess::Key { .. } => None,
    };
    Queues::in_azure(service, credential.as_ref(), &http, &Clock::system())
        .map_err(|error| report("AzureWebJobsStorage", error.to_string()))
}

/// The ledger in blob storage. A URL with a SAS needs no credential.
///
/// # Errors
/// When the URL is not usable, or there is neither a SAS nor a credential.
pub fn ledger(
    url: &LedgerUrl,
    credential: Option<Arc<dyn TokenCredential>>,
) -> Result<Arc<dyn Ledger>, SettingsError> {
    let credential = credential.filter(|_| !url.has_sas());
    if credential.is_none() && !url.has_sas() {
        return Err(report("LEDGER_URL", "needs a SAS: there is no identity here".into()));
    }
    let http = storage_client(url.as_url())?;
    let ledger = BlobLedger::new(url.as_url().clone(), credential, http)
        .map_err(|error| report("LEDGER_URL", error.to_string()))?;
    Ok(Arc::new(ledger))
}

fn report(name: &'static str, detail: String) -> SettingsError {
    SettingsError(vec![SettingProblem { name, detail, example: "" }])
}
