//! The joiner's time zone.

mod tz;

pub use tz::{Tz, TzOffset, UnknownZone};

/// A country and its zone per line; the file names their source.
const ZONES: &str = include_str!("zones.txt");

/// The joiner's time zone: the zone of the usage location (ISO 3166-1, any case) if the country has one zone, else
/// `default`.
///
/// A country has one zone if it has one UTC offset at any time: Germany has; Spain, with the Canary Islands, has not.
pub fn zone_for(usage_location: Option<&str>, default: Tz) -> Tz {
    usage_location.and_then(only_zone_of).unwrap_or(default)
}

/// The zone with this name. Panics if there is none.
#[cfg(test)]
pub(crate) fn zone(name: &'static str) -> Tz {
    name.parse().expect(name)
}

fn only_zone_of(country: &str) -> Option<Tz> {
    let (_, zone) = rows().find(|(code, _)| code.eq_ignore_ascii_case(country.trim()))?;
    zone.parse().ok()
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    ZONES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_with_one_zone_decides_and_all_else_is_the_default() {
        let default = zone("Asia/Tokyo");
        for (usage_location, expected) in [
            (Some("DE"), zone("Europe/Berlin")),
            (Some("de"), zone("Europe/Berlin")),
            (Some("CH"), zone("Europe/Zurich")),
            (Some("IN"), zone("Asia/Kolkata")),
            (Some("US"), default),
            (Some("AU"), default),
            (Some("BR"), default),
            (Some("CA"), default),
            (Some("RU"), default),
            (Some("ES"), default),
            (Some("PT"), default),
            (Some("NZ"), zone("Pacific/Auckland")),
            (Some("XX"), default),
            (Some("#"), default),
            (Some(""), default),
            (None, default),
        ] {
            assert_eq!(zone_for(usage_location, default), expected, "{usage_location:?}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_country_and_a_zone_we_know() {
        for line in ZONES.lines().filter(|line| !line.starts_with('#')) {
            let (country, zone) = line.split_once(' ').expect("two words");
            assert!(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()), "{line}");
            assert!(zone.parse::<Tz>().is_ok(), "{line}");
        }
        assert!(rows().count() > 200);
    }

    #[test]
    fn the_table_is_sorted_and_names_a_country_once() {
        assert!(rows().map(|(country, _)| country).is_sorted_by(|a, b| a < b));
    }
}
