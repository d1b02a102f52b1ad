//! What a process knows of the examination of the app.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ledger::Examined;

/// An examination that was asked for and is not in the ledger by then is asked for again.
const ASKED_AGAIN: TimeDelta = TimeDelta::hours(1);

/// The same for all of its invocations.
#[derive(Debug, Default)]
pub(super) struct KnownExamination(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    is_due: bool,
    asked_at: Option<DateTime<Utc>>,
}

/// Whether an examination of the settings with this mark is due: none was today, or the last was of others.
pub(super) fn is_due(examined: Option<&Examined>, mark: &str, now: DateTime<Utc>) -> bool {
    examined.is_none_or(|last| last.settings != mark || last.at.date_naive() != now.date_naive())
}

impl KnownExamination {
    fn get(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, is_due: bool) {
        self.get().is_due = is_due;
    }

    /// Whether this process has to ask for one now. Then it has.
    pub(super) fn take_wake_up(&self, now: DateTime<Utc>) -> bool {
        let mut known = self.get();
        if !known.is_due || known.asked_at.is_some_and(|at| (now - at).abs() < ASKED_AGAIN) {
            return false;
        }
        known.asked_at = Some(now);
        true
    }

    /// The message could not be put.
    pub(super) fn give_wake_up_back(&self) {
        self.get().asked_at = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn one_a_day_is_enough_while_the_settings_stay() {
        let last = Examined { at: time("2026-11-22T05:00:00Z"), settings: "a".into(), unknown: Map::new() };
        for (mark, now, expected) in [
            ("a", "2026-11-22T23:59:00Z", false),
            ("a", "2026-11-23T00:01:00Z", true),
            ("b", "2026-11-22T05:01:00Z", true),
            // Written by a clock that was wrong.
            ("a", "2026-11-21T05:00:00Z", true),
        ] {
            assert_eq!(is_due(Some(&last), mark, time(now)), expected, "{mark} {now}");
        }
        assert!(is_due(None, "a", last.at));
    }

    #[test]
    fn a_process_asks_once_an_hour() {
        let (known, now) = (KnownExamination::default(), time("2026-11-22T05:00:00Z"));
        assert!(!known.take_wake_up(now));
        known.set(true);
        assert!(known.take_wake_up(now) && !known.take_wake_up(now + TimeDelta::minutes(59)));
        known.give_wake_up_back();
        assert!(known.take_wake_up(now) && known.take_wake_up(now + TimeDelta::hours(1)));
    }
}
