//! That the mailbox that sends refuses every mail.

use chrono::{DateTime, TimeDelta, Utc};
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
    /// Who noted the first refusal: so a process knows its own write, whose answer was lost.
    #[serde(default)]
    pub noted_by: Uuid,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl ShutMailbox {
    /// The least time between two tries. Exchange keeps what it has found out about an app's rights as long as it is asked, and so it
    /// may go on refusing although the rights are there (Test-ServicePrincipalAuthorization page: "between 30 minutes and 2 hours").
    pub(crate) const TRY_EVERY: TimeDelta = TimeDelta::minutes(45);

    /// The time between two alerts. A daily sweep that runs a little earlier than the day before alerts too.
    pub(crate) const ALERT_EVERY: TimeDelta = TimeDelta::minutes(24 * 60 - 1);

    /// Whether it is time for another try.
    pub(crate) fn may_be_tried(&self, now: DateTime<Utc>) -> bool {
        now - self.tried_at >= Self::TRY_EVERY
    }
}
