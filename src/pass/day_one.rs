//! The joiner's first day.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use crate::{
    settings::HireDateZone,
    zone::{JoinerZone, Tz},
};

/// The first day as a calendar date.
///
/// By [`HireDateZone::Joiner`] it is the later of the hire stamp's UTC date and its date in the joiner's zone. Most HR systems
/// write midnight of the first day either in UTC or in local time. Midnight UTC is the evening before in the Americas; local
/// midnight in the east is the evening before in UTC. The later date is right in each case. For systems that write another
/// time, like the midnight of their own office, HIRE_DATE_ZONE names the zone in which the date counts.
pub fn day_one(stamp: DateTime<Utc>, rule: HireDateZone, zone: JoinerZone) -> NaiveDate {
    match rule {
        HireDateZone::Joiner => {
            let dates = local_zones(zone).map(|zone| stamp.with_timezone(&zone).date_naive());
            dates.fold(stamp.date_naive(), NaiveDate::max)
        }
        HireDateZone::Fixed(zone) => stamp.with_timezone(&zone).date_naive(),
    }
}

/// In which local times HR may write a midnight.
fn local_zones(zone: JoinerZone) -> impl Iterator<Item = Tz> {
    std::iter::once(zone.zone).chain(zone.office)
}

/// Whether a stamp has a form that `rule` is meant for: a midnight; for UTC noon too, which HR systems write so that no zone
/// changes the date.
pub(crate) fn fits(stamp: DateTime<Utc>, rule: HireDateZone, zone: JoinerZone) -> bool {
    let is_midnight = |zone: Tz| stamp.with_timezone(&zone).time() == NaiveTime::MIN;
    match rule {
        HireDateZone::Joiner => is_midnight(Tz::UTC) || local_zones(zone).any(is_midnight),
        HireDateZone::Fixed(zone) => is_midnight(zone) || (zone == Tz::UTC && stamp.time() == NOON),
    }
}

const NOON: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("noon is a time");

/// Hire stamps that do not fit the rule by which they are read: some first days may be a day off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OddStamps {
    /// How many do not fit.
    pub odd: usize,
    /// Of how many.
    pub total: usize,
    /// The rule that most of them fit, and how many, if it is another one.
    pub better: Option<(HireDateZone, usize)>,
}

/// Zones that many companies are in. Of zones that fit equally well, they are named first.
const COMMON: [&str; 9] = [
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
];
/// How many different stamps are compared. A system that writes the same time for everybody has few.
const MAX_COMPARED: usize = 200;

