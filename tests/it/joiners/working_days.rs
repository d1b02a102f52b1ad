//! The window holds the beginning of a working day: day one can be a Sunday, a holiday, or nearly over.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass_sandbox::tenant::{PassSpec, Person};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, tenant_with_emma, time};

fn text(message: &Value) -> String {
    format!("{} {}", message["subject"], message["body"]["content"])
}

/// Emma, who starts at this time, in a tenant whose policy allows so many minutes.
fn app(
    stamp: &str,
    maximum: i64,
    settings: &[(&str, &str)],
    edit: impl FnOnce(&mut Person),
) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.maximum_lifetime = maximum;
    tenant.policy.minimum_lifetime = maximum.min(60);
    tenant.policy.default_lifetime = maximum.min(60);
    tenant.change(emma, |person| {
        person.hire_date = Some(time(stamp));
        edit(person);
    });
    (TestApp::new(tenant, &[&[("LEAD_DAYS", "30")], settings].concat()), emma)
}

/// When the pass of a user opens and ends.
fn window(app: &TestApp, user: Uuid) -> (DateTime<Utc>, DateTime<Utc>) {
    let pass = app.sandbox.passes().into_iter().find(|pass| pass.user == user).unwrap();
    (pass.opens_by(), pass.opens_by() + TimeDelta::minutes(pass.lifetime_minutes))
}

const WEEK: i64 = 10_080;

#[tokio::test(start_paused = true)]
async fn a_pass_reaches_into_the_next_working_morning_where_the_policy_allows() {
    type Case =
        (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 9] = [
        ("GB", "2026-11-28T00:00:00Z", &[], "2026-11-28T07:00:00Z", "2026-11-30T10:00:00Z"),
        ("GB", "2026-11-29T00:00:00Z", &[], "2026-11-29T07:00:00Z", "2026-11-30T10:00:00Z"),
        // A working day is as it was.
        ("GB", "2026-11-30T00:00:00Z", &[], "2026-11-30T07:00:00Z", "2026-12-01T07:00:00Z"),
        // Sunday is one in Saudi Arabia, and Friday is none.
        ("SA", "2026-11-29T00:00:00Z", &[], "2026-11-29T04:00:00Z", "2026-11-30T04:00:00Z"),
        ("SA", "2026-11-27T00:00:00Z", &[], "2026-11-27T04:00:00Z", "2026-11-29T07:00:00Z"),
        (
            "GB",
            "2026-11-28T00:00:00Z",
            &[("WORKING_DAYS", "mon-sat")],
            "2026-11-28T07:00:00Z",
            "2026-11-29T07:00:00Z",
        ),
        (
            "GB",
            "2026-12-01T00:00:00Z",
            &[("WORKING_DAYS", "!12-01,!2026-12-02")],
            "2026-12-01T07:00:00Z",
            "2026-12-03T10:00:00Z",
        ),
        (
            "GB",
            "2026-11-29T00:00:00Z",
            &[("PASS_LIFETIME_MINUTES", "60")],
            "2026-11-29T07:00:00Z",
            "2026-11-30T10:00:00Z",
        ),
        (
            "GB",
            "2026-11-29T00:00:00Z",
            &[("DAY_ONE_TIME", "08:30")],
            "2026-11-29T08:30:00Z",
            "2026-11-30T11:30:00Z",
        ),
    ];
    for (country, stamp, settings, opens_at, ends_at) in cases {
        let (app, emma) = app(stamp, WEEK, settings, |person| person.usage_location = Some(country.into()));
        app.sweep().await;
        assert_eq!(window(&app, emma), (time(opens_at), time(ends_at)), "{country} {stamp} {settings:?}");
        assert!(!text(&app.pass_mails()[0]).contains("you get a new one for"), "{country} {stamp}");
    }
}

