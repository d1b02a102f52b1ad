//! From the body of a call to what it asks for, or to all that is wrong with it.

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
    hash::sha256,
    ledger::Fingerprint,
    pass::request::{Choice, IDEMPOTENCY_WINDOW, PassRequest},
    settings::{CreateTapSettings, Deliver, LIFETIMES, Parameter, ServiceDesk, is_https_url},
};

/// How long ago a start may be and still mean "now": callers' clocks differ.
const JUST_OVER: TimeDelta = TimeDelta::minutes(5);
/// How far ahead a pass may open.
const AHEAD: TimeDelta = TimeDelta::days(30);
/// The longest text that anybody has to read in a mail or a log.
const MAX_TEXT: usize = 200;
/// The longest idempotency key.
const MAX_KEY: usize = 255;
/// More unknown names than this are not repeated.
const MAX_UNKNOWN: usize = 10;

/// A call as it was asked for; nothing in it stands for a default.
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
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// Names that are no parameters.
    pub unknown: Vec<String>,
}

/// Something wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The parameter, `body` or `Idempotency-Key`.
    pub parameter: &'static str,
    /// What, without the value: it may be anything.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.parameter, self.what)
    }
}

/// Reads a call.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn parse(
    body: Option<&str>,
    key: Option<&str>,
    settings: &CreateTapSettings,
    now: DateTime<Utc>,
) -> Result<Parameters, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut note = |parameter, what: &str| wrong.push(Wrong { parameter, what: what.to_owned() });
    let key = key.map(str::trim).filter(|key| !key.is_empty());
    let mut call = Parameters { key: key.map(str::to_owned), ..Parameters::default() };
    if key.is_some_and(|key| key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic())) {
        note("Idempotency-Key", "is not 1 to 255 visible ASCII characters");
    }
    let fields = match body.map(str::trim).filter(|body| !body.is_empty()).map(serde_json::from_str) {
        Some(Ok(Fields(fields))) => fields,
        Some(Err(_)) => {
            note("body", "is not a JSON object");
            return Err(wrong);
        }
        None => {
            let what = "is empty; send {\"UserName\": \"…\"} with a Content-Length (the Functions host drops \
                        bodies that are sent in chunks)";
            note("body", what);
            return Err(wrong);
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
        // What a form left blank was not given.
        if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            continue;
        }
        if !settings.open.contains(&parameter) {
            note(
                parameter.name(),
                "is not open to callers: the setting CREATE_TAP_OPEN_PARAMETERS does not list it",
            );
        } else if let Err(what) = call.take(parameter, value, now) {
            note(parameter.name(), &what);
        }
    }
    if call.user_name.is_empty() && !wrong.iter().any(|wrong| wrong.parameter == Parameter::UserName.name()) {
        wrong.push(Wrong {
            parameter: Parameter::UserName.name(),
            what: "is missing: the user principal name or object id".to_owned(),
        });
    }
    if wrong.is_empty() { Ok(call) } else { Err(wrong) }
}

impl Parameters {
    fn take(&mut self, parameter: Parameter, value: &Value, now: DateTime<Utc>) -> Result<(), String> {
        match parameter {
            Parameter::UserName => self.user_name = user_name(value)?,
            Parameter::LifetimeInMinutes => self.lifetime_minutes = Some(lifetime(value)?),
            Parameter::OneTimeUseOnly => self.one_time = Some(yes_or_no(value)?),
            Parameter::NotifyUser => self.notify_user = Some(yes_or_no(value)?),
            Parameter::EmailFrom => self.email_from = Some(address(value)?),
            Parameter::ServiceDeskDisplayName => self.service_desk.name = Some(text(value)?),
            Parameter::ServiceDeskEmail => self.service_desk.email = Some(address(value)?.to_string()),
            Parameter::ServiceDeskPhone => self.service_desk.phone = Some(text(value)?),
            Parameter::ServiceDeskPortalUrl => self.service_desk.portal_url = Some(web_page(value)?),
            Parameter::ServiceDeskTicketUrl => self.ticket_url = Some(web_page(value)?),
            Parameter::CallerName => self.caller_name = Some(text(value)?),
            Parameter::StartDateTime => self.start = Some(start(value, now, self.key.is_some())?),
            Parameter::Reason => self.reason = Some(text(value)?),
            Parameter::Deliver => self.deliver = Some(Deliver::parse(&text(value)?)?),
        }
        Ok(())
    }

    /// The request for `user`, with a default for all that was not asked for.
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
            fingerprint: self.fingerprint(user),
            deadline,
        }
    }

    /// What tells a repetition from another call: neither the order of the parameters, nor how they were written.
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
        ]);
        Some(Fingerprint { key: sha256(self.key.as_ref()?), body: sha256(&body.to_string()) })
    }

    /// What the caller should know of their own parameters.
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
            warnings.push("StartDateTime is just over: the pass works from now".to_owned());
        }
        warnings
    }
}

fn choice<T>(asked: Option<T>, default: T) -> Choice<T> {
    asked.map_or(Choice::Default(default), Choice::Explicit)
}

/// One line that a person can read, and that is what it looks like.
fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().ok_or("is not a text")?.trim();
    if text.chars().count() > MAX_TEXT {
        return Err(format!("is longer than {MAX_TEXT} characters"));
    }
    if text.chars().any(is_unseen) {
        return Err("has control characters in it".to_owned());
    }
    Ok(text.to_owned())
}

/// Control characters, line and paragraph separators, and what turns the direction of reading around.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn user_name(value: &Value) -> Result<String, String> {
    let name = text(value)?;
    // Anything else could be a path to somewhere else.
    if name.contains('@') || name.parse::<Uuid>().is_ok() {
        return Ok(name);
    }
    Err("is neither a user principal name nor an object id".to_owned())
}

/// Also as a text: Power Automate and PowerShell send numbers so.
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

fn yes_or_no(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(yes) => Ok(*yes),
        Value::String(text) => text.trim().to_ascii_lowercase().parse().map_err(|_| ()),
        _ => Err(()),
    }
    .map_err(|()| "is neither true nor false".to_owned())
}

fn address(value: &Value) -> Result<Address, String> {
    Address::parse(&text(value)?).map_err(|_| "is not a mail address".to_owned())
}

fn web_page(value: &Value) -> Result<String, String> {
    let page = text(value)?;
    if is_https_url(&page) { Ok(page) } else { Err("is not an https:// address".to_owned()) }
}

fn start(value: &Value, now: DateTime<Utc>, may_be_a_repetition: bool) -> Result<DateTime<Utc>, String> {
    let text = text(value)?;
    let Ok(start) = DateTime::parse_from_rfc3339(&text) else {
        let is_local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
            .iter()
            .any(|form| NaiveDateTime::parse_from_str(&text, form).is_ok());
        return Err(if is_local {
            "has no offset: add Z for UTC, or one like +01:00".to_owned()
        } else {
            "is not a moment like 2026-11-30T07:00:00+01:00".to_owned()
        });
    };
    // Whole seconds: Graph is told no others, and a leap second is none that it knows.
    let start = start.to_utc().with_nanosecond(0).unwrap_or(start.to_utc());
    // A call that is made again asks for what was in time then.
    let just_over = if may_be_a_repetition { JUST_OVER + IDEMPOTENCY_WINDOW } else { JUST_OVER };
    if start < now - just_over {
        Err("is in the past".to_owned())
    } else if start > now + AHEAD {
        Err(format!("is more than {} days ahead", AHEAD.num_days()))
    } else {
        Ok(start)
    }
}

/// The fields of an object, none of them swallowed by another of the same name.
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
