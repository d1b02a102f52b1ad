//! Where a joiner works, and the setting ZONES, which says the zone of a place.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{Tz, region::fold};

/// Where a joiner works, as far as the account says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    /// ISO 3166-1 country code.
    pub usage_location: Option<&'a str>,
    /// The state or province, as a name or a code.
    pub state: Option<&'a str>,
    /// The city.
    pub city: Option<&'a str>,
    /// The office, as a free text.
    pub office_location: Option<&'a str>,
    /// `extensionAttribute1` to `extensionAttribute15`.
    pub attributes: Option<&'a Attributes>,
}

/// A property of the account that can say a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceProperty {
    /// `usageLocation`.
    UsageLocation,
    /// `state`.
    State,
    /// `city`.
    City,
    /// `officeLocation`.
    OfficeLocation,
    /// `extensionAttribute1` to 15.
    ExtensionAttribute(u8),
}

impl PlaceProperty {
    fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "usagelocation" => Some(Self::UsageLocation),
            "state" => Some(Self::State),
            "city" => Some(Self::City),
            "officelocation" => Some(Self::OfficeLocation),
            _ => match name.strip_prefix("extensionattribute")?.parse() {
                Ok(number @ 1..=15) => Some(Self::ExtensionAttribute(number)),
                _ => None,
            },
        }
    }

    fn of(self, place: Place<'_>) -> Option<&str> {
        match self {
            Self::UsageLocation => place.usage_location,
            Self::State => place.state,
            Self::City => place.city,
            Self::OfficeLocation => place.office_location,
            Self::ExtensionAttribute(number) => place.attributes?.get(&format!("extensionAttribute{number}")),
        }
    }
}

/// `extensionAttribute1` to `extensionAttribute15`, without those that are null: a sweep keeps them of each joiner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Box<[(Box<str>, Box<str>)]>);

impl Attributes {
    /// The value of this one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// Their names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Option::<BTreeMap<Box<str>, Option<Box<str>>>>::deserialize(deserializer)?;
        let set = all.into_iter().flatten().filter_map(|(name, value)| Some((name, value?)));
        Ok(Self(set.collect()))
    }
}

/// A rule of ZONES: who has this value is in this zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRule {
    property: PlaceProperty,
    /// In small letters, without accents and punctuation.
    value: String,
    /// Whether the value may go on.
    is_prefix: bool,
    pub(super) zone: Tz,
}

impl ZoneRule {
    /// The attribute that it reads, if it reads one.
    pub(crate) fn attribute(&self) -> Option<String> {
        match self.property {
            PlaceProperty::ExtensionAttribute(n) => Some(format!("extensionAttribute{n}")),
            _ => None,
        }
    }

    /// Reads `officeLocation:Perth=Australia/Perth`; a `*` at the end of the value stands for any text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("has no form like officeLocation:Perth=Australia/Perth: \"{text}\"");
        let (left, zone) = text.rsplit_once('=').ok_or_else(form)?;
        let (name, value) = left.split_once(':').ok_or_else(form)?;
        let property = PlaceProperty::parse(name.trim()).ok_or_else(|| {
            format!(
                "is none of usageLocation, state, city, officeLocation, extensionAttribute1 to 15: \"{}\"",
                name.trim()
            )
        })?;
        let zone = zone.trim();
        let zone = zone.parse().map_err(|_| format!("is not an IANA time zone: \"{zone}\""))?;
        let (value, is_prefix) = match value.trim().strip_suffix('*') {
            Some(start) => (fold(start), true),
            None => (fold(value), false),
        };
        if value.is_empty() { Err(form()) } else { Ok(Self { property, value, is_prefix, zone }) }
    }

    /// Whether it is about `place`.
    pub(crate) fn applies(&self, place: Place<'_>) -> bool {
        self.property.of(place).map(fold).is_some_and(|value| {
            if self.is_prefix { value.starts_with(&self.value) } else { value == self.value }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{joiner_zone, zone};

    #[test]
    fn a_rule_is_about_one_property_and_wins() {
        let rules: Vec<ZoneRule> = [
            "officeLocation:Perth=Australia/Perth",
            "extensionAttribute7: São Paulo* = America/Sao_Paulo",
            "usageLocation:ES=Atlantic/Canary",
        ]
        .map(|text| ZoneRule::parse(text).unwrap())
        .into();
        let attributes = [("extensionAttribute7", "Sao Paulo, Paulista")].into_iter().collect();
        let of = |place| joiner_zone(place, &rules, Tz::UTC).zone;
        let none = Place::default();
        for (place, expected) in [
            (Place { office_location: Some("PERTH"), usage_location: Some("DE"), ..none }, "Australia/Perth"),
            (Place { office_location: Some("Perth 2"), usage_location: Some("DE"), ..none }, "Europe/Berlin"),
            (
                Place { attributes: Some(&attributes), usage_location: Some("US"), ..none },
                "America/Sao_Paulo",
            ),
            (Place { usage_location: Some("es"), ..none }, "Atlantic/Canary"),
            (Place { city: Some("Perth"), ..none }, "UTC"),
        ] {
            assert_eq!(of(place), zone(expected), "{place:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (text, words) in [
            ("Perth", "form"),
            ("officeLocation=Australia/Perth", "form"),
            ("officeLocation:=Australia/Perth", "form"),
            ("officeLocation:*=Australia/Perth", "form"),
            ("office:Perth=Australia/Perth", "none of usageLocation"),
            ("extensionAttribute16:x=Australia/Perth", "none of usageLocation"),
            ("city:Perth=Perth", "IANA"),
        ] {
            let why = ZoneRule::parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
