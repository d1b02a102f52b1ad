//! Which alerts are sent by mail: the first of a kind at once, the others of the same hour in one summary.
//!
//! A flood of alerts would come from the mailbox that sends the codes, and would be read by nobody. Processes share nothing, so
//! what waits for the summary is a small document for each alert in the ledger, and so is when mails of each kind were sent. The
//! document is written before the caller records that a person was told, and deleted after its mail. The log has a line for
//! every alert.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, future::ready, stream};
use serde_json::Map;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{Alert, Sent};
use crate::{
    budget,
    ledger::{AlertId, AlertMails, LedgerError, PendingAlert, PendingState},
    pass::{cap::NAMES_IN_ALERT, known_alerts::KnownKind, services::Services},
};

/// The time between two mails of the same kind.
const INTERVAL: TimeDelta = TimeDelta::hours(1);
/// How many alerts of a kind one process keeps in documents of their own until the next mail, and how many of a kind one summary
/// names. Those whom a process keeps beyond are counted.
const NAMED: u32 = 100;
/// How often a process looks whether a summary is due.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(10);
/// How many documents are read or deleted at the same time.
const AT_ONCE: usize = 16;

/// Whether a mail that was sent at `at` is less than an hour old.
fn is_recent(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - at).abs() < INTERVAL
}

/// Whether an alert is the first of its kind for an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// No process sends another one at once.
    First,
    /// One was sent at this time.
    Later(DateTime<Utc>),
    /// The ledger does not say it.
    Unknown,
}

impl Services {
    /// Sends the alert, or keeps it for the next summary. Takes [`budget::ALERT`] at most. Returns whether a person is told
    /// for certain: if not, the caller does not record it, and a later job alerts again.
    pub(super) async fn send_or_keep(&self, alert: &Alert) -> bool {
        let (now, deadline) = (self.clock.now(), Instant::now() + budget::ALERT);
        let (mut claim, mut kept) = (Claim::Unknown, None);
        // The mail would be refused too. It is for the summary, and the webhook has the first of each kind.
        let shut_since = self.mailbox.shut_since().filter(|_| self.mails_alerts());
        let work = async {
            // Nothing is written to the ledger of another tenant.
            if !self.ledger_tenant.is_other() {
                let own = Uuid::new_v4();
                claim = match shut_since {
                    Some(since) if self.alert_webhook.is_none() => Claim::Later(since),
                    _ => self.claim(alert.kind, own, now).await,
                };
                kept = self.keep(alert, claim, own, now).await;
            }
        };
        let _ = timeout(budget::ALERT_CLAIM, work).await;
        let is_first = match claim {
            Claim::First => true,
            Claim::Later(_) => false,
            // Each process knows its own only.
            Claim::Unknown => self.note_sent(alert.kind, now).await,
        };
        if !is_first {
            if kept.is_some() {
                self.alert_mails.lock().await.is_kept = true;
            } else {
                tracing::error!(
                    event = "alert.not_kept",
                    reference = alert.reference,
                    "The alert could not be kept for the next summary; the log has its line"
                );
            }
            return kept.is_some();
        }
        let sent = self.send_alert(alert, shut_since.is_none(), deadline).await;
        if let Some((id, pending)) = &kept {
            match sent {
                _ if shut_since.is_some() => {}
                Sent::Yes => drop(timeout_at(deadline, self.finish(id, pending)).await),
                // Twice is better than never: the next summary has it too.
                Sent::Maybe => {
                    drop(timeout_at(deadline, self.mark(id, pending, PendingState::Unclear)).await)
                }
                Sent::No => {}
            }
            self.alert_mails.lock().await.is_kept |= sent != Sent::Yes || shut_since.is_some();
        }
        sent != Sent::No || kept.is_some()
    }

