//! What sweeps have found out about addresses, for all jobs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{ledger::LastSweep, settings::Settings};

/// What is known of addresses.
#[derive(Clone, Debug, Default)]
pub struct KnownAddresses {
    /// The tenant's domains, in ASCII and small letters.
    pub domains: BTreeSet<String>,
    /// The mailboxes of several people, with how many have them.
    pub shared: BTreeMap<String, usize>,
}

impl KnownAddresses {
    /// What the last sweep has left.
    pub(crate) fn of(settings: &Settings, last: Option<&LastSweep>) -> Self {
        let domains = match settings.mail.tenant_domains.as_slice() {
            [] => last.map(|sweep| sweep.domains.clone()).unwrap_or_default(),
            named => named.iter().cloned().collect(),
        };
        let shared = last.map(|sweep| sweep.shared.clone()).unwrap_or_default();
        Self { domains, shared }
    }
}
