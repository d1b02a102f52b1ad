//! That the mailbox that sends refuses every mail.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::range;

/// The mailbox that sends refuses every mail. While this is in the ledger, no pass is made: the state of a circuit breaker that is
/// open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShutMailbox {
    /// When it first refused a mail.
    #[serde(deserialize_with = "range::ours")]
    pub since: DateTime<Utc>,
    /// How it refused the last one, for an admin.
    pub refusal: String,
    /// What an admin can do.
    pub advice: String,
    /// When it last refused a mail, or a sweep last chose who tries next.
    #[serde(deserialize_with = "range::ours")]
    pub tried_at: DateTime<Utc>,
    /// The user whose job may try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Uuid>,
    /// When a person was last told.
    #[serde(deserialize_with = "range::ours")]
    pub alerted_at: DateTime<Utc>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}
