//! The joiner's time zone.

mod place;
mod region;
mod tz;

use std::{fmt, sync::LazyLock};

pub use self::{
    place::{Attributes, Place, PlaceProperty, ZoneRule},
    tz::{Tz, TzOffset, UnknownZone},
};

/// A country with one zone and that zone per line; the file names their source.
static ZONES: LazyLock<Table> = LazyLock::new(|| table(include_str!("zones.txt")));
/// A country with several zones per line; the file says in which form.
static COUNTRIES: LazyLock<Table> = LazyLock::new(|| table(include_str!("countries.txt")));

/// Countries and what is known of each, sorted by country: a sweep asks for every user.
type Table = Vec<(&'static str, &'static str)>;

fn table(text: &'static str) -> Table {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect()
}

/// The row of the country with this code, in any case.
fn row(table: &Table, code: &str) -> Option<(&'static str, &'static str)> {
    let code = code.to_ascii_uppercase();
    let index = table.binary_search_by_key(&code.as_str(), |(country, _)| country).ok()?;
    table.get(index).copied()
}

impl From<Tz> for JoinerZone {
    /// A zone that is known.
    fn from(zone: Tz) -> Self {
        Self { zone, country: None, office: None }
    }
}

/// The joiner's time zone, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinerZone {
    /// The zone in which first days and times are read and written.
    pub zone: Tz,
    /// The country in whose other zones the joiner may be as well; `None` if the zone is known.
    pub country: Option<Country>,
    /// TIME_ZONE, if it lies in the joiner's country: HR may write its midnights.
    pub office: Option<Tz>,
}

/// The zone of a joiner at `place`, by the first that knows it: `rules`, the usage location (ISO 3166-1) if the country has one
/// zone, state, city and office, `default` if it lies in the country, the country's most populous zone. Without a usage location it
/// is `default`.
///
/// A country has one zone if it has one UTC offset at any time: Germany has; Spain, with the Canary Islands, has not.
pub fn joiner_zone(place: Place<'_>, rules: &[ZoneRule], default: Tz) -> JoinerZone {
    let office = place
        .usage_location
        .and_then(|code| Country::of(code.trim()))
        .filter(|country| country.has(default))
        .map(|_| default);
    let known = |zone| JoinerZone { zone, country: None, office };
    if let Some(rule) = rules.iter().find(|rule| rule.applies(place)) {
        return known(rule.zone);
    }
    let Some(country) = place.usage_location.map(str::trim) else { return known(default) };
    if let Some(zone) = only_zone_of(country).or_else(|| region::zone_of(country, place)) {
        return known(zone);
    }
    match Country::of(country) {
        None => known(default),
        Some(country) if country.has(default) => known(default),
        Some(country) => {
            let zone = country.zones().next().unwrap_or(default);
            let has_others = country.zones().count() > 1;
            JoinerZone { zone, country: has_others.then_some(country), office }
        }
    }
}

/// A country with several zones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Country {
    code: &'static str,
    /// The most populous first.
    zones: &'static str,
    others: &'static str,
}

impl Country {
    /// The country with this code (ISO 3166-1, any case), if it has several zones.
    fn of(code: &str) -> Option<Self> {
        let (code, zones) = row(&COUNTRIES, code)?;
        let (zones, others) = zones.split_once(" | ").unwrap_or((zones, ""));
        Some(Self { code, zones, others })
    }

    /// One zone for each local time that more than a few people have, the most populous first.
    pub fn zones(self) -> impl Iterator<Item = Tz> {
        self.zones.split(' ').filter_map(|name| name.parse().ok())
    }

    /// Whether the zone is one of the country's.
    fn has(self, zone: Tz) -> bool {
        self.zones.split(' ').chain(self.others.split(' ')).any(|name| name == zone.name())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The zone with this name. Panics if there is none.
#[cfg(test)]
pub(crate) fn zone(name: &'static str) -> Tz {
    name.parse().expect(name)
}

fn only_zone_of(country: &str) -> Option<Tz> {
    row(&ZONES, country)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(usage_location: Option<&str>, default: &'static str) -> (Tz, Option<String>) {
        let place = Place { usage_location, ..Place::default() };
        let JoinerZone { zone, country, .. } = joiner_zone(place, &[], self::zone(default));
        (zone, country.map(|country| country.to_string()))
    }

    #[test]
    fn the_usage_location_decides_and_time_zone_where_it_lies_in_the_country() {
        for (usage_location, default, expected, unclear) in [
            (Some("DE"), "Asia/Tokyo", "Europe/Berlin", false),
            (Some(" de "), "Asia/Tokyo", "Europe/Berlin", false),
            (Some("CH"), "Asia/Tokyo", "Europe/Zurich", false),
            (Some("IN"), "Asia/Tokyo", "Asia/Kolkata", false),
            (Some("NZ"), "UTC", "Pacific/Auckland", false),
            (Some("US"), "UTC", "America/New_York", true),
            (Some("US"), "America/Los_Angeles", "America/Los_Angeles", false),
            (Some("US"), "US/Pacific", "US/Pacific", false),
            (Some("US"), "Europe/Berlin", "America/New_York", true),
            (Some("AU"), "UTC", "Australia/Sydney", true),
            (Some("AU"), "Australia/Lord_Howe", "Australia/Lord_Howe", false),
            (Some("BR"), "UTC", "America/Sao_Paulo", true),
            (Some("RU"), "UTC", "Europe/Moscow", true),
            (Some("ES"), "Europe/Berlin", "Europe/Madrid", true),
            (Some("PT"), "UTC", "Europe/Lisbon", true),
            (Some("GL"), "UTC", "America/Nuuk", false),
            (Some("AQ"), "Asia/Tokyo", "Asia/Tokyo", false),
            (Some("XX"), "Asia/Tokyo", "Asia/Tokyo", false),
            (Some("#"), "Asia/Tokyo", "Asia/Tokyo", false),
            (Some(""), "Asia/Tokyo", "Asia/Tokyo", false),
            (None, "Asia/Tokyo", "Asia/Tokyo", false),
        ] {
            let (zone, country) = of(usage_location, default);
            assert_eq!(
                (zone, country.is_some()),
                (self::zone(expected), unclear),
                "{usage_location:?} {default}"
            );
        }
    }

    #[test]
    fn every_line_of_the_tables_is_a_country_and_zones_we_know() {
        for (country, zones) in ZONES.iter().chain(&*COUNTRIES) {
            assert!(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()), "{country}");
            for zone in zones.split(' ').filter(|word| *word != "|") {
                assert!(zone.parse::<Tz>().is_ok(), "{zone} of {country}");
            }
        }
        assert!(ZONES.len() > 200);
        assert!(ZONES.iter().all(|(country, _)| Country::of(country).is_none()), "no country is in both");
    }

    #[test]
    fn the_tables_are_sorted_and_name_a_country_once() {
        for (table, text) in
            [(&*ZONES, include_str!("zones.txt")), (&*COUNTRIES, include_str!("countries.txt"))]
        {
            assert!(table.is_sorted_by(|(a, _), (b, _)| a < b));
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            assert_eq!(lines.count(), table.len(), "each line can be read");
        }
    }
}
