//! Alerts that wait for the next summary, and when alerts were last sent by mail.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::range;

/// Which alert: of which kind, and which of that kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertId {
    /// A fixed word.
    pub kind: String,
    /// Its own.
    pub id: Uuid,
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for AlertId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (kind, id) = text.split_once('/').ok_or(())?;
        let is_word =
            (1..=64).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let id = id.parse().map_err(|_| ())?;
        if is_word { Ok(Self { kind: kind.to_owned(), id }) } else { Err(()) }
    }
}

/// How far an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PendingState {
    /// It waits for a mail.
    #[default]
    Waiting,
    /// The answer to a mail with it was lost.
    Unclear,
    /// A person was told, but the document could not be deleted.
    Told,
}

/// An alert that is in no mail yet, or maybe in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingAlert {
    /// The version of this form of document.
    pub schema: u32,
    /// When it was raised.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// For how many alerts of its kind it stands.
    pub count: u32,
    /// How far it is.
    #[serde(default)]
    pub state: PendingState,
    /// The subject, in a few words.
    pub headline: String,
    /// Whom it is about.
    pub who: String,
    /// What happened.
    pub what_happened: String,
    /// What to do next.
    pub what_to_do: String,
    /// What to search the log for.
    #[serde(default)]
    pub reference: String,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl PendingAlert {
    /// The version that this code writes.
    pub(crate) const SCHEMA: u32 = 1;
}

/// When alerts of each kind were last sent by mail. It is in the ledger because several processes send them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertMails {
    /// The version of this form of document.
    pub schema: u32,
    /// By kind.
    #[serde(default, deserialize_with = "range::ours")]
    pub sent_at: BTreeMap<String, DateTime<Utc>>,
    /// Who sent them: so a process knows its own write, whose answer was lost.
    #[serde(default)]
    pub claims: BTreeMap<String, Uuid>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Default for AlertMails {
    fn default() -> Self {
        Self { schema: 1, sent_at: BTreeMap::new(), claims: BTreeMap::new(), unknown: Map::new() }
    }
}
