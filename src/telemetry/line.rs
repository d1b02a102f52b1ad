//! The format of a line.

use std::{error::Error, fmt::Debug};

use tracing::{
    Level,
    field::{Field, Visit},
};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

use crate::{
    errors::{chain, without_secrets},
    text::hides_something,
};

/// Splits "warn" in ERROR lines. It occurs in no URL, mail address or sign-in name, so it can be removed again.
pub(super) const BREAK: char = '·';

/// The fields of an event or a span, in their order.
#[derive(Debug, Default)]
pub(super) struct Fields {
    named: Vec<(&'static str, String)>,
    message: Option<String>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: String) {
        let name = field.name();
        if name == "message" {
            self.message = Some(value);
        } else if let Some((_, known)) = self.named.iter_mut().find(|(known, _)| *known == name) {
            *known = value;
        } else {
            self.named.push((name, value));
        }
    }

    /// Appends the fields of an outer span that are not set here.
    pub(super) fn add_missing(&mut self, outer: &Self) {
        for (name, value) in &outer.named {
            if self.named.iter().all(|(known, _)| known != name) {
                self.named.push((name, value.clone()));
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field, chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }
}

/// A line with the time and a line feed.
pub(super) fn timed(level: &Level, target: &str, fields: &Fields) -> String {
    let mut text = String::new();
    // Writing into a string does not fail; a line without the time is better than none.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text + " " + &line(level, target, fields) + "\n"
}

/// `LEVEL target: name=value … message`
pub(super) fn line(level: &Level, target: &str, fields: &Fields) -> String {
    // Libraries write URLs and headers into their events.
    let is_own = target.starts_with(env!("CARGO_PKG_NAME"));
    let safe = |text: &str| if is_own { text.to_owned() } else { without_secrets(text) };
    let mut line = format!("{level:>5} {target}:");
    for (name, value) in &fields.named {
        line.extend([" ", name, "=", &quoted(&safe(value))]);
    }
    if let Some(message) = &fields.message {
        line.push(' ');
        line += &plain_or_quoted(&safe(message));
    }
    if *level == Level::ERROR {
        break_warn(&mut line);
    }
    line
}

/// A value, in quotes and escaped if it contains anything but plain characters: it cannot begin a second line.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'));
    let is_plain = !value.is_empty() && value.chars().all(is_plain) && !hides_something(value);
    if is_plain { value.to_owned() } else { format!("{value:?}") }
}

/// A message. A library's may contain anything, so it is quoted if it could be read as a field or a second line.
fn plain_or_quoted(message: &str) -> String {
    let is_plain =
        |c: char| c == ' ' || !(c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'));
    if message.chars().all(is_plain) && !hides_something(message) {
        message.to_owned()
    } else {
        format!("{message:?}")
    }
}

/// The host gives a line on stderr severity Warning if it contains these letters, so an alert about Emma Warner would not
/// be an error.
fn break_warn(line: &mut String) {
    let lower = line.to_ascii_lowercase();
    let (half, found) = ("wa".len(), lower.match_indices("warn"));
    // From the end, so that the earlier positions stay valid.
    for (at, _) in found.collect::<Vec<_>>().into_iter().rev() {
        line.insert(at + half, BREAK);
    }
}
