//! The time by the clock of the service, from the `Date` of its answers.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use tokio::time::Instant;

/// How long an answer says what the time is.
const CURRENT: Duration = Duration::from_secs(300);

/// The time of the last answer.
#[derive(Debug, Default)]
pub(super) struct ServerTime(Mutex<Option<(DateTime<Utc>, Instant)>>);

impl ServerTime {
    /// Notes the `Date` of an answer. What is no date, or of another century, is left out.
    pub(super) fn note(&self, date: &str) {
        let date = DateTime::parse_from_rfc2822(date.trim()).ok();
        if let Some(date) = date.filter(|date| (2000..2100).contains(&date.year())) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date.to_utc(), Instant::now()));
        }
    }

    /// The time now, if there was an answer lately.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let (date, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = at.elapsed();
        (since < CURRENT).then(|| date.checked_add_signed(TimeDelta::from_std(since).ok()?)).flatten()
    }
}