    /// Whether this is the first alert of its kind for an hour. `own` is the id of the claim.
    async fn claim(&self, kind: &str, own: Uuid, now: DateTime<Utc>) -> Claim {
        if let Some(known) = self.alert_mails.lock().await.kinds.get(kind)
            && is_recent(known.sent_at, now)
        {
            return Claim::Later(known.sent_at);
        }
        loop {
            let (mails, etag) = match self.ledger.alert_mails().await {
                Ok(read) => read.unzip(),
                Err(_) => return Claim::Unknown,
            };
            let mut mails = mails.unwrap_or_default();
            if let Some(at) = mails.sent_at.get(kind).filter(|at| is_recent(**at, now)) {
                // The answer to our own write may have been lost.
                let is_own = mails.claims.get(kind) == Some(&own);
                return if is_own { Claim::First } else { Claim::Later(*at) };
            }
            set_sent(&mut mails, [(kind.to_owned(), own)], now);
            match self.ledger.write_alert_mails(&mails, etag.as_ref()).await {
                Ok(_) => return Claim::First,
                // The time-out of the caller bounds this.
                Err(LedgerError::Conflict) => {}
                Err(_) => return Claim::Unknown,
            }
        }
    }

    /// Writes the document of the alert. Returns it if it was written.
    async fn keep(
        &self,
        alert: &Alert,
        claim: Claim,
        own: Uuid,
        now: DateTime<Utc>,
    ) -> Option<(AlertId, PendingAlert)> {
        let (id, count) = {
            let mut known = self.alert_mails.lock().await;
            let sent_at = match claim {
                Claim::First => now,
                Claim::Later(at) => at,
                Claim::Unknown => return None,
            };
            let known = known.kinds.entry(alert.kind.to_owned()).or_insert_with(|| KnownKind::sent(sent_at));
            // Another mail was sent since: the count begins anew.
            if claim == Claim::First || known.sent_at != sent_at {
                *known = KnownKind::sent(sent_at);
            }
            known.kept = known.kept.saturating_add(1);
            if known.kept <= NAMED { (own, 1) } else { (known.more, known.kept - NAMED) }
        };
        let Alert { headline, who, what_happened, what_to_do, reference, .. } = alert.clone();
        let pending = PendingAlert {
            schema: PendingAlert::SCHEMA,
            at: now,
            count,
            state: PendingState::Waiting,
            headline,
            who,
            what_happened,
            what_to_do,
            reference,
            unknown: Map::new(),
        };
        let id = AlertId { kind: alert.kind.to_owned(), id };
        let written = self.ledger.write_pending_alert(&id, &pending).await;
        written.is_ok().then_some((id, pending))
    }

    /// Notes that this process sends an alert of this kind. Returns whether it has sent none for an hour.
    async fn note_sent(&self, kind: &str, now: DateTime<Utc>) -> bool {
        let mut known = self.alert_mails.lock().await;
        if known.kinds.get(kind).is_some_and(|known| is_recent(known.sent_at, now)) {
            return false;
        }
        known.kinds.insert(kind.to_owned(), KnownKind::sent(now));
        true
    }

    /// Removes the document of an alert that was mailed. If that is refused, the document says it.
    async fn finish(&self, id: &AlertId, pending: &PendingAlert) -> bool {
        if self.ledger.delete_pending_alert(id).await.is_ok() {
            return true;
        }
        if !self.mark(id, pending, PendingState::Told).await {
            self.alert_mails.lock().await.mailed.insert(id.clone());
        }
        false
    }

    async fn mark(&self, id: &AlertId, pending: &PendingAlert, state: PendingState) -> bool {
        let marked = PendingAlert { state, ..pending.clone() };
        self.ledger.write_pending_alert(id, &marked).await.is_ok()
    }
}

/// Notes that mails of these kinds are sent, each with the id of its claim, and forgets old ones.
fn set_sent(mails: &mut AlertMails, kinds: impl IntoIterator<Item = (String, Uuid)>, now: DateTime<Utc>) {
    mails.sent_at.retain(|_, at| is_recent(*at, now));
    for (kind, own) in kinds {
        mails.sent_at.insert(kind.clone(), now);
        mails.claims.insert(kind, own);
    }
    mails.claims.retain(|kind, _| mails.sent_at.contains_key(kind));
}

