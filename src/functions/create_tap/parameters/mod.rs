//! The parameters of a call: parsed from its body, with all errors reported together.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    address::Address,
    brand::{Brand, Color, Image},
    hash::sha256,
    ledger::Fingerprint,
    pass::request::{Choice, IDEMPOTENCY_WINDOW, PassRequest},
    settings::{CreateTapSettings, Deliver, LIFETIMES, Parameter, ServiceDesk, is_https_url},
    text::hides_something,
};

/// How far in the past a start may be and still mean "now": callers' clocks differ.
const START_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// How far ahead a pass may open.
const START_MAX: TimeDelta = TimeDelta::days(30);
/// The longest text in a mail or a log line, in characters.
const MAX_TEXT: usize = 200;
/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;
/// The number of unknown names that a warning repeats.
const MAX_UNKNOWN: usize = 10;

/// The parameters that the caller gave; `None` means the default.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    pub user_name: String,
    pub lifetime_minutes: Option<u32>,
    pub one_time: Option<bool>,
    pub notify_user: Option<bool>,
    pub email_from: Option<Address>,
    pub service_desk: ServiceDesk,
    pub ticket_url: Option<String>,
    pub caller_name: Option<String>,
    pub start: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub deliver: Option<Deliver>,
    pub branding: Branding,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// Names that are not parameters.
    pub unknown: Vec<String>,
}

/// The looks of the notice, where the caller gave them.
#[derive(Clone, Debug, Default)]
pub(super) struct Branding {
    pub header_image: Option<String>,
    pub footer_image: Option<String>,
    pub footer_link: Option<String>,
    pub accent: Option<Color>,
    pub text: Option<Color>,
}

impl Branding {
    /// For the comparison of calls; nothing for a call of an earlier release.
    fn fingerprint(&self) -> Option<String> {
        let Self { header_image, footer_image, footer_link, accent, text } = self;
        let colors = [accent, text].map(|color| color.as_ref().map(Color::to_string));
        let parts =
            [header_image.clone(), footer_image.clone(), footer_link.clone()].into_iter().chain(colors);
        let given: Vec<String> = parts.map(Option::unwrap_or_default).collect();
        given.iter().any(|part| !part.is_empty()).then(|| given.join(" "))
    }

    /// These looks, and those of the settings for the rest.
    pub(super) fn over(&self, settings: &Brand) -> Brand {
        let image = |given: &Option<String>, set: &Option<Image>| {
            given.clone().map(Image::At).or_else(|| set.clone())
        };
        Brand {
            accent: self.accent.unwrap_or(settings.accent),
            text: self.text.unwrap_or(settings.text),
            logo: image(&self.header_image, &settings.logo),
            footer_image: image(&self.footer_image, &settings.footer_image),
            footer_link: self.footer_link.clone().or_else(|| settings.footer_link.clone()),
        }
    }
}

/// An error in a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParameterError {
    /// The parameter, `body` or `Idempotency-Key`.
    pub parameter: &'static str,
    /// The problem, without the value, which may be confidential.
    pub problem: String,
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.parameter, self.problem)
    }
}

