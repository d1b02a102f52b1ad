//! The last examination of the app and its tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::range;

/// What an examination found. It is written as a whole and never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Examination {
    /// The version of this form of document.
    pub schema: u32,
    /// When it ended.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// The version of firstpass.
    pub version: String,
    /// Identifies the settings.
    pub settings: String,
    /// What it found, in the order of the checks.
    pub findings: Vec<Finding>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Examination {
    /// The version that this code writes.
    pub const SCHEMA: u32 = 1;

    /// The findings of a level.
    pub fn of(&self, level: Level) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.level == level)
    }
}

/// One thing that an examination found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check: `pass-policy`.
    pub check: String,
    /// How it is.
    pub level: Level,
    /// The user whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What was found.
    pub what: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Somebody may not get in, or more is permitted than needed.
    Warn,
    /// Nobody gets a pass, or a pass leads nowhere.
    Fail,
    /// It was not asked, or there was no answer.
    #[serde(other)]
    NotAsked,
}

impl Level {
    /// As the document has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotAsked => "not asked",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// When the app was last examined, as sweeps read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// When that was.
    #[serde(deserialize_with = "range::ours")]
    pub at: DateTime<Utc>,
    /// With which version and settings.
    pub settings: String,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}
