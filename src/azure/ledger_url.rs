//! The URL of the ledger's container.

use std::fmt;

use azure_core::http::Url;

use super::{has_credentials, has_sas, is_loopback};
use crate::{cloud::Cloud, errors::without_secrets};

/// The URL of the ledger's container, which can have a SAS. It does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct LedgerUrl(Url);

impl LedgerUrl {
    /// Reads the URL of a container in a storage account of `cloud`, or on this machine.
    ///
    /// # Errors
    /// What is wrong with it. The message does not quote it.
    pub(crate) fn parse(text: &str, cloud: Cloud) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
        if has_credentials(&url) {
            return Err("has a user name or a password: remove it".to_owned());
        }
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err("must start with https:// (http only to this machine, for Azurite)".to_owned());
        }
        // The app's token or the SAS goes there.
        if !is_loopback(&url) {
            cloud.check_storage_host("blob", url.host_str().unwrap_or_default())?;
        }
        if url.scheme() == "http" && !has_sas(&url) {
            return Err("needs a SAS: a token must not be sent over http".to_owned());
        }
        if url.path().trim_matches('/').is_empty() {
            return Err("names no container: add its name as the path".to_owned());
        }
        Ok(Self(url))
    }

    /// The URL, with its SAS.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether it has a SAS.
    pub(crate) fn has_sas(&self) -> bool {
        has_sas(&self.0)
    }
}

impl fmt::Debug for LedgerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_secrets(self.0.as_str()))
    }
}
