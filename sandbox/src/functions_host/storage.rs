//! The host's storage account: queues, and the status and locks of timers. Several hosts can share it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use uuid::Uuid;

use super::{clock::NotifiableClock, message_encoding::encode_base64};

/// How long a received message stays hidden; a running host renews the lease.
pub const LEASE: TimeDelta = TimeDelta::minutes(10);
/// How often a running host renews the lease of a message.
const RENEWAL: TimeDelta = TimeDelta::minutes(5);
/// How long it takes until another host has the timer of a host that has died. Observed on the Functions host 4.1037.
const LOCK: TimeDelta = TimeDelta::seconds(71);
/// In bytes.
const MAX_MESSAGE: usize = 64 * 1024;
const TIME_TO_LIVE: TimeDelta = TimeDelta::days(7);

/// A storage account in memory, on the time of one clock. Cheap to clone: clones share the account.
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

/// A queue message.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// The message's id.
    pub id: Uuid,
    /// The stored text: base64 if that is the queue's `messageEncoding`.
    pub text: String,
    /// When it was inserted.
    pub inserted: DateTime<Utc>,
    /// When it is deleted automatically.
    pub expires: DateTime<Utc>,
    /// How often it was received.
    pub dequeue_count: u32,
    /// When it becomes visible.
    pub visible: DateTime<Utc>,
    /// The pop receipt of the last receiver, required to delete the message.
    pub receipt: Uuid,
    holder: Option<Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    host: Uuid,
    since: DateTime<Utc>,
}

/// The stored status of a timer with `useMonitor`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScheduleStatus {
    /// The last run.
    pub last: Option<DateTime<Utc>>,
    /// The next run.
    pub next: DateTime<Utc>,
    /// When the status was stored.
    pub updated: Option<DateTime<Utc>>,
}

#[derive(Default)]
struct Timer {
    status: Option<ScheduleStatus>,
    locked_by: Option<Uuid>,
    /// The end of a lock whose host died.
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

    /// A message that was inserted `now` and received for the `delivery`th time.
    pub(crate) fn received(text: &str, delivery: u32, now: DateTime<Utc>) -> Self {
        let message = Self::new(text.to_owned(), now);
        Self { dequeue_count: delivery, visible: now + LEASE, receipt: Uuid::new_v4(), ..message }
    }
}

impl Storage {
    /// A sink for events of Event Grid: puts each one into `queue`. As with Event Grid without a
    /// dead-letter destination, an event that is too long is dropped.
    pub fn event_sink(&self, queue: &str) -> impl Fn(String, TimeDelta) + Send + 'static {
        let (storage, queue) = (self.clone(), queue.to_owned());
        move |event, delay| drop(storage.put_later(&queue, encode_base64(&event), delay))
    }

    /// An empty account.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock: NotifiableClock::new(clock), state: Mutex::default() }))
    }

    /// The account's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock().now()
    }

    /// Call this after the clock was set: tasks that wait for a time check it again.
    pub fn notify_clock_changed(&self) {
        self.clock().notify();
    }

    /// Inserts a message and creates a missing queue. If the `messageEncoding` of the queue is base64, encode the text
    /// first: [`encode_base64`].
    ///
    /// # Errors
    /// When the text is longer than 64 KiB.
    pub fn put(&self, queue: &str, text: String) -> Result<(), String> {
        self.put_later(queue, text, TimeDelta::zero())
    }

    /// As [`Storage::put`], with a delay.
    ///
    /// # Errors
    /// As [`Storage::put`].
    pub fn put_later(&self, queue: &str, text: String, delay: TimeDelta) -> Result<(), String> {
        if text.len() > MAX_MESSAGE {
            return Err(format!("the message has {} bytes; the maximum is {MAX_MESSAGE}", text.len()));
        }
        let message = StoredMessage::new(text, self.now() + delay);
        self.lock().queues.entry(queue.to_owned()).or_default().push(message);
        self.clock().notify();
        Ok(())
    }

    /// All messages of a queue, also hidden ones, oldest first.
    pub fn messages(&self, queue: &str) -> Vec<StoredMessage> {
        self.lock().queues.get(queue).cloned().unwrap_or_default()
    }

    /// The names of the queues that exist.
    pub fn queues(&self) -> Vec<String> {
        self.lock().queues.keys().cloned().collect()
    }

    /// Waits until the queue has no message, visible or hidden.
    pub async fn wait_until_empty(&self, queue: &str) {
        self.clock().wait_for(|_| if self.messages(queue).is_empty() { Ok(()) } else { Err(None) }).await;
    }

    /// When the next hidden message becomes visible that no host has received.
    pub fn next_visible(&self, queue: &str) -> Option<DateTime<Utc>> {
        let state = self.lock();
        state.queues.get(queue)?.iter().filter(|message| message.holder.is_none()).map(|m| m.visible).min()
    }

    pub(super) fn clock(&self) -> &NotifiableClock {
        &self.0.clock
    }

    /// The first visible messages; their dequeue count does not change.
    pub(crate) fn peek(&self, queue: &str, count: usize) -> Vec<StoredMessage> {
        let now = self.now();
        let is_visible = |m: &StoredMessage| m.holder.is_none() && m.visible <= now && m.expires > now;
        self.messages(queue).into_iter().filter(is_visible).take(count).collect()
    }

    /// Receives up to `count` messages for `host`. They stay hidden until the host has died and the lease has expired.
    pub(super) fn receive(&self, queue: &str, count: usize, host: Uuid) -> Vec<StoredMessage> {
        self.hide(queue, count, LEASE, Some(host))
    }

    /// Receives up to `count` messages for a client that is not a host, hidden for a fixed time.
    pub(crate) fn take(&self, queue: &str, count: usize, hidden: TimeDelta) -> Vec<StoredMessage> {
        self.hide(queue, count, hidden, None)
    }

    fn hide(&self, queue: &str, count: usize, hidden: TimeDelta, host: Option<Uuid>) -> Vec<StoredMessage> {
        let now = self.now();
        let mut state = self.lock();
        // Receiving does not create the queue.
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

    /// Deletes a message, if `receipt` is its latest pop receipt.
    pub(crate) fn delete(&self, queue: &str, receipt: Uuid) {
        if let Some(messages) = self.lock().queues.get_mut(queue) {
            messages.retain(|message| message.receipt != receipt);
        }
        self.clock().notify();
    }

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

    /// Waits for the lock that lets a timer run on one host only.
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

    /// `host` died: its messages become visible when the last renewed lease expires.
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
