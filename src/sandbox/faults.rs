//! What can go wrong between a caller and Graph, on demand.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Deserializer};

use super::wire::GraphError;

/// A fault that goes off when the `nth` request that it fits arrives, and at the `times - 1` after it.
///
/// It fits single requests and parts of batches alike. A part can be throttled or fail alone; a connection that is
/// refused or cut takes the whole batch with it, and a delayed part holds it up.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The HTTP method; any if none.
    #[serde(default)]
    pub method: Option<String>,
    /// What the path and query, as sent, contain somewhere.
    #[serde(default)]
    pub path_contains: String,
    /// Which of the requests that fit is the first to be hit, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many are hit.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens to them.
    pub kind: FaultKind,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// 429 instead of the effect.
    Throttle {
        /// The text of the `Retry-After` header, if there is one. Graph is seen to send fractions.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// An error instead of the effect.
    Fail {
        /// The HTTP status.
        status: u16,
        /// The code in Graph's envelope.
        #[serde(default)]
        code: String,
        /// The message in Graph's envelope.
        #[serde(default)]
        message: String,
    },
    /// The effect, and then a cut connection instead of the answer.
    LoseAnswer,
    /// No connection, no effect. On loopback, where the connection stands already, it is cut.
    Refuse,
    /// A wait before the effect. The effect comes even if the caller has gone away.
    #[serde(deserialize_with = "seconds")]
    Delay(Duration),
    /// A wait between the effect and the answer.
    #[serde(deserialize_with = "seconds")]
    DelayAfter(Duration),
}

fn one() -> u32 {
    1
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

impl Fault {
    /// A fault that goes off once, at the first request with this method and these words in its URL.
    pub fn on(method: &str, path_contains: &str, kind: FaultKind) -> Self {
        Self {
            method: Some(method.to_owned()),
            path_contains: path_contains.to_owned(),
            nth: 1,
            times: 1,
            kind,
        }
    }

    /// The fault, sparing the requests before the `nth`.
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// The fault, that many times in a row.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The fault, until it is cleared.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    fn fits(&self, method: &Method, url: &str) -> bool {
        let method_fits =
            self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()));
        method_fits && url.contains(&self.path_contains)
    }
}

impl FaultKind {
    /// The error that stands in for the effect, if the fault is of that kind.
    pub(super) fn as_error(&self) -> Option<GraphError> {
        match self {
            Self::Throttle { retry_after } => {
                Some(GraphError::throttled("TooManyRequests", "Too Many Requests", retry_after.clone()))
            }
            Self::Fail { status, code, message } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(GraphError::new(status, code, message.clone()))
            }
            Self::LoseAnswer | Self::Refuse | Self::Delay(_) | Self::DelayAfter(_) => None,
        }
    }
}

/// The armed faults.
pub(super) struct Faults {
    armed: Vec<Armed>,
    rate: f64,
    rng: StdRng,
}

struct Armed {
    fault: Fault,
    seen: u32,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { armed: Vec::new(), rate: 0.0, rng: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn arm(&mut self, fault: Fault) {
        self.armed.push(Armed { fault, seen: 0 });
    }

    /// Those that can still hit a request.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Fault> {
        let is_waiting = |armed: &&Armed| armed.seen < armed.fault.nth.saturating_add(armed.fault.times) - 1;
        self.armed.iter().filter(is_waiting).map(|armed| &armed.fault)
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
        self.rate = 0.0;
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.rate = rate.clamp(0.0, 1.0);
    }

    /// What happens to a request that has just arrived.
    pub(super) fn draw(&mut self, method: &Method, url: &str) -> Option<FaultKind> {
        self.draw_armed(method, url).or_else(|| self.chance(6))
    }

    /// What happens to a part of a batch. By chance it meets errors only: what happens to connections by chance, the
    /// batch has had its draw for.
    pub(super) fn draw_for_part(&mut self, method: &Method, url: &str) -> Option<FaultKind> {
        self.draw_armed(method, url).or_else(|| self.chance(4))
    }

    fn draw_armed(&mut self, method: &Method, url: &str) -> Option<FaultKind> {
        let mut drawn = None;
        for armed in self.armed.iter_mut().filter(|armed| armed.fault.fits(method, url)) {
            armed.seen = armed.seen.saturating_add(1);
            let Fault { nth, times, kind, .. } = &armed.fault;
            let is_hit = armed.seen >= *nth && armed.seen - nth < *times;
            if is_hit && drawn.is_none() {
                drawn = Some(kind.clone());
            }
        }
        drawn
    }

    /// At the set rate one of the first `kinds` kinds.
    fn chance(&mut self, kinds: u32) -> Option<FaultKind> {
        if self.rate == 0.0 || !self.rng.random_bool(self.rate) {
            return None;
        }
        let fail =
            |status, code: &str| FaultKind::Fail { status, code: code.to_owned(), message: String::new() };
        Some(match self.rng.random_range(0..kinds) {
            0 => FaultKind::Throttle { retry_after: Some("2.128".to_owned()) },
            1 => FaultKind::Throttle { retry_after: None },
            2 => fail(503, "serviceNotAvailable"),
            3 => fail(504, "UnknownError"),
            4 => FaultKind::LoseAnswer,
            _ => FaultKind::Refuse,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_the_nth_request_and_as_many_as_it_says() {
        let mut faults = Faults::new(1);
        faults.arm(Fault::on("POST", "sendMail", FaultKind::Refuse).nth(2).times(2));
        let hit: Vec<_> = (0..5).map(|_| faults.draw(&Method::POST, "/users/1/sendMail").is_some()).collect();
        assert_eq!(hit, [false, true, true, false, false]);
        assert_eq!(faults.draw(&Method::GET, "/users/1/sendMail"), None);
    }

    #[test]
    fn faults_are_written_as_json() {
        let fault = |text| serde_json::from_str::<Fault>(text);
        let throttle =
            fault(r#"{"path_contains":"/users","kind":{"throttle":{"retry_after":"2.128"}}}"#).unwrap();
        assert_eq!(throttle.kind, FaultKind::Throttle { retry_after: Some("2.128".to_owned()) });
        assert_eq!((throttle.nth, throttle.times), (1, 1));
        assert_eq!(
            fault(r#"{"kind":{"delay":1.5}}"#).unwrap().kind,
            FaultKind::Delay(Duration::from_millis(1500))
        );
        assert_eq!(fault(r#"{"kind":"lose_answer"}"#).unwrap().kind, FaultKind::LoseAnswer);
        assert!(fault(r#"{"kind":"refuse","path":"/users"}"#).is_err(), "a misspelt field is not ignored");
        assert!(fault(r#"{"kind":{"throttle":{"after":"1"}}}"#).is_err());
        assert!(fault(r#"{"kind":{"delay":-1}}"#).is_err());
    }
}