/// Parses a call.
///
/// # Errors
/// All errors in it.
pub(super) fn parse(
    body: Option<&str>,
    key: Option<&str>,
    settings: &CreateTapSettings,
    now: DateTime<Utc>,
) -> Result<Parameters, Vec<ParameterError>> {
    let mut errors = Vec::new();
    let mut note =
        |parameter, problem: &str| errors.push(ParameterError { parameter, problem: problem.to_owned() });
    let key = key.map(str::trim).filter(|key| !key.is_empty());
    let mut call = Parameters { key: key.map(str::to_owned), ..Parameters::default() };
    if key.is_some_and(|key| key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic())) {
        note("Idempotency-Key", "is not 1 to 255 visible ASCII characters");
    }
    let fields = match body.map(str::trim).filter(|body| !body.is_empty()).map(serde_json::from_str) {
        Some(Ok(Fields(fields))) => fields,
        Some(Err(_)) => {
            note("body", "is not a JSON object; send it uncompressed with Content-Type: application/json");
            return Err(errors);
        }
        None => {
            let what = "is empty; send {\"UserName\": \"…\"} with a Content-Length (the Functions host drops \
                        bodies that are sent in chunks)";
            note("body", what);
            return Err(errors);
        }
    };
    let mut seen = Vec::new();
    for (name, value) in &fields {
        let Some(parameter) = Parameter::named(name) else {
            call.unknown.push(name.chars().take(MAX_TEXT).collect());
            continue;
        };
        if seen.contains(&parameter) {
            note(parameter.name(), "is given twice");
            continue;
        }
        seen.push(parameter);
        // A blank value counts as not given: forms and flows send empty fields.
        if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            continue;
        }
        if !settings.open.contains(&parameter) {
            note(parameter.name(), "is not open to callers: CREATE_TAP_OPEN_PARAMETERS does not list it");
        } else if let Err(what) = call.take(parameter, value, settings, now) {
            note(parameter.name(), &what);
        }
    }
    if call.user_name.is_empty() && !errors.iter().any(|error| error.parameter == Parameter::UserName.name())
    {
        errors.push(ParameterError {
            parameter: Parameter::UserName.name(),
            problem: "is missing: the user principal name or object id".to_owned(),
        });
    }
    if errors.is_empty() { Ok(call) } else { Err(errors) }
}

impl Parameters {
    fn take(
        &mut self,
        parameter: Parameter,
        value: &Value,
        settings: &CreateTapSettings,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        match parameter {
            Parameter::UserName => self.user_name = user_name(value)?,
            Parameter::LifetimeInMinutes => self.lifetime_minutes = Some(lifetime(value)?),
            Parameter::OneTimeUseOnly => self.one_time = Some(boolean(value)?),
            Parameter::NotifyUser => self.notify_user = Some(boolean(value)?),
            Parameter::EmailFrom => self.email_from = Some(address(value)?),
            Parameter::ServiceDeskDisplayName => self.service_desk.name = Some(text(value)?),
            Parameter::ServiceDeskEmail => self.service_desk.email = Some(address(value)?.to_string()),
            Parameter::ServiceDeskPhone => self.service_desk.phone = Some(text(value)?),
            Parameter::ServiceDeskPortalUrl => self.service_desk.portal_url = Some(https_url(value)?),
            Parameter::ServiceDeskTicketUrl => self.ticket_url = Some(settings.ticket_url(&text(value)?)?),
            Parameter::CallerName => self.caller_name = Some(text(value)?),
            Parameter::StartDateTime => self.start = Some(start(value, now, self.key.is_some())?),
            Parameter::Reason => self.reason = Some(text(value)?),
            Parameter::Deliver => self.deliver = Some(Deliver::parse(&text(value)?)?),
            Parameter::BrandingHeaderImageUrl => self.branding.header_image = Some(https_url(value)?),
            Parameter::BrandingFooterImageUrl => self.branding.footer_image = Some(https_url(value)?),
            Parameter::BrandingFooterLink => self.branding.footer_link = Some(https_url(value)?),
            Parameter::BrandingAccentColor => self.branding.accent = Some(color(value)?),
            Parameter::BrandingTextColor => self.branding.text = Some(color(value)?),
        }
        Ok(())
    }

    /// The request for `user`, with defaults for missing parameters.
    pub(super) fn request(
        &self,
        user: Uuid,
        settings: &CreateTapSettings,
        now: DateTime<Utc>,
        deadline: Instant,
    ) -> PassRequest {
        PassRequest {
            opens_at: self.start.filter(|start| *start > now),
            lifetime_minutes: choice(self.lifetime_minutes, settings.lifetime_minutes),
            one_time: choice(self.one_time, settings.one_time),
            by_mail: self.deliver.unwrap_or(settings.deliver) == Deliver::Mail,
            manager: None,
            fingerprint: self.fingerprint(user),
            deadline,
        }
    }

