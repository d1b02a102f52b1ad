//! The reader of settings, which collects all problems.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use azure_core::http::Url;
use chrono::{NaiveTime, TimeDelta};
use uuid::Uuid;

use super::{CodeTo, Delivery, DigestEvery, HireDateZone, MailCc, MailTo, PassStart};
use crate::{
    address::Address, environment::Environment, errors::without_secrets, language::best_for_tag,
    text::hides_something, zone::Tz,
};

/// The lifetimes of a pass that Graph accepts, in minutes. The tenant's policy may narrow them.
pub(crate) const LIFETIMES: RangeInclusive<u32> = 10..=43_200;

pub(super) const GUID_EXAMPLE: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
pub(super) const LEDGER_EXAMPLE: &str = "https://mystorage.blob.core.windows.net/ledger";
pub(super) const SEVEN: NaiveTime = match NaiveTime::from_hms_opt(7, 0, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

pub(super) const NINE: NaiveTime = match NaiveTime::from_hms_opt(9, 0, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

/// A problem with one setting. No message holds a key or a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {detail}{}", suffix(.example))]
pub struct SettingProblem {
    /// The name of the setting.
    pub name: &'static str,
    /// The problem, as the rest of a sentence that starts with the name.
    pub detail: String,
    /// A valid value; empty if there is none.
    pub example: &'static str,
}

fn suffix(example: &str) -> String {
    if example.is_empty() { String::new() } else { format!(" (example: {example})") }
}

/// All problems with the settings. Its message is one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}. docs/SETTINGS.md explains all settings.", heading(.0.len()), joined(.0))]
pub struct SettingsError(pub Vec<SettingProblem>);

impl SettingsError {
    /// The names of the settings.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|problem| problem.name).collect()
    }
}

fn heading(count: usize) -> String {
    if count == 1 {
        "1 setting needs attention".to_owned()
    } else {
        format!("{count} settings need attention")
    }
}

fn joined(problems: &[SettingProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(super) struct SettingsReader<'a> {
    env: &'a Environment,
    problems: Vec<SettingProblem>,
}

pub(crate) type Parsed<T> = Result<T, String>;

impl<'a> SettingsReader<'a> {
    pub(super) fn new(env: &'a Environment) -> Self {
        Self { env, problems: Vec::new() }
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        match parse(self.env.get(name)?) {
            Ok(value) => Some(value),
            Err(detail) => self.problem(name, detail, example),
        }
    }

    pub(super) fn or<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        default: T,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> T {
        self.optional(name, example, parse).unwrap_or(default)
    }

    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        match self.env.get(name) {
            None => self.problem(name, "is missing".to_owned(), example),
            Some(_) => self.optional(name, example, parse),
        }
    }

    /// A value with several parts, each of which can be a problem.
    pub(super) fn all<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Result<T, Vec<String>>,
    ) -> Option<T> {
        match parse(self.env.get(name)?) {
            Ok(value) => Some(value),
            Err(problems) => {
                for detail in problems {
                    self.problem(name, detail, example).unwrap_or(())
                }
                None
            }
        }
    }

    /// A list of values separated by commas, each of which can be a problem.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        self.list_of(name, &[',', ';'], example, default, parse)
    }

    pub(super) fn list_of<T>(
        &mut self,
        name: &'static str,
        separators: &[char],
        example: &'static str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        let Some(text) = self.env.get(name) else { return default };
        let mut values = Vec::new();
        let problems = self.problems.len();
        for item in text.split(separators).map(str::trim).filter(|item| !item.is_empty()) {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(detail) => self.problem(name, detail, example).unwrap_or(()),
            }
        }
        if values.is_empty() && self.problems.len() == problems {
            self.problem(name, "is an empty list".to_owned(), example).unwrap_or(())
        }
        values
    }

    pub(super) fn problem<T>(
        &mut self,
        name: &'static str,
        detail: String,
        example: &'static str,
    ) -> Option<T> {
        self.problems.push(SettingProblem { name, detail: without_secrets(&detail), example });
        None
    }

    pub(super) fn finish(self) -> Option<SettingsError> {
        (!self.problems.is_empty()).then_some(SettingsError(self.problems))
    }
}

fn parsed<T: FromStr>(text: &str, kind: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("is not {kind}: \"{text}\""))
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if hides_something(text) {
        return Err("contains control or invisible characters".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn guid(text: &str) -> Parsed<Uuid> {
    parsed(text, "a GUID (an object id)")
}

pub(super) fn address(text: &str) -> Parsed<Address> {
    Address::parse(text).map_err(|error| format!("{error}: \"{text}\""))
}

pub(super) fn number<T>(text: &str, range: RangeInclusive<T>) -> Parsed<T>
where
    T: FromStr + PartialOrd + Display,
{
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("is not a number from {} to {}: \"{text}\"", range.start(), range.end())),
    }
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    parsed(&text.to_ascii_lowercase(), "true or false")
}

pub(super) fn pass_start(text: &str) -> Parsed<PassStart> {
    match text {
        "day-one" => Ok(PassStart::DayOne),
        "now" => Ok(PassStart::Now),
        _ => Err(format!("is neither day-one nor now: \"{text}\"")),
    }
}

