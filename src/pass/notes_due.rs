//! The message that has others told of a delivery.

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::job::{Job, Reason};
use crate::ledger::Record;

/// The message that others are to be told of what a user was sent.
///
/// As with a [`Job`], no field may be called `id`, `dequeueCount` or `sys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotesDue {
    /// The user.
    pub notes_due: Uuid,
}

impl NotesDue {
    /// For `user`, if the record says that somebody is still to be told.
    pub(super) fn of(user: Uuid, record: Option<&Record>) -> Option<Self> {
        record?.due_notes().map(|_| Self { notes_due: user })
    }

    /// The message.
    pub fn to_message(self) -> String {
        json!(self).to_string()
    }

    /// Identifies its work in the log.
    pub fn key(self) -> String {
        format!("notes/{}", self.notes_due)
    }

    pub(super) fn job(self) -> Job {
        let Self { notes_due: user_id } = self;
        Job { key: self.key(), reason: Reason::Recheck, user_id, since: None, queued_at: None }
    }
}
