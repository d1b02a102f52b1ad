//! Alerts about what affects everybody: one for all, not one for each person or each attempt.

use std::error::Error;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::timeout;

use super::{
    alert::Alert,
    services::{KnownConditions, Services},
};
use crate::{
    budget,
    ledger::{ConditionName, Conditions, ETag, Examined, LastSweep, LedgerError, Urgency},
};

/// For how long an end needs no reading of the ledger: that of an invocation. What is reported later than it was read has not ended.
const CURRENT: TimeDelta = TimeDelta::minutes(10);

/// Sends `alert` about the condition if it is due. Without the ledger nothing says how long the condition lasts and who
/// heard of it: then the log has the alert, at most once a minute, and no mail is sent.
pub(crate) async fn report(services: &Services, name: ConditionName, urgency: Urgency, alert: &Alert) {
    // Several jobs of this process can see the condition at the same time.
    let _one_at_a_time = services.conditions.lock().await;
    let now = services.clock.now();
    let is_due = match read(services).await {
        Ok((conditions, _)) => conditions.after(name, urgency, now).1,
        Err(error) => {
            log_unreadable(&error);
            if services.alert_lines.is_due() {
                alert.log();
            }
            return;
        }
    };
    let is_told = !is_due || services.alert(alert).await;
    let seen = |conditions: &Conditions| {
        let (next, _) = conditions.after(name, urgency, now);
        let next = if is_told { next } else { next.untold(name, conditions) };
        (next != *conditions).then_some((next, ()))
    };
    change(services, seen).await;
}

/// Whether a line about the condition is due: one a day. No alert is sent.
pub(crate) async fn claim(services: &Services, name: ConditionName) -> bool {
    let now = services.clock.now();
    let due = |conditions: &Conditions| {
        let (next, is_due) = conditions.after(name, Urgency::Now, now);
        is_due.then_some((next, ()))
    };
    change(services, due).await.is_some()
}

/// Records that the condition has ended, if it was there.
pub(crate) async fn end(services: &Services, name: ConditionName) {
    {
        let (known, now) = (services.known_conditions.lock().await, services.clock.now());
        if !known.last.has(name) && known.read_at.is_some_and(|at| (at..at + CURRENT).contains(&now)) {
            return;
        }
    }
    change(services, |conditions| Some((conditions.without(name)?, ()))).await;
}

/// What earlier sweeps left for the next one; `None` if the ledger does not show it.
pub(crate) async fn of_sweeps(services: &Services) -> Option<Conditions> {
    match read(services).await {
        Ok((conditions, _)) => Some(conditions),
        Err(error) => {
            log_unreadable(&error);
            None
        }
    }
}

/// Records a sweep that ended well, and so that the clock is right. Without it, the next sweep takes the gap since the last one for
/// longer than it is.
pub(crate) async fn end_sweep(services: &Services, sweep: LastSweep) {
    // Nothing is written to the ledger of another tenant.
    if services.ledger_tenant.is_other() {
        return;
    }
    let ours = services.graph.token_tenant().await.ok().flatten();
    let ended = |conditions: &Conditions| {
        // An older ledger names none.
        let tenant = conditions.tenant.or(ours);
        // The first period of a digest begins with the first sweep, whose time is put forward a little.
        let began = sweep.at - TimeDelta::minutes(1);
        let digest_at = conditions.digest_at.filter(|at| *at <= sweep.at).or(Some(began));
        let next = Conditions { tenant, last_sweep: Some(sweep.clone()), digest_at, ..conditions.clone() };
        Some((next.without(ConditionName::ClockWrong).unwrap_or(next), ()))
    };
    change(services, ended).await;
}

/// Records that the app was examined.
pub(super) async fn end_examination(services: &Services, examined: Examined) {
    change(services, |conditions| {
        Some((Conditions { examined: Some(examined.clone()), ..conditions.clone() }, ()))
    })
    .await;
}

/// Records that a sweep looked at everyone at `at`, and that the jobs which it found are in the queue.
pub(crate) async fn end_daily_look(services: &Services, at: DateTime<Utc>) {
    change(services, |conditions| Some((Conditions { looked_at: Some(at), ..conditions.clone() }, ()))).await;
}

/// Records that the rest of the sweep that ran at `began` is queued, unless that of a later one is. Returns whether it is so: the
/// message about it comes behind the first jobs of that sweep, so these are in the queue.
///
/// # Errors
/// When the ledger cannot be read.
pub(crate) async fn is_continued_since(
    services: &Services,
    began: DateTime<Utc>,
) -> Result<bool, LedgerError> {
    let (conditions, _) = read(services).await?;
    if conditions.continued.is_some_and(|continued| continued > began) {
        return Ok(true);
    }
    change(services, |conditions| {
        let is_known = conditions.continued >= Some(began);
        (!is_known).then(|| (Conditions { continued: Some(began), ..conditions.clone() }, ()))
    })
    .await;
    Ok(false)
}

/// Changes the document, and again if another process has written it meanwhile. `change` gives `None` if nothing has to change.
/// Returns what it gives when the document is written; `None` if it is not. All of it has the time of one call to the ledger, which
/// needs some milliseconds.
pub(super) async fn change<T>(
    services: &Services,
    change: impl Fn(&Conditions) -> Option<(Conditions, T)>,
) -> Option<T> {
    let work = async {
        for is_last in [false, false, true] {
            let (conditions, etag) = match read(services).await {
                Ok(read) => read,
                Err(error) => {
                    log_unreadable(&error);
                    return None;
                }
            };
            let (next, result) = change(&conditions)?;
            // Also if the answer is lost: an end must not believe that the condition is not there.
            services.known_conditions.lock().await.last = only(&next);
            match services.ledger.write_conditions(&next, etag.as_ref()).await {
                Ok(_) => return Some(result),
                Err(LedgerError::Conflict) if !is_last => {}
                Err(error) => log_unwritten(&error),
            }
        }
        None
    };
    timeout(budget::LEDGER_CALL, work).await.unwrap_or_else(|_| {
        log_unwritten(&LedgerError::Unavailable("no answer in time".into()));
        None
    })
}

async fn read(services: &Services) -> Result<(Conditions, Option<ETag>), LedgerError> {
    let read_at = Some(services.clock.now());
    let (conditions, etag) = services.ledger.conditions().await?.unzip();
    let conditions = conditions.unwrap_or_default();
    *services.known_conditions.lock().await = KnownConditions { read_at, last: only(&conditions) };
    Ok((conditions, etag))
}

/// Without what sweeps leave for the next one, which is large.
fn only(conditions: &Conditions) -> Conditions {
    Conditions { conditions: conditions.conditions.clone(), ..Conditions::default() }
}

fn log_unwritten(error: &LedgerError) {
    tracing::warn!(
        event = "conditions.not_written",
        error = error as &dyn Error,
        "The ledger does not show what affects everybody; an alert about it may come twice, or later"
    );
}

pub(super) fn log_unreadable(error: &LedgerError) {
    tracing::warn!(
        event = "conditions.not_read",
        error = error as &dyn Error,
        "The ledger does not show what affects everybody"
    );
}
