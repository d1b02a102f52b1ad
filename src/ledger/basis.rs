//! What a joiner's mail rests on, so that a change of it in the tenant shows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a joiner's mail rests on, as hashes of the tenant's values: they show that a value changed, not what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Basis {
    /// The version of this form.
    pub version: u32,
    /// The address that the settings choose; `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The sign-in name.
    pub sign_in_name: String,
    /// The hire date.
    pub hire_date: String,
    /// Where the user works: the address, the names of the attributes that count as a place, and their values.
    pub place: String,
    /// The time zone that the place stands for, by name; with the country if it is one of several there.
    pub zone: String,
    /// The last day; `None` if it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leave_date: Option<String>,
    /// The manager's mailbox; `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Basis {
    /// The version that this code writes.
    const VERSION: u32 = 1;

    /// An empty one of this version.
    pub(crate) fn new() -> Self {
        Self { version: Self::VERSION, ..Self::default() }
    }

    /// Whether its values can be compared with those of this version.
    pub(crate) fn is_comparable(&self) -> bool {
        self.version == Self::VERSION
    }

    /// Whether the first day and its zone were read from the same values as in `other`.
    pub(crate) fn has_same_day(&self, other: &Self) -> bool {
        self.is_comparable()
            && other.is_comparable()
            && self.hire_date == other.hire_date
            && self.has_same_place(other)
    }

    /// Whether the place is the same. Other attributes than before are a change of a setting.
    pub(crate) fn has_same_place(&self, other: &Self) -> bool {
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (self.place.split(' ').collect(), other.place.split(' ').collect());
        ours.first() == theirs.first() && (ours.get(1) != theirs.get(1) || ours.get(2) == theirs.get(2))
    }
}
