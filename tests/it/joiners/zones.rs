//! Passes open at seven in the joiner's time zone, by the zone's rules on that day.

use chrono::TimeDelta;
use firstpass::ledger::Notice;
use firstpass_sandbox::tenant::Person;
use uuid::Uuid;

use crate::helpers::{TestApp, log_capture::capture_log, tenant_with_emma, time};

/// The zone rules of each of these countries changed in 2026.
#[tokio::test(start_paused = true)]
async fn a_pass_opens_at_seven_by_the_zone_rules_of_2026() {
    for (country, default_zone, opens_at) in [
        ("CA", "America/Vancouver", "2026-12-01T14:00:00Z"),
        ("CA", "America/Edmonton", "2026-12-01T13:00:00Z"),
        ("CA", "America/Winnipeg", "2026-12-01T12:00:00Z"),
        ("MA", "UTC", "2026-12-01T07:00:00Z"),
        ("EH", "UTC", "2026-12-01T07:00:00Z"),
        ("US", "US/Pacific", "2026-12-01T15:00:00Z"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| {
            p.hire_date = Some(time("2026-12-01T00:00:00Z"));
            p.usage_location = Some(country.into());
        });
        let app = TestApp::new(tenant, &[("TIME_ZONE", default_zone), ("LEAD_DAYS", "14")]);
        app.sweep().await;
        let pass = app.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_at, time(opens_at), "{country}, {default_zone}");
    }
}

/// What HR systems write for a first day of 30 November, and the setting that reads it.
#[tokio::test(start_paused = true)]
async fn a_hire_date_is_read_in_the_zone_of_the_system_that_wrote_it() {
    for (country, stamp, setting, opens_at) in [
        ("GB", "2026-11-29T23:00:00Z", "Europe/Berlin", "2026-11-30T07:00:00Z"),
        ("US", "2026-11-29T23:00:00Z", "Europe/Berlin", "2026-11-30T15:00:00Z"),
        ("NZ", "2026-11-30T12:00:00Z", "UTC", "2026-11-29T18:00:00Z"),
        ("NZ", "2026-11-30T00:00:00Z", "utc", "2026-11-29T18:00:00Z"),
        ("NZ", "2026-11-29T11:00:00Z", "joiner", "2026-11-29T18:00:00Z"),
        ("NZ", "2026-11-30T08:00:00Z", "America/Los_Angeles", "2026-11-29T18:00:00Z"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| {
            p.hire_date = Some(time(stamp));
            p.usage_location = Some(country.into());
        });
        let settings =
            [("TIME_ZONE", "America/Los_Angeles"), ("HIRE_DATE_ZONE", setting), ("LEAD_DAYS", "14")];
        let app = TestApp::new(tenant, &settings);
        app.sweep().await;
        let pass = app.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_at, time(opens_at), "{country}, {stamp} by {setting}");
        assert!(app.record(emma).await.unwrap().notices.is_empty(), "{country}, {stamp} by {setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn hire_dates_that_may_be_read_a_day_off_are_named_once_a_day() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.hire_date = Some(time("2026-11-26T23:00:00Z")));
    let manager = tenant.add(Person::named("Alex Morgan"));
    let other = emma_of(manager, "Noah Fischer", "2026-11-27T00:00:00Z");
    tenant.add(other);
    tenant.add(emma_of(manager, "Mei Tan", "2026-11-25T23:00:00Z"));
    let app = TestApp::new(tenant, &[("TIME_ZONE", "Europe/Vienna")]);
    let (_, log) = capture_log("info", app.sweep()).await;
    let line = log.lines().find(|line| line.contains("event=hire_dates.odd")).unwrap();
    for field in ["odd=2", "total=3", "read_as=joiner", "better=Europe/Vienna", "fitting=2"] {
        assert!(line.contains(field), "{field} is missing in {line}");
    }
    let notices = app.record(emma).await.unwrap().notices;
    assert_eq!(notices.iter().map(|n| n.kind.as_str()).collect::<Vec<_>>(), [Notice::ODD_HIRE_DATE]);
    // The first sweep had no records to look at, so the second one looks at everyone once more.
    app.sweep().await;
    let (_, log) = capture_log("info", app.sweep()).await;
    assert!(!log.contains("hire_dates.odd"), "{log}");
    let app = app.with_settings(&[("HIRE_DATE_ZONE", "Europe/Vienna")]);
    app.advance(TimeDelta::days(1));
    let (_, log) = capture_log("info", app.sweep()).await;
    assert!(
        log.contains("odd=1") && log.contains("read_as=Europe/Vienna") && !log.contains("better="),
        "{log}"
    );
}

fn emma_of(manager: Uuid, name: &str, hire_date: &str) -> Person {
    let address = format!("{}@mail.example", name.replace(' ', ".").to_lowercase());
    let person = Person { hire_date: Some(time(hire_date)), ..Person::named(name) };
    person.usage_location("GB").manager(manager).private_mail(&address)
}
