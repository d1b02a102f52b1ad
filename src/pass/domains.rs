//! Which addresses are no place for a code: those in the domains of the tenant, whose mailboxes are no private addresses, and
//! those that several people have.
//!
//! TENANT_DOMAINS names the domains. Without it a sweep finds them, by `Domain.Read.All` where that is granted and else by the
//! sign-in names of joiners, and leaves them in the ledger for all jobs. So it does with the mailboxes of several people.

use std::{collections::BTreeSet, error::Error};

use super::{condition, examined, known_addresses::KnownAddresses, services::Services};
use crate::{address::Address, graph::users::Candidate, ledger::LedgerError};

/// More domains than a tenant can have that uses this app: a limit for the document, not for Graph.
const MAX_DOMAINS: usize = 1_000;

/// Reads what the ledger says for everybody: what is known of addresses, which a sweep has written before it queued the job, and
/// whether the mailbox that sends refuses all mails.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn known(services: &Services) -> Result<KnownAddresses, LedgerError> {
    let conditions = match services.ledger.conditions().await {
        Ok(read) => read.map(|(conditions, _)| conditions),
        // It must not stop everybody.
        Err(error @ LedgerError::Unreadable(_)) => {
            condition::log_unreadable(&error);
            return Ok(match services.addresses.lock().await.clone() {
                Some(known) => known,
                None => KnownAddresses::of(&services.settings, None),
            });
        }
        Err(error) => return Err(error),
    };
    let sweep = conditions.as_ref().and_then(|conditions| conditions.last_sweep.as_ref());
    let known = KnownAddresses::of(&services.settings, sweep);
    examined::note_read(services, conditions.as_ref());
    services.mailbox.set(conditions.and_then(|conditions| conditions.mailbox));
    *services.addresses.lock().await = Some(known.clone());
    Ok(known)
}

/// A name that a message or a caller wrote, for logs and alerts. It may be somebody's private address, so it is masked, unless its
/// domain is known as one of the tenant. The ledger is not asked.
pub(crate) async fn shown_name(services: &Services, name: &str) -> String {
    let Ok(address) = Address::parse(name) else { return name.to_owned() };
    let settings = &services.settings.mail;
    let is_named = settings.tenant_domains.iter().any(|domain| domain == address.domain());
    let is_known = || async {
        let known = services.addresses.lock().await;
        known.as_ref().is_some_and(|known| known.domains.contains(address.domain()))
    };
    if is_named || address.domain() == settings.from.domain() || is_known().await {
        name.to_owned()
    } else {
        address.masked()
    }
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
