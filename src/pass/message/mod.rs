//! Parses the messages on the queue. `docs/ON-DEMAND.md` describes their forms.
//!
//! A message may hold anything, so the parser is tolerant. It grants nothing: the job reads whether its user is a member
//! of the group now.

use std::collections::BTreeMap;

use azure_core::base64;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    continuation::{SweepContinues, SyncContinues},
    group_sync::{DailyLook, MembershipEvent, SyncCompleted},
    job::Job,
    notes_due::NotesDue,
};
use crate::{hash::sha256, range};

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub enum ParsedMessage {
    /// Ours: a job.
    Job(Job),
    /// Ours: the jobs of a group sync are in the queue.
    SyncCompleted(SyncCompleted),
    /// Ours: the jobs of a sweep that looked at everyone are in the queue.
    DailyLook(DailyLook),
    /// Ours: a sweep has more jobs than are in the queue so far.
    SweepContinues(SweepContinues),
    /// Ours: a group sync has more jobs than are in the queue so far.
    SyncContinues(SyncContinues),
    /// Ours: others are to be told of what a user was sent.
    NotesDue(NotesDue),
    /// Ours: a summary of alerts may be due.
    AlertsDue,
    /// Ours: a sweep may be due between those of the timer, since this time.
    SweepDue(DateTime<Utc>),
    /// Ours: an examination of the app may be due.
    ExaminationDue,
    /// Ours: a digest may be due.
    DigestDue,
    /// From outside.
    Notification(ChangeNotification),
}

/// What a message from outside says about the on-demand group.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangeNotification {
    /// Added users, by object id.
    pub added: BTreeMap<Uuid, MembershipEvent>,
    /// Added users, by user principal name.
    pub named: BTreeMap<String, MembershipEvent>,
    /// The group changed, and the message does not name the new members.
    pub changed: Option<MembershipEvent>,
    /// Parts that need no action, and why.
    pub ignored: Vec<&'static str>,
    /// Parts of an unknown form, and why.
    pub problems: Vec<String>,
}

/// How late the connector for Office 365 Groups may report a change again: it documents repetitions, but a message does
/// not say when the change was. With the ten minutes that count as just delivered, an hour.
const CONNECTOR_REPEATS: TimeDelta = TimeDelta::minutes(50);
/// The people whom one message may name: each becomes a job, and joiners wait behind them.
const MAX_PEOPLE: usize = 500;
/// The longest id of an event that is used unchanged.
const MAX_KEY: usize = 64;

/// The field of the message that a summary of alerts may be due.
pub(crate) const ALERTS_DUE: &str = "alertsDue";
/// The field of the message that a sweep may be due.
pub(crate) const SWEEP_DUE: &str = "sweepDue";
/// The field of the message that an examination may be due.
pub(crate) const EXAMINATION_DUE: &str = "examinationDue";
/// The field of the message that a digest may be due.
pub(crate) const DIGEST_DUE: &str = "digestDue";
const GROUP: &str = "#Microsoft.Graph.Group";
const LIFECYCLE: &str = "it is a lifecycle notification";
const DELETED: &str = "it says that a group was deleted";

impl ParsedMessage {
    /// Parses a message that was put into the queue at `inserted`. `group` is the on-demand group.
    ///
    /// # Errors
    /// All problems, if no part has a known form. They do not quote the message, which may hold anything.
    pub fn parse(message: &Value, group: Option<Uuid>, inserted: DateTime<Utc>) -> Result<Self, Vec<String>> {
        if let Value::String(text) = message
            && let Some(inner) = decoded(text.trim_matches(is_space))
        {
            return Self::parse(&inner, group, inserted);
        }
        if let Value::Object(fields) = message {
            if let Ok(read) = SyncCompleted::deserialize(message) {
                return Ok(Self::SyncCompleted(read));
            }
            if let Ok(due) = NotesDue::deserialize(message) {
                return Ok(Self::NotesDue(due));
            }
            if let Ok(look) = DailyLook::deserialize(message) {
                return Ok(Self::DailyLook(look));
            }
            if let Ok(read) = SweepContinues::deserialize(message) {
                return Ok(Self::SweepContinues(read));
            }
            if let Ok(read) = SyncContinues::deserialize(message) {
                return Ok(Self::SyncContinues(read));
            }
            if fields.contains_key(ALERTS_DUE) {
                return Ok(Self::AlertsDue);
            }
            if fields.contains_key(EXAMINATION_DUE) {
                return Ok(Self::ExaminationDue);
            }
            if fields.contains_key(DIGEST_DUE) {
                return Ok(Self::DigestDue);
            }
            if let Some(since) = fields.get(SWEEP_DUE) {
                return Ok(Self::SweepDue(range::ours(since).unwrap_or(inserted).min(inserted)));
            }
            if fields.contains_key("jobKey") || fields.contains_key("reason") {
                return Job::parse(message).map(Self::Job);
            }
        }
        let (notification, members) = (ChangeNotification::default(), BTreeMap::new());
        let mut reader = MessageParser { notification, members, group, inserted };
        reader.read(message, &MembershipEvent { key: stamp(inserted), at: inserted });
        let notification = reader.finish()?;
        if notification.is_empty() && !notification.problems.is_empty() {
            Err(notification.problems)
        } else {
            Ok(Self::Notification(notification))
        }
    }
}

