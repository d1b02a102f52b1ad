//! The mails without a code that follow a delivery.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// That not everybody was told of a delivery who is to be. It ends with the delivery, and when all were told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DueNotes {
    /// Why the pass was made, in one word.
    pub occasion: String,
    /// Whether the joiner is to be told how to sign in, because somebody else has the code.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub joiner: bool,
    /// Who was told, or may have been: identifies their addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<String>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}
