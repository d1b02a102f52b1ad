//! Temporary Access Passes and their policy.

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Timelike, Utc};
use firstpass::code::Code;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::schema::object;

/// A Temporary Access Pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The id; never reused.
    pub id: Uuid,
    /// The user's id.
    pub user: Uuid,
    /// The code. Graph returns it once.
    pub code: Code,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// The start of its lifetime.
    pub opens_at: DateTime<Utc>,
    /// Its lifetime in minutes.
    pub lifetime_minutes: i64,
    /// Whether it can be used once only.
    pub one_time: bool,
    /// Whether it was used in a sign-in.
    pub used: bool,
    /// Whether the policy excludes the user.
    pub disabled_by_policy: bool,
}

impl Pass {
    /// The end of its lifetime.
    pub fn closes_at(&self) -> DateTime<Utc> {
        self.opens_at + TimeDelta::minutes(self.lifetime_minutes)
    }

    /// The whole minute by which it is open, if it does not open when it is made. Requests can name seconds, people do not.
    pub fn opens_by(&self) -> DateTime<Utc> {
        let minute = TimeDelta::minutes(1);
        let is_at_once = self.opens_at <= self.created_at;
        self.opens_at.duration_round_up(minute).ok().filter(|_| !is_at_once).unwrap_or(self.opens_at)
    }

    /// Whether a sign-in with it succeeds at `now`.
    pub fn is_usable(&self, now: DateTime<Utc>) -> bool {
        self.usability(now) == "EnabledByPolicy"
    }

    /// Graph's `methodUsabilityReason`.
    ///
    /// The order of the checks is assumed: policy, use, time.
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

    /// The pass as reads return it: without the code.
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

    /// The pass as the POST that creates it returns it: with the code.
    pub(super) fn to_graph_with_code(&self, now: DateTime<Utc>) -> Map<String, Value> {
        let mut pass = self.to_graph(now);
        pass.insert("temporaryAccessPass".to_owned(), json!(self.code.reveal()));
        pass
    }
}

/// A time with seven fractional digits, as .NET writes it.
fn ticks(at: DateTime<Utc>) -> String {
    format!("{}.{:07}Z", at.format("%Y-%m-%dT%H:%M:%S"), at.nanosecond() / 100)
}

fn shortest(at: DateTime<Utc>) -> String {
    if at.nanosecond() < 100 { at.to_rfc3339_opts(SecondsFormat::Secs, true) } else { ticks(at) }
}

/// A pass to add to a tenant: `PassSpec::opening(at).lasting(60).used()`.
#[derive(Clone, Debug)]
pub struct PassSpec {
    pub(super) created_at: DateTime<Utc>,
    pub(super) opens_at: DateTime<Utc>,
    pub(super) lifetime_minutes: i64,
    pub(super) one_time: bool,
    pub(super) used: bool,
}

impl PassSpec {
    /// A pass for one hour from `at`, also created at `at`, and not one-time.
    pub fn opening(at: DateTime<Utc>) -> Self {
        Self { created_at: at, opens_at: at, lifetime_minutes: 60, one_time: false, used: false }
    }

    /// Sets the lifetime.
    pub fn lasting(mut self, minutes: i64) -> Self {
        self.lifetime_minutes = minutes;
        self
    }

    /// Sets the time of creation.
    pub fn created(mut self, at: DateTime<Utc>) -> Self {
        self.created_at = at;
        self
    }

    /// Makes it one-time.
    pub fn one_time(mut self) -> Self {
        self.one_time = true;
        self
    }

    /// Makes it one-time and used.
    pub fn used(mut self) -> Self {
        self.one_time = true;
        self.used = true;
        self
    }
}

/// The tenant's Temporary Access Pass policy. The defaults are Microsoft's.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether the method is enabled.
    pub enabled: bool,
    /// The minimum lifetime in minutes.
    pub minimum_lifetime: i64,
    /// The maximum lifetime in minutes.
    pub maximum_lifetime: i64,
    /// The lifetime in minutes of a pass whose request does not set one.
    pub default_lifetime: i64,
    /// The number of characters of a code.
    pub default_length: usize,
    /// Whether every pass is one-time.
    pub one_time_only: bool,
    /// The users whom the policy includes.
    pub include: Vec<Target>,
    /// The groups that it excludes.
    pub exclude: Vec<Uuid>,
    /// The response to a request for a user whom the policy does not include.
    pub untargeted: Untargeted,
    /// Whether a new pass is refused while another exists, as reported of some tenants; Graph is documented to replace
    /// it.
    pub refuse_when_exists: bool,
}

/// A target that the policy includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All users.
    AllUsers,
    /// The members of a group, at any depth (assumed).
    Group(Uuid),
    /// One user.
    User(Uuid),
}

/// The response to a request for a user whom the policy does not include; reports differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untargeted {
    /// Graph creates a pass that does not work.
    Unusable,
    /// Graph refuses the request.
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
            exclude: Vec::new(),
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
            "excludeTargets": excluded(&self.exclude),
        }))
    }
}

impl Target {
    pub(super) fn to_graph(&self) -> Value {
        let (kind, id) = match self {
            Self::AllUsers => ("group", "all_users".to_owned()),
            Self::Group(id) => ("group", id.to_string()),
            Self::User(id) => ("user", id.to_string()),
        };
        json!({ "targetType": kind, "id": id, "isRegistrationRequired": false })
    }
}

/// The exceptions of a policy.
pub(super) fn excluded(groups: &[Uuid]) -> Value {
    groups.iter().map(|id| json!({"targetType": "group", "id": id})).collect()
}