impl ChangeNotification {
    /// Whether no part has a known form.
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.named.is_empty() && self.changed.is_none() && self.ignored.is_empty()
    }
}

struct MessageParser {
    notification: ChangeNotification,
    /// The members whom notifications of changes of the group name.
    members: BTreeMap<Uuid, MembershipEvent>,
    group: Option<Uuid>,
    inserted: DateTime<Utc>,
}

impl MessageParser {
    /// What the message says. If it names too many members, it counts as naming only their group, which is read.
    fn finish(self) -> Result<ChangeNotification, Vec<String>> {
        let Self { mut notification, members, .. } = self;
        let others = notification.added.len() + notification.named.len();
        if others > MAX_PEOPLE {
            return Err(vec![format!("it names {others} people, and a message may name {MAX_PEOPLE}")]);
        }
        if others + members.len() > MAX_PEOPLE {
            let earliest =
                notification.changed.into_iter().chain(members.into_values()).min_by_key(|event| event.at);
            notification.changed = earliest;
        } else {
            for (user, event) in members {
                notification.added.entry(user).or_insert(event);
            }
        }
        Ok(notification)
    }

    /// Parses the whole message or a part of it. `event` is what is known about the event so far.
    fn read(&mut self, value: &Value, event: &MembershipEvent) {
        match value {
            // A byte order mark comes with texts from files.
            Value::String(text) => self.person(text.trim_matches(is_space), event),
            Value::Array(items) if items.is_empty() => self.ignore("it is empty"),
            Value::Array(items) => items.iter().for_each(|item| self.read(item, event)),
            Value::Object(fields) => self.object(fields, event),
            _ => self.problem("it is neither a text nor an object nor a list of them"),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, event: &MembershipEvent) {
        let has = |name: &str| fields.contains_key(name);
        let is_event = has("data") && (has("eventType") || (has("type") && has("source")));
        if has("specversion") || is_event {
            self.cloud_event(fields);
        } else if has("lifecycleEvent") {
            // The sweep renews the subscription and finds missed changes.
            self.ignore(LIFECYCLE);
        } else if has("resource") || has("resourceData") {
            self.notification(fields, event);
        } else if let Some(items @ Value::Array(_)) = fields.get("value") {
            // The body of a webhook call.
            self.read(items, event);
        } else if has("id") {
            let at = event.at - CONNECTOR_REPEATS;
            if let Some(user) = self.member(fields) {
                self.add(user, &MembershipEvent { at, ..event.clone() });
            }
        } else {
            self.problem(
                "it is an object, but no job, no notification of Graph, no CloudEvent and no group member",
            );
        }
    }

    /// [CloudEvents 1.0](https://github.com/cloudevents/spec), as Event Grid delivers Graph's notifications, and Event Grid's
    /// own form, in which its validation comes.
    fn cloud_event(&mut self, fields: &Map<String, Value>) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = fields.get("time").or_else(|| fields.get("eventTime"));
        let event = self.event(text("id"), time);
        // The type under which changes of members come is not documented, so the data of the event counts first.
        if let Some(data) = fields.get("data").and_then(Value::as_object)
            && ["lifecycleEvent", "resource", "resourceData"].iter().any(|name| data.contains_key(*name))
        {
            return self.object(data, &event);
        }
        let kind = format!("{}{}", text("type"), text("eventType")).to_ascii_lowercase();
        if kind.contains("subscription") {
            self.ignore(LIFECYCLE);
        } else if kind.ends_with("groupdeleted") {
            self.ignore(DELETED);
        } else if kind.contains("group") {
            self.change(group_in(text("subject")), &Map::new(), &event);
        } else {
            self.ignore("it is about something else than a group");
        }
    }

