//! Which alerts are sent by mail: the first of a kind at once, the others of the same hour in one summary.
//!
//! A flood of alerts would come from the mailbox that sends the codes, and would be read by nobody. Processes share nothing, so
//! what waits for the summary is a small document for each alert in the ledger, and so is when mails of each kind were sent. The
//! document is written before the caller records that a person was told, and deleted after its mail. The log has a line for
//! every alert.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::atomic::Ordering,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{join, join_all};
use serde_json::Map;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{Alert, Sent};
use crate::{
    budget,
    ledger::{AlertId, AlertMails, LedgerError, PendingAlert},
    pass::{cap::NAMES_IN_ALERT, services::Services},
};

/// The time between two mails of the same kind.
const INTERVAL: TimeDelta = TimeDelta::hours(1);
/// How many alerts of a kind one process keeps in documents of their own until the next mail. Those beyond are counted.
const NAMED: u32 = 100;
/// How often a process looks whether a summary is due.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(10);
/// How many documents are read or deleted at the same time.
const AT_ONCE: usize = 16;

/// Whether a mail that was sent at `at` is less than an hour old.
fn is_recent(at: Option<&DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    at.is_some_and(|at| (now - *at).abs() < INTERVAL)
}

impl Services {
    /// Sends the alert by mail, or keeps it for the next summary. Takes [`budget::ALERT`] at most.
    pub(super) async fn mail_or_keep(&self, alert: &Alert) {
        let (now, deadline) = (self.clock.now(), Instant::now() + budget::ALERT);
        let (id, pending) = self.pending(alert, now).await;
        let kept = async {
            // Nothing is written to the ledger of another tenant.
            let is_other = self.ledger_tenant.is_told.load(Ordering::SeqCst);
            !is_other && self.ledger.write_pending_alert(&id, &pending).await.is_ok()
        };
        let kept = timeout(budget::ALERT_CLAIM, kept);
        let (kept, is_first) = join(kept, self.claim(alert.kind, now)).await;
        let is_kept = kept.unwrap_or(false);
        if is_first {
            // If it stays, the next summary has the alert too: twice is better than never.
            if self.send_alert(alert, deadline).await == Sent::Yes && is_kept {
                drop(timeout_at(deadline, self.ledger.delete_pending_alert(&id)).await);
            }
        } else if is_kept {
            self.alert_mails.lock().await.is_kept = true;
        } else {
            tracing::error!(
                event = "alert.not_kept",
                reference = alert.reference,
                "The alert could not be kept for the next summary; the log has its line"
            );
        }
    }

    /// The document of the alert.
    async fn pending(&self, alert: &Alert, now: DateTime<Utc>) -> (AlertId, PendingAlert) {
        let mut known = self.alert_mails.lock().await;
        let (kept, more) = known.kept.entry(alert.kind).or_insert_with(|| (0, Uuid::new_v4()));
        *kept = kept.saturating_add(1);
        let (id, count) = if *kept <= NAMED { (Uuid::new_v4(), 1) } else { (*more, *kept - NAMED) };
        let Alert { headline, who, what_happened, what_to_do, .. } = alert.clone();
        let unknown = Map::new();
        let schema = PendingAlert::SCHEMA;
        let pending =
            PendingAlert { schema, at: now, count, headline, who, what_happened, what_to_do, unknown };
        (AlertId { kind: alert.kind.to_owned(), id }, pending)
    }

    /// Whether this is the first alert of its kind for an hour. Then no process sends another one at once. Without the ledger,
    /// each process knows its own only.
    async fn claim(&self, kind: &'static str, now: DateTime<Utc>) -> bool {
        if is_recent(self.alert_mails.lock().await.sent_at.get(kind), now) {
            return false;
        }
        let claimed = async {
            if self.ledger_tenant.is_told.load(Ordering::SeqCst) {
                return Ok(None);
            }
            self.claim_in_ledger(kind, now).await
        };
        let sent_at = timeout(budget::ALERT_CLAIM, claimed).await;
        let sent_at = sent_at.ok().and_then(Result::ok).flatten();
        let mut known = self.alert_mails.lock().await;
        // Another job of this process may have been faster.
        let is_first = sent_at.is_none() && !is_recent(known.sent_at.get(kind), now);
        known.sent_at.insert(kind, sent_at.unwrap_or(now));
        if is_first {
            known.kept.remove(kind);
        }
        is_first
    }

