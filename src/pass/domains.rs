//! The domains of the tenant, whose mailboxes are no private addresses.
//!
//! TENANT_DOMAINS names them. Without it a sweep finds them, by `Domain.Read.All` where that is granted and else by the
//! sign-in names of joiners, and leaves them in the ledger for all jobs.

use std::{collections::BTreeSet, error::Error};

use chrono::TimeDelta;

use super::{
    condition,
    services::{KnownDomains, Services},
};
use crate::{address::Address, graph::users::Candidate, ledger::LedgerError};

/// How long a process takes what it read from the ledger for current.
const CURRENT: TimeDelta = TimeDelta::minutes(30);
/// More domains than a tenant can have that uses this app: a limit for the document, not for Graph.
const MAX_DOMAINS: usize = 1_000;

/// The tenant's domains, as far as they are known.
pub(super) async fn of_tenant(services: &Services) -> Result<BTreeSet<String>, LedgerError> {
    let named = &services.settings.mail.tenant_domains;
    if !named.is_empty() {
        return Ok(named.iter().cloned().collect());
    }
    let now = services.clock.now();
    let known = services.domains.lock().await.clone();
    if known.read_at.is_some_and(|at| (at..at + CURRENT).contains(&now)) {
        return Ok(known.domains);
    }
    let conditions = match services.ledger.conditions().await {
        Ok(conditions) => conditions,
        // It must not stop everybody.
        Err(error @ LedgerError::Unreadable(_)) => {
            condition::log_unreadable(&error);
            return Ok(known.domains);
        }
        Err(error) => return Err(error),
    };
    let domains = conditions.and_then(|(conditions, _)| conditions.last_sweep).map(|sweep| sweep.domains);
    let domains = domains.unwrap_or_default();
    *services.domains.lock().await = KnownDomains { read_at: Some(now), domains: domains.clone() };
    Ok(domains)
}

/// The domains for the ledger: those that Graph lists, or `known` and those of the candidates' sign-in names.
pub(crate) async fn found(
    services: &Services,
    known: BTreeSet<String>,
    candidates: &[Candidate],
) -> BTreeSet<String> {
    if !services.settings.mail.tenant_domains.is_empty() {
        return BTreeSet::new();
    }
    let listed = match services.graph.domains().await {
        Ok(listed) => listed,
        Err(error) if error.status == Some(403) => {
            let names = candidates.iter().filter_map(|user| user.user_principal_name.as_deref());
            let domains = names.filter_map(|name| Some(name.rsplit_once('@')?.1.to_owned()));
            known.into_iter().chain(domains).collect()
        }
        Err(error) => {
            tracing::info!(
                event = "domains.not_read",
                error = &error as &dyn Error,
                "The tenant's domains could not be read; those of the last sweep count"
            );
            known.into_iter().collect()
        }
    };
    let ascii = |domain: &String| Some(Address::parse(&format!("a@{domain}")).ok()?.domain().to_owned());
    listed.iter().filter_map(ascii).take(MAX_DOMAINS).collect()
}
