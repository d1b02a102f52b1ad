//! How often one caller of CreateTap may call.
//!
//! The limit for each user is in the ledger and holds for all instances together. This one is in memory: every
//! instance counts for itself, and a new one starts at none. It keeps a flow that runs wild from hammering the
//! tenant; it is no wall.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

const AN_HOUR: TimeDelta = TimeDelta::hours(1);

/// The calls of the last hour, by caller.
#[derive(Debug, Default)]
pub struct RateLimiter(Mutex<BTreeMap<String, VecDeque<DateTime<Utc>>>>);

impl RateLimiter {
    /// Counts a call of `caller`.
    ///
    /// # Errors
    /// When it is one too many; it is not counted then. The time is when the next one may come.
    pub fn check(&self, caller: String, limit: usize, now: DateTime<Utc>) -> Result<(), DateTime<Utc>> {
        let mut callers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        callers.retain(|_, calls| {
            calls.retain(|call| now - *call < AN_HOUR);
            !calls.is_empty()
        });
        let calls = callers.entry(caller).or_default();
        if let Some(oldest) = calls.len().checked_sub(limit).and_then(|at| calls.get(at)) {
            return Err(*oldest + AN_HOUR);
        }
        calls.push_back(now);
        Ok(())
    }
}