    /// `None` if the kind is claimed, or when another process sent one.
    async fn claim_in_ledger(
        &self,
        kind: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, LedgerError> {
        loop {
            let (mails, etag) = self.ledger.alert_mails().await?.unzip();
            let mut mails = mails.unwrap_or_default();
            if let Some(at) = mails.sent_at.get(kind).filter(|at| is_recent(Some(at), now)) {
                return Ok(Some(*at));
            }
            set_sent(&mut mails, [kind.to_owned()], now);
            match self.ledger.write_alert_mails(&mails, etag.as_ref()).await {
                // The time-out of the caller bounds this.
                Err(LedgerError::Conflict) => {}
                result => return result.map(|_| None),
            }
        }
    }
}

/// Notes that mails of these kinds are sent, and forgets old ones.
fn set_sent(mails: &mut AlertMails, kinds: impl IntoIterator<Item = String>, now: DateTime<Utc>) {
    mails.sent_at.retain(|_, at| is_recent(Some(at), now));
    mails.sent_at.extend(kinds.into_iter().map(|kind| (kind, now)));
}

/// Sends the summary, if one is due and this process has not looked within the last minutes.
pub(crate) async fn send_if_due(services: &Services) {
    let now = services.clock.now();
    {
        let known = services.alert_mails.lock().await;
        let is_time = known.looked_at.is_none_or(|at| (now - at).abs() >= LOOK_EVERY);
        if !is_time {
            return;
        }
    }
    send(services).await;
}

/// Sends one mail about all alerts that wait, of kinds of which none was sent for an hour.
pub(crate) async fn send(services: &Services) {
    if services.settings.mail.alert_to.is_empty() {
        return;
    }
    services.alert_mails.lock().await.looked_at = Some(services.clock.now());
    let sent = timeout(budget::SUMMARY, try_send(services)).await;
    if let Err(error) = sent.unwrap_or_else(|_| Err(LedgerError::Unavailable("no answer in time".into()))) {
        tracing::warn!(
            event = "alerts.not_summarised",
            error = &error as &dyn Error,
            "The alerts that wait for a summary cannot be read or deleted; a later invocation tries again"
        );
    }
}

async fn try_send(services: &Services) -> Result<(), LedgerError> {
    let now = services.clock.now();
    let mut waiting: BTreeMap<String, Vec<AlertId>> = BTreeMap::new();
    for id in services.ledger.pending_alerts().await? {
        waiting.entry(id.kind.clone()).or_default().push(id);
    }
    if waiting.is_empty() {
        services.alert_mails.lock().await.is_kept = false;
        return Ok(());
    }
    let (mails, etag) = services.ledger.alert_mails().await?.unzip();
    let mut mails = mails.unwrap_or_default();
    let kinds = waiting.len();
    waiting.retain(|kind, _| !is_recent(mails.sent_at.get(kind), now));
    let is_all = waiting.len() == kinds;
    if waiting.is_empty() {
        return Ok(());
    }
    set_sent(&mut mails, waiting.keys().cloned(), now);
    match services.ledger.write_alert_mails(&mails, etag.as_ref()).await {
        // Another process sends them, or a first one of a kind.
        Err(LedgerError::Conflict) => return Ok(()),
        result => result?,
    };
    let mut kinds = Vec::new();
    for ids in waiting.values() {
        let mut alerts: Vec<PendingAlert> = Vec::new();
        for some in ids[..ids.len().min(NAMED as usize)].chunks(AT_ONCE) {
            let read = join_all(some.iter().map(|id| services.ledger.pending_alert(id))).await;
            // What cannot be read is counted.
            alerts.extend(read.into_iter().filter_map(|read| read.ok().flatten()));
        }
        alerts.sort_by_key(|alert| alert.at);
        kinds.push((ids.len(), alerts));
    }
    // If the answer is lost, it is not sent a third time.
    if services.send_alert(&summary(&kinds, now), Instant::now() + budget::ALERT).await != Sent::No {
        let ids: Vec<&AlertId> = waiting.values().flatten().collect();
        for some in ids.chunks(AT_ONCE) {
            let deleted = join_all(some.iter().map(|id| services.ledger.delete_pending_alert(id))).await;
            deleted.into_iter().collect::<Result<(), _>>()?;
        }
        if is_all {
            services.alert_mails.lock().await.is_kept = false;
        }
    }
    Ok(())
}

/// One alert for several. Each kind has its number of documents and those that could be read.
fn summary(kinds: &[(usize, Vec<PendingAlert>)], now: DateTime<Utc>) -> Alert {
    let (mut who, mut happened, mut to_do, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (documents, alerts) in kinds {
        let beyond: usize = alerts.iter().map(|alert| alert.count.max(1) as usize - 1).sum();
        let count = documents + beyond;
        total += count;
        let headline = alerts.first().map_or("Alerts that cannot be read", |alert| &alert.headline);
        happened.push(format!("{count} × {headline}"));
        let of_named = alerts.iter().filter(|alert| alert.count <= 1);
        let named: Vec<&PendingAlert> = of_named.take(NAMES_IN_ALERT).collect();
        happened.extend(named.iter().map(|alert| format!("- {}: {}", alert.who, alert.what_happened)));
        if count > named.len() {
            happened.push(format!("- and {} more: the log has a line for each", count - named.len()));
        }
        who.extend(named.iter().map(|alert| alert.who.as_str()));
        let advice: BTreeSet<&str> = named.iter().map(|alert| alert.what_to_do.as_str()).collect();
        to_do.extend(advice.into_iter().map(|advice| format!("{headline}: {advice}")));
    }
    let mut seen = BTreeSet::new();
    who.retain(|person| seen.insert(*person));
    let more = who.len().saturating_sub(NAMES_IN_ALERT);
    let mut who: Vec<String> = who.into_iter().take(NAMES_IN_ALERT).map(str::to_owned).collect();
    if more > 0 {
        who.push(format!("{more} more"));
    }
    let (noun, lines) = if total == 1 { ("alert", "its line") } else { ("alerts", "their lines") };
    Alert {
        kind: "summary",
        headline: format!("{total} more {noun}"),
        who: who.join("; "),
        what_happened: happened.join("\n"),
        what_to_do: to_do.join("\n"),
        reference: format!("event=alert, {lines} before {now:.0}"),
    }
}

/// After how long the app has to be woken for a summary that nothing else may send; `None` if there is none, or it is woken
/// already. Then this is done.
pub(crate) async fn take_wake_up(services: &Services) -> Option<Duration> {
    /// Longer than [`INTERVAL`]: then the summary is due.
    const WAKE_UP: Duration = Duration::from_secs(61 * 60);
    let now = services.clock.now();
    let mut known = services.alert_mails.lock().await;
    let is_woken = known.woken_at.is_some_and(|at| (now..=now + WAKE_UP).contains(&at));
    if !known.is_kept || is_woken {
        return None;
    }
    (known.is_kept, known.woken_at) = (false, Some(now + WAKE_UP));
    Some(WAKE_UP)
}
