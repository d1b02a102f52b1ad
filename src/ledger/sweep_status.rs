//! Whether the sweeps work, and what was said about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Since when sweeps have failed without a success between them. It is in the ledger because the host keeps its count
/// of retries in memory, and starts again at zero when it is restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepStatus {
    /// The version of this form of document.
    pub schema: u32,
    /// The first failure after the last success; `None` if the last sweep succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<DateTime<Utc>>,
    /// The last alert about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerted_at: Option<DateTime<Utc>>,
    /// Fields of a newer version, kept as they are.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What the host does after a failed sweep, and what the failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedSweep {
    /// A repetition does not help: a person must act.
    Permanent,
    /// The failure may pass, and the host repeats the sweep.
    Repeated,
    /// The failure may pass, but the host does not repeat the sweep before the next one is due.
    NotRepeated,
}

impl Default for SweepStatus {
    fn default() -> Self {
        Self { schema: Self::SCHEMA, failing_since: None, alerted_at: None, unknown: Map::new() }
    }
}

impl SweepStatus {
    /// The version that this code writes.
    const SCHEMA: u32 = 1;
    /// How long failures that may pass are not reported. Graph's short outages end within minutes.
    const TOLERATED: TimeDelta = TimeDelta::minutes(15);
    /// The time between two alerts about the same failures. Less than a day, so that a daily sweep that runs a little
    /// earlier than the day before repeats its alert.
    const ALERT_INTERVAL: TimeDelta = TimeDelta::hours(20);

    /// The status after a failed sweep, and whether an alert is due.
    pub(crate) fn after_failure(&self, failed: FailedSweep, now: DateTime<Utc>) -> (Self, bool) {
        // A time in the future is a mistake of some clock, and must not delay an alert.
        let past = |at: &DateTime<Utc>| *at <= now;
        let failing_since = self.failing_since.filter(past).unwrap_or(now);
        let alerted_at = self.alerted_at.filter(past).filter(|at| *at >= failing_since);
        let must_tell = match failed {
            FailedSweep::Permanent | FailedSweep::NotRepeated => true,
            FailedSweep::Repeated => now - failing_since >= Self::TOLERATED,
        };
        let is_due = must_tell && alerted_at.is_none_or(|at| now - at >= Self::ALERT_INTERVAL);
        let alerted_at = if is_due { Some(now) } else { alerted_at };
        (Self { failing_since: Some(failing_since), alerted_at, ..self.clone() }, is_due)
    }

    /// The status after a successful sweep; `None` if it is the same.
    pub(crate) fn after_success(&self) -> Option<Self> {
        let is_failing = self.failing_since.or(self.alerted_at).is_some();
        is_failing.then(|| Self { failing_since: None, alerted_at: None, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-28T05:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    /// The minutes at which an alert is due.
    fn alerts(failures: &[(i64, FailedSweep)]) -> Vec<i64> {
        let mut status = SweepStatus::default();
        let mut due = Vec::new();
        for (minutes, failed) in failures {
            let (next, is_due) = status.after_failure(*failed, at(*minutes));
            status = next;
            due.extend(is_due.then_some(*minutes));
        }
        due
    }

    #[test]
    fn a_permanent_failure_is_reported_at_once_and_then_daily() {
        let retries = [0, 1, 3, 7, 15, 31].map(|minute| (minute, FailedSweep::Permanent));
        assert_eq!(alerts(&retries), [0]);
        let days = [0, 24 * 60 - 1, 48 * 60 - 2].map(|minute| (minute, FailedSweep::Permanent));
        assert_eq!(alerts(&days), days.map(|(minute, _)| minute));
    }

    #[test]
    fn a_passing_failure_is_reported_when_it_has_lasted_or_the_host_gives_up() {
        use FailedSweep::{NotRepeated, Permanent, Repeated};
        assert_eq!(alerts(&[0, 1, 3, 7, 14].map(|minute| (minute, Repeated))), [] as [i64; 0]);
        assert_eq!(alerts(&[0, 1, 3, 7, 15, 31].map(|minute| (minute, Repeated))), [15]);
        assert_eq!(alerts(&[(0, Repeated), (1, NotRepeated)]), [1]);
        assert_eq!(alerts(&[(0, Repeated), (1, Permanent), (15, Repeated)]), [1]);
        // The host was restarted, and counts from zero.
        assert_eq!(alerts(&[(0, Repeated), (60, Repeated), (61, Repeated)]), [60]);
    }

    #[test]
    fn a_success_ends_the_count() {
        let (failing, _) = SweepStatus::default().after_failure(FailedSweep::Permanent, at(0));
        let ended = failing.after_success().unwrap();
        assert_eq!((ended.after_success(), ended.clone()), (None, SweepStatus::default()));
        assert!(ended.after_failure(FailedSweep::Permanent, at(1)).1, "another failure is another alert");
        assert!(!ended.after_failure(FailedSweep::Repeated, at(20)).1);
    }

    #[test]
    fn a_time_in_the_future_delays_no_alert() {
        let status = SweepStatus {
            failing_since: Some(at(1_000_000)),
            alerted_at: Some(at(1_000_000)),
            ..SweepStatus::default()
        };
        let (next, is_due) = status.after_failure(FailedSweep::Permanent, at(0));
        assert_eq!((is_due, next.failing_since, next.alerted_at), (true, Some(at(0)), Some(at(0))));
    }

    proptest! {
        /// Whatever the host does: failures that last 15 minutes are reported, and no two alerts come within 20 hours.
        #[test]
        fn lasting_failures_are_reported_and_seldom(
            steps in proptest::collection::vec((1i64..300, 0u8..3), 1..40),
        ) {
            let mut minute = 0;
            let failures: Vec<_> = steps.into_iter().map(|(wait, kind)| {
                minute += wait;
                let kinds = [FailedSweep::Permanent, FailedSweep::Repeated, FailedSweep::NotRepeated];
                (minute, kinds[usize::from(kind)])
            }).collect();
            let alerts = alerts(&failures);
            prop_assert!(alerts.windows(2).all(|two| two[1] - two[0] >= 20 * 60), "{:?}", alerts);
            if minute - failures[0].0 >= 15 {
                prop_assert!(!alerts.is_empty());
                prop_assert!(minute - alerts.last().unwrap() < 20 * 60, "{:?} of {:?}", alerts, failures);
            }
        }
    }

    #[test]
    fn the_document_keeps_the_fields_of_a_newer_version() {
        let text = r#"{"schema":2,"failingSince":"2026-11-28T05:00:00Z","approvals":[1]}"#;
        let status: SweepStatus = serde_json::from_str(text).unwrap();
        let ended = serde_json::to_value(status.after_success().unwrap()).unwrap();
        assert_eq!(ended, serde_json::json!({"schema": 2, "approvals": [1]}));
    }
}
