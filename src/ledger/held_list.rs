//! Lists of people whom a sweep holds back until an admin approves.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{hash::sha256, range};

/// More people than SWEEP_MAX. None of them is served before an admin approves the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldList {
    /// The version of this form of document.
    pub schema: u32,
    /// What is held back.
    pub kind: HeldKind,
    /// When a sweep first found this list.
    #[serde(deserialize_with = "range::ours")]
    pub held_at: DateTime<Utc>,
    /// The people, the earliest day one first.
    pub people: Vec<HeldPerson>,
    /// When an admin approved it.
    #[serde(default, deserialize_with = "range::ours", skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<DateTime<Utc>>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldKind {
    /// Passes to be mailed.
    Joiners,
    /// Passes to be taken back.
    Withdrawals,
    /// Passes on demand.
    Additions,
}

impl HeldKind {
    pub(crate) const ALL: [Self; 3] = [Self::Joiners, Self::Withdrawals, Self::Additions];
}

/// A person on such a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldPerson {
    /// The day one for which a pass would be mailed or taken back; of a pass on demand, the day of the list.
    #[serde(deserialize_with = "range::ours")]
    pub day_one: NaiveDate,
    /// The object id.
    pub user_id: Uuid,
    /// The sign-in name, if it is known.
    #[serde(default)]
    pub name: Option<String>,
    /// Fields of a newer version, which are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl HeldList {
    const SCHEMA: u32 = 1;

    /// A list that waits for approval.
    pub(crate) fn new(kind: HeldKind, mut people: Vec<HeldPerson>, now: DateTime<Utc>) -> Self {
        people.sort_by_key(|person| (person.day_one, person.user_id));
        Self { schema: Self::SCHEMA, kind, held_at: now, people, approved_at: None, unknown: Map::new() }
    }

    /// Names the list in the alert. The same people have the same reference.
    pub(crate) fn reference(&self) -> String {
        let entry = |person: &HeldPerson| format!("{} {}\n", person.user_id, person.day_one);
        let text: String = self.people.iter().map(entry).collect();
        sha256(&format!("{:?}\n{text}", self.kind))[..8].to_owned()
    }

    /// The people whom an admin let through.
    pub(crate) fn approved(&self) -> impl Iterator<Item = (Uuid, NaiveDate)> {
        let people = self.people.iter().filter(|_| self.approved_at.is_some());
        people.map(|person| (person.user_id, person.day_one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_that_of_the_people() {
        let now = "2026-11-22T05:00:00Z".parse().unwrap();
        let person = |id: u128, name: Option<&str>| HeldPerson {
            day_one: "2026-11-27".parse().unwrap(),
            user_id: Uuid::from_u128(id),
            name: name.map(str::to_owned),
            unknown: Map::new(),
        };
        let list = |kind, people| HeldList::new(kind, people, now).reference();
        let reference = list(HeldKind::Joiners, vec![person(1, None), person(2, None)]);
        assert_eq!(list(HeldKind::Joiners, vec![person(2, Some("b")), person(1, Some("a"))]), reference);
        assert_ne!(list(HeldKind::Withdrawals, vec![person(1, None), person(2, None)]), reference);
        assert_ne!(list(HeldKind::Joiners, vec![person(1, None)]), reference);
    }
}