/// The stamps, each with the joiner's zone, that do not fit `rule`; `None` if all do. `fallback` is TIME_ZONE.
pub(crate) fn odd_stamps(
    stamps: impl Iterator<Item = (DateTime<Utc>, JoinerZone)>,
    rule: HireDateZone,
    fallback: Tz,
) -> Option<OddStamps> {
    let (mut odd, mut total) = (0, 0);
    let mut counts: BTreeMap<(DateTime<Utc>, &str), (JoinerZone, usize)> = BTreeMap::new();
    for (stamp, zone) in stamps {
        total += 1;
        odd += usize::from(!fits(stamp, rule, zone));
        counts.entry((stamp, zone.zone.name())).or_insert((zone, 0)).1 += 1;
    }
    if odd == 0 {
        return None;
    }
    let counts: Vec<_> = counts.into_iter().take(MAX_COMPARED).collect();
    let fitting = |rule: HireDateZone| -> usize {
        counts
            .iter()
            .filter(|((stamp, _), (zone, _))| fits(*stamp, rule, *zone))
            .map(|(_, (_, count))| count)
            .sum()
    };
    let zones = [Tz::UTC, fallback]
        .into_iter()
        .chain(COMMON.iter().filter_map(|name| name.parse().ok()))
        .chain(counts.iter().map(|(_, (zone, _))| zone.zone));
    let rules = zones.chain(Tz::all()).map(HireDateZone::Fixed);
    // The first of the best: a rule after it has to fit more.
    let mut best = (rule, fitting(rule));
    for other in [HireDateZone::Joiner].into_iter().chain(rules) {
        let count = fitting(other);
        if count > best.1 {
            best = (other, count);
        }
    }
    let better = Some(best).filter(|(best, _)| *best != rule);
    Some(OddStamps { odd, total, better })
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

/// How many days `day` is past in `zone`.
pub(crate) fn days_since(day: NaiveDate, zone: Tz, now: DateTime<Utc>) -> i64 {
    (now.with_timezone(&zone).date_naive() - day).num_days()
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

/// The range of hire stamps that includes in any zone every near day one, and every one that is past by at most `look_back`
/// days: a day wider on both sides, and two where the date does not count in the joiner's zone.
pub(crate) fn stamps(
    look_back: u64,
    lead_days: u8,
    rule: HireDateZone,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let today = now.date_naive();
    let margin = if rule == HireDateZone::Joiner { 1 } else { 2 };
    let first = today.checked_sub_days(Days::new(look_back + margin)).unwrap_or(today);
    let last = today.checked_add_days(Days::new(u64::from(lead_days) + margin + 1)).unwrap_or(today);
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    (midnight(first), midnight(last))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::zone::zone;

    const JOINER: HireDateZone = HireDateZone::Joiner;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// What HR systems write for a first day of 30 November, and the setting that reads it.
    #[test]
    fn a_stamp_is_read_in_the_zone_of_the_system_that_wrote_it() {
        let fixed = |name| HireDateZone::Fixed(zone(name));
        for (stamp, rule, joiner) in [
            ("2026-11-29T23:00:00Z", fixed("Europe/Berlin"), "Europe/London"),
            ("2026-11-29T23:00:00Z", fixed("Europe/Berlin"), "America/Los_Angeles"),
            ("2026-11-30T12:00:00Z", fixed("UTC"), "Pacific/Auckland"),
            ("2026-11-30T00:00:00Z", fixed("UTC"), "America/Los_Angeles"),
            ("2026-11-30T23:59:59Z", fixed("UTC"), "Pacific/Auckland"),
            ("2026-11-30T08:00:00Z", fixed("America/Los_Angeles"), "Asia/Tokyo"),
            ("2026-11-29T13:00:00Z", fixed("Australia/Sydney"), "Europe/London"),
            ("2026-11-30T00:00:00Z", JOINER, "America/Los_Angeles"),
            ("2026-11-29T11:00:00Z", JOINER, "Pacific/Auckland"),
        ] {
            assert_eq!(
                day_one(time(stamp), rule, zone(joiner).into()).to_string(),
                "2026-11-30",
                "{stamp} {rule}"
            );
        }
    }

    #[test]
    fn stamps_that_do_not_fit_are_counted_and_the_rule_that_fits_most_is_named() {
        let odd = |stamps: &[(&str, &'static str)], rule| {
            let stamps: Vec<_> =
                stamps.iter().map(|(stamp, joiner)| (time(stamp), zone(joiner).into())).collect();
            odd_stamps(stamps.iter().copied(), rule, zone("Europe/Vienna")).map(|found| {
                (found.odd, found.total, found.better.map(|(rule, count)| (rule.to_string(), count)))
            })
        };
        let better = |name: &str, count| Some((name.to_owned(), count));
        let (london, auckland) = ("Europe/London", "Pacific/Auckland");
        assert_eq!(
            odd(&[("2026-11-30T00:00:00Z", london), ("2026-11-29T11:00:00Z", auckland)], JOINER),
            None
        );
        let berlin = [
            ("2026-11-29T23:00:00Z", london),
            ("2026-11-30T23:00:00Z", london),
            ("2026-07-31T22:00:00Z", london),
        ];
        assert_eq!(odd(&berlin, JOINER), Some((3, 3, better("Europe/Vienna", 3))), "TIME_ZONE before others");
        let noon = [("2026-11-30T12:00:00Z", auckland), ("2026-12-01T12:00:00Z", london)];
        assert_eq!(odd(&noon, JOINER), Some((2, 2, better("UTC", 2))));
        let tokyo = HireDateZone::Fixed(zone("Asia/Tokyo"));
        assert_eq!(odd(&[("2026-11-29T11:00:00Z", auckland)], tokyo), Some((1, 1, better("joiner", 1))));
        let sydney = [("2026-11-29T13:00:00Z", london), ("2026-07-29T14:00:00Z", london)];
        assert_eq!(odd(&sydney, JOINER), Some((2, 2, better("Australia/Sydney", 2))));
        let any_time = [("2026-11-29T13:07:11Z", london)];
        assert_eq!(odd(&any_time, HireDateZone::Fixed(Tz::UTC)), Some((1, 1, None)), "no rule fits");
    }

    #[test]
    fn midnight_in_either_clock_is_the_same_day() {
        let monday = NaiveDate::from_ymd_opt(2026, 11, 30).unwrap();
        for zone in ["America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata", "UTC"].map(zone) {
            let utc_midnight = monday.and_hms_opt(0, 0, 0).unwrap().and_utc();
            let local_midnight =
                zone.from_local_datetime(&monday.and_hms_opt(0, 0, 0).unwrap()).unwrap().to_utc();
            assert_eq!(day_one(utc_midnight, JOINER, zone.into()), monday, "{zone}");
            assert_eq!(day_one(local_midnight, JOINER, zone.into()), monday, "{zone}");
        }
    }

    proptest! {
        /// The sweep asks Graph for stamps; the stamp of every near day one must be in the range that it asks for.
        #[test]
        fn the_query_is_never_too_narrow(
            now in 1_700_000_000_i64..1_900_000_000, at_the_horizon in any::<bool>(), seconds in -250_000_i64..250_000,
            zone in proptest::sample::select(Tz::all().collect::<Vec<_>>()),
            lead in prop_oneof![Just(0), Just(1), 2_u8..=30], look_back in prop_oneof![Just(0), 1_u64..=60],
            fixed in proptest::option::of(proptest::sample::select(Tz::all().collect::<Vec<_>>())),
        ) {
            let rule = fixed.map_or(JOINER, HireDateZone::Fixed);
            let now = DateTime::from_timestamp(now, 0).unwrap();
            // Near either end of what is asked for; with few lead days these are the same.
            let end = if at_the_horizon { now + Days::new(lead.into()) } else { now - Days::new(look_back) };
            let stamp = end + chrono::TimeDelta::seconds(seconds);
            let (from, to) = stamps(look_back, lead, rule, now);
            let day = day_one(stamp, rule, zone.into());
            let since = (now.with_timezone(&zone).date_naive() - day).num_days();
            if distance(day, zone, lead, now) != Distance::Beyond && since <= look_back.cast_signed() {
                prop_assert!(from <= stamp && stamp <= to);
            }
        }
    }
}
