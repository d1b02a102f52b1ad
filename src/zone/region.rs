//! What the address of an account says of the zone, in countries with several.

use std::sync::LazyLock;

use icu_normalizer::DecomposingNormalizerBorrowed;

use super::{Place, Tz};

/// The parts of countries; the file says in which form.
const REGIONS: &str = include_str!("regions.txt");

/// A part of a country, or its cities in another zone than most of it.
#[derive(Debug)]
struct Region {
    country: &'static str,
    /// The code, folded.
    code: String,
    zone: Tz,
    /// The names and cities, folded.
    names: Vec<String>,
    cities: Vec<String>,
}

static TABLE: LazyLock<Vec<Region>> = LazyLock::new(|| {
    REGIONS.lines().filter(|line| !line.starts_with('#')).filter_map(Region::parse).collect()
});

impl Region {
    fn parse(line: &'static str) -> Option<Self> {
        let (head, tail) = line.split_once(": ")?;
        let [country, code, zone] = head.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let folded = |text: &str| Some(fold(text)).filter(|folded| !folded.is_empty());
        let mut parts = tail.split(';');
        let names = parts.next()?.split('/').filter_map(folded).collect();
        let cities = parts.filter_map(folded).collect();
        Some(Self { country, code: fold(code), zone: zone.parse().ok()?, names, cities })
    }

    fn is_named(&self, state: &str) -> bool {
        (self.code == state && !self.code.is_empty()) || self.names.iter().any(|name| name == state)
    }

    fn has(&self, city: &str) -> bool {
        self.cities.iter().any(|known| known == city)
    }
}

/// The zone of a place in `country`; `None` if what the account says is unknown here, or names several.
pub(super) fn zone_of(country: &str, place: Place<'_>) -> Option<Tz> {
    let regions = || TABLE.iter().filter(|region| region.country.eq_ignore_ascii_case(country));
    let [state, city] = [place.state, place.city].map(|text| text.map(fold).unwrap_or_default());
    // The name of a part has its code for the city's line too.
    let codes: Vec<&str> =
        regions().filter(|region| region.is_named(&state)).map(|region| region.code.as_str()).collect();
    let of_state = || {
        regions().filter(|region| {
            region.is_named(&state) || (!region.code.is_empty() && codes.contains(&region.code.as_str()))
        })
    };
    let city_of_state = of_state().find(|region| region.has(&city));
    let by_state = city_of_state.or_else(|| of_state().find(|region| !region.names.is_empty()));
    if let Some(region) = by_state {
        return Some(region.zone);
    }
    // A city may have the name of the part around it, like São Paulo.
    let by_city = regions()
        .find(|region| region.has(&city))
        .or_else(|| regions().find(|region| region.names.contains(&city)));
    by_city.map(|region| region.zone).or_else(|| named_in(regions(), &fold(place.office_location?)))
}

/// The zone of the names in a free text, like "Perth, level 3"; `None` if there are names of several zones.
fn named_in(regions: impl Iterator<Item = &'static Region>, text: &str) -> Option<Tz> {
    /// A shorter name may be a word of something else.
    const MIN_LENGTH: usize = 4;
    let text = format!(" {text} ");
    let mut found: Vec<(String, Tz)> = Vec::new();
    for region in regions {
        let names =
            region.names.iter().chain(&region.cities).filter(|name| name.chars().count() >= MIN_LENGTH);
        let words = names.map(|name| format!(" {name} ")).filter(|words| text.contains(words.as_str()));
        found.extend(words.map(|words| (words, region.zone)));
    }
    // "Mato Grosso do Sul" has "Mato Grosso" in it.
    let is_longest = |(words, _): &&(String, Tz)| {
        !found.iter().any(|(other, _)| other.len() > words.len() && other.contains(words.as_str()))
    };
    let mut zones = found.iter().filter(is_longest).map(|(_, zone)| *zone);
    let first = zones.next()?;
    zones.all(|zone| zone == first).then_some(first)
}