    /// Graph's `changeNotification`.
    fn notification(&mut self, fields: &Map<String, Value>, event: &MembershipEvent) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("changeType").eq_ignore_ascii_case("deleted") {
            return self.ignore(DELETED);
        }
        let nothing = Map::new();
        let data = fields.get("resourceData").and_then(Value::as_object).unwrap_or(&nothing);
        let time = data.get("eventTime").or_else(|| fields.get("eventTime"));
        let own = self.event(text("id"), time);
        let event = MembershipEvent {
            key: if text("id").is_empty() { event.key.clone() } else { own.key },
            at: if time.is_some() { own.at } else { event.at },
        };
        let kind = data.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
        let of_data = || {
            let id = data.get("id").and_then(Value::as_str).filter(|_| kind.eq_ignore_ascii_case(GROUP));
            id.and_then(|id| id.parse().ok())
        };
        match group_in(text("resource")).or_else(of_data) {
            None if !text("resource").is_empty() => self.ignore("it is about something else than a group"),
            group => self.change(group, data, &event),
        }
    }

    fn change(&mut self, group: Option<Uuid>, data: &Map<String, Value>, event: &MembershipEvent) {
        match (group, self.group) {
            (None, _) => return self.problem("it is a notification, but names no group"),
            (Some(named), Some(ours)) if named != ours => return self.ignore("it is about another group"),
            _ => {}
        }
        match data.get("members@delta") {
            Some(Value::Array(members)) if !members.is_empty() => {
                for member in members {
                    match member {
                        Value::Object(member) => {
                            if let Some(user) = self.member(member) {
                                self.members.entry(user).or_insert_with(|| event.clone());
                            }
                        }
                        _ => self.problem("a member in members@delta is no object"),
                    }
                }
            }
            // Graph does not always name the members, and one notification may stand for several changes.
            _ => {
                let earlier = self.notification.changed.take().filter(|earlier| earlier.at < event.at);
                self.notification.changed = Some(earlier.unwrap_or_else(|| event.clone()));
            }
        }
    }

    /// A member, in the form of delta queries, notifications and the connector for Office 365 Groups. `@removed` is a
    /// string in some of them and an object in others.
    fn member(&mut self, fields: &Map<String, Value>) -> Option<Uuid> {
        if fields.get("@removed").is_some_and(|removed| !removed.is_null()) {
            self.ignore("it is about a removed member");
            return None;
        }
        let user = fields.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        if user.is_none() {
            self.problem("a member's id is not an object id");
        }
        user
    }

    fn person(&mut self, text: &str, event: &MembershipEvent) {
        if let Ok(user) = text.parse() {
            self.add(user, event);
        } else if is_sign_in_name(text) {
            self.notification.named.insert(text.to_lowercase(), event.clone());
        } else {
            self.problem("it is a text, but neither a user principal name nor an object id");
        }
    }

    fn add(&mut self, user: Uuid, event: &MembershipEvent) {
        self.notification.added.entry(user).or_insert_with(|| event.clone());
    }

    /// The event with this `id` and `time`, if they are known. It is never later than its message.
    fn event(&self, id: &str, time: Option<&Value>) -> MembershipEvent {
        let time: Option<DateTime<Utc>> = time.and_then(|time| range::ours(time).ok());
        let at = time.unwrap_or(self.inserted).min(self.inserted);
        let key = match id {
            "" => stamp(at),
            id if id.len() <= MAX_KEY
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) =>
            {
                id.to_owned()
            }
            // Other characters could break a log line or a path.
            id => sha256(id)[..32].to_owned(),
        };
        MembershipEvent { key, at }
    }

    fn ignore(&mut self, why: &'static str) {
        if !self.notification.ignored.contains(&why) {
            self.notification.ignored.push(why);
        }
    }

    fn problem(&mut self, what: &str) {
        if !self.notification.problems.iter().any(|known| known == what) {
            self.notification.problems.push(what.to_owned());
        }
    }
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// The value in a base64 text: some flows encode what their connector encodes again.
fn decoded(text: &str) -> Option<Value> {
    let bytes = base64::decode(text).ok()?;
    let inner = utf16(&bytes).or_else(|| String::from_utf8(bytes).ok())?;
    let inner = inner.trim_matches(is_space).to_owned();
    match serde_json::from_str(&inner) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => Some(value),
        _ if is_sign_in_name(inner.trim()) || inner.trim().parse::<Uuid>().is_ok() => {
            Some(Value::String(inner))
        }
        _ => None,
    }
}

/// The text of UTF-16 with a byte order mark, or of little-endian ASCII in it, which PowerShell calls Unicode.
fn utf16(bytes: &[u8]) -> Option<String> {
    let units = |read: fn([u8; 2]) -> u16| -> Option<Vec<u16>> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        rest.is_empty().then(|| pairs.iter().map(|pair| read(*pair)).collect())
    };
    let is_ascii = |units: &Vec<u16>| !units.is_empty() && units.iter().all(|unit| (1..0x80).contains(unit));
    let units = match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes)?,
        [0xfe, 0xff, ..] => units(u16::from_be_bytes)?,
        _ => units(u16::from_le_bytes).filter(is_ascii)?,
    };
    String::from_utf16(&units).ok()
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Only the characters that Entra ID allows in a user principal name: the name is shown to people
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#userprincipalname-policies>).
fn is_sign_in_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"'.-_!#^~".contains(&b))
    };
    // Graph's user-get page says how to ask for a name that begins with a dollar sign.
    let user_part = |user: &str| is_part(user.strip_prefix('$').unwrap_or(user));
    text.len() <= 113 && text.split_once('@').is_some_and(|(user, domain)| user_part(user) && is_part(domain))
}

/// The group in `Groups/{id}`, `groups/{id}/members`, `/groups('{id}')` and the like.
fn group_in(resource: &str) -> Option<Uuid> {
    let mut segments = resource.split(['/', '(', ')', '\'']).filter(|segment| !segment.is_empty());
    segments.find(|segment| segment.eq_ignore_ascii_case("groups"))?;
    segments.next()?.parse().ok()
}

#[cfg(test)]
mod tests;
