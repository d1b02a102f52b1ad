//! The clouds of Microsoft in which firstpass works, and what differs between them.
//!
//! Endpoints: <https://learn.microsoft.com/graph/deployments>,
//! <https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure>.

use crate::environment::Environment;

/// A cloud (CLOUD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// The global one.
    #[default]
    Public,
    /// Azure Government with Microsoft 365 GCC High (L4).
    UsGov,
    /// Azure Government with Microsoft 365 DoD (L5).
    UsGovDod,
}

impl Cloud {
    /// The name of the setting.
    pub(crate) const SETTING: &str = "CLOUD";

    /// Reads a value of CLOUD.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "public" => Ok(Self::Public),
            "usgov" => Ok(Self::UsGov),
            "usgov-dod" => Ok(Self::UsGovDod),
            "china" => Err("is china, where Microsoft Graph cannot make Temporary Access Passes \
                            (https://learn.microsoft.com/graph/api/authentication-list-temporaryaccesspassmethods)"
                .to_owned()),
            _ => Err(format!("is none of public, usgov, usgov-dod: \"{text}\"")),
        }
    }

    /// The cloud of an environment whose settings may be invalid: then the default.
    pub(crate) fn of(env: &Environment) -> Self {
        env.get(Self::SETTING).and_then(|text| Self::parse(text).ok()).unwrap_or_default()
    }

    /// The host of Microsoft Graph.
    pub(crate) fn graph_host(self) -> &'static str {
        match self {
            Self::Public => "graph.microsoft.com",
            Self::UsGov => "graph.microsoft.us",
            Self::UsGovDod => "dod-graph.microsoft.us",
        }
    }

    /// The end of the host names of storage accounts.
    pub(crate) fn storage_suffix(self) -> &'static str {
        match self {
            Self::Public => "core.windows.net",
            Self::UsGov | Self::UsGovDod => "core.usgovcloudapi.net",
        }
    }

    /// The page where a user signs in and registers authentication methods.
    pub(crate) fn security_info(self) -> &'static str {
        match self {
            Self::Public => "https://aka.ms/mysecurityinfo",
            Self::UsGov | Self::UsGovDod => "https://mysignins.azure.us/security-info",
        }
    }

    /// Why a host of a storage account is none of this cloud; `None` for any other host.
    pub(crate) fn refuses_storage(self, host: &str) -> Option<String> {
        let other = [Self::Public, Self::UsGov].into_iter().find(|cloud| {
            cloud.storage_suffix() != self.storage_suffix()
                && host.ends_with(&format!(".{}", cloud.storage_suffix()))
        })?;
        let (theirs, ours) = (other.storage_suffix(), self.storage_suffix());
        Some(format!("is in {theirs}, and CLOUD means {ours}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_is_read_and_china_is_refused_with_the_reason() {
        for (text, cloud) in
            [("public", Cloud::Public), ("USGov", Cloud::UsGov), ("usgov-dod", Cloud::UsGovDod)]
        {
            assert_eq!(Cloud::parse(text), Ok(cloud));
        }
        assert!(Cloud::parse("china").unwrap_err().contains("cannot make Temporary Access Passes"));
        assert!(Cloud::parse("germany").unwrap_err().contains("none of public"));
    }

    #[test]
    fn a_storage_account_of_another_cloud_is_refused() {
        for (cloud, host, is_refused) in [
            (Cloud::Public, "x.blob.core.windows.net", false),
            (Cloud::Public, "x.blob.core.usgovcloudapi.net", true),
            (Cloud::UsGov, "x.blob.core.usgovcloudapi.net", false),
            (Cloud::UsGovDod, "x.blob.core.usgovcloudapi.net", false),
            (Cloud::UsGov, "x.blob.core.windows.net", true),
            (Cloud::UsGov, "storage.contoso.com", false),
            (Cloud::UsGov, "127.0.0.1", false),
        ] {
            assert_eq!(cloud.refuses_storage(host).is_some(), is_refused, "{cloud:?} {host}");
        }
    }
}