/// The helpdesk made a pass before: for the Sunday that is day one, for the Monday on which Emma comes, or for later.
#[tokio::test(start_paused = true)]
async fn the_pass_of_another_issuer_for_the_first_working_day_is_kept() {
    for (opens_at, is_kept) in [
        ("2026-11-28T09:00:00Z", false),
        ("2026-11-29T09:00:00Z", true),
        ("2026-11-30T06:30:00Z", true),
        ("2026-12-01T00:00:00Z", false),
    ] {
        let (app, emma) = app("2026-11-29T00:00:00Z", 480, &[], |_| {});
        let pass = PassSpec::opening(time(opens_at)).created(time(NOW)).lasting(60);
        let helpdesk = app.sandbox.edit(|tenant| tenant.add_pass(emma, pass));
        let ends = app.sweep().await;
        let expected = if is_kept { "skipped" } else { "delivered" };
        assert_eq!(ends[0].outcome, expected, "{opens_at}: {ends:?}");
        assert_eq!(app.sandbox.passes()[0].id == helpdesk, is_kept, "{opens_at}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_does_not_the_mail_announces_another_code_and_keeps_its_word() {
    let (app, emma) = app("2026-11-28T00:00:00Z", 480, &[], |_| {});
    app.sweep().await;
    assert_eq!(window(&app, emma), (time("2026-11-28T07:00:00Z"), time("2026-11-28T15:00:00Z")));
    let first = text(&app.pass_mails()[0]);
    assert!(
        first.contains("you get a new one for <strong>Monday") && first.contains("30 November 2026"),
        "{first}"
    );
    // Nobody comes on Saturday.
    while app.sandbox.now() < time("2026-11-30T06:00:00Z") {
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
    }
    assert_eq!(window(&app, emma), (time("2026-11-30T07:00:00Z"), time("2026-11-30T15:00:00Z")));
    app.assert_newest_mail_has_live_code(emma);
    let codes = app.pass_mails().iter().filter(|mail| text(mail).contains("code")).count();
    assert!(text(app.pass_mails().last().unwrap()).contains("ended without being used"), "{codes}");
    assert_eq!(app.alerts(), [] as [Value; 0], "it was planned");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_announced_that_would_not_come() {
    for settings in [
        &[("REISSUE_UNUSED", "false")][..],
        &[("PASS_ONE_TIME", "false")][..],
        &[("JOINER_CHECK", "age")][..],
    ] {
        let (app, _) = app("2026-11-28T00:00:00Z", 480, settings, |_| {});
        app.sweep().await;
        assert!(!text(&app.pass_mails()[0]).contains("you get a new one for"), "{settings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_first_seen_in_the_evening_gets_the_next_morning_too() {
    for (hour, maximum, ends_at) in [
        (16, WEEK, "2026-11-24T16:00:00Z"),
        (18, WEEK, "2026-11-24T18:00:00Z"),
        (18, 960, "2026-11-24T10:00:00Z"),
        (16, 480, "2026-11-24T00:00:00Z"),
        (18, 480, "2026-11-24T02:00:00Z"),
    ] {
        let (app, emma) = app("2026-11-23T00:00:00Z", maximum, &[], |person| person.hire_date = None);
        app.sweep().await;
        app.advance(time("2026-11-23T00:00:00Z") + TimeDelta::hours(hour) - time(NOW));
        app.sandbox.edit(|t| t.change(emma, |person| person.hire_date = Some(time("2026-11-23T00:00:00Z"))));
        app.sweep().await;
        let (_, ends) = window(&app, emma);
        assert!((ends - time(ends_at)).num_minutes().abs() <= 1, "{hour} {maximum}: {ends}");
        let mail = text(app.pass_mails().last().unwrap());
        let is_announced = mail.contains("you get a new one for <strong>Tuesday");
        assert_eq!(is_announced, hour == 18 && maximum == 480, "{hour} {maximum}: {mail}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_holds_no_morning_opens_passes_at_nine_and_is_said_once() {
    for (settings, opens_at) in
        [(&[][..], "2026-11-30T09:00:00Z"), (&[("DAY_ONE_TIME", "07:00")][..], "2026-11-30T07:00:00Z")]
    {
        let (app, emma) = app("2026-11-30T00:00:00Z", 120, settings, |_| {});
        app.sweep().await;
        assert_eq!(window(&app, emma).0, time(opens_at), "{settings:?}");
        let alerts = app.alerts();
        assert!(
            alerts.len() == 1 && text(&alerts[0]).contains("too short for a first morning"),
            "{alerts:?}"
        );
        assert!(text(&alerts[0]).contains("maximum lifetime"), "{alerts:?}");
        for day in 1..4 {
            let noah = Person::named(&format!("Noah {day}")).private_mail(&format!("noah{day}@mail.example"));
            app.sandbox.edit(|t| t.add(noah.usage_location("GB").hire_date(time("2026-12-01T00:00:00Z"))));
            app.advance(TimeDelta::days(1));
            app.sweep().await;
        }
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (4, 1));
    }
    let (app, _) = app("2026-11-30T00:00:00Z", 180, &[], |_| {});
    app.sweep().await;
    assert_eq!(app.alerts(), [] as [Value; 0]);
}
