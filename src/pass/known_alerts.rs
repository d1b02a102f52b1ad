//! What a process knows of the alerts that were sent or kept.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::ledger::AlertId;

/// What this process knows of alert mails.
#[derive(Debug, Default)]
pub(super) struct KnownAlertMails {
    /// By kind.
    pub kinds: BTreeMap<String, KnownKind>,
    /// Alerts that were mailed, and whose documents can be neither deleted nor marked.
    pub mailed: BTreeSet<AlertId>,
    /// When this process last looked whether a summary is due.
    pub looked_at: Option<DateTime<Utc>>,
    /// Whether alerts may wait for a summary.
    pub is_kept: bool,
    /// When this process is woken for it.
    pub woken_at: Option<DateTime<Utc>>,
}

/// What it knows of one kind.
#[derive(Debug)]
pub(super) struct KnownKind {
    /// When one was last sent by mail.
    pub sent_at: DateTime<Utc>,
    /// How many this process has kept since.
    pub kept: u32,
    /// The document of those who have none of their own.
    pub more: Uuid,
}

impl KnownKind {
    /// One that was just sent at `sent_at`.
    pub(super) fn sent(sent_at: DateTime<Utc>) -> Self {
        Self { sent_at, kept: 0, more: Uuid::new_v4() }
    }
}