pub(super) fn time_of_day(text: &str) -> Parsed<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| format!("is not a time of day as HH:MM: \"{text}\""))
}

/// Minutes or hours, as in `90m` and `4h`, up to a week; `None` for `off`.
pub(super) fn duration_or_off(text: &str) -> Parsed<Option<TimeDelta>> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let minutes = |(digits, factor): (&str, i64)| digits.parse::<u16>().ok().map(|n| i64::from(n) * factor);
    let hours = || text.strip_suffix('h').map(|digits| (digits, 60));
    match text.strip_suffix('m').map(|digits| (digits, 1)).or_else(hours).and_then(minutes) {
        Some(minutes @ 1..=10_080) => Ok(Some(TimeDelta::minutes(minutes))),
        _ => Err(format!("is neither off nor a time up to a week, as in 90m or 4h: \"{text}\"")),
    }
}

pub(super) fn digest(text: &str) -> Parsed<Option<DigestEvery>> {
    match text.to_ascii_lowercase().as_str() {
        "daily" => Ok(Some(DigestEvery::Day)),
        "weekly" => Ok(Some(DigestEvery::Week)),
        "off" => Ok(None),
        _ => Err(format!("is none of daily, weekly, off: \"{text}\"")),
    }
}

pub(super) fn time_zone(text: &str) -> Parsed<Tz> {
    parsed(text, "an IANA time zone")
}

pub(super) fn hire_date_zone(text: &str) -> Parsed<HireDateZone> {
    match text {
        _ if text.eq_ignore_ascii_case("joiner") => Ok(HireDateZone::Joiner),
        _ if text.eq_ignore_ascii_case("utc") => Ok(HireDateZone::Fixed(Tz::UTC)),
        _ => text
            .parse()
            .map(HireDateZone::Fixed)
            .map_err(|_| format!("is neither joiner nor an IANA time zone: \"{text}\"")),
    }
}

pub(super) fn serve_guests(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(false),
        "internal" => Ok(true),
        _ => Err(format!("is neither none nor internal: \"{text}\"")),
    }
}

/// A language of the mails, in any of the spellings of its tag.
pub(super) fn language(text: &str, known: &[String]) -> Parsed<String> {
    let language = best_for_tag(known, text).map(str::to_owned);
    language.ok_or_else(|| format!("is not a language of the mails ({}): \"{text}\"", known.join(", ")))
}

/// The host reads the schedule. Checking it here reports a mistake with those of other settings.
pub(super) fn schedule(text: &str) -> Parsed<()> {
    match text.split_whitespace().count() {
        5 | 6 => Ok(()),
        fields => {
            Err(format!("has {fields} fields; a schedule has 6 (second minute hour day month weekday, UTC)"))
        }
    }
}

pub(super) fn https_url(text: &str) -> Parsed<String> {
    if is_https_url(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("is not an https:// address: \"{text}\""))
    }
}

/// Whether `text` is a URL that a mail can show and link to. It has no user name, which can pass for a host; no `\\`,
/// which some clients read as `/`; and no whitespace, which allows for text.
pub(crate) fn is_https_url(text: &str) -> bool {
    let is_plain =
        text.to_ascii_lowercase().strip_prefix("https://").is_some_and(|rest| !rest.starts_with('/'))
            && !text.contains(|c: char| c.is_whitespace() || c == '\\');
    is_plain && Url::parse(text).is_ok_and(|url| url.username().is_empty() && url.password().is_none())
}

pub(super) fn mail_to(text: &str) -> Parsed<MailTo> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("extensionattribute").map(str::parse) {
        Some(Ok(n @ 1..=15)) => Ok(MailTo::ExtensionAttribute(n)),
        None if lower == "othermails" => Ok(MailTo::OtherMails),
        None if lower == "manager" => Ok(MailTo::Manager),
        _ => Err(format!("is none of otherMails, extensionAttribute1 to 15, manager: \"{text}\"")),
    }
}

pub(super) fn delivery(text: &str) -> Parsed<Delivery> {
    match text.to_ascii_lowercase().as_str() {
        "mail" => Ok(Delivery::Mail),
        "split" => Ok(Delivery::Split),
        "webhook" => Ok(Delivery::Webhook),
        _ => Err(format!("is none of mail, split, webhook: \"{text}\"")),
    }
}

pub(super) fn code_to(text: &str) -> Parsed<CodeTo> {
    match text.to_ascii_lowercase().as_str() {
        "manager" => Ok(CodeTo::Manager),
        _ => Address::parse(text)
            .map(CodeTo::Address)
            .map_err(|_| format!("is neither manager nor a mail address: \"{text}\"")),
    }
}

/// A domain, in ASCII and small letters.
pub(super) fn domain(text: &str) -> Parsed<String> {
    Address::parse(&format!("a@{text}"))
        .map(|address| address.domain().to_owned())
        .map_err(|_| format!("is no domain: \"{text}\""))
}

pub(super) fn mail_cc(text: &str) -> Parsed<MailCc> {
    match text.to_ascii_lowercase().as_str() {
        "manager" => Ok(MailCc::Manager),
        _ => Address::parse(text)
            .map(MailCc::Address)
            .map_err(|_| format!("is neither manager nor a mail address: \"{text}\"")),
    }
}
