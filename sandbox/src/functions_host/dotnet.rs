//! JSON as the host reads and prints it, with Json.NET: a text that is exactly an ISO date-time becomes a date. Dates,
//! booleans and null print as .NET prints them. Observed on the Functions host 4.1037.

use std::fmt;

use chrono::{FixedOffset, NaiveDateTime, Timelike};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Number, Value};

/// A JSON value. Objects keep the order of their fields, which decides what a message looks like.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Date(Date),
    Array(Vec<Token>),
    Object(Fields),
}

/// The fields of an object. A repeated name has its last value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(pub(super) Vec<(String, Token)>);

/// A date-time in UTC, which is the host's time zone, and how its text named the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    time: NaiveDateTime,
    zone: &'static str,
}

impl Token {
    /// `JToken.ToString()`: text without quotes, objects and arrays indented.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            // A float with no fraction prints without one.
            Self::Number(number) if number.is_f64() => number.as_f64().unwrap_or_default().to_string(),
            Self::Number(number) => number.to_string(),
            Self::String(text) => text.clone(),
            Self::Date(date) => date.time.format("%m/%d/%Y %H:%M:%S").to_string(),
            // Cannot fail: keys are strings.
            Self::Array(_) | Self::Object(_) => serde_json::to_string_pretty(self).unwrap_or_default(),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        // Cannot fail: keys are strings.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Fields {
    /// A field whose name is not case-sensitive; null if there is none.
    pub(super) fn property(&self, name: &str) -> &Token {
        self.0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(&Token::Null, |(_, value)| value)
    }

    /// A field whose name is case-sensitive.
    pub(super) fn get(&self, name: &str) -> Option<&Token> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn set(&mut self, name: String, value: Token) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Date {
    /// The date-time that `text` is, from its first to its last character.
    fn parse(text: &str) -> Option<Self> {
        let shape = |(at, byte): (usize, u8)| match b"0000-00-00T00:00:00"[at] {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        if !text.is_ascii() || text.len() < 19 || !text.bytes().take(19).enumerate().all(shape) {
            return None;
        }
        let zone_at = text[19..].find(['Z', '+', '-']).map_or(text.len(), |at| 19 + at);
        let (time, zone) = text.split_at(zone_at);
        let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        let (time, zone) = match zone {
            "" => (time, ""),
            "Z" => (time, "Z"),
            zone => (time.checked_sub_offset(zone.parse::<FixedOffset>().ok()?)?, "+00:00"),
        };
        Some(Self { time, zone })
    }
}

/// A time as .NET's format "o" with seven digits, without the zeros at the end.
pub(super) fn iso(time: NaiveDateTime) -> String {
    let seconds = time.format("%Y-%m-%dT%H:%M:%S");
    let ticks = format!(".{:07}", time.nanosecond() / 100);
    format!("{seconds}{}", ticks.trim_end_matches('0').trim_end_matches('.'))
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Date(date) => serializer.serialize_str(&format!("{}{}", iso(date.time), date.zone)),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.0.len()))?;
                for (name, value) in &fields.0 {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TokenVisitor)
    }
}

struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = Token;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Token, E> {
        Ok(Token::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Token, E> {
        Ok(Token::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Token, E> {
        Ok(Token::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Token, E> {
        Ok(Token::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Token, E> {
        Ok(Number::from_f64(value).map_or(Token::Null, Token::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Token, E> {
        Ok(Date::parse(text).map_or_else(|| Token::String(text.to_owned()), Token::Date))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Token, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Token::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Token, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry()? {
            fields.set(name, value);
        }
        Ok(Token::Object(fields))
    }
}
