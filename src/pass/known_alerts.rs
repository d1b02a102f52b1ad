//! What a process knows of the alerts that were sent or kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What this process knows of alert mails.
#[derive(Debug, Default)]
pub(super) struct KnownAlertMails {
    /// When alerts of each kind were last sent.
    pub sent_at: BTreeMap<&'static str, DateTime<Utc>>,
    /// How many of each kind this process has kept since, and the document of those who have none of their own.
    pub kept: BTreeMap<&'static str, (u32, Uuid)>,
    /// When this process last looked whether a summary is due.
    pub looked_at: Option<DateTime<Utc>>,
    /// Whether an alert was kept since this process last had itself woken.
    pub is_kept: bool,
    /// When it is woken.
    pub woken_at: Option<DateTime<Utc>>,
}
