//! How fast this process sends from a mailbox: how many mails in a minute, and how many at the same time.
//!
//! Exchange Online accepts 30 messages a minute from a mailbox ([sending limits]), and Graph four requests of an app at a time
//! for one ([throttling limits]). Beyond that it answers 429, and a pass whose mail is not accepted has to be deleted. So a
//! [`Permit`] is taken before the pass is made, and [`crate::graph::Graph::send_mail`] needs one.
//!
//! On the Flex Consumption plan the functions run in processes of their own, which share nothing. So each [`Sender`] has a fixed
//! share. All shares together are the limit of a minute. Of requests they are one more than the limit, because a sweep seldom
//! sends: its alert may get a 429, and waits.
//!
//! [sending limits]: https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits#sending-limits
//! [throttling limits]: https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits

mod window;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use self::window::{Order, Ticket, Window};
use crate::{address::Address, hash::sha256};

/// The requests for one mailbox that Graph accepts at the same time.
const AT_ONCE: usize = 4;
/// How many mailboxes are remembered: calls of CreateTap can name any.
const MAILBOXES: usize = 100;
/// How much longer the wait after a 429 can be than the answer asks for: processes that were refused together come back apart.
const JITTER: u32 = 4;
/// The longest wait after a 429 that asks for none.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Who sends: the function of the invocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sender {
    /// OnGroupAdd, which sends almost all mails.
    #[default]
    Jobs,
    /// CreateTap.
    Calls,
    /// SweepJoiners, which sends alerts.
    Sweeps,
}

impl Sender {
    /// The sender of an invocation of this function.
    pub fn of_function(name: &str) -> Self {
        match name {
            "SweepJoiners" => Self::Sweeps,
            "CreateTap" => Self::Calls,
            _ => Self::Jobs,
        }
    }

    /// Its share of the mails of a minute, in tenths, and of the requests at the same time.
    fn share(self) -> (u32, usize) {
        match self {
            Self::Jobs => (8, 3),
            Self::Calls | Self::Sweeps => (1, 1),
        }
    }
}

tokio::task_local! {
    static SENDER: Sender;
}

/// Runs `work`, whose mails count towards the share of `sender`.
pub async fn sending_as<T>(sender: Sender, work: impl Future<Output = T>) -> T {
    SENDER.scope(sender, work).await
}

/// What a mail is: with a code, or without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// It has a code: it goes before others.
    Code,
    /// It has none.
    Note,
}

/// The limits of the mailboxes that this process sends from.
pub struct MailLimiter {
    per_minute: u32,
    mailboxes: Mutex<BTreeMap<String, Arc<Mailbox>>>,
}

impl fmt::Debug for MailLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailLimiter").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

/// One mailbox.
struct Mailbox {
    at_once: Arc<Semaphore>,
    /// Of each [`Sender`].
    shares: [Arc<Share>; 3],
}

/// What one sender may send from one mailbox.
struct Share {
    at_once: Arc<Semaphore>,
    window: Mutex<Window>,
    /// Told when a permit may have become free.
    changed: Notify,
}

impl Share {
    fn new(sender: Sender, per_minute: u32) -> Arc<Self> {
        let (tenths, at_once) = sender.share();
        Arc::new(Self {
            at_once: Arc::new(Semaphore::new(at_once)),
            window: Mutex::new(Window::new(per_minute, tenths, at_once)),
            changed: Notify::new(),
        })
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Window) -> T) -> T {
        let result = change(&mut self.window());
        self.changed.notify_waiters();
        result
    }

    /// Waits until so many mails more may be sent, and until `deadline` at most. Returns how many: fewer if the limit is less.
    async fn reserve(
        self: &Arc<Self>,
        content: Content,
        mails: usize,
        order: Order,
        deadline: Instant,
    ) -> Option<usize> {
        let ticket = self.window().queue(content, mails, order, Instant::now());
        let waiting = Waiting { ticket, share: self.clone() };
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // What changes from here on is not missed.
            changed.as_mut().enable();
            let taken = self.window().take(&waiting.ticket, Instant::now());
            let until = match taken {
                Ok(mails) => return Some(mails),
                Err(_) if Instant::now() >= deadline => return None,
                Err(until) => until.map_or(deadline, |until| until.min(deadline)),
            };
            let _ = timeout_at(until, changed).await;
        }
    }
}

/// A place in the queue of a share, given up when dropped.
struct Waiting {
    share: Arc<Share>,
    ticket: Ticket,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.share.change(|window| window.leave(&self.ticket));
    }
}

