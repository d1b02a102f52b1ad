//! A strict JSON reader: it collects every problem with its file and JSON pointer, and continues.

use std::{cell::RefCell, collections::BTreeMap, fmt, ops::RangeInclusive, time::Duration};

use firstpass::environment::Environment;
use serde_json::Value;

/// Something that the host refuses, or silently reads in another way than expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The file, or the setting that overrides the value.
    pub file: String,
    /// The JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}: {}", self.file, self.pointer, self.what)
    }
}

/// All problems, one on each line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ConfigProblem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Collects problems.
#[derive(Default)]
pub(super) struct ConfigReader {
    problems: RefCell<Vec<ConfigProblem>>,
    /// File and JSON pointer of each overridden value, with the setting's name.
    overridden: BTreeMap<(String, String), String>,
}

impl ConfigReader {
    pub(super) fn problem(&self, file: &str, pointer: &str, what: impl Into<String>) {
        let file = self.overridden.get(&(file.to_owned(), pointer.to_owned())).map_or(file, String::as_str);
        let problem = ConfigProblem { file: file.to_owned(), pointer: pointer.to_owned(), what: what.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// Reports problems of this value under the name of `setting`.
    pub(super) fn overrides(&mut self, file: &str, pointer: &str, setting: &str) {
        self.overridden.insert((file.to_owned(), pointer.to_owned()), setting.to_owned());
    }

    pub(super) fn root<'a>(&'a self, file: &'a str, value: &'a Value) -> Node<'a> {
        Node { reader: self, file, pointer: String::new(), value }
    }

    pub(super) fn finish(self) -> Vec<ConfigProblem> {
        self.problems.into_inner()
    }
}

/// A JSON value and its location.
#[derive(Clone)]
pub(super) struct Node<'a> {
    reader: &'a ConfigReader,
    file: &'a str,
    pointer: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn problem<T>(&self, what: impl Into<String>) -> Option<T> {
        self.reader.problem(self.file, &self.pointer, what);
        None
    }

    fn wrong<T>(&self, what: &str) -> Option<T> {
        self.problem(format!("is not {what}: {}", self.value))
    }

    fn child(&self, name: &str, value: &'a Value) -> Node<'a> {
        let name = name.replace('~', "~0").replace('/', "~1");
        Node { value, pointer: format!("{}/{name}", self.pointer), ..*self }
    }

    /// Checks that the value is an object without unknown properties, which the host would ignore.
    pub(super) fn object(self, known: &[&str]) -> Option<Self> {
        let Some(properties) = self.value.as_object() else { return self.wrong("an object") };
        for (name, value) in properties.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let meant = known.iter().find(|known| known.eq_ignore_ascii_case(name));
            let meant = meant.map(|known| format!(" (it is written {known})")).unwrap_or_default();
            self.child(name, value)
                .problem::<()>(format!("is not a property that the host knows here{meant}"));
        }
        Some(self)
    }

    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        self.value.get(name).map(|value| self.child(name, value))
    }

    pub(super) fn required(&self, name: &str) -> Option<Node<'a>> {
        self.get(name).or_else(|| self.child(name, &Value::Null).problem("is missing"))
    }

    pub(super) fn items(&self) -> Option<Vec<Node<'a>>> {
        let Some(items) = self.value.as_array() else { return self.wrong("an array") };
        Some(items.iter().enumerate().map(|(i, item)| self.child(&i.to_string(), item)).collect())
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong("a text"))
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong("true or false"))
    }

    pub(super) fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        match self.value.as_i64() {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.wrong(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(&format!("one of {}", words.join(", ")))
        })
    }

    /// The text with every `%NAME%` replaced by the setting of that name.
    pub(super) fn resolved(&self, settings: &Environment) -> Option<String> {
        let mut parts = self.text()?.split('%');
        let mut resolved = parts.next()?.to_owned();
        while let Some(name) = parts.next() {
            let Some(after) = parts.next() else { return self.problem("has an unpaired %") };
            match settings.get(name) {
                Some(value) => resolved.push_str(value),
                None => return self.problem(format!("%{name}% is not a setting")),
            }
            resolved.push_str(after);
        }
        Some(resolved)
    }

    pub(super) fn time_span(&self) -> Option<Duration> {
        time_span(self.text()?).map_or_else(|what| self.problem(format!("{what}: {}", self.value)), Some)
    }
}

/// Parses a .NET TimeSpan of the form `[days.]hours:minutes:seconds`.
///
/// `TimeSpan.Parse` reads a single number, and hours from 24 on, as days. Both are refused as probable mistakes.
fn time_span(text: &str) -> Result<Duration, String> {
    const FORM: &str = "is not a TimeSpan of the form [d.]hh:mm:ss";
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if clock.contains(':') => (days, clock),
        _ => ("0", text),
    };
    let number =
        |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten();
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return Err(FORM.to_owned()) };
    match (number(days), number(hours), number(minutes), number(seconds)) {
        (Some(days @ 0..=10_000), Some(hours @ 0..24), Some(minutes @ 0..60), Some(seconds @ 0..60)) => {
            Ok(Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
        }
        (Some(_), Some(24..), Some(_), Some(_)) => {
            Err("has 24 hours or more, which .NET reads as days; write d.hh:mm:ss".to_owned())
        }
        (Some(_), Some(_), Some(_), Some(_)) => Err("has more than 59 minutes or seconds".to_owned()),
        _ => Err(FORM.to_owned()),
    }
}
