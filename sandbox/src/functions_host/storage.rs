//! The storage account behind the host: queues, and what timers remember. Several hosts can share one.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use uuid::Uuid;

use super::{clock::NotifiableClock, message_encoding::encode_base64};

/// How long a message that a host works on stays hidden; a host that lives renews it.
pub const LEASE: TimeDelta = TimeDelta::minutes(10);
/// A living host renews the lease of a message this often.
const RENEWAL: TimeDelta = TimeDelta::minutes(5);
/// How long the lock of a timer outlives its host.
const LOCK: TimeDelta = TimeDelta::seconds(60);
/// What a message holds at most, as it is stored.
const MAX_MESSAGE: usize = 64 * 1024;
const TIME_TO_LIVE: TimeDelta = TimeDelta::days(7);

/// A storage account in memory, in the time of one clock. Cheap to clone: clones share the account.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    clock: NotifiableClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<String, Vec<StoredMessage>>,
    timers: BTreeMap<String, Timer>,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The service's id for it.
    pub id: Uuid,
    /// As it is stored: with `messageEncoding` base64, that.
    pub text: String,
    /// When it was put.
    pub inserted: DateTime<Utc>,
    /// When it goes by itself.
    pub expires: DateTime<Utc>,
    /// How often it was received.
    pub dequeue_count: u32,
    /// From when on it can be received.
    pub visible: DateTime<Utc>,
    /// The receipt of the last receiver, without which nobody deletes it.
    pub receipt: Uuid,
    holder: Option<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    host: Uuid,
    since: DateTime<Utc>,
}

/// What a timer with `useMonitor` remembers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleStatus {
    /// When it last ran.
    pub last: Option<DateTime<Utc>>,
    /// When it is to run next.
    pub next: DateTime<Utc>,
    /// When this was written.
    pub updated: DateTime<Utc>,
}

#[derive(Default)]
struct Timer {
    status: Option<ScheduleStatus>,
    locked_by: Option<Uuid>,
    /// Left behind by a host that died.
    locked_until: Option<DateTime<Utc>>,
}

impl StoredMessage {
    fn new(text: String, now: DateTime<Utc>) -> Self {
        Self {
            id: Uuid::new_v4(),
            text,
            inserted: now,
            expires: now + TIME_TO_LIVE,
            dequeue_count: 0,
            visible: now,
            receipt: Uuid::nil(),
            holder: None,
        }
    }

    /// A message that was put just `now`, and is received for the `delivery`th time.
    pub(crate) fn received(text: &str, delivery: u32, now: DateTime<Utc>) -> Self {
        let message = Self::new(text.to_owned(), now);
        Self { dequeue_count: delivery, visible: now + LEASE, receipt: Uuid::new_v4(), ..message }
    }
}