/// The words in small letters, without accents and punctuation.
pub(super) fn fold(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(text);
    // Combining Diacritical Marks.
    let letters =
        decomposed.chars().filter(|c| !matches!(c, '\u{300}'..='\u{36f}' | '\'' | '\u{2019}' | '.'));
    let spaced: String = letters.map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    spaced.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::zone::{Country, zone};

    fn state(text: &str) -> Place<'_> {
        Place { state: Some(text), ..Place::default() }
    }

    fn city(text: &str) -> Place<'_> {
        Place { city: Some(text), ..Place::default() }
    }

    fn office(text: &str) -> Place<'_> {
        Place { office_location: Some(text), ..Place::default() }
    }

    #[test]
    fn state_city_and_office_tell_the_zone() {
        for (country, place, expected) in [
            ("US", state("CA"), "America/Los_Angeles"),
            ("us", state(" california "), "America/Los_Angeles"),
            ("US", state("Washington"), "America/Los_Angeles"),
            ("US", city("Washington"), "America/New_York"),
            ("US", Place { state: Some("TX"), city: Some("El Paso"), ..Place::default() }, "America/Denver"),
            (
                "US",
                Place { state: Some("Texas"), city: Some("El Paso"), ..Place::default() },
                "America/Denver",
            ),
            (
                "US",
                Place { state: Some("OR"), city: Some("Portland"), ..Place::default() },
                "America/Los_Angeles",
            ),
            (
                "US",
                Place { state: Some("ME"), city: Some("Portland"), ..Place::default() },
                "America/New_York",
            ),
            ("US", city("St. Louis"), "America/Chicago"),
            ("US", office("Seattle HQ, floor 12"), "America/Los_Angeles"),
            ("CA", state("Québec"), "America/Toronto"),
            ("CA", state("BC"), "America/Vancouver"),
            ("CA", city("Saint John"), "America/Moncton"),
            ("CA", city("St. John\u{2019}s"), "America/St_Johns"),
            ("AU", state("WA"), "Australia/Perth"),
            ("AU", office("Perth - Level 3"), "Australia/Perth"),
            ("AU", city("SYDNEY"), "Australia/Sydney"),
            ("BR", city("Sao Paulo"), "America/Sao_Paulo"),
            ("BR", state("Mato Grosso do Sul"), "America/Campo_Grande"),
            ("BR", office("Filial Mato Grosso do Sul"), "America/Campo_Grande"),
            ("MX", city("Cancún"), "America/Cancun"),
            ("MX", city("Puebla"), "America/Mexico_City"),
            (
                "MX",
                Place { state: Some("Chihuahua"), city: Some("Cd. Juárez / Juárez"), ..Place::default() },
                "America/Chihuahua",
            ),
            (
                "MX",
                Place { state: Some("Chihuahua"), city: Some("Juárez"), ..Place::default() },
                "America/Ciudad_Juarez",
            ),
            ("RU", city("Владивосток"), "Asia/Vladivostok"),
            ("RU", city("Ekaterinburg"), "Asia/Yekaterinburg"),
        ] {
            assert_eq!(zone_of(country, place), Some(zone(expected)), "{country} {place:?}");
        }
    }

    #[test]
    fn what_says_nothing_or_two_things_tells_no_zone() {
        for (country, place) in [
            ("US", Place::default()),
            ("US", state("")),
            ("US", city(" ")),
            ("US", city("Portland")),
            ("US", office("Seattle team of the Boston office")),
            ("US", city("Peoria")),
            ("US", office("Mobile")),
            ("US", office("Boston or Denver")),
            ("US", office("Room 4.12")),
            ("US", office("IN OR ME")),
            ("AU", city("Los Angeles")),
            ("DE", state("CA")),
            ("RU", state("-")),
        ] {
            assert_eq!(zone_of(country, place), None, "{country} {place:?}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_part_of_its_country() {
        let lines = REGIONS.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), TABLE.len(), "each line can be read");
        let mut seen: BTreeMap<(&str, &str), &Region> = BTreeMap::new();
        for region in TABLE.iter() {
            let country = Country::of(region.country).unwrap();
            assert!(country.has(region.zone), "{region:?}");
            for name in &region.cities {
                if let Some(other) = seen.insert((region.country, name), region) {
                    assert_eq!(other.zone, region.zone, "{name} is two places: {other:?} {region:?}");
                }
            }
        }
        assert!(TABLE.len() > 150);
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in ".*") {
            for place in [state(&text), city(&text), office(&text)] {
                zone_of("US", place);
            }
        }
    }
}
