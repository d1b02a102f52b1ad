//! Faults between a caller and Graph.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::{
    Group, Pass, Person, Subscription, Tenant,
    wire::{ErrorResponse, GraphCall},
};

/// A fault for the `nth` matching request and for the `times - 1` after it.
///
/// It matches single requests and parts of batches. Throttling and errors affect one part; a refused or lost connection
/// affects the whole batch, and a delayed part delays it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The HTTP method; `None` for any.
    #[serde(default)]
    pub method: Option<String>,
    /// A substring of the path and query, as sent.
    #[serde(default)]
    pub path_contains: String,
    /// A substring of the body, as sent.
    #[serde(default)]
    pub body_contains: String,
    /// The first matching request that is affected, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many matching requests are affected.
    #[serde(default = "one")]
    pub times: u32,
    /// How long the fault stays armed; `None` for no limit.
    #[serde(default, rename = "for_seconds", deserialize_with = "some_seconds")]
    pub lasts: Option<Duration>,
    /// The effect.
    pub kind: FaultKind,
}

/// The effect of a fault.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// 429; the request has no effect.
    Throttle {
        /// The text of the `Retry-After` header, if any. Graph is reported to send fractions.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// 503 with `Retry-After`; the request has no effect.
    Unavailable {
        /// The text of the header.
        retry_after: String,
    },
    /// An error; the request has no effect.
    Fail {
        /// The HTTP status.
        status: u16,
        /// The code of the error.
        #[serde(default)]
        code: String,
        /// The message of the error.
        #[serde(default)]
        message: String,
    },
    /// The request takes effect, but the response is an error, as from a gateway that timed out. The caller cannot tell
    /// it from [`FaultKind::Fail`].
    FailAfter {
        /// The HTTP status.
        status: u16,
    },
    /// The request takes effect, but the connection closes before the response.
    LoseAnswer,
    /// The connection is refused; the request has no effect. On loopback the open connection is closed.
    Refuse,
    /// A delay before the request takes effect, which happens even if the caller disconnects.
    #[serde(deserialize_with = "seconds")]
    Delay(Duration),
    /// A delay between the effect and the response.
    #[serde(deserialize_with = "seconds")]
    DelayAfter(Duration),
    /// A stale replica answers a read: accounts, passes, memberships and subscriptions are as they were when the fault
    /// was armed. Writes change the current tenant.
    Stale,
}

fn one() -> u32 {
    1
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    seconds(deserializer).map(Some)
}

impl Fault {
    /// A fault for the first request with this method and this substring in its URL.
    pub fn on(method: &str, path_contains: &str, kind: FaultKind) -> Self {
        Self {
            method: Some(method.to_owned()),
            path_contains: path_contains.to_owned(),
            body_contains: String::new(),
            nth: 1,
            times: 1,
            lasts: None,
            kind,
        }
    }

    /// Restricts the fault to requests with this substring in the body.
    pub fn body(mut self, contains: &str) -> Self {
        self.body_contains = contains.to_owned();
        self
    }

    /// Disarms the fault after this time.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }

    /// Skips the matching requests before the `nth`.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// Affects this many matching requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// Keeps the fault armed until it is cleared.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn matches(&self, call: &GraphCall) -> bool {
        let method_fits =
            self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(call.method.as_str()));
        let body_fits = || {
            self.body_contains.is_empty() || String::from_utf8_lossy(&call.body).contains(&self.body_contains)
        };
        method_fits && call.url.contains(&self.path_contains) && body_fits()
    }
}

impl FaultKind {
    /// The error response that replaces the effect, if the kind is one.
    pub(super) fn as_error(&self) -> Option<ErrorResponse> {
        match self {
            Self::Throttle { retry_after } => {
                Some(ErrorResponse::throttled("TooManyRequests", "Too Many Requests", retry_after.clone()))
            }
            Self::Unavailable { retry_after } => Some(ErrorResponse::unavailable(retry_after.clone())),
            Self::Fail { status, code, message } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(ErrorResponse::new(status, code, message.clone()))
            }
            Self::FailAfter { .. }
            | Self::LoseAnswer
            | Self::Refuse
            | Self::Delay(_)
            | Self::DelayAfter(_)
            | Self::Stale => None,
        }
    }
}

/// A fault that was selected for a request.
#[derive(Clone)]
pub(super) struct SelectedFault {
    pub(super) kind: FaultKind,
    pub(super) replica: Option<Arc<Replica>>,
}

impl From<FaultKind> for SelectedFault {
    fn from(kind: FaultKind) -> Self {
        Self { kind, replica: None }
    }
}

/// A snapshot of the data that a stale replica serves.
pub(super) struct Replica {
    users: BTreeMap<Uuid, Person>,
    groups: BTreeMap<Uuid, Group>,
    subscriptions: BTreeMap<Uuid, Subscription>,
    passes: BTreeMap<Uuid, Pass>,
}

