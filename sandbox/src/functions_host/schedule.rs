//! NCRONTAB, the schedule of timer triggers: five fields, or six with seconds first; always in UTC here.
//!
//! croner computes the occurrences. Where it differs from NCRONTAB, the text is translated or refused first
//! (atifaziz/NCrontab, `CrontabFieldImpl.cs` and `CrontabSchedule.cs`): the day of the month *and* the day of the week
//! must match; `5/15` extends to the end of the field; names may have more than three letters; 7 is not Sunday; `?`,
//! `L`, `W`, `#` and `@daily` do not exist. NCRONTAB swaps the ends of a reversed range such as `FRI-MON`; here it is
//! refused as a probable mistake.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds},
};

/// When a timer fires.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Box<Cron>,
    text: String,
}

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const FIELDS: [Field; 6] = [
    Field { name: "second", min: 0, max: 59, names: &[] },
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day", min: 1, max: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, names: MONTHS },
    Field { name: "day of the week", min: 0, max: 6, names: DAYS },
];

impl Schedule {
    /// The first occurrence after `time`; `None` for a date that does not exist, such as 30 February.
    pub fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cron.find_next_occurrence(&time, false).ok()
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            count => {
                return Err(format!("has {count} fields; NCRONTAB requires five, or six with seconds first"));
            }
        }
        let translated: Result<Vec<String>, String> =
            FIELDS.iter().zip(fields).map(|(field, text)| field.translate(text)).collect();
        let pattern = translated?.join(" ");
        let parser = CronParser::builder().seconds(Seconds::Required).dom_and_dow(true).build();
        let cron = parser.parse(&pattern).map_err(|error| error.to_string())?;
        Ok(Self { cron: Box::new(cron), text: text.to_owned() })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field {
    /// The field in numbers, a form that croner and NCRONTAB read alike.
    fn translate(&self, text: &str) -> Result<String, String> {
        let items: Result<Vec<String>, String> = text.split(',').map(|item| self.item(item)).collect();
        Ok(items?.join(","))
    }

    fn item(&self, text: &str) -> Result<String, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (text, None),
        };
        let (first, last) = match (range, range.split_once('-')) {
            ("*", _) => (self.min, self.max),
            (_, Some((first, last))) => (self.value(first)?, self.value(last)?),
            (value, None) if step.is_some() => (self.value(value)?, self.max),
            (value, None) => (self.value(value)?, self.value(value)?),
        };
        if first > last {
            return Err(format!("{range} in the field {} is reversed", self.name));
        }
        Ok(match (first, last, step.unwrap_or(1)) {
            (first, last, 1) if (first, last) == (self.min, self.max) => "*".to_owned(),
            (first, last, _) if first == last => first.to_string(),
            (first, last, step) => format!("{first}-{last}/{step}"),
        })
    }

    fn step(&self, text: &str) -> Result<u32, String> {
        match text.parse() {
            Ok(step) if step > 0 => Ok(step),
            _ => Err(format!("{text:?} is not a step of the field {}", self.name)),
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let wrong = || format!("{text:?} is not a {}: {} to {}", self.name, self.min, self.max);
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let value = text.parse().map_err(|_| wrong())?;
            return if (self.min..=self.max).contains(&value) { Ok(value) } else { Err(wrong()) };
        }
        // NCRONTAB accepts any prefix of a name, even `J`; here it must have three letters.
        let text = text.to_ascii_lowercase();
        let named =
            self.names.iter().zip(self.min..).find(|(name, _)| text.len() >= 3 && name.starts_with(&text));
        named.map(|(_, value)| value).ok_or_else(wrong)
    }
}
