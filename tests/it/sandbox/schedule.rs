//! NCRONTAB schedules of timers.

use firstpass_sandbox::functions_host::schedule::Schedule;

fn next(schedule: &str, after: &str) -> String {
    let schedule: Schedule = schedule.parse().unwrap();
    let next = schedule.after(after.parse().unwrap()).unwrap();
    next.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The expected times were computed by hand from NCRONTAB's source.
#[test]
fn occurrences_are_those_of_ncrontab() {
    // A Sunday.
    let start = "2026-11-22T05:00:00Z";
    for (schedule, expected) in [
        ("0 0 5 * * *", "2026-11-23 05:00:00"),
        ("0 5 * * *", "2026-11-23 05:00:00"),
        ("*/20 * * * * *", "2026-11-22 05:00:20"),
        ("0 5/15 * * * *", "2026-11-22 05:05:00"),
        ("0 50/15 * * * *", "2026-11-22 05:50:00"),
        ("0 0 9 * * 1-5", "2026-11-23 09:00:00"),
        ("0 0 9 * * 0", "2026-11-22 09:00:00"),
        ("0 0 9 * * Mon,thursday", "2026-11-23 09:00:00"),
        ("0 0 9 13 * FRI", "2027-08-13 09:00:00"),
        ("0 0 0 31 * *", "2026-12-31 00:00:00"),
        ("0 0 0 29 feb *", "2028-02-29 00:00:00"),
        ("30 0 0 1 jan-march/2 *", "2027-01-01 00:00:30"),
        ("0 0 5 */7 * *", "2026-11-29 05:00:00"),
    ] {
        assert_eq!(next(schedule, start), expected, "{schedule}");
    }
    assert!("0 0 0 30 2 *".parse::<Schedule>().unwrap().after(start.parse().unwrap()).is_none());
}

#[test]
fn invalid_schedules_are_refused() {
    for (schedule, words) in [
        ("0 5 * *", "4 fields"),
        ("@daily", "1 fields"),
        ("0 0 5 * * * 2027", "7 fields"),
        ("0 60 5 * * *", "\"60\" is not a minute"),
        ("0 0 5 0 * *", "\"0\" is not a day"),
        ("0 0 5 * 13 *", "\"13\" is not a month"),
        ("0 0 5 * * 7", "\"7\" is not a day of the week"),
        ("0 0 5 ? * 1", "\"?\" is not a day"),
        ("0 0 5 L * *", "\"L\" is not a day"),
        ("0 0 5 * * 5#2", "\"5#2\" is not a day of the week"),
        ("0 0 5 * * FRI-MON", "is reversed"),
        ("0 */0 5 * * *", "\"0\" is not a step"),
        ("0 1, 5 * * *", "\"\" is not a minute"),
        ("0 0 5 * J *", "\"J\" is not a month"),
    ] {
        let refused = schedule.parse::<Schedule>().unwrap_err();
        assert!(refused.contains(words), "{schedule}: {refused}");
    }
}
