//! What a message on the queue says. `docs/ON-DEMAND.md` is the page for those who write them.
//!
//! Whoever may write to the queue may have written anything, so this is tolerant, and never a reason to fail: the
//! user's own membership decides later, not what a message says about it.

use std::collections::BTreeMap;

use azure_core::base64;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    group_sync::{MembershipEvent, SyncCompleted},
    job::Job,
};
use crate::hash::sha256;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub enum ParsedMessage {
    /// Our own: a job.
    Job(Job),
    /// Our own: the jobs of all who were found in a reading of the group are in the queue.
    SyncCompleted(SyncCompleted),
    /// Somebody else's.
    Notification(ChangeNotification),
}

/// What somebody else says has happened in the on-demand group.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangeNotification {
    /// Who was added, by object id.
    pub added: BTreeMap<Uuid, MembershipEvent>,
    /// Who was added, by user principal name.
    pub named: BTreeMap<String, MembershipEvent>,
    /// It changed, and who is new has to be looked up.
    pub changed: Option<MembershipEvent>,
    /// What is no business of ours.
    pub ignored: Vec<&'static str>,
    /// What cannot be understood.
    pub problems: Vec<String>,
}

/// How late the connector for Office 365 Groups may tell of a change once more: it says that it does so, but not when the
/// change was. With the ten minutes that count as just mailed, an hour.
const REPLAYS: TimeDelta = TimeDelta::minutes(50);
/// The longest name of an event that is used as it is.
const MAX_KEY: usize = 64;

const GROUP: &str = "#Microsoft.Graph.Group";
const LIFECYCLE: &str = "it is about the life of a subscription";
const DELETED: &str = "it says that a group was deleted";

impl ParsedMessage {
    /// Understands a message that was put into the queue at `inserted`; `group` is the on-demand group.
    ///
    /// # Errors
    /// All that is wrong, when nothing in it can be understood. The message itself is not repeated: who knows what
    /// it holds.
    pub fn parse(message: &Value, group: Option<Uuid>, inserted: DateTime<Utc>) -> Result<Self, Vec<String>> {
        if let Value::String(text) = message
            && let Some(inner) = decoded(text.trim())
        {
            return Self::parse(&inner, group, inserted);
        }
        if let Value::Object(fields) = message {
            if let Ok(read) = SyncCompleted::deserialize(message) {
                return Ok(Self::SyncCompleted(read));
            }
            if fields.contains_key("jobKey") || fields.contains_key("reason") {
                return Job::parse(message).map(Self::Job);
            }
        }
        let mut reader = MessageParser { notification: ChangeNotification::default(), group, inserted };
        reader.read(message, &MembershipEvent { key: stamp(inserted), at: inserted });
        let notification = reader.notification;
        if notification.is_empty() && !notification.problems.is_empty() {
            Err(notification.problems)
        } else {
            Ok(Self::Notification(notification))
        }
    }
}

impl ChangeNotification {
    /// Whether it says nothing.
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.named.is_empty() && self.changed.is_none() && self.ignored.is_empty()
    }
}

struct MessageParser {
    notification: ChangeNotification,
    group: Option<Uuid>,
    inserted: DateTime<Utc>,
}

impl MessageParser {
    /// Any value: the whole message, or one of several in it. `event` is what is known of the event so far.
    fn read(&mut self, value: &Value, event: &MembershipEvent) {
        match value {
            Value::String(text) => self.person(text.trim(), event),
            Value::Array(items) if items.is_empty() => self.ignore("it is empty"),
            Value::Array(items) => items.iter().for_each(|item| self.read(item, event)),
            Value::Object(fields) => self.object(fields, event),
            _ => self.problem("it is neither a text nor an object nor a list of them"),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, event: &MembershipEvent) {
        let has = |name: &str| fields.contains_key(name);
        if has("specversion") {
            self.cloud_event(fields);
        } else if has("lifecycleEvent") {
            // Of renewals the sweep takes care, and of missed changes, too.
            self.ignore(LIFECYCLE);
        } else if has("resource") || has("resourceData") {
            self.notification(fields, event);
        } else if let Some(items @ Value::Array(_)) = fields.get("value") {
            // The body of a webhook call.
            self.read(items, event);
        } else if has("id") {
            let at = event.at - REPLAYS;
            self.member(fields, &MembershipEvent { at, ..event.clone() });
        } else {
            self.problem(
                "it is an object, but no job, no notification of Graph, no CloudEvent and no group member",
            );
        }
    }

    /// [CloudEvents 1.0](https://github.com/cloudevents/spec), as Event Grid delivers Graph's notifications.
    fn cloud_event(&mut self, fields: &Map<String, Value>) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
        let event = self.event(text("id"), fields.get("time"));
        // Under which type changes of members come is not documented: what the event carries counts first.
        if let Some(data) = fields.get("data").and_then(Value::as_object)
            && ["lifecycleEvent", "resource", "resourceData"].iter().any(|name| data.contains_key(*name))
        {
            return self.object(data, &event);
        }
        let kind = text("type").to_ascii_lowercase();
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
                        Value::Object(member) => self.member(member, event),
                        _ => self.problem("a member in members@delta is no object"),
                    }
                }
            }
            // Graph does not always say who; and several changes may have become one notification.
            _ => {
                let earlier = self.notification.changed.take().filter(|earlier| earlier.at < event.at);
                self.notification.changed = Some(earlier.unwrap_or_else(|| event.clone()));
            }
        }
    }

    /// A member as delta queries, notifications and the connector for Office 365 Groups tell of it. `@removed` is a text
    /// in some and an object in others.
    fn member(&mut self, fields: &Map<String, Value>, event: &MembershipEvent) {
        if fields.get("@removed").is_some_and(|removed| !removed.is_null()) {
            return self.ignore("it is about somebody who was removed");
        }
        match fields.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok()) {
            Some(user) => self.add(user, event),
            None => self.problem("a member's id is not an object id"),
        }
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

    /// The event that is called `id` and happened at `time`, where that is known: never later than it was told.
    fn event(&self, id: &str, time: Option<&Value>) -> MembershipEvent {
        let time = time.and_then(|time| DateTime::<Utc>::deserialize(time).ok());
        let at = time.unwrap_or(self.inserted).min(self.inserted);
        let key = match id {
            "" => stamp(at),
            id if id.len() <= MAX_KEY
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) =>
            {
                id.to_owned()
            }
            // A name that a log or a path might stumble over.
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

/// What a text is in base64 of: some flows encode what their connector encodes anyway.
fn decoded(text: &str) -> Option<Value> {
    let inner = String::from_utf8(base64::decode(text).ok()?).ok()?;
    match serde_json::from_str(&inner) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => Some(value),
        _ if is_sign_in_name(inner.trim()) || inner.trim().parse::<Uuid>().is_ok() => {
            Some(Value::String(inner))
        }
        _ => None,
    }
}

fn stamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What Entra ID lets a sign-in name be, and no more: it is shown to people, whoever wrote the message
/// (<https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#userprincipalname-policies>).
fn is_sign_in_name(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"'.-_!#^~".contains(&b))
    };
    text.len() <= 113 && text.split_once('@').is_some_and(|(user, domain)| is_part(user) && is_part(domain))
}

/// The group in `Groups/{id}`, `groups/{id}/members`, `/groups('{id}')` and the like.
fn group_in(resource: &str) -> Option<Uuid> {
    let mut segments = resource.split(['/', '(', ')', '\'']).filter(|segment| !segment.is_empty());
    segments.find(|segment| segment.eq_ignore_ascii_case("groups"))?;
    segments.next()?.parse().ok()
}

#[cfg(test)]
mod tests;
