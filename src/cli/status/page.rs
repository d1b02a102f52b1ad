//! The page of `firstpass status --html`: one file that loads nothing.
//!
//! Shapes are placed in percent by attributes: the page's content security policy allows no style but that of the page.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use minijinja::{Environment, value::Serde};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{
    entry::{self, Entry, Phase},
    history,
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The days of the picture, from the Monday before this week's.
const DAYS: i64 = 28;

/// The picture's part of time.
#[derive(Clone, Copy)]
struct Scale {
    start: DateTime<Utc>,
}

impl Scale {
    fn around(now: DateTime<Utc>) -> Self {
        let today = now.date_naive();
        let back = i64::from(today.weekday().num_days_from_monday()) + 7;
        Self { start: midnight(today - TimeDelta::days(back)) }
    }

    /// The place of `at` in percent, which may be outside.
    fn place(self, at: DateTime<Utc>) -> f64 {
        (at - self.start).num_seconds() as f64 * 100.0 / TimeDelta::days(DAYS).num_seconds() as f64
    }

    /// A shape from one time to another; `None` if no part of it is in the picture.
    fn shape(self, kind: &str, title: String, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Value> {
        let (from, to) = (self.place(from), self.place(to));
        let (x, end) = (from.max(0.0), to.min(100.0));
        (end >= x && to >= 0.0 && from <= 100.0)
            .then(|| json!({"kind": kind, "title": title, "x": format!("{x:.3}"), "end": format!("{end:.3}"), "width": format!("{:.3}", end - x)}))
    }
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The page; `with_history` says that it is about one user.
///
/// # Errors
/// When the template is wrong.
pub fn html(entries: &[Entry], with_history: bool, now: DateTime<Utc>) -> Result<String, String> {
    let scale = Scale::around(now);
    let days: Vec<Value> = (0..DAYS)
        .map(|number| {
            let day = scale.start.date_naive() + TimeDelta::days(number);
            json!({
                "weekday": day.format("%a").to_string(),
                "number": day.day(),
                "month": (number == 0 || day.day() == 1).then(|| day.format("%B %Y").to_string()),
                "isMonday": day.weekday() == Weekday::Mon,
                "isToday": day == now.date_naive(),
                "x": format!("{:.3}", number as f64 * 100.0 / DAYS as f64),
                "isWeekend": day.weekday().number_from_monday() > 5,
            })
        })
        .collect();
    let people: Vec<Value> = entries.iter().map(|entry| person(entry, scale, with_history, now)).collect();
    let works = entries.iter().filter(|e| e.delivered().is_some_and(|d| Phase::of(d, now) == Phase::Works));
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let context = json!({
        "style": STYLE,
        "hash": hash,
        "at": now.format("%a %-d %B %Y, %H:%M UTC").to_string(),
        "days": days,
        "dayWidth": format!("{:.3}", 100.0 / DAYS as f64),
        "now": format!("{:.3}", scale.place(now)),
        "people": people,
        "works": works.count(),
        "arrived": entries.iter().filter(|entry| entry.arrived_at().is_some()).count(),
        "waiting": entries.iter().filter(|entry| entry.waits().is_some()).count(),
        "oneUser": with_history,
    });
    Environment::new()
        .render_named_str("status.html", PAGE, Serde(context))
        .map_err(|error| format!("the page cannot be written: {error}"))
}

fn person(entry: &Entry, scale: Scale, with_history: bool, now: DateTime<Utc>) -> Value {
    let day_one = entry.day_one();
    let delivered = entry.delivered();
    let mut shapes = Vec::new();
    if let Some(day) = day_one {
        let title = format!("First day: {}", entry::day(day));
        shapes.extend(scale.shape("day-one", title, midnight(day), midnight(day) + TimeDelta::days(1)));
    }
    if let Some(delivered) = delivered {
        let (start, end) = (delivered.told_start(), delivered.told_end());
        if delivered.at < start {
            shapes.extend(scale.shape("wait", "From the mail to the start".to_owned(), delivered.at, start));
        }
        let phase = Phase::of(delivered, now).word();
        shapes.extend(scale.shape(phase, format!("Pass: {} UTC", entry::span(start, end)), start, end));
        let title = format!("Delivered {} UTC", entry::moment(delivered.at));
        shapes.extend(scale.shape("mail", title, delivered.at, delivered.at));
    }
    if let Some(at) = entry.arrived_at() {
        shapes.extend(scale.shape(
            "arrived",
            format!("In the account, seen {} UTC", entry::moment(at)),
            at,
            at,
        ));
    }
    let record = entry.record.as_ref().ok().filter(|_| with_history);
    let events = record.map(|record| history::events(record, now)).unwrap_or_default();
    let history: Vec<Value> =
        events.iter().map(|event| json!({"when": event.when(), "what": event.text})).collect();
    json!({
        "id": entry.user,
        "name": entry.name(),
        "signIn": entry.names.user_principal_name,
        "tone": entry.tone(),
        "state": entry.state(now),
        "waits": entry.waits(),
        "dayOne": day_one.map(entry::day),
        "mailedTo": delivered.map(|delivered| delivered.recipients.join(", ")),
        "mailedAt": delivered.map(|delivered| entry::moment(delivered.at)),
        "works": delivered.map(|delivered| entry::span(delivered.told_start(), delivered.told_end())),
        "arrived": entry.arrived_at().map(entry::moment),
        "shapes": shapes,
        "history": history,
        "facts": record.map(history::facts).unwrap_or_default(),
    })
}
