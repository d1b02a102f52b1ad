//! Whether the ledger is that of this tenant. With the ledger of another one, this app would take its people for its own.

use std::sync::atomic::Ordering;

use tokio::time::timeout;
use uuid::Uuid;

use super::{alert::Alert, services::Services};
use crate::{
    budget,
    ledger::{Conditions, LedgerError},
};

/// Reads the ledger once in each process. A ledger that names no tenant, or that cannot be read, stops nothing here.
///
/// # Errors
/// [`LedgerError::OtherTenant`].
pub(crate) async fn check(services: &Services) -> Result<(), LedgerError> {
    if services.ledger_tenant.is_ours.load(Ordering::SeqCst) {
        return Ok(());
    }
    let reading = async {
        let ours = services.graph.token_tenant().await.ok()??;
        Some((ours, services.ledger.conditions().await.ok()??))
    };
    match timeout(budget::LEDGER_TENANT, reading).await {
        Ok(Some((ours, (conditions, _)))) => compare(services, &conditions, ours).await,
        // The next sweep names the tenant.
        Ok(None) | Err(_) => Ok(()),
    }
}

/// The same for conditions that were read.
///
/// # Errors
/// As there.
pub(crate) async fn check_conditions(
    services: &Services,
    conditions: &Conditions,
) -> Result<(), LedgerError> {
    match services.graph.token_tenant().await {
        Ok(Some(ours)) => compare(services, conditions, ours).await,
        Ok(None) | Err(_) => Ok(()),
    }
}

/// The same without an alert and without a note, for a reader. A ledger that cannot be read is found out by what reads it next.
///
/// # Errors
/// As there.
pub(crate) async fn look(services: &Services) -> Result<(), LedgerError> {
    if services.ledger_tenant.is_ours.load(Ordering::SeqCst) {
        return Ok(());
    }
    let Ok(Some((Conditions { tenant: Some(ledger), .. }, _))) = services.ledger.conditions().await else {
        return Ok(());
    };
    match services.graph.token_tenant().await {
        Ok(Some(ours)) if ours != ledger => Err(LedgerError::OtherTenant(ledger)),
        Ok(Some(_)) => {
            services.ledger_tenant.is_ours.store(true, Ordering::SeqCst);
            Ok(())
        }
        Ok(None) | Err(_) => Ok(()),
    }
}

async fn compare(services: &Services, conditions: &Conditions, ours: Uuid) -> Result<(), LedgerError> {
    let state = &services.ledger_tenant;
    match conditions.tenant {
        None => {
            state.is_other.store(false, Ordering::SeqCst);
            Ok(())
        }
        Some(ledger) if ledger == ours => {
            state.is_ours.store(true, Ordering::SeqCst);
            state.is_other.store(false, Ordering::SeqCst);
            Ok(())
        }
        Some(ledger) => {
            state.is_other.store(true, Ordering::SeqCst);
            // In the ledger of another tenant nothing is written, not even that somebody was told.
            let (now, mut told_at) = (services.clock.now(), state.told_at.lock().await);
            let is_due = told_at.is_none_or(|at| (now - at).abs() >= Conditions::ALERT_INTERVAL);
            if is_due && services.alert(&other_tenant(ledger, ours)).await {
                *told_at = Some(now);
            }
            Err(LedgerError::OtherTenant(ledger))
        }
    }
}

fn other_tenant(ledger: Uuid, ours: Uuid) -> Alert {
    Alert {
        kind: "ledger-of-another-tenant",
        headline: "The ledger belongs to another tenant, and nobody gets a pass".into(),
        who: "everybody".into(),
        what_happened: format!(
            "The ledger that LEDGER_URL names belongs to the tenant {ledger}, and this app is of the tenant {ours}."
        ),
        what_to_do: "Set LEDGER_URL to the container of this tenant's ledger, or to a new one. If the ledger was copied on purpose, \
                     remove `tenant` from its conditions.json."
            .into(),
        reference: "LEDGER_URL".into(),
    }
}