    /// Identifies a repeated call. The order and the spelling of the parameters do not matter.
    fn fingerprint(&self, user: Uuid) -> Option<Fingerprint> {
        let body = json!([
            user,
            self.lifetime_minutes,
            self.one_time,
            self.notify_user,
            self.email_from.as_ref().map(Address::to_string),
            self.service_desk,
            self.ticket_url,
            self.caller_name,
            self.start,
            self.reason,
            self.deliver.map(Deliver::word),
            self.branding.fingerprint(),
        ]);
        Some(Fingerprint { key: sha256(self.key.as_ref()?), body: sha256(&body.to_string()) })
    }

    /// Warnings about the parameters.
    pub(super) fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut warnings: Vec<String> = self
            .unknown
            .iter()
            .take(MAX_UNKNOWN)
            .map(|name| format!("{name:?} is not a parameter of CreateTap and was ignored"))
            .collect();
        if let Some(more) = self.unknown.len().checked_sub(MAX_UNKNOWN).filter(|more| *more > 0) {
            warnings.push(format!("{more} more parameters are unknown and were ignored"));
        }
        if self.start.is_some_and(|start| start < now) {
            warnings.push("StartDateTime is a few minutes past: the pass works from now".to_owned());
        }
        warnings
    }
}

fn choice<T>(given: Option<T>, default: T) -> Choice<T> {
    given.map_or(Choice::Default(default), Choice::Explicit)
}

/// One line of visible text.
fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("is not a text")?.trim();
    if text.chars().count() > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT} characters"));
    }
    if hides_something(text) {
        return Err("contains control or invisible characters".to_owned());
    }
    Ok(text.to_owned())
}

fn user_name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    // Anything else could be another path in Graph's URL.
    if name.contains('@') || name.parse::<Uuid>().is_ok() {
        return Ok(name);
    }
    Err("is neither a user principal name nor an object id".to_owned())
}

/// Accepts a number in a text: Power Automate and PowerShell send numbers that way.
fn lifetime(value: &Value) -> Result<u32, String> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 1e9).then_some(number as i64);
    let minutes = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => {
            let text = text.trim();
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        }
        _ => return Err("is not a number".to_owned()),
    };
    minutes
        .and_then(|minutes| u32::try_from(minutes).ok())
        .filter(|minutes| LIFETIMES.contains(minutes))
        .ok_or_else(|| {
            format!("is not a whole number of minutes from {} to {}", LIFETIMES.start(), LIFETIMES.end())
        })
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(yes) => Ok(*yes),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().map_err(|_| ()),
        _ => Err(()),
    }
    .map_err(|()| "is neither true nor false".to_owned())
}

fn address(value: &Value) -> Result<Address, String> {
    Address::parse(&text(value)?).map_err(|error| error.to_string())
}

fn https_url(value: &Value) -> Result<String, String> {
    let page = text(value)?;
    if is_https_url(&page) { Ok(page) } else { Err("is not an https:// address".to_owned()) }
}

fn color(value: &Value) -> Result<Color, String> {
    Color::readable(&text(value)?)
        .map_err(|_| "is no colour like #0b57a4 that can be read on white".to_owned())
}

fn start(value: &Value, now: DateTime<Utc>, may_be_repeated: bool) -> Result<DateTime<Utc>, String> {
    let text = text(value)?;
    let Ok(start) = DateTime::parse_from_rfc3339(&text) else {
        let is_local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .iter()
            .any(|form| NaiveDateTime::parse_from_str(&text, form).is_ok());
        return Err(if is_local {
            "has no offset: add Z for UTC, or one like +01:00".to_owned()
        } else {
            "is not a time like 2026-11-30T07:00:00+01:00".to_owned()
        });
    };
    // Graph gets whole seconds and no leap seconds.
    let start = start.to_utc().with_nanosecond(0).unwrap_or(start.to_utc());
    // A repeated call has the start of the first one.
    let tolerance = if may_be_repeated { START_TOLERANCE + IDEMPOTENCY_WINDOW } else { START_TOLERANCE };
    if start < now - tolerance {
        Err("is in the past".to_owned())
    } else if start > now + START_MAX {
        Err(format!("is more than {} days ahead", START_MAX.num_days()))
    } else {
        Ok(start)
    }
}

/// The fields of an object. Repeated names are kept, so that they can be refused.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests;
