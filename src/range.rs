//! Times that other systems wrote.
//!
//! A time that parses can still be so far away that the next addition overflows. So each is checked where it is read, by
//! `#[serde(deserialize_with = "…")]` on its field; a test reads the sources and fails on a field without it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, de::Error};
use uuid::Uuid;

/// The years of what firstpass itself writes: records and messages.
const OURS: RangeInclusive<i32> = 2000..=2199;
/// The years that Graph can say (`Edm.DateTimeOffset`). HR systems write `0001-01-01` and `9999-12-31` for "none".
const GRAPHS: RangeInclusive<i32> = 1..=9999;
/// The lifetimes of a pass in minutes (Graph's page on the policy allows 10 to 43,200).
pub(crate) const LIFETIMES: RangeInclusive<u32> = 1..=43_200;

/// How far the clocks of two workers may differ.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(10);
/// Longer than anything waits after an event.
const LONG_AGO: TimeDelta = TimeDelta::days(2);

/// The time of something that has happened. A time that is still to come is that of a wrong clock: it counts as long ago.
pub(crate) fn past(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    if at > now + CLOCK_SKEW { now - LONG_AGO } else { at }
}

/// Something with times in it.
pub(crate) trait Dated {
    /// Whether every year in it is one of `years`.
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool;
}

impl Dated for DateTime<Utc> {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        years.contains(&self.year())
    }
}

impl Dated for NaiveDate {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        years.contains(&self.year())
    }
}

impl<T: Dated> Dated for Option<T> {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        self.as_ref().is_none_or(|value| value.is_within(years))
    }
}

impl Dated for (NaiveDate, DateTime<Utc>) {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        self.0.is_within(years) && self.1.is_within(years)
    }
}

impl Dated for BTreeMap<NaiveDate, u32> {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        self.keys().all(|day| day.is_within(years))
    }
}

impl<T: Dated> Dated for BTreeMap<Uuid, T> {
    fn is_within(&self, years: &RangeInclusive<i32>) -> bool {
        self.values().all(|value| value.is_within(years))
    }
}

/// A value that firstpass wrote.
///
/// # Errors
/// If a year in it is not one of 2000 to 2199.
pub(crate) fn ours<'de, D: Deserializer<'de>, T: Deserialize<'de> + Dated>(
    deserializer: D,
) -> Result<T, D::Error> {
    within(deserializer, &OURS)
}

/// A value in an answer of Graph.
///
/// # Errors
/// If a year in it is not one of 1 to 9999.
pub(crate) fn graphs<'de, D: Deserializer<'de>, T: Deserialize<'de> + Dated>(
    deserializer: D,
) -> Result<T, D::Error> {
    within(deserializer, &GRAPHS)
}

/// A time in the past in an answer of Graph; `None` for null, and for a time before Entra ID existed: some of its services say
/// `0001-01-01` for "none".
///
/// # Errors
/// As of [`graphs`].
pub(crate) fn graphs_past<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let time: Option<DateTime<Utc>> = graphs(deserializer)?;
    Ok(time.filter(|time| time.year() >= *OURS.start()))
}

fn within<'de, D: Deserializer<'de>, T: Deserialize<'de> + Dated>(
    deserializer: D,
    years: &RangeInclusive<i32>,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    if value.is_within(years) {
        Ok(value)
    } else {
        Err(D::Error::custom(format!("a time outside the years {} to {}", years.start(), years.end())))
    }
}

/// What identifies a job or a group sync: 1 to 200 visible characters of ASCII, and spaces. It is shown to people and is a field of
/// log lines.
///
/// # Errors
/// If the text has other characters or another length.
pub(crate) fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let key = String::deserialize(deserializer)?;
    if is_key(&key) { Ok(key) } else { Err(D::Error::custom("no key of 1 to 200 visible characters")) }
}

/// Whether the text can be a [`key`].
pub(crate) fn is_key(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

/// The lifetime of a pass in minutes.
///
/// # Errors
/// If no pass can have it.
pub(crate) fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let minutes = u32::deserialize(deserializer)?;
    if LIFETIMES.contains(&minutes) {
        Ok(minutes)
    } else {
        Err(D::Error::custom(format!(
            "a lifetime outside {} to {} minutes",
            LIFETIMES.start(),
            LIFETIMES.end()
        )))
    }
}

/// The lifetime of a pass in minutes, in an answer of Graph; `None` for null and for what no pass can have.
///
/// # Errors
/// If it is no number.
pub(crate) fn graphs_lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let minutes = Option::<i64>::deserialize(deserializer)?;
    Ok(minutes.and_then(|minutes| u32::try_from(minutes).ok()).filter(|minutes| LIFETIMES.contains(minutes)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_times_near_enough_to_count_with_are_read() {
        for (text, is_ours, is_graphs) in [
            ("2026-11-30T07:00:00Z", true, true),
            ("2000-01-01T00:00:00Z", true, true),
            ("2199-12-31T23:59:59Z", true, true),
            ("1999-12-31T23:59:59Z", false, true),
            ("2999-01-01T00:00:00Z", false, true),
            ("0001-01-01T00:00:00Z", false, true),
            ("9999-12-31T23:59:59Z", false, true),
            ("0000-12-31T23:59:59Z", false, false),
            ("+10000-01-01T00:00:00Z", false, false),
            ("+262142-12-31T23:59:59Z", false, false),
            ("-262143-01-01T00:00:00Z", false, false),
        ] {
            let time = json!(text);
            assert_eq!(ours::<_, DateTime<Utc>>(&time).is_ok(), is_ours, "{text}");
            assert_eq!(graphs::<_, Option<DateTime<Utc>>>(&time).is_ok(), is_graphs, "{text}");
            let days = json!({text.split('T').next().unwrap(): 1});
            assert_eq!(ours::<_, BTreeMap<NaiveDate, u32>>(&days).is_ok(), is_ours, "{text}");
        }
        assert_eq!(ours::<_, Option<DateTime<Utc>>>(&json!(null)).unwrap(), None);
        assert_eq!(graphs_past(&json!("0001-01-01T00:00:00Z")).unwrap(), None);
        assert!(graphs_past(&json!("2001-01-01T00:00:00Z")).unwrap().is_some());
    }

    #[test]
    fn only_lifetimes_that_a_pass_can_have_are_read() {
        for (minutes, expected) in [
            (1_i64, Some(1)),
            (43_200, Some(43_200)),
            (0, None),
            (-1, None),
            (43_201, None),
            (4_294_967_295, None),
        ] {
            assert_eq!(lifetime(&json!(minutes)).ok(), expected, "{minutes}");
            assert_eq!(graphs_lifetime(&json!(minutes)).unwrap(), expected, "{minutes}");
        }
        assert_eq!(graphs_lifetime(&json!(null)).unwrap(), None);
    }
}