/// Sends the summary, if one is due and this process has not looked within the last minutes.
pub(crate) async fn send_if_due(services: &Services) {
    let now = services.clock.now();
    let looked_at = services.alert_mails.lock().await.looked_at;
    if looked_at.is_none_or(|at| (now - at).abs() >= LOOK_EVERY) {
        send(services).await;
    }
}

/// Sends one mail about all alerts that wait, of kinds of which none was sent for an hour.
pub(crate) async fn send(services: &Services) {
    if !services.sends_alerts() || waits_for_mailbox(services) {
        return;
    }
    services.alert_mails.lock().await.looked_at = Some(services.clock.now());
    let sent = timeout(budget::SUMMARY, try_send(services)).await;
    let sent = sent.unwrap_or_else(|_| Err(LedgerError::Unavailable("no answer in time".into())));
    // Until nothing waits any more, this process has itself woken.
    services.alert_mails.lock().await.is_kept = !matches!(sent, Ok(Waiting::Nothing));
    if let Err(error) = sent {
        tracing::warn!(
            event = "alerts.not_summarised",
            error = &error as &dyn Error,
            "The alerts that wait for a summary cannot be read; a later invocation tries again"
        );
    }
}

/// Whether the summary waits until the mailbox that sends accepts mails again.
fn waits_for_mailbox(services: &Services) -> bool {
    services.mails_alerts() && services.mailbox.is_shut()
}

/// Whether alerts still wait for a summary.
enum Waiting {
    Nothing,
    Some,
}

async fn try_send(services: &Services) -> Result<Waiting, LedgerError> {
    let now = services.clock.now();
    let mailed = services.alert_mails.lock().await.mailed.clone();
    let mut waiting: BTreeMap<String, Vec<AlertId>> = BTreeMap::new();
    for id in services.ledger.pending_alerts().await?.into_iter().filter(|id| !mailed.contains(id)) {
        waiting.entry(id.kind.clone()).or_default().push(id);
    }
    if waiting.is_empty() {
        return Ok(Waiting::Nothing);
    }
    let (mails, etag) = services.ledger.alert_mails().await?.unzip();
    let mut mails = mails.unwrap_or_default();
    let all: usize = waiting.values().map(Vec::len).sum();
    waiting.retain(|kind, _| !mails.sent_at.get(kind).is_some_and(|at| is_recent(*at, now)));
    if waiting.is_empty() {
        return Ok(Waiting::Some);
    }
    let own = Uuid::new_v4();
    set_sent(&mut mails, waiting.keys().map(|kind| (kind.clone(), own)), now);
    match services.ledger.write_alert_mails(&mails, etag.as_ref()).await {
        // Another process sends them, or a first one of a kind.
        Err(LedgerError::Conflict) => return Ok(Waiting::Some),
        result => result?,
    };
    let kinds = read(services, &waiting).await;
    let told = |alert: &PendingAlert| alert.state == PendingState::Told;
    let (done, to_tell): (Vec<_>, Vec<_>) =
        kinds.iter().flat_map(|kind| &kind.alerts).partition(|(_, alert)| told(alert));
    let sent = if to_tell.is_empty() && kinds.iter().all(|kind| kind.unreadable.is_empty()) {
        Sent::No
    } else {
        services.send_alert(&summary(&kinds, now), true, Instant::now() + budget::ALERT).await
    };
    {
        let mut known = services.alert_mails.lock().await;
        known.kinds.extend(waiting.keys().map(|kind| (kind.clone(), KnownKind::sent(now))));
    }
    // After a lost answer it is sent once more, so that nobody is told never.
    let is_over = |alert: &PendingAlert| match sent {
        Sent::Yes => true,
        Sent::Maybe => alert.state == PendingState::Unclear,
        Sent::No => false,
    };
    let (over, unclear): (Vec<_>, Vec<_>) = to_tell.into_iter().partition(|(_, alert)| is_over(alert));
    let over = done.into_iter().chain(over);
    let mut finished = all_done(over.map(|(id, alert)| services.finish(id, alert))).await;
    if sent == Sent::Maybe {
        all_done(unclear.iter().map(|(id, alert)| services.mark(id, alert, PendingState::Unclear))).await;
    }
    if sent == Sent::Yes {
        let unreadable = kinds.iter().flat_map(|kind| &kind.unreadable);
        let delete = |id| async move { services.ledger.delete_pending_alert(id).await.is_ok() };
        finished += all_done(unreadable.map(delete)).await;
    }
    Ok(if finished == all { Waiting::Nothing } else { Waiting::Some })
}

