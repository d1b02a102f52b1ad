//! Passes open at seven in the joiner's time zone, by the zone's rules on that day.

use chrono::{DateTime, TimeDelta, Utc};
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
        assert_eq!(pass.opens_by(), time(opens_at), "{country}, {default_zone}");
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
        assert_eq!(pass.opens_by(), time(opens_at), "{country}, {stamp} by {setting}");
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

/// Emma's pass if she starts on Monday 30 November in this country, and the alerts.
async fn pass_of(
    usage_location: &str,
    maximum_lifetime: i64,
    settings: &[(&str, &str)],
    edit: impl FnOnce(&mut Person),
) -> (TestApp, Uuid, DateTime<Utc>, DateTime<Utc>) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.maximum_lifetime = maximum_lifetime;
    tenant.change(emma, |person| {
        person.hire_date = Some(time("2026-11-30T00:00:00Z"));
        person.usage_location = Some(usage_location.into());
        edit(person);
    });
    let app = TestApp::new(tenant, &[&[("LEAD_DAYS", "14"), ("TIME_ZONE", "UTC")], settings].concat());
    app.sweep().await;
    let pass = app.sandbox.passes().pop().unwrap();
    let (opens_at, ends_at) = (pass.opens_by(), pass.opens_by() + TimeDelta::minutes(pass.lifetime_minutes));
    (app, emma, opens_at, ends_at)
}

/// The first morning in the zones of each country, and the end of the working day in the last.
const MORNINGS: [(&str, &str, &str, &str); 6] = [
    ("US", "2026-11-30T12:00:00Z", "2026-11-30T17:00:00Z", "New York to Honolulu"),
    ("AU", "2026-11-29T20:00:00Z", "2026-11-29T23:00:00Z", "Sydney to Perth"),
    ("BR", "2026-11-30T10:00:00Z", "2026-11-30T12:00:00Z", "São Paulo to Rio Branco"),
    ("RU", "2026-11-29T19:00:00Z", "2026-11-30T05:00:00Z", "Kamchatka to Kaliningrad"),
    ("ES", "2026-11-30T06:00:00Z", "2026-11-30T07:00:00Z", "Madrid to the Canary Islands"),
    ("ID", "2026-11-29T22:00:00Z", "2026-11-30T00:00:00Z", "Jayapura to Jakarta"),
];

