//! When a digest is due: with the first sweep after 06:00 in TIME_ZONE, daily or on Mondays, or on the next day with a sweep. A message
//! starts it, so that it has an invocation of its own and delays nobody.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc};

use super::{condition, services::Services};
use crate::{
    ledger::Conditions,
    settings::{DigestEvery, Mode},
    zone::Tz,
};

/// The hour before which the day has not begun.
const HOUR: u32 = 6;
/// The longest time that a digest tells of.
const LONGEST: Days = Days::new(31);

/// Notes, in a sweep, whether one is due, by what the ledger says.
pub(crate) fn note_read(services: &Services, conditions: &Conditions) {
    // It would wait for the mailbox.
    let waits = services.mails_alerts() && services.mailbox_is_shut();
    if !waits && due_now(services, conditions).is_some() {
        services.digest_due.store(true, Ordering::SeqCst);
    }
}

/// Whether this process has to put the message now. Then it has.
pub(crate) fn take_wake_up(services: &Services) -> bool {
    services.digest_due.swap(false, Ordering::SeqCst)
}

/// The message could not be put.
pub(crate) fn give_wake_up_back(services: &Services) {
    services.digest_due.store(true, Ordering::SeqCst);
}

/// Since when a digest tells, if one is due; `None` also if the ledger does not say it. A message may come twice, or from outside.
pub(crate) async fn is_due(services: &Services) -> Option<DateTime<Utc>> {
    due_now(services, &condition::of_sweeps(services).await?)
}

/// Records that the digest until `until` is sent, unless another process sends it. After a lost answer it is not sent: never twice.
pub(crate) async fn claim(services: &Services, until: DateTime<Utc>) -> bool {
    let sent = |conditions: &Conditions| {
        due_now(services, conditions)?;
        Some((Conditions { digest_at: Some(until), ..conditions.clone() }, ()))
    };
    condition::change(services, sent).await.is_some()
}

fn due_now(services: &Services, conditions: &Conditions) -> Option<DateTime<Utc>> {
    let settings = &services.settings;
    // While nothing is made, the first one after it tells of the whole time.
    let every = settings.digest.filter(|_| settings.mode == Mode::Live && services.sends_alerts())?;
    due(conditions.digest_at, every, settings.pass.time_zone, services.clock.now())
}

fn due(
    last: Option<DateTime<Utc>>,
    every: DigestEvery,
    zone: Tz,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // Without one, the first sweep begins the first period: nobody hears of the time before the app was there. A time that the clock
    // has not reached was written by a wrong one, and the sweep replaces it.
    let last = last.filter(|last| *last <= now)?;
    let is_due = period(last, every, zone) < period(now, every, zone);
    is_due.then(|| last.max(now.checked_sub_days(LONGEST).unwrap_or(last)))
}

/// The first day of the period in which `at` is: each begins at 06:00.
fn period(at: DateTime<Utc>, every: DigestEvery, zone: Tz) -> NaiveDate {
    let local = at.with_timezone(&zone);
    let day = local.date_naive();
    let day = if local.hour() < HOUR { day - Days::new(1) } else { day };
    match every {
        DigestEvery::Day => day,
        DigestEvery::Week => day - Days::new(u64::from(day.weekday().num_days_from_monday())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn one_is_due_after_six_on_a_monday_or_on_the_next_day_with_a_sweep() {
        use DigestEvery::{Day, Week};
        let zone: Tz = "Europe/Berlin".parse().unwrap();
        for (last, every, now, expected) in [
            // 06:00 in Berlin is 05:00 UTC in winter. 23 November 2026 is a Monday.
            ("2026-11-16T05:00:00Z", Week, "2026-11-23T04:59:59Z", false),
            ("2026-11-16T05:00:00Z", Week, "2026-11-23T05:00:00Z", true),
            ("2026-11-23T05:00:00Z", Week, "2026-11-29T23:00:00Z", false),
            // Monday was missed.
            ("2026-11-16T05:00:00Z", Week, "2026-11-25T15:00:00Z", true),
            ("2026-11-25T15:00:00Z", Week, "2026-11-29T15:00:00Z", false),
            ("2026-11-25T15:00:00Z", Week, "2026-11-30T05:00:00Z", true),
            ("2026-11-23T05:00:00Z", Day, "2026-11-24T04:59:59Z", false),
            ("2026-11-23T05:00:00Z", Day, "2026-11-24T05:00:00Z", true),
            ("2026-11-23T22:00:00Z", Day, "2026-11-24T05:00:00Z", true),
            // In summer it is 04:00 UTC.
            ("2026-07-06T04:00:00Z", Day, "2026-07-07T03:59:59Z", false),
            ("2026-07-06T04:00:00Z", Day, "2026-07-07T04:00:00Z", true),
        ] {
            let since = due(Some(at(last)), every, zone, at(now));
            assert_eq!(since, expected.then(|| at(last)), "{last} {now}");
        }
    }

    #[test]
    fn none_is_due_before_the_first_period_and_a_long_silence_is_cut() {
        let (now, zone) = (at("2026-11-25T15:00:00Z"), Tz::UTC);
        assert_eq!(due(None, DigestEvery::Week, zone, now), None);
        assert_eq!(due(Some(at("2027-11-25T15:00:00Z")), DigestEvery::Week, zone, now), None);
        let long_ago = due(Some(at("2025-11-25T15:00:00Z")), DigestEvery::Week, zone, now);
        assert_eq!(long_ago, Some(at("2026-10-25T15:00:00Z")));
    }
}
