//! [Connection strings] of a storage account.
//!
//! [Connection strings]: https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string

use std::collections::BTreeMap;

use azure_core::{
    credentials::{Secret, SecretBytes},
    http::Url,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    has_credentials, is_loopback,
    queue_service::{QueueAccess, QueueService},
};
use crate::cloud::{Cloud, is_storage_account};

/// The account of the storage emulators, and its published key:
/// <https://learn.microsoft.com/azure/storage/common/storage-use-azurite#well-known-storage-account-and-key>
const EMULATOR: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_PORT: u16 = 10001;

/// Parses a connection string. No problem quotes a value: it may be a secret.
pub(crate) fn connection_string(text: &str, cloud: Cloud) -> Result<QueueService, Vec<String>> {
    if text.starts_with("@Microsoft.KeyVault(") {
        return Err(vec!["is a reference to a key vault that the platform could not resolve".to_owned()]);
    }
    let parts = parts(text)?;
    let part = |name: &str| parts.get(&name.to_ascii_lowercase()).copied().filter(|value| !value.is_empty());
    if let Some(emulator) = part("UseDevelopmentStorage") {
        return self::emulator(emulator, part("DevelopmentStorageProxyUri"), cloud)
            .map_err(|problem| vec![problem]);
    }
    let mut problems = Vec::new();
    let mut keep = |problem: String| problems.push(problem);
    let account = part("AccountName").and_then(|name| account_name(name).map_err(&mut keep).ok());
    let key = part("AccountKey").and_then(|key| secret_key(key).map_err(&mut keep).ok());
    let sas = part("SharedAccessSignature").and_then(|sas| sas_query(sas).map_err(&mut keep).ok());
    let url = match (part("QueueEndpoint"), account) {
        (Some(text), _) => {
            endpoint(text, cloud).map_err(|detail| format!("has a QueueEndpoint that {detail}"))
        }
        (None, Some(name)) => {
            let scheme = part("DefaultEndpointsProtocol").unwrap_or("https");
            let suffix = part("EndpointSuffix").unwrap_or(cloud.storage_suffix());
            let text = format!("{}://{name}.queue.{suffix}", scheme.to_ascii_lowercase());
            endpoint(&text, cloud).map_err(|detail| {
                format!("has a queue endpoint that {detail}: see DefaultEndpointsProtocol, EndpointSuffix")
            })
        }
        (None, None) if part("AccountName").is_some() => Err(String::new()),
        (None, None) => Err("names neither AccountName nor QueueEndpoint".to_owned()),
    };
    let url = url.map_err(&mut keep).ok();
    if part("AccountKey").is_none() && part("SharedAccessSignature").is_none() {
        keep("has neither AccountKey nor SharedAccessSignature".to_owned());
    }
    if part("AccountKey").is_some()
        && part("SharedAccessSignature").is_none()
        && part("AccountName").is_none()
    {
        keep("has an AccountKey and no AccountName".to_owned());
    }
    problems.retain(|problem| !problem.is_empty());
    let access = match (sas, key.zip(account)) {
        (Some(sas), _) => Some(QueueAccess::Sas(sas)),
        (None, Some((key, account))) => Some(QueueAccess::Key { account: account.to_owned(), key }),
        (None, None) => None,
    };
    match url.zip(access) {
        Some((url, access)) if problems.is_empty() => Ok(QueueService { url, access }),
        _ => Err(problems),
    }
}

/// Parses `Name=Value;Name=Value`: names in any case; a value may contain `=`.
fn parts(text: &str) -> Result<BTreeMap<String, &str>, Vec<String>> {
    let mut parts = BTreeMap::new();
    let mut problems = Vec::new();
    for (i, part) in text.split(';').map(str::trim).filter(|part| !part.is_empty()).enumerate() {
        let Some((name, value)) = part.split_once('=').filter(|(name, _)| is_name(name.trim())) else {
            problems.push(format!("has a part that is not Name=Value: number {}", i + 1));
            continue;
        };
        if parts.insert(name.trim().to_ascii_lowercase(), value.trim()).is_some() {
            problems.push(format!("has {} twice", name.trim()));
        }
    }
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

/// Any other text before a `=` may be a part of a key.
fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic())
}

fn emulator(value: &str, proxy: Option<&str>, cloud: Cloud) -> Result<QueueService, String> {
    if !value.eq_ignore_ascii_case("true") {
        return Err("has UseDevelopmentStorage, but not =true".to_owned());
    }
    let mut url = endpoint(proxy.unwrap_or("http://127.0.0.1"), cloud)
        .map_err(|detail| format!("has a DevelopmentStorageProxyUri that {detail}"))?;
    let set = url.set_port(Some(EMULATOR_PORT));
    url.set_path(EMULATOR);
    let key = secret_key(EMULATOR_KEY)?;
    set.map_err(|()| "has a DevelopmentStorageProxyUri without a host".to_owned())?;
    Ok(QueueService { url, access: QueueAccess::Key { account: EMULATOR.to_owned(), key } })
}

/// The URL of a queue service: of a storage account of `cloud`, with TLS, or on this machine. Requests have a token or a
/// signature.
pub(crate) fn endpoint(text: &str, cloud: Cloud) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("is not an http or https URL".to_owned());
    }
    if url.query().is_some() || has_credentials(&url) {
        return Err("has a query or credentials".to_owned());
    }
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err("must start with https:// (http only to this machine, for Azurite)".to_owned());
    }
    if !is_loopback(&url) {
        cloud.check_storage_host("queue", url.host_str().unwrap_or_default())?;
    }
    Ok(url)
}

impl QueueService {
    /// The queue service of a storage account in Azure, with the identity that is signed in.
    ///
    /// # Errors
    /// When `name` cannot be the name of an account.
    pub(crate) fn for_account(name: &str, cloud: Cloud) -> Result<Self, String> {
        account_url(name, cloud).map(|url| Self { url, access: QueueAccess::Identity { client_id: None } })
    }
}

pub(crate) fn account_url(name: &str, cloud: Cloud) -> Result<Url, String> {
    let name = account_name(name)?;
    Url::parse(&format!("https://{name}.queue.{}", cloud.storage_suffix()))
        .map_err(|_| "is not the name of a storage account".to_owned())
}

fn account_name(name: &str) -> Result<&str, String> {
    is_storage_account(name)
        .then_some(name)
        .ok_or_else(|| "has no valid account name: 3 to 24 lower-case letters and digits".to_owned())
}

fn secret_key(text: &str) -> Result<SecretBytes, String> {
    match STANDARD.decode(text) {
        Ok(key) if !key.is_empty() => Ok(SecretBytes::new(key)),
        _ => Err("has an AccountKey that is not base64: copy it again".to_owned()),
    }
}

fn sas_query(text: &str) -> Result<Secret, String> {
    let query = text.trim_start_matches('?');
    let has_signature =
        query.split('&').any(|part| part.strip_prefix("sig=").is_some_and(|sig| !sig.is_empty()));
    let is_query = query.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>#'".contains(&b));
    if has_signature && is_query {
        Ok(Secret::new(query.to_owned()))
    } else {
        Err("has a SharedAccessSignature without sig=, or with invalid characters".to_owned())
    }
}