impl Replica {
    fn snapshot(tenant: &Tenant) -> Self {
        Self {
            users: tenant.users.clone(),
            groups: tenant.groups.clone(),
            subscriptions: tenant.subscriptions.clone(),
            passes: tenant.passes.clone(),
        }
    }

    /// Puts the snapshot into `tenant` and returns the current data.
    pub(super) fn swap_into(&self, tenant: &mut Tenant) -> Self {
        Self {
            users: mem::replace(&mut tenant.users, self.users.clone()),
            groups: mem::replace(&mut tenant.groups, self.groups.clone()),
            subscriptions: mem::replace(&mut tenant.subscriptions, self.subscriptions.clone()),
            passes: mem::replace(&mut tenant.passes, self.passes.clone()),
        }
    }

    pub(super) fn restore(self, tenant: &mut Tenant) {
        tenant.users = self.users;
        tenant.groups = self.groups;
        tenant.subscriptions = self.subscriptions;
        tenant.passes = self.passes;
    }
}

pub(super) struct Faults {
    armed: Vec<Armed>,
    rate: f64,
    rng: StdRng,
}

struct Armed {
    fault: Fault,
    seen: u32,
    until: Option<DateTime<Utc>>,
    replica: Option<Arc<Replica>>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { armed: Vec::new(), rate: 0.0, rng: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn arm(&mut self, fault: Fault, tenant: &Tenant, now: DateTime<Utc>) {
        let until =
            fault.lasts.map(|time| now + TimeDelta::from_std(time).unwrap_or(TimeDelta::days(36_500)));
        let replica = (fault.kind == FaultKind::Stale).then(|| Arc::new(Replica::snapshot(tenant)));
        self.armed.push(Armed { fault, seen: 0, until, replica });
    }

    /// The faults that can still affect a request.
    pub(super) fn pending(&self) -> impl Iterator<Item = &Fault> {
        let is_pending = |armed: &&Armed| armed.seen < armed.fault.nth.saturating_add(armed.fault.times) - 1;
        self.armed.iter().filter(is_pending).map(|armed| &armed.fault)
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
        self.rate = 0.0;
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.rate = rate.clamp(0.0, 1.0);
    }

    pub(super) fn select(&mut self, call: &GraphCall, now: DateTime<Utc>) -> Option<SelectedFault> {
        self.select_armed(call, now).or_else(|| self.select_random(RANDOM_FAULTS.len()))
    }

    /// Selects the fault for a part of a batch. A random fault is an error: random faults of connections are selected
    /// for the batch.
    pub(super) fn select_for_part(&mut self, call: &GraphCall, now: DateTime<Utc>) -> Option<SelectedFault> {
        self.select_armed(call, now).or_else(|| self.select_random(RANDOM_ERROR_COUNT))
    }

    fn select_armed(&mut self, call: &GraphCall, now: DateTime<Utc>) -> Option<SelectedFault> {
        let mut selected = None;
        self.armed.retain(|armed| armed.until.is_none_or(|until| now < until));
        for armed in self.armed.iter_mut().filter(|armed| armed.fault.matches(call)) {
            armed.seen = armed.seen.saturating_add(1);
            let Fault { nth, times, kind, .. } = &armed.fault;
            let is_hit = armed.seen >= *nth && armed.seen - nth < *times;
            if is_hit && selected.is_none() {
                selected = Some(SelectedFault { kind: kind.clone(), replica: armed.replica.clone() });
            }
        }
        selected
    }

    /// At the set rate, one of the first `kinds` of [`RANDOM_FAULTS`].
    fn select_random(&mut self, kinds: usize) -> Option<SelectedFault> {
        if self.rate == 0.0 || !self.rng.random_bool(self.rate) {
            return None;
        }
        RANDOM_FAULTS.get(self.rng.random_range(0..kinds)).map(|kind| kind().into())
    }
}

/// The kinds of random faults, all transient. A part of a batch meets only the first [`RANDOM_ERROR_COUNT`].
const RANDOM_FAULTS: [fn() -> FaultKind; 14] = [
    || FaultKind::Throttle { retry_after: Some("2.128".to_owned()) },
    || FaultKind::Throttle { retry_after: Some("7".to_owned()) },
    || FaultKind::Throttle { retry_after: None },
    || fail(503, "serviceNotAvailable"),
    || fail(504, "UnknownError"),
    || fail(500, "InternalServerError"),
    || fail(502, "UnknownError"),
    || fail(401, "InvalidAuthenticationToken"),
    || FaultKind::FailAfter { status: 502 },
    || FaultKind::FailAfter { status: 504 },
    || FaultKind::LoseAnswer,
    || FaultKind::Refuse,
    || FaultKind::Delay(LONG_DELAY),
    || FaultKind::DelayAfter(LONG_DELAY),
];
const RANDOM_ERROR_COUNT: usize = 7;
const LONG_DELAY: Duration = Duration::from_secs(45);

fn fail(status: u16, code: &str) -> FaultKind {
    FaultKind::Fail { status, code: code.to_owned(), message: String::new() }
}
