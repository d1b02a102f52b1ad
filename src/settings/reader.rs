//! Reading settings one by one while remembering every problem.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use azure_core::http::Url;
use chrono::NaiveTime;
use uuid::Uuid;

use super::{MailCc, MailTo, PassStart};
use crate::{
    address::Address,
    azure::{has_sas, is_loopback},
    environment::Environment,
    zone::Tz,
};

/// Minutes that Graph takes for a pass; a tenant's policy is narrower, and has the last word.
pub(crate) const LIFETIMES: RangeInclusive<u32> = 10..=43_200;

pub(super) const GUID_EXAMPLE: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
pub(super) const LEDGER_EXAMPLE: &str = "https://mystorage.blob.core.windows.net/ledger";
pub(super) const SEVEN: NaiveTime = match NaiveTime::from_hms_opt(7, 0, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

/// One setting that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// A value that would do; empty where the setting must go.
    pub example: &'static str,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)?;
        if self.example.is_empty() { Ok(()) } else { write!(f, " (example: {})", self.example) }
    }
}

/// All problems, in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsError(pub Vec<SettingProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} setting{} attention: ", if count == 1 { " needs" } else { "s need" })?;
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "; " })?;
        }
        write!(f, ". All settings are explained in docs/SETTINGS.md.")
    }
}

impl std::error::Error for SettingsError {}

pub(super) struct SettingsReader<'a> {
    env: &'a Environment,
    problems: Vec<SettingProblem>,
}

pub(super) type Parsed<T> = Result<T, String>;

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
            Err(what) => self.problem(name, what, example),
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

    /// A value with several parts; every one that is wrong is a problem of its own.
    pub(super) fn all<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        parse: impl Fn(&str) -> Result<T, Vec<String>>,
    ) -> Option<T> {
        match parse(self.env.get(name)?) {
            Ok(value) => Some(value),
            Err(problems) => {
                for what in problems {
                    self.problem(name, what, example).unwrap_or(())
                }
                None
            }
        }
    }

    /// A list of values between commas; every one that is wrong is a problem of its own.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        example: &'static str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        let Some(text) = self.env.get(name) else { return default };
        let mut values = Vec::new();
        let problems = self.problems.len();
        for item in text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty()) {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(what) => self.problem(name, what, example).unwrap_or(()),
            }
        }
        if values.is_empty() && self.problems.len() == problems {
            self.problem(name, "is a list of nothing".to_owned(), example).unwrap_or(())
        }
        values
    }

    pub(super) fn problem<T>(
        &mut self,
        name: &'static str,
        what: String,
        example: &'static str,
    ) -> Option<T> {
        self.problems.push(SettingProblem { name, what, example });
        None
    }

    pub(super) fn finish(self) -> Option<SettingsError> {
        (!self.problems.is_empty()).then_some(SettingsError(self.problems))
    }
}

fn parsed<T: FromStr>(text: &str, what: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("is not {what}: \"{text}\""))
}

pub(super) fn text(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return Err("has control characters in it".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn guid(text: &str) -> Parsed<Uuid> {
    parsed(text, "a GUID (an object id)")
}

pub(super) fn address(text: &str) -> Parsed<Address> {
    Address::parse(text).map_err(|_| format!("is not a mail address: \"{text}\""))
}

pub(super) fn number<T>(text: &str, range: RangeInclusive<T>) -> Parsed<T>
where
    T: FromStr + PartialOrd + fmt::Display,
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

pub(super) fn time_zone(text: &str) -> Parsed<Tz> {
    parsed(text, "an IANA time zone")
}

pub(super) fn language(text: &str, known: &[&str]) -> Parsed<String> {
    let language = text.to_ascii_lowercase();
    if known.contains(&language.as_str()) {
        return Ok(language);
    }
    Err(format!("is not a language that we have mails in ({}): \"{text}\"", known.join(", ")))
}

/// The host reads the schedule itself; we only say early what it would say late.
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

/// Whether `text` is an address that a mail may link to and show as it stands. What is before an `@` looks like a
/// host and is none; a `\\` is read as `/` by some and not by others; and blanks make room for words.
pub(crate) fn is_https_url(text: &str) -> bool {
    let is_plain =
        text.to_ascii_lowercase().strip_prefix("https://").is_some_and(|rest| !rest.starts_with('/'))
            && !text.contains(|c: char| c.is_whitespace() || c == '\\');
    is_plain && Url::parse(text).is_ok_and(|url| url.username().is_empty() && url.password().is_none())
}

/// The URL may carry a SAS: it is never repeated in words.
pub(super) fn ledger_url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err("must start with https:// (plain http only to this machine, for Azurite)".to_owned());
    }
    if url.scheme() == "http" && !has_sas(&url) {
        return Err("needs a SAS: a token must not go over plain http".to_owned());
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("names no container: add its name as the path".to_owned());
    }
    Ok(url)
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

pub(super) fn mail_cc(text: &str) -> Parsed<MailCc> {
    match text.to_ascii_lowercase().as_str() {
        "manager" => Ok(MailCc::Manager),
        _ => Address::parse(text)
            .map(MailCc::Address)
            .map_err(|_| format!("is neither manager nor a mail address: \"{text}\"")),
    }
}