#[tokio::test(start_paused = true)]
async fn a_pass_for_a_country_with_several_zones_works_through_the_first_morning_in_all() {
    for (country, first, last, why) in MORNINGS {
        for maximum in [1_080, 1_440, 43_200] {
            let (app, emma, opens_at, ends_at) = pass_of(country, maximum, &[], |_| {}).await;
            assert_eq!(opens_at, time(first), "{country}, {maximum}: {why}");
            assert!(ends_at >= time(last) + TimeDelta::hours(8), "{country}, {maximum}: {ends_at}");
            assert_eq!(app.alerts().len(), 0, "{:?}", app.alerts());
            assert_eq!(app.record(emma).await.unwrap().notices, []);
        }
        let short = [("PASS_LIFETIME_MINUTES", "60")];
        let (_, _, opens_at, ends_at) = pass_of(country, 1_440, &short, |_| {}).await;
        assert_eq!((opens_at, ends_at), (time(first), time(last) + TimeDelta::hours(1)), "{country}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_policy_does_not_allow_that_most_people_come_first_and_an_alert_says_so() {
    for (country, opens, zone) in [
        ("US", "2026-11-30T12:00:00Z", "New_York"),
        ("AU", "2026-11-29T20:00:00Z", "Sydney"),
        ("RU", "2026-11-30T04:00:00Z", "Moscow"),
    ] {
        let (app, emma, opens_at, ends_at) = pass_of(country, 480, &[], |_| {}).await;
        assert_eq!((opens_at, ends_at), (time(opens), time(opens) + TimeDelta::hours(8)), "{country}");
        // Another one on the same day is told of by the same alert.
        let noah = Person::named("Noah").private_mail("noah@mail.example").usage_location(country);
        app.sandbox.edit(|t| t.add(noah.hire_date(time("2026-11-30T00:00:00Z"))));
        app.sweep().await;
        let alerts = app.alerts();
        assert_eq!((app.pass_mails().len(), alerts.len()), (2, 1), "{alerts:?}");
        let alert = format!("{} {}", alerts[0]["subject"], alerts[0]["body"]["content"]);
        assert!(alert.contains(&format!("Passes in {country} are too short for its time zones")), "{alert}");
        for words in [zone, "TIME_ZONE", "ZONES", "480 minutes", "emma.brooks@contoso.example"] {
            assert!(alert.contains(words), "{words}: {alert}");
        }
        let notices = app.record(emma).await.unwrap().notices;
        assert_eq!(notices.iter().map(|n| n.kind.as_str()).collect::<Vec<_>>(), [Notice::SHORT_WINDOW]);
    }
}

#[tokio::test(start_paused = true)]
async fn address_and_settings_tell_the_zone_of_a_country_with_several() {
    type Edit = fn(&mut Person);
    let perth: Edit = |person| person.office_location = Some("Perth, level 3".into());
    let texas: Edit = |person| (person.state, person.city) = (Some("Texas".into()), Some("El Paso".into()));
    let none: Edit = |_| {};
    let attribute: Edit = |person| person.extension_attributes[6] = Some("São Paulo 12".into());
    for (country, settings, edit, opens) in [
        ("AU", vec![], perth, "2026-11-29T23:00:00Z"),
        ("US", vec![], texas, "2026-11-30T14:00:00Z"),
        ("US", vec![("TIME_ZONE", "America/Los_Angeles")], none, "2026-11-30T15:00:00Z"),
        ("US", vec![("TIME_ZONE", "America/Los_Angeles")], texas, "2026-11-30T14:00:00Z"),
        ("DE", vec![("ZONES", "officeLocation:perth*=Australia/Perth")], perth, "2026-11-29T23:00:00Z"),
        (
            "US",
            vec![("ZONES", "extensionAttribute7:Sao Paulo*=America/Sao_Paulo")],
            attribute,
            "2026-11-30T10:00:00Z",
        ),
        (
            "US",
            vec![("ZONES", "usageLocation:US = America/Denver; state:Texas=America/Chicago")],
            texas,
            "2026-11-30T14:00:00Z",
        ),
    ] {
        let (app, emma, opens_at, _) = pass_of(country, 480, &settings, edit).await;
        assert_eq!(opens_at, time(opens), "{country} {settings:?}");
        assert_eq!(app.alerts().len(), 0, "{:?}", app.alerts());
        assert_eq!(app.record(emma).await.unwrap().notices, []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_immediate_pass_lasts_through_the_first_morning_in_all_zones() {
    for (maximum, lifetime) in [(43_200, "20160"), (43_200, "11670")] {
        let settings = [("PASS_START", "now"), ("PASS_LIFETIME_MINUTES", lifetime)];
        let (app, _, _, ends_at) = pass_of("US", maximum, &settings, |_| {}).await;
        // Eight hours from the morning in Honolulu.
        assert!(ends_at >= time("2026-12-01T01:00:00Z"), "{lifetime}: {ends_at}");
        assert_eq!(app.alerts().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_opens_at_once_is_too_short_for_no_zone() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = None);
    let app = TestApp::new(tenant, &[("TIME_ZONE", "UTC")]);
    app.sweep().await;
    app.sandbox.edit(|t| {
        t.change(emma, |person| {
            person.hire_date = Some(time("2026-11-20T00:00:00Z"));
            person.usage_location = Some("US".into());
        });
    });
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0), "{:?}", app.alerts());
}

/// HR in Sydney writes its midnight; the joiner is in Perth, three hours behind.
#[tokio::test(start_paused = true)]
async fn the_midnight_of_time_zone_counts_in_its_whole_country() {
    let perth = |person: &mut Person| {
        person.state = Some("WA".into());
        person.hire_date = Some(time("2026-11-29T13:00:00Z"));
    };
    let settings = [("TIME_ZONE", "Australia/Sydney")];
    let (app, emma, opens_at, _) = pass_of("AU", 480, &settings, perth).await;
    assert_eq!(opens_at, time("2026-11-29T23:00:00Z"), "Monday at seven in Perth");
    assert_eq!(app.record(emma).await.unwrap().notices, []);
}
