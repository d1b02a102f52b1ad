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

    /// Checks that `host` is that of the `service` ("blob", "queue") of a storage account of this cloud: a token or a signature
    /// is sent there. Private endpoints keep the name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn check_storage_host(self, service: &str, host: &str) -> Result<(), String> {
        let is_in = |cloud: Self| {
            let endings = [format!(".{service}.{}", cloud.storage_suffix())];
            // <https://learn.microsoft.com/azure/storage/common/storage-account-overview#azure-dns-zone-endpoints-preview>
            let zone = (cloud == Self::Public).then(|| format!(".{service}.storage.azure.net"));
            let account =
                endings.iter().find_map(|ending| host.strip_suffix(ending.as_str())).map(private_name);
            let zoned = zone.and_then(|ending| private_name(host.strip_suffix(&ending)?).rsplit_once(".z"));
            let is_number = |zone: &str| zone.len() == 2 && zone.bytes().all(|b| b.is_ascii_digit());
            let name = account.or(zoned.filter(|(_, zone)| is_number(zone)).map(|(name, _)| name));
            name.map(routed_name).is_some_and(is_storage_account)
        };
        if host.split('.').next().is_some_and(|name| name.ends_with("-secondary")) {
            return Err(
                "leads to the secondary endpoint of a storage account, which can only be read".to_owned()
            );
        }
        let other = [Self::Public, Self::UsGov]
            .into_iter()
            .find(|cloud| cloud.storage_suffix() != self.storage_suffix());
        match other {
            _ if is_in(self) => Ok(()),
            Some(other) if is_in(other) => {
                Err(format!("is in {}, and CLOUD means {}", other.storage_suffix(), self.storage_suffix()))
            }
            _ => Err(format!(
                "leads to a host that is no {service} service of a storage account: <account>.{service}.{}",
                self.storage_suffix()
            )),
        }
    }
}

/// <https://learn.microsoft.com/azure/storage/common/storage-account-overview#storage-account-name>
pub(crate) fn is_storage_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// `name` without the route of an endpoint (<https://learn.microsoft.com/azure/storage/common/network-routing-preference>).
fn routed_name(name: &str) -> &str {
    ["-microsoftrouting", "-internetrouting"]
        .iter()
        .find_map(|route| name.strip_suffix(route))
        .unwrap_or(name)
}

/// `name` without the label of a private endpoint's own zone.
fn private_name(name: &str) -> &str {
    name.strip_suffix(".privatelink").unwrap_or(name)
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
    fn only_storage_accounts_of_the_cloud_are_accepted() {
        for (cloud, host, is_accepted) in [
            (Cloud::Public, "mine.blob.core.windows.net", true),
            (Cloud::Public, "mine-secondary.blob.core.windows.net", false),
            (Cloud::Public, "mine-internetrouting-secondary.blob.core.windows.net", false),
            (Cloud::Public, "mine-microsoftrouting.blob.core.windows.net", true),
            (Cloud::Public, "mine-internetrouting.blob.core.windows.net", true),
            (Cloud::UsGov, "mine-internetrouting.blob.core.usgovcloudapi.net", true),
            (Cloud::Public, "mine-otherrouting.blob.core.windows.net", false),
            (Cloud::Public, "mine.privatelink.blob.core.windows.net", true),
            (Cloud::Public, "mine.z07.blob.storage.azure.net", true),
            (Cloud::Public, "mine.z07.privatelink.blob.storage.azure.net", true),
            (Cloud::Public, "mine.blob.core.usgovcloudapi.net", false),
            (Cloud::UsGov, "mine.blob.core.usgovcloudapi.net", true),
            (Cloud::UsGovDod, "mine.privatelink.blob.core.usgovcloudapi.net", true),
            (Cloud::UsGov, "mine.blob.core.windows.net", false),
            (Cloud::UsGov, "mine.z07.blob.storage.azure.net", false),
            (Cloud::Public, "mine.blob.storage.azure.net", false),
            (Cloud::Public, "mine.z7.blob.storage.azure.net", false),
            (Cloud::Public, "mine.queue.core.windows.net", false),
            (Cloud::Public, "a.b.blob.core.windows.net", false),
            (Cloud::Public, "blob.core.windows.net", false),
            (Cloud::Public, "mine.blob.core.windows.net.", false),
            (Cloud::Public, "mine.blob.core.windows.net.evil.example", false),
            (Cloud::Public, "mineblob.core.windows.net", false),
            (Cloud::Public, "evil.example", false),
            (Cloud::Public, "10.0.0.4", false),
            (Cloud::UsGov, "storage.contoso.com", false),
        ] {
            assert_eq!(cloud.check_storage_host("blob", host).is_ok(), is_accepted, "{cloud:?} {host}");
        }
        let refused = Cloud::UsGov.check_storage_host("queue", "mine.queue.core.windows.net").unwrap_err();
        assert_eq!(refused, "is in core.windows.net, and CLOUD means core.usgovcloudapi.net");
    }
}
