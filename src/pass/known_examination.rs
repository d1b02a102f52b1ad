//! What a process knows of the examination of the app.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::ledger::Examined;

/// An examination that was asked for and is not in the ledger by then is asked for again.
const ASKED_AGAIN: TimeDelta = TimeDelta::hours(1);
/// Less than a day, so that a daily sweep that runs a little earlier than the day before asks for one.
const EVERY: TimeDelta = TimeDelta::hours(20);

/// The same for all of its invocations.
#[derive(Debug, Default)]
pub(super) struct KnownExamination(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    due: Option<Due>,
    asked_at: Option<DateTime<Utc>>,
    /// Whether this process has asked for one because of its settings: another app on the same ledger may have others.
    has_asked_for_settings: bool,
}

/// Why an examination is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// There is none of the last hours.
    Daily,
    /// The last one was of other settings, or another version.
    OtherSettings,
}

/// Whether and why an examination of the settings with this mark is due.
pub(super) fn due(examined: Option<&Examined>, mark: &str, now: DateTime<Utc>) -> Option<Due> {
    match examined {
        Some(last) if (now - last.at).abs() >= EVERY => Some(Due::Daily),
        Some(last) if last.settings != mark => Some(Due::OtherSettings),
        Some(_) => None,
        None => Some(Due::Daily),
    }
}

impl KnownExamination {
    fn get(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, due: Option<Due>) {
        self.get().due = due;
    }

    /// Whether this process has to ask for one now. Then it has.
    pub(super) fn take_wake_up(&self, now: DateTime<Utc>) -> bool {
        let mut known = self.get();
        let is_due = match known.due {
            None => false,
            Some(Due::Daily) => true,
            Some(Due::OtherSettings) => !known.has_asked_for_settings,
        };
        if !is_due || known.asked_at.is_some_and(|at| (now - at).abs() < ASKED_AGAIN) {
            return false;
        }
        known.has_asked_for_settings |= known.due == Some(Due::OtherSettings);
        known.asked_at = Some(now);
        true
    }

    /// The message could not be put.
    pub(super) fn give_wake_up_back(&self) {
        let mut known = self.get();
        known.asked_at = None;
        known.has_asked_for_settings = false;
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
            ("a", "2026-11-23T00:59:00Z", None),
            ("a", "2026-11-23T01:00:00Z", Some(Due::Daily)),
            ("b", "2026-11-22T05:01:00Z", Some(Due::OtherSettings)),
            // Written by a clock that was wrong.
            ("a", "2026-11-21T05:00:00Z", Some(Due::Daily)),
        ] {
            assert_eq!(due(Some(&last), mark, time(now)), expected, "{mark} {now}");
        }
        assert_eq!(due(None, "a", last.at), Some(Due::Daily));
    }

    #[test]
    fn a_process_asks_once_an_hour() {
        let (known, now) = (KnownExamination::default(), time("2026-11-22T05:00:00Z"));
        assert!(!known.take_wake_up(now));
        known.set(Some(Due::Daily));
        assert!(known.take_wake_up(now) && !known.take_wake_up(now + TimeDelta::minutes(59)));
        known.give_wake_up_back();
        assert!(known.take_wake_up(now) && known.take_wake_up(now + TimeDelta::hours(1)));
        // Another app on the same ledger has other settings, and examines itself too.
        known.set(Some(Due::OtherSettings));
        assert!(
            known.take_wake_up(now + TimeDelta::hours(2)) && !known.take_wake_up(now + TimeDelta::hours(9))
        );
    }
}
