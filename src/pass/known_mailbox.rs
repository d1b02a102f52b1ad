//! What a process knows of the mailbox that sends.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::job::Job;
use crate::ledger::ShutMailbox;

/// What this process knows of the mailbox that sends.
#[derive(Clone, Debug, Default)]
pub(super) enum Known {
    #[default]
    Nothing,
    /// It accepts mails.
    Open,
    /// It refuses all.
    Shut(ShutMailbox),
}

/// The same for all of its invocations.
#[derive(Debug, Default)]
pub(super) struct KnownMailbox {
    known: Mutex<Known>,
    wake: Mutex<Wake>,
    /// Whether the last mail was refused in a way that may be about the mailbox.
    is_in_doubt: AtomicBool,
}

/// When a sweep is due between those of the timer.
#[derive(Debug, Default)]
struct Wake {
    /// At once: the mailbox accepts mails again.
    is_due: bool,
    /// When this process is woken for one.
    woken_at: Option<DateTime<Utc>>,
}

/// How long after a look at a mailbox that is shut the next sweep is due: a sweep a day would keep everybody waiting for it.
const WAKE_UP: Duration = Duration::from_secs(46 * 60);

impl KnownMailbox {
    pub(super) fn get(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, shut: Option<ShutMailbox>) {
        let known = shut.map_or(Known::Open, Known::Shut);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The mailbox has accepted a mail.
    pub(super) fn forget_doubt(&self) {
        self.is_in_doubt.store(false, Ordering::SeqCst);
    }

    /// Whether the mail before was refused in a way that may be about the mailbox. So is this one.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_in_doubt.swap(true, Ordering::SeqCst)
    }

    /// The mailbox accepts mails again.
    pub(super) fn opened(&self) {
        self.set(None);
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).is_due = true;
    }

    /// After how long a sweep is due between those of the timer; `None` if none is, or it is arranged already. Then it is.
    pub(super) fn take_wake_up(&self, now: DateTime<Utc>, is_for_jobs: bool) -> Option<Duration> {
        let is_shut = self.is_shut();
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut wake.is_due) {
            return Some(Duration::ZERO);
        }
        let is_woken = wake.woken_at.is_some_and(|at| at > now && at <= now + WAKE_UP);
        if !is_shut || is_woken || !is_for_jobs {
            return None;
        }
        wake.woken_at = Some(now + WAKE_UP);
        Some(WAKE_UP)
    }

    /// It could not be arranged.
    pub(super) fn give_wake_up_back(&self, hidden: Duration) {
        let mut wake = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        wake.is_due |= hidden.is_zero();
        wake.woken_at = None;
    }

    /// Whether mails are refused, as far as this process knows.
    pub(super) fn is_shut(&self) -> bool {
        self.shut_since().is_some()
    }

    /// Since when mails are refused, as far as this process knows.
    pub(super) fn shut_since(&self) -> Option<DateTime<Utc>> {
        match self.get() {
            Known::Shut(shut) => Some(shut.since),
            Known::Open | Known::Nothing => None,
        }
    }

    /// How mails of `job` are refused, as far as this process knows; `None` if it may send.
    pub(super) fn refusal(&self, job: &Job) -> Option<String> {
        match self.get() {
            Known::Shut(shut) if shut.probe != Some(job.user_id) => Some(shut.refusal),
            Known::Shut(_) | Known::Open | Known::Nothing => None,
        }
    }
}
