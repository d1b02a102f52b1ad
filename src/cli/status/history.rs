//! Everything that one record tells, in the order of time.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use super::entry::{day, span};
use crate::{
    ledger::{CallResult, Delivered, Lease, Purpose, Record},
    pass::words,
};

/// Something that happened, or will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: DateTime<Utc>,
    /// Whether only the day is known.
    pub(super) is_day: bool,
    pub(super) text: String,
}

impl Event {
    /// When, in UTC.
    pub(super) fn when(&self) -> String {
        let form = if self.is_day { "%a %-d %b %Y" } else { "%a %-d %b %Y %H:%M" };
        self.at.format(form).to_string()
    }
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Joiner => "for the first day",
        Purpose::OnDemand => "on demand",
        Purpose::Http => "for a caller of CreateTap",
    }
}

/// What happened at a known time.
pub(super) fn events(record: &Record, now: DateTime<Utc>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |at: DateTime<Utc>, text: String| events.push(Event { at, is_day: false, text });
    for lease in record.leases() {
        add(lease.since, began(lease));
    }
    if let Some(delivered) = &record.delivered {
        add(delivered.at, delivery(delivered));
        let tense = |at: DateTime<Utc>, past: &str, future: &str| {
            if at <= now { past.to_owned() } else { future.to_owned() }
        };
        let (start, end) = (delivered.told_start(), delivered.told_end());
        add(start, tense(start, "The pass began to work", "The pass will begin to work"));
        add(end, tense(end, "The pass ended", "The pass will end"));
    }
    if let Some(told) = &record.announcement {
        let mailed = record.delivered.as_ref().map(|delivered| delivered.at);
        if let Some(at) =
            told.at.filter(|at| mailed.is_none_or(|mailed| (*at - mailed).abs() > TimeDelta::minutes(5)))
        {
            add(
                at,
                format!(
                    "A pass for the first day, {}, was mailed; another pass followed, or it was revoked",
                    day(told.day_one)
                ),
            );
        }
        if let Some(at) = told.told_at.filter(|at| Some(*at) != told.at) {
            add(at, "A mail about a change was sent, without a code".to_owned());
        }
    }
    let of_last = |at: &DateTime<Utc>| record.delivered.as_ref().is_some_and(|delivered| delivered.at == *at);
    if let Some(at) = record.on_demand_at.filter(|at| !of_last(at)) {
        add(at, "A pass on demand was mailed".to_owned());
    }
    if let Some(at) = record.opened_at {
        add(at, "An earlier pass began to work; another one replaced it later".to_owned());
    }
    if let Some(at) = record.arrived_at {
        add(at, "This person was seen in the account".to_owned());
    }
    if let Some(at) = record.held_at {
        add(at, "An admin revoked the pass with firstpass revoke, and held back those that would follow; who did so is not \
                 known here".to_owned());
    }
    for call in &record.calls {
        let end = match &call.result {
            Some(CallResult::Issued(_)) => "it got a pass",
            Some(CallResult::Nothing) => "it got no pass",
            None => "it has not ended, or its worker stopped",
        };
        add(call.since, format!("CreateTap was called: {end}"));
    }
    if let Some(cause) = record.cause.as_deref() {
        add(
            record.updated_at,
            format!("The last job ended without a delivery: {} ({cause})", words::of(cause).what),
        );
    }
    events.extend(record.notices.iter().map(|notice| Event {
        at: notice.day.and_time(NaiveTime::MIN).and_utc(),
        is_day: true,
        text: format!("Noted: {}", words::of_notice(&notice.kind)),
    }));
    events.sort_by_key(|event| event.at);
    events
}

fn began(lease: &Lease) -> String {
    let start = lease.told_at.or(lease.opens_at);
    let works = start.map_or_else(
        || format!("works for {} min from then on", lease.lifetime_minutes),
        |start| {
            format!(
                "works {}",
                span(start, start + (lease.ends_at() - lease.opens_at.unwrap_or(lease.since)))
            )
        },
    );
    format!("A job began to make a pass {}, which {works}", purpose(lease.purpose))
}

fn delivery(delivered: &Delivered) -> String {
    let what = match delivered.day_one {
        Some(first) => format!("The pass for the first day, {},", day(first)),
        None => format!("A pass {}", purpose(delivered.purpose)),
    };
    let language = delivered
        .language
        .as_deref()
        .map(|language| format!(", in the language {language}"))
        .unwrap_or_default();
    match (delivered.recipients.is_empty(), delivered.purpose) {
        (false, _) => format!("{what} was mailed to {}{language}", delivered.recipients.join(" and ")),
        (true, Purpose::Http) => format!("{what} was in the answer to the caller"),
        (true, _) => format!("{what} was delivered; it was used before its job could record the mail"),
    }
}

/// What is known without a time.
pub(super) fn facts(record: &Record) -> Vec<String> {
    let mut facts = Vec::new();
    for (first, count) in &record.codes {
        facts.push(format!("Passes that were mailed for the first day {}: {count}", day(*first)));
    }
    for (of, count) in &record.unclear {
        facts.push(format!("Mails of which it is not known whether they arrived, for {}: {count}", day(*of)));
    }
    if let Some(first) = record.corrected_for {
        facts.push(format!("The private address was corrected for the first day {}", day(first)));
    }
    if let Some(first) = record.held_for {
        facts.push(format!("No sweep mails another pass for the first day {}: a person decides", day(first)));
    }
    let delivered = record.delivered.as_ref();
    if delivered.is_some_and(|delivered| record.reminded_pass.as_ref() == Some(&delivered.pass.pass_id)) {
        facts.push("This person was reminded of the pass".to_owned());
    }
    if delivered.is_some_and(|delivered| record.is_reported(delivered)) {
        facts.push("It is on record that the pass ended and nobody was seen to get in with it".to_owned());
    }
    if let Some(follows) = delivered.and_then(|delivered| delivered.follows_on) {
        facts.push(format!("The mail promises another pass for {}, if this one is not used", day(follows)));
    }
    facts
}