/// Does all this, some at once. Returns how often it succeeded.
async fn all_done(work: impl Iterator<Item = impl Future<Output = bool>>) -> usize {
    let work: Vec<_> = work.collect();
    stream::iter(work).buffer_unordered(AT_ONCE).filter(|is_done| ready(*is_done)).count().await
}

/// The alerts of one kind that are in a summary.
#[derive(Default)]
struct Kind {
    alerts: Vec<(AlertId, PendingAlert)>,
    /// Documents that are no alerts.
    unreadable: Vec<AlertId>,
}

/// Reads so many of each kind as one summary names. What cannot be read now waits for the next one, and so do the others.
async fn read(services: &Services, waiting: &BTreeMap<String, Vec<AlertId>>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for ids in waiting.values() {
        let mut kind = Kind::default();
        let read = |id: AlertId| async move { (services.ledger.pending_alert(&id).await, id) };
        let ids = ids.iter().take(NAMED as usize + 1).cloned();
        let mut reads = stream::iter(ids).map(read).buffered(AT_ONCE);
        while let Some((read, id)) = reads.next().await {
            match read {
                Ok(alert) => kind.alerts.extend(alert.map(|alert| (id, alert))),
                Err(LedgerError::Unreadable(_)) => kind.unreadable.push(id),
                Err(_) => {}
            }
        }
        kind.alerts.sort_by_key(|(_, alert)| alert.at);
        kinds.push(kind);
    }
    kinds
}

/// One alert for several.
fn summary(kinds: &[Kind], now: DateTime<Utc>) -> Alert {
    let (mut who, mut happened, mut to_do, mut total) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for Kind { alerts, unreadable } in kinds {
        let alerts: Vec<&PendingAlert> =
            alerts.iter().map(|(_, alert)| alert).filter(|alert| alert.state != PendingState::Told).collect();
        let (named, counted): (Vec<&PendingAlert>, Vec<_>) =
            alerts.iter().partition(|alert| alert.count <= 1);
        let beyond = counted.iter().map(|alert| alert.count as usize).sum::<usize>() + unreadable.len();
        let count = named.len() + beyond;
        if count == 0 {
            continue;
        }
        total += count;
        let headline = alerts.first().map_or("Alerts that cannot be read", |alert| &alert.headline);
        happened.push(format!("{count} × {headline}"));
        let line = |alert: &&PendingAlert| {
            let PendingAlert { who, what_happened, reference, .. } = alert;
            format!("- {who}: {what_happened} ({reference})")
        };
        happened.extend(named.iter().map(line));
        if beyond > 0 {
            happened.push(format!("- and {beyond} more: the log has a line for each"));
        }
        who.extend(named.iter().map(|alert| alert.who.as_str()));
        let advice: BTreeSet<&str> = alerts.iter().map(|alert| alert.what_to_do.as_str()).collect();
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
    let is_woken = known.woken_at.is_some_and(|at| at > now && at <= now + WAKE_UP);
    if !known.is_kept || is_woken || waits_for_mailbox(services) {
        return None;
    }
    known.woken_at = Some(now + WAKE_UP);
    Some(WAKE_UP)
}

/// It could not be arranged.
pub(crate) async fn give_wake_up_back(services: &Services) {
    services.alert_mails.lock().await.woken_at = None;
}
