//! The joiner's first day.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};

use crate::zone::Tz;

/// The first day as a calendar date: the later of the hire stamp's UTC date and its date in the joiner's zone.
///
/// HR systems write midnight of the first day either in UTC or in local time. Midnight UTC is the evening before in the
/// Americas; local midnight in the east is the evening before in UTC. The later date is right in each case.
pub fn day_one(stamp: DateTime<Utc>, zone: Tz) -> NaiveDate {
    stamp.date_naive().max(stamp.with_timezone(&zone).date_naive())
}

/// How far a day one is from today in the joiner's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Before today.
    Past,
    /// Today, or within the lead days.
    Near,
    /// After the lead days.
    Beyond,
}

/// How far `day_one` is from today.
pub(crate) fn distance(day_one: NaiveDate, zone: Tz, lead_days: u8, now: DateTime<Utc>) -> Distance {
    let today = now.with_timezone(&zone).date_naive();
    let last = today.checked_add_days(Days::new(lead_days.into())).unwrap_or(NaiveDate::MAX);
    if day_one < today {
        Distance::Past
    } else if day_one <= last {
        Distance::Near
    } else {
        Distance::Beyond
    }
}

fn is_working_day(day: &NaiveDate) -> bool {
    !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// The working days after `day`, Monday to Friday.
pub(super) fn working_days_after(day: NaiveDate) -> impl Iterator<Item = NaiveDate> {
    day.iter_days().skip(1).filter(is_working_day)
}

/// The range of hire stamps that includes every near day one in any zone: a day wider than the horizon on both sides.
pub(crate) fn stamps(lead_days: u8, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let today = now.date_naive();
    let first = today.checked_sub_days(Days::new(1)).unwrap_or(today);
    let last = today.checked_add_days(Days::new(u64::from(lead_days) + 2)).unwrap_or(today);
    let midnight = |day: NaiveDate| day.and_time(chrono::NaiveTime::MIN).and_utc();
    (midnight(first), midnight(last))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::zone::zone;

    #[test]
    fn midnight_in_either_clock_is_the_same_day() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 30).unwrap();
        for zone in ["America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata", "UTC"].map(zone) {
            let utc_midnight = monday.and_hms_opt(0, 0, 0).unwrap().and_utc();
            let local_midnight =
                zone.from_local_datetime(&monday.and_hms_opt(0, 0, 0).unwrap()).unwrap().to_utc();
            assert_eq!(day_one(utc_midnight, zone), monday, "{zone}");
            assert_eq!(day_one(local_midnight, zone), monday, "{zone}");
        }
    }

    proptest! {
        /// The sweep asks Graph for stamps; the stamp of every near day one must be in the range that it asks for.
        #[test]
        fn the_query_is_never_too_narrow(
            now in 1_700_000_000_i64..1_900_000_000, at_the_horizon in any::<bool>(), seconds in -250_000_i64..250_000,
            zone in proptest::sample::select(Tz::all().collect::<Vec<_>>()),
            lead in prop_oneof![Just(0), Just(1), 2_u8..=30],
        ) {
            let now = DateTime::from_timestamp(now, 0).unwrap();
            // Near either end of what is asked for; with few lead days these are the same.
            let ahead = Days::new(if at_the_horizon { lead.into() } else { 0 });
            let stamp = now + ahead + chrono::TimeDelta::seconds(seconds);
            let (from, to) = stamps(lead, now);
            if distance(day_one(stamp, zone), zone, lead, now) == Distance::Near {
                prop_assert!(from <= stamp && stamp <= to);
            }
        }
    }
}
