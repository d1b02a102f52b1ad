//! Limits of this instance: of calls per caller of CreateTap, and of lines in the log that every invocation would repeat.
//!
//! The first is in memory: each instance counts separately, from zero at its start. It limits a faulty client; it is not a
//! security boundary. The limit per user is in the ledger and holds across instances.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Duration, Instant};

const AN_HOUR: TimeDelta = TimeDelta::hours(1);

/// When a line that every invocation would repeat was last written.
#[derive(Debug, Default)]
pub struct OncePerMinute(Mutex<Option<Instant>>);

impl OncePerMinute {
    /// Whether the last time is a minute ago; then this is the last time.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(60));
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}

/// The calls of the last hour, by caller.
#[derive(Debug, Default)]
pub struct RateLimiter(Mutex<BTreeMap<String, VecDeque<DateTime<Utc>>>>);

impl RateLimiter {
    /// Counts a call of `caller`.
    ///
    /// # Errors
    /// The time of the next permitted call, when `limit` calls were made within an hour. The call is not counted.
    pub fn check(&self, caller: String, limit: usize, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        self.calls(caller, limit, now, true)
    }

    /// The same without counting the call.
    ///
    /// # Errors
    /// As above.
    pub fn peek(&self, caller: String, limit: usize, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        self.calls(caller, limit, now, false)
    }

    fn calls(
        &self,
        caller: String,
        limit: usize,
        now: DateTime<Utc>,
        counts: bool,
    ) -> Result<(), DateTime<Utc>> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|_, calls| {
            calls.retain(|call| now - *call < AN_HOUR);
            !calls.is_empty()
        });
        let calls = callers.entry(caller).or_default();
        if let Some(oldest) = calls.len().checked_sub(limit).and_then(|at| calls.get(at)) {
            return Err(*oldest + AN_HOUR);
        }
        if counts {
            calls.push_back(now);
        }
        Ok(())
    }
}
