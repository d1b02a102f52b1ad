//! Temporary Access Passes, and the policy that governs them.

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike, Utc};
use firstpass::code::Code;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::object;

/// A pass as the tenant keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its id, unlike that of any pass before it.
    pub id: Uuid,
    /// Whose it is.
    pub user: Uuid,
    /// The secret. Graph shows it once.
    pub code: Code,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it begins to work.
    pub opens_at: DateTime<Utc>,
    /// For how long it works.
    pub lifetime_minutes: i64,
    /// Whether it works once only.
    pub one_time: bool,
    /// Whether somebody has signed in with it.
    pub used: bool,
    /// Whether the policy forbids its use.
    pub disabled_by_policy: bool,
}

impl Pass {
    /// When it stops working, at the latest.
    pub fn closes_at(&self) -> DateTime<Utc> {
        self.opens_at + TimeDelta::minutes(self.lifetime_minutes)
    }

    /// Whether somebody can sign in with it now.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.usability(now) == "EnabledByPolicy"
    }

    /// Graph's word for whether the pass works at `now`, and if not, why.
    ///
    /// Assumed where several hold: the policy first, then use, then time.
    pub fn usability(&self, now: DateTime<Utc>) -> &'static str {
        if self.disabled_by_policy {
            "DisabledByPolicy"
        } else if self.one_time && self.used {
            "OneTimeUsed"
        } else if now >= self.closes_at() {
            "Expired"
        } else if now < self.opens_at {
            "NotYetValid"
        } else {
            "EnabledByPolicy"
        }
    }

    /// The pass as every read shows it: without its code.
    pub(super) fn to_graph(&self, now: DateTime<Utc>) -> Map<String, Value> {
        object(json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod",
            "id": self.id,
            "temporaryAccessPass": null,
            "createdDateTime": ticks(self.created_at),
            "startDateTime": shortest(self.opens_at),
            "lifetimeInMinutes": self.lifetime_minutes,
            "isUsableOnce": self.one_time,
            "isUsable": self.is_usable(now),
            "methodUsabilityReason": self.usability(now),
        }))
    }

    /// The pass as the answer to the POST that made it shows it, and nothing after that.
    pub(super) fn to_graph_with_code(&self, now: DateTime<Utc>) -> Map<String, Value> {
        let mut pass = self.to_graph(now);
        pass.insert("temporaryAccessPass".to_owned(), json!(self.code.reveal()));
        pass
    }
}

/// Seven fractional digits, as .NET writes a time.
fn ticks(at: DateTime<Utc>) -> String {
    format!("{}.{:07}Z", at.format("%Y-%m-%dT%H:%M:%S"), at.nanosecond() / 100)
}

fn shortest(at: DateTime<Utc>) -> String {
    if at.nanosecond() < 100 { at.to_rfc3339_opts(SecondsFormat::Secs, true) } else { ticks(at) }
}

/// A pass that somebody else made: `PassSpec::opening(at).lasting(60).used()`.
#[derive(Clone, Debug)]
pub struct PassSpec {
    pub(super) created_at: DateTime<Utc>,
    pub(super) opens_at: DateTime<Utc>,
    pub(super) lifetime_minutes: i64,
    pub(super) one_time: bool,
    pub(super) used: bool,
}

impl PassSpec {
    /// A pass for an hour from `at`, made then too, good for many sign-ins.
    pub fn opening(at: DateTime<Utc>) -> Self {
        Self { created_at: at, opens_at: at, lifetime_minutes: 60, one_time: false, used: false }
    }

    /// For that many minutes.
    pub fn lasting(mut self, minutes: i64) -> Self {
        self.lifetime_minutes = minutes;
        self
    }

    /// Made then.
    pub fn created(mut self, at: DateTime<Utc>) -> Self {
        self.created_at = at;
        self
    }

    /// For one sign-in.
    pub fn one_time(mut self) -> Self {
        self.one_time = true;
        self
    }

    /// For one sign-in, which has happened.
    pub fn used(mut self) -> Self {
        self.one_time = true;
        self.used = true;
        self
    }
}

/// The tenant's Temporary Access Pass policy, with Microsoft's defaults.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the method is switched on.
    pub enabled: bool,
    /// The shortest lifetime, in minutes.
    pub minimum_lifetime: i64,
    /// The longest lifetime, in minutes.
    pub maximum_lifetime: i64,
    /// The lifetime of a pass that does not ask for one, in minutes.
    pub default_lifetime: i64,
    /// How many characters a code has.
    pub default_length: usize,
    /// Whether every pass works once only.
    pub one_time_only: bool,
    /// Who may sign in with a pass.
    pub include: Vec<Target>,
    /// What becomes of a request for somebody who is not included.
    pub untargeted: Untargeted,
    /// Refuse a new pass while there is one, as some tenants are reported to do, where Graph is documented to
    /// replace it.
    pub refuse_when_exists: bool,
}

/// Somebody that the policy includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everyone.
    AllUsers,
    /// The members of a group, at any depth (assumed).
    Group(Uuid),
    /// One user.
    User(Uuid),
}

/// What Graph does about a pass for somebody whom the policy leaves out: reports differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untargeted {
    /// It makes a pass that does not work.
    Unusable,
    /// It makes none.
    Refused,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: true,
            minimum_lifetime: 60,
            maximum_lifetime: 480,
            default_lifetime: 60,
            default_length: 8,
            one_time_only: false,
            include: vec![Target::AllUsers],
            untargeted: Untargeted::Unusable,
            refuse_when_exists: false,
        }
    }
}

impl Policy {
    pub(super) fn to_graph(&self) -> Map<String, Value> {
        object(json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            "id": "TemporaryAccessPass",
            "state": if self.enabled { "enabled" } else { "disabled" },
            "defaultLifetimeInMinutes": self.default_lifetime,
            "defaultLength": self.default_length,
            "minimumLifetimeInMinutes": self.minimum_lifetime,
            "maximumLifetimeInMinutes": self.maximum_lifetime,
            "isUsableOnce": self.one_time_only,
            "includeTargets": self.include.iter().map(Target::to_graph).collect::<Vec<_>>(),
            "excludeTargets": [],
        }))
    }
}

impl Target {
    fn to_graph(&self) -> Value {
        let (kind, id) = match self {
            Self::AllUsers => ("group", "all_users".to_owned()),
            Self::Group(id) => ("group", id.to_string()),
            Self::User(id) => ("user", id.to_string()),
        };
        json!({ "targetType": kind, "id": id, "isRegistrationRequired": false })
    }
}
