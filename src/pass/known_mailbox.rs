//! What a process knows of the mailbox that sends.

use std::sync::{Mutex, PoisonError};

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
pub(super) struct KnownMailbox(Mutex<Known>);

impl KnownMailbox {
    pub(super) fn get(&self) -> Known {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, shut: Option<ShutMailbox>) {
        let known = shut.map_or(Known::Open, Known::Shut);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
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