impl Storage {
    /// Puts every event into `queue`, as an event subscription to a storage queue does. An event that is too long for
    /// the queue is dropped, as Event Grid does without a dead-letter destination.
    pub fn event_sink(&self, queue: &str) -> impl Fn(String, TimeDelta) + Send + 'static {
        let (storage, queue) = (self.clone(), queue.to_owned());
        move |event, delay| drop(storage.put_later(&queue, encode_base64(&event), delay))
    }

    /// An empty account whose time `clock` tells.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock: NotifiableClock::new(clock), state: Mutex::default() }))
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock().now()
    }

    /// To be called when the clock was set: whoever waits for a time looks at the clock again.
    pub fn notify_clock_changed(&self) {
        self.clock().notify();
    }

    /// Puts a message as it is, and makes the queue if it is missing. To reach a function through a queue whose
    /// `messageEncoding` is base64, encode it: [`encode_base64`].
    ///
    /// # Errors
    /// When it is longer than a message may be.
    pub fn put(&self, queue: &str, text: String) -> Result<(), String> {
        self.put_later(queue, text, TimeDelta::zero())
    }

    /// The same, after a while.
    ///
    /// # Errors
    /// As [`Storage::put`].
    pub fn put_later(&self, queue: &str, text: String, delay: TimeDelta) -> Result<(), String> {
        if text.len() > MAX_MESSAGE {
            return Err(format!(
                "a message of {} bytes is more than the {MAX_MESSAGE} that the queue takes",
                text.len()
            ));
        }
        let message = StoredMessage::new(text, self.now() + delay);
        self.lock().queues.entry(queue.to_owned()).or_default().push(message);
        self.clock().notify();
        Ok(())
    }

    /// All messages of a queue, those included that are hidden; oldest first.
    pub fn messages(&self, queue: &str) -> Vec<StoredMessage> {
        self.lock().queues.get(queue).cloned().unwrap_or_default()
    }

    /// The names of the queues that exist.
    pub fn queues(&self) -> Vec<String> {
        self.lock().queues.keys().cloned().collect()
    }

    /// Waits until a queue holds no message, visible or hidden.
    pub async fn wait_until_empty(&self, queue: &str) {
        self.clock().wait_for(|_| if self.messages(queue).is_empty() { Ok(()) } else { Err(None) }).await;
    }

    /// The next time at which a hidden message of a queue shows again, if nobody works on it.
    pub fn next_visible(&self, queue: &str) -> Option<DateTime<Utc>> {
        let state = self.lock();
        state.queues.get(queue)?.iter().filter(|message| message.holder.is_none()).map(|m| m.visible).min()
    }

    pub(super) fn clock(&self) -> &NotifiableClock {
        &self.0.clock
    }

    /// The first visible messages of a queue, left where they are.
    pub(crate) fn peek(&self, queue: &str, count: usize) -> Vec<StoredMessage> {
        let now = self.now();
        let is_visible = |m: &StoredMessage| m.holder.is_none() && m.visible <= now && m.expires > now;
        self.messages(queue).into_iter().filter(is_visible).take(count).collect()
    }

    /// Up to `count` visible messages for `host`, hidden from now on as long as it lives, and a lease longer.
    pub(super) fn receive(&self, queue: &str, count: usize, host: Uuid) -> Vec<StoredMessage> {
        self.hide(queue, count, LEASE, Some(host))
    }

    /// Up to `count` visible messages for somebody who is no host, hidden for a time.
    pub(crate) fn take(&self, queue: &str, count: usize, hidden: TimeDelta) -> Vec<StoredMessage> {
        self.hide(queue, count, hidden, None)
    }

    fn hide(&self, queue: &str, count: usize, hidden: TimeDelta, host: Option<Uuid>) -> Vec<StoredMessage> {
        let now = self.now();
        let mut state = self.lock();
        // A queue that is only listened to is not made.
        let Some(messages) = state.queues.get_mut(queue) else { return Vec::new() };
        messages.retain(|message| message.holder.is_some() || message.expires > now);
        let visible =
            messages.iter_mut().filter(|message| message.holder.is_none() && message.visible <= now);
        visible
            .take(count)
            .map(|message| {
                message.dequeue_count += 1;
                message.visible = now + hidden;
                message.receipt = Uuid::new_v4();
                message.holder = host.map(|host| Holder { host, since: now });
                message.clone()
            })
            .collect()
    }

    /// Takes a message away, if `receipt` is still its last.
    pub(crate) fn delete(&self, queue: &str, receipt: Uuid) {
        if let Some(messages) = self.lock().queues.get_mut(queue) {
            messages.retain(|message| message.receipt != receipt);
        }
        self.clock().notify();
    }

    /// Gives a message back, to be seen again after `delay`.
    pub(crate) fn release(&self, queue: &str, receipt: Uuid, delay: TimeDelta) {
        let visible = self.now() + delay;
        self.change(queue, |message| message.receipt == receipt, visible);
    }

    fn change(&self, queue: &str, which: impl Fn(&StoredMessage) -> bool, visible: DateTime<Utc>) {
        if let Some(messages) = self.lock().queues.get_mut(queue) {
            for message in messages.iter_mut().filter(|message| which(message)) {
                message.visible = visible;
                message.holder = None;
            }
        }
        self.clock().notify();
    }

    pub(super) fn status(&self, timer: &str) -> Option<ScheduleStatus> {
        self.lock().timers.get(timer)?.status
    }

    pub(super) fn set_status(&self, timer: &str, status: ScheduleStatus) {
        self.lock().timers.entry(timer.to_owned()).or_default().status = Some(status);
    }

    /// Waits for the lock that makes a timer run on one host only.
    pub(super) async fn lock_timer(&self, timer: &str, host: Uuid) {
        let take = |now| {
            let mut state = self.lock();
            let timer = state.timers.entry(timer.to_owned()).or_default();
            match (timer.locked_by, timer.locked_until) {
                (Some(_), _) => Err(None),
                (None, Some(until)) if now < until => Err(Some(until)),
                (None, _) => {
                    timer.locked_by = Some(host);
                    Ok(())
                }
            }
        };
        self.clock().wait_for(take).await;
    }

    pub(super) fn unlock_timer(&self, timer: &str, host: Uuid) {
        if let Some(timer) = self.lock().timers.get_mut(timer).filter(|timer| timer.locked_by == Some(host)) {
            timer.locked_by = None;
        }
        self.clock().notify();
    }

    /// `host` died: what it worked on shows again when the last lease that it renewed is over.
    pub(super) fn abandon_host(&self, host: Uuid) {
        let now = self.now();
        let mut state = self.lock();
        for message in state.queues.values_mut().flatten() {
            if let Some(Holder { since, .. }) = message.holder.filter(|holder| holder.host == host) {
                let renewals =
                    i32::try_from((now - since).num_seconds() / RENEWAL.num_seconds()).unwrap_or(0);
                message.visible = since + RENEWAL * renewals + LEASE;
                message.holder = None;
            }
        }
        for timer in state.timers.values_mut().filter(|timer| timer.locked_by == Some(host)) {
            timer.locked_by = None;
            timer.locked_until = Some(now + LOCK);
        }
        drop(state);
        self.clock().notify();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues: BTreeMap<String, usize> =
            self.lock().queues.iter().map(|(name, messages)| (name.clone(), messages.len())).collect();
        f.debug_struct("Storage").field("now", &self.now()).field("queues", &queues).finish()
    }
}
