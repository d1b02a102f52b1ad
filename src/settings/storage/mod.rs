//! The host's setting `AzureWebJobsStorage`, which names its queue service.
//!
//! A connection string has precedence over an identity, as in the host (azure-sdk-for-net, `StorageClientProvider`).

use azure_core::http::Url;
use uuid::Uuid;

use super::{
    SettingsError,
    reader::{self, Parsed, SettingsReader},
};
use crate::{
    azure::{
        QueueAccess, QueueService,
        connection_string::{account_url, connection_string, endpoint},
    },
    cloud::Cloud,
    environment::Environment,
};

const STORAGE: &str = "AzureWebJobsStorage";
const SERVICE_URI: &str = "AzureWebJobsStorage__queueServiceUri";
const ACCOUNT_NAME: &str = "AzureWebJobsStorage__accountName";
const CLIENT_ID: &str = "AzureWebJobsStorage__clientId";
const CREDENTIAL: &str = "AzureWebJobsStorage__credential";

const STORAGE_EXAMPLE: &str = "leave it out and set AzureWebJobsStorage__accountName";
const SERVICE_URI_EXAMPLE: &str = "https://mystorage.queue.core.windows.net";
const ACCOUNT_EXAMPLE: &str = "mystorage";

impl QueueService {
    /// Reads `AzureWebJobsStorage`, for a command that needs no other setting.
    ///
    /// # Errors
    /// All problems with it.
    pub fn read(env: &Environment) -> Result<Option<Self>, SettingsError> {
        let mut read = SettingsReader::new(env);
        let client_id = read.optional("AZURE_CLIENT_ID", reader::GUID_EXAMPLE, reader::guid);
        let service = service(&mut read, env, client_id);
        read.finish().map_or(Ok(service), Err)
    }
}

/// The service that the settings name; `None` if they name none, or have problems. `client_id` is AZURE_CLIENT_ID, the
/// host's default.
fn service(
    read: &mut SettingsReader<'_>,
    env: &Environment,
    client_id: Option<Uuid>,
) -> Option<QueueService> {
    let cloud = Cloud::of(env);
    if env.get(STORAGE).is_some() {
        return read.all(STORAGE, STORAGE_EXAMPLE, |text| connection_string(text, cloud));
    }
    let uri = read.optional(SERVICE_URI, SERVICE_URI_EXAMPLE, |text| service_uri(text, cloud));
    let by_name = read.optional(ACCOUNT_NAME, ACCOUNT_EXAMPLE, |name| account_url(name, cloud));
    let own_id = read.optional(CLIENT_ID, reader::GUID_EXAMPLE, reader::guid);
    let url = uri.or(by_name)?;
    // `managedidentity` without an id is the system-assigned one; without both the host uses AZURE_CLIENT_ID
    // (azure-sdk-for-net, `DefaultAzureCredential`).
    let client_id = own_id.or(client_id.filter(|_| env.get(CREDENTIAL).is_none()));
    Some(QueueService { url, access: QueueAccess::Identity { client_id } })
}

/// The host sends a token to it: only over TLS.
fn service_uri(text: &str, cloud: Cloud) -> Parsed<Url> {
    let url = endpoint(text, cloud)?;
    if url.scheme() == "https" { Ok(url) } else { Err("must start with https://".to_owned()) }
}

#[cfg(test)]
mod tests;