impl MailLimiter {
    /// Limits for mailboxes that accept `per_minute` mails a minute.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, mailboxes: Mutex::default() }
    }

    fn mailbox(&self, from: &Address) -> Arc<Mailbox> {
        let mut mailboxes = self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if mailboxes.len() >= MAILBOXES {
            mailboxes.retain(|_, mailbox| !mailbox.is_idle(Instant::now()));
        }
        let name = from.to_string().to_ascii_lowercase();
        mailboxes.entry(name).or_insert_with(|| Arc::new(Mailbox::new(self.per_minute))).clone()
    }

    /// Waits for the permit to send so many mails from `from`, until `deadline` at most; `None` if it does not come. It is for fewer
    /// if the limit is less: then each further one waits. `salt` makes the waits of this process unlike those of others.
    pub async fn permit(
        &self,
        from: &Address,
        content: Content,
        mails: usize,
        deadline: Instant,
        salt: Uuid,
    ) -> Option<Permit> {
        let mailbox = self.mailbox(from);
        let share = mailbox.share(SENDER.try_get().unwrap_or_default()).clone();
        let reserved = share.reserve(content, mails, Order::ByTime, deadline).await?;
        Some(Permit { mailbox, share, content, reserved, refusals: 0, salt })
    }

    /// A permit for no mail without a code yet: each waits for its own.
    pub fn permit_later(&self, from: &Address, salt: Uuid) -> Permit {
        let mailbox = self.mailbox(from);
        let share = mailbox.share(SENDER.try_get().unwrap_or_default()).clone();
        Permit { mailbox, share, content: Content::Note, reserved: 0, refusals: 0, salt }
    }
}

impl Mailbox {
    fn new(per_minute: u32) -> Self {
        let shares =
            [Sender::Jobs, Sender::Calls, Sender::Sweeps].map(|sender| Share::new(sender, per_minute));
        Self { at_once: Arc::new(Semaphore::new(AT_ONCE)), shares }
    }

    fn share(&self, sender: Sender) -> &Arc<Share> {
        let [jobs, calls, sweeps] = &self.shares;
        match sender {
            Sender::Jobs => jobs,
            Sender::Calls => calls,
            Sender::Sweeps => sweeps,
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.shares.iter().all(|share| share.window().is_idle(now))
    }
}

/// The permit to send mails. What is not used counts for nothing when it is dropped. For every further mail it waits.
pub struct Permit {
    mailbox: Arc<Mailbox>,
    share: Arc<Share>,
    content: Content,
    /// How many mails may be sent at once.
    reserved: usize,
    /// How often the mailbox was busy since it last accepted a mail.
    refusals: u32,
    salt: Uuid,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

impl Permit {
    /// Waits until one mail more may be sent, if the permit is used up, and until `deadline` at most.
    pub(crate) async fn renew(&mut self, deadline: Instant) {
        if self.reserved == 0 {
            let reserved = self.share.reserve(self.content, 1, Order::First, deadline).await;
            self.reserved = reserved.unwrap_or_default();
        }
    }

    /// Waits until a request to the mailbox may begin, `deadline` at most; `None` if it may not.
    pub(crate) async fn begin(&mut self, deadline: Instant) -> Option<Sending<'_>> {
        self.renew(deadline).await;
        if self.reserved == 0 {
            return None;
        }
        loop {
            let closed_until = self.share.window().closed_until(Instant::now());
            let Some(until) = closed_until else { break };
            if until >= deadline {
                return None;
            }
            tokio::time::sleep_until(until).await;
        }
        let slots = async {
            let share = self.share.at_once.clone().acquire_owned().await.ok()?;
            Some((share, self.mailbox.at_once.clone().acquire_owned().await.ok()?))
        };
        let slots = timeout_at(deadline, slots).await.ok().flatten()?;
        Some(Sending { permit: self, _slots: slots, was_refused: false })
    }

    /// The mailbox is busy, and asks to wait this long: nobody here sends before. After a refusal there are fewer passes whose
    /// mail waits.
    pub(crate) fn close(&mut self, retry_after: Option<Duration>) {
        let backoff = Duration::from_secs(1) * 2u32.saturating_pow(self.refusals.saturating_add(1));
        self.refusals = self.refusals.saturating_add(1);
        let wait = retry_after.unwrap_or_else(|| backoff.min(BACKOFF_MAX));
        let digits = sha256(&format!("{} {}", self.salt, self.refusals));
        let share = u32::from_str_radix(digits.get(..4).unwrap_or_default(), 16).unwrap_or_default();
        let jitter = wait * share / (u32::from(u16::MAX) * JITTER);
        for share in &self.mailbox.shares {
            share.change(|window| window.close(Instant::now() + wait + jitter));
        }
    }

    /// The mailbox has accepted the mail.
    pub(crate) fn accepted(&mut self) {
        self.refusals = 0;
        self.share.change(Window::accepted);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (has_code, reserved) = (self.content == Content::Code, self.reserved);
        self.share.change(|window| window.give_back(has_code, reserved));
    }
}

/// A request to the mailbox.
pub(crate) struct Sending<'a> {
    permit: &'a mut Permit,
    _slots: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    was_refused: bool,
}

impl Sending<'_> {
    /// The mailbox has not counted the mail.
    pub(crate) fn was_refused(mut self) {
        self.was_refused = true;
    }
}

impl Drop for Sending<'_> {
    /// Whoever stops waiting for the answer does not know whether the mail was sent.
    fn drop(&mut self) {
        if !self.was_refused {
            self.permit.reserved -= 1;
            self.permit.share.change(|window| window.sent(Instant::now()));
        }
    }
}
