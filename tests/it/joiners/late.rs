//! Joiners whose first day is past: entered late by HR, or started while no sweep ran.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, Group, Method, PassSpec, Permission, Person, roles};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, log_capture::capture_log, tenant_with_emma, throttle, time};

/// A person who started so many days before the sandbox's today.
fn started(app: &TestApp, name: &str, days_ago: i64) -> Uuid {
    let day = (app.sandbox.now() - TimeDelta::days(days_ago)).date_naive();
    let stamp = day.and_hms_opt(0, 0, 0).unwrap().and_utc();
    let address = format!("{}@mail.example", name.to_lowercase());
    app.sandbox.edit(|tenant| {
        tenant.add(Person::named(name).private_mail(&address).usage_location("GB").hire_date(stamp))
    })
}

/// An installation that has run a sweep, in a tenant with Emma, who starts in five days.
async fn installed(settings: &[(&str, &str)]) -> TestApp {
    let (mut tenant, _) = tenant_with_emma();
    tenant.granted.insert(Permission::AuditLogRead);
    let app = TestApp::new(tenant, settings);
    app.sweep().await;
    app
}

fn text(message: &Value) -> String {
    format!("{} {}", message["subject"], message["body"]["content"])
}

fn mails_to(app: &TestApp, name: &str) -> usize {
    let address = format!("{}@mail.example", name.to_lowercase());
    app.pass_mails().iter().filter(|mail| mail["toRecipients"].to_string().contains(&address)).count()
}

#[tokio::test(start_paused = true)]
async fn who_is_entered_late_gets_a_pass_that_opens_at_once() {
    for days_ago in [1, 5, 14] {
        let app = installed(&[]).await;
        app.advance(TimeDelta::hours(3));
        let noah = started(&app, "Noah", days_ago);
        let now = app.sandbox.now();
        let ends = app.sweep().await;
        assert!(ends.iter().any(|end| end.outcome == "delivered"), "{ends:?}");
        let pass = app.sandbox.passes().into_iter().find(|pass| pass.user == noah).unwrap();
        assert!((pass.opens_at - now).num_minutes().abs() <= 1, "{days_ago}: {:?}", pass.opens_at);
        app.assert_newest_mail_has_live_code(noah);
        let mail = text(app.pass_mails().last().unwrap());
        assert!(mail.contains("Your code for signing in") && !mail.contains("Your first day is"), "{mail}");
        let record = app.record(noah).await.unwrap();
        assert_eq!(record.notices.iter().map(|notice| notice.kind.as_str()).collect::<Vec<_>>(), ["late"]);
        app.sweep_hourly(6).await;
        assert_eq!(mails_to(&app, "Noah"), 2, "the pass, and four hours later a reminder without a code");
        assert_eq!(app.alerts(), [] as [Value; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_later_than_that_is_named_once_and_gets_nothing() {
    for (late_days, days_ago) in [("14", 15), ("14", 40), ("0", 1)] {
        let app = installed(&[("LATE_DAYS", late_days)]).await;
        app.advance(TimeDelta::hours(1));
        started(&app, "Noah", days_ago);
        app.sweep_daily(3).await;
        let alerts = app.alerts();
        assert_eq!((mails_to(&app, "Noah"), alerts.len()), (0, 1), "{alerts:?}");
        let alert = text(&alerts[0]);
        assert!(alert.contains("1 person has started long ago and gets no pass"), "{alert}");
        assert!(alert.contains("noah@contoso.example") && alert.contains("on-demand group"), "{alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_sweep_mails_nobody_who_has_started_and_names_them_in_one_alert() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[]);
    started(&app, "Noah", 1);
    started(&app, "Olivia", 13);
    started(&app, "Liam", 30);
    let ava = started(&app, "Ava", 2);
    app.sandbox.edit(|t| t.change(ava, |p| p.methods.push(Method::of("fido2"))));
    app.sweep().await;
    app.sweep_daily(3).await;
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = text(&alerts[0]);
    assert!(alert.contains("First sweep: 2 people have started already and get no pass"), "{alert}");
    for (name, is_named) in
        [("noah", true), ("olivia", true), ("liam", false), ("ava", false), ("emma", false)]
    {
        assert_eq!(alert.contains(&format!("{name}@contoso.example")), is_named, "{name}: {alert}");
    }
    assert_eq!(app.pass_mails().len(), 1, "Emma's");
    // Who comes afterwards is served.
    started(&app, "Mia", 1);
    app.sweep().await;
    assert_eq!((mails_to(&app, "Mia"), app.alerts().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn nobody_whose_day_falls_into_a_gap_is_lost() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[]);
    app.sandbox.edit(|t| t.users.retain(|_, person| person.hire_date.is_none()));
    app.sweep().await;
    app.advance(TimeDelta::days(21));
    // Those who started within the last two weeks, and those before.
    let recent = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"];
    for (index, name) in recent.iter().enumerate() {
        started(&app, name, 1 + 2 * i64::try_from(index).unwrap());
    }
    let older = [("Gus", 15), ("Hana", 18), ("Ian", 20)];
    for (name, days_ago) in older {
        started(&app, name, days_ago);
    }
    app.sweep().await;
    for name in recent {
        assert_eq!(mails_to(&app, name), 1, "{name}");
    }
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = text(&alerts[0]);
    assert!(alert.contains("There was no sweep for 21 days"), "{alert}");
    assert!(alert.contains("6 started meanwhile without a pass and get one now"), "{alert}");
    assert!(alert.contains("3 started more than 14 days ago (LATE_DAYS) and get none"), "{alert}");
    for name in recent.into_iter().chain(older.map(|(name, _)| name)) {
        assert!(alert.contains(&format!("{}@contoso.example", name.to_lowercase())), "{name}: {alert}");
    }
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_longer_than_26_hours_and_an_alert_only_if_it_concerns_somebody() {
    for (hours, is_gap) in [(24, false), (26, false), (27, true), (24 * 40, true)] {
        let app = installed(&[]).await;
        app.sandbox.edit(|t| t.users.values_mut().for_each(|person| person.hire_date = None));
        app.advance(TimeDelta::hours(hours));
        let (_, log) = capture_log("info", app.sweep()).await;
        assert_eq!(log.contains("event=sweep.gap"), is_gap, "{hours}: {log}");
        let about_gaps = app.alerts().iter().filter(|alert| text(alert).contains("no sweep for")).count();
        assert_eq!(about_gaps, 0, "{hours}");
    }
    let app = installed(&[]).await;
    app.advance(TimeDelta::hours(27));
    started(&app, "Noah", 1);
    app.sweep().await;
    let alerts = app.alerts();
    assert!(alerts.len() == 1 && text(&alerts[0]).contains("There was no sweep for 27 hours"), "{alerts:?}");
    assert_eq!(mails_to(&app, "Noah"), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_late_and_in_the_account_already_has_arrived_by_another_way() {
    let evidence: [fn(&mut Person); 3] = [
        |person| person.methods.push(Method::of("microsoftAuthenticator")),
        |person| person.methods.push(Method::of("fido2").created(time(NOW) - TimeDelta::days(20))),
        |person| person.last_sign_in = Some(time(NOW)),
    ];
    for edit in evidence {
        let app = installed(&[("JOINER_CHECK", "methods,sign-ins,age")]).await;
        let noah = started(&app, "Noah", 2);
        app.sandbox.edit(|t| t.change(noah, edit));
        let ends = app.sweep_daily(3).await;
        assert!(ends.iter().all(|end| end.outcome == "skipped"), "{ends:?}");
        assert_eq!((mails_to(&app, "Noah"), app.alerts().len()), (0, 0), "{:?}", app.alerts());
        // So says a job too, if there is one.
        let end = app.run_job(noah).await;
        assert_eq!((end.outcome.as_str(), app.alerts().len()), ("skipped", 0), "{end:?}");
        assert!(end.why.contains("the joiner is in the account"), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_after_the_first_day_is_not_too_late() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.other_mails = vec![]);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.sweep_daily(8).await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (0, 1), "{:?}", app.alerts());
    app.sandbox.edit(|t| t.change(emma, |person| person.other_mails = vec!["emma@mail.example".into()]));
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(app.alerts().len(), 1, "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_the_helpdesk_serves_who_is_late() {
    for opens_in in [-1, 20] {
        let app = installed(&[]).await;
        let noah = started(&app, "Noah", 1);
        let opens_at = app.sandbox.now() + TimeDelta::hours(opens_in);
        app.sandbox.edit(|t| t.add_pass(noah, PassSpec::opening(opens_at).lasting(480)));
        let code = app.live_code(noah);
        app.sweep().await;
        assert_eq!((mails_to(&app, "Noah"), app.live_code(noah)), (0, code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_day_that_moves_into_the_past_before_the_pass_has_opened_gets_another_one_at_once() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(2));
    app.sandbox.edit(|t| t.change(emma, |person| person.hire_date = Some(time("2026-11-23T00:00:00Z"))));
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 2);
    app.assert_newest_mail_has_live_code(emma);
    let mail = text(app.pass_mails().last().unwrap());
    assert!(mail.contains("has moved") && mail.contains("no longer works"), "{mail}");
    let pass = app.sandbox.passes().into_iter().find(|pass| pass.user == emma).unwrap();
    assert!(pass.opens_at <= app.sandbox.now());
}

#[tokio::test(start_paused = true)]
async fn who_was_served_is_never_late() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.sweep_daily(6).await;
    let sent = app.pass_mails().len();
    // HR writes another first day, after the pass has opened.
    app.sandbox.edit(|t| t.change(emma, |person| person.hire_date = Some(time("2026-11-26T00:00:00Z"))));
    let ends = app.sweep_daily(1).await;
    assert!(ends.iter().all(|end| end.outcome != "delivered"), "{ends:?}");
    assert_eq!(app.pass_mails().len(), sent);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_are_lost_with_the_answer_of_a_sweep_come_again() {
    let app = installed(&[]).await;
    let noah = started(&app, "Noah", 3);
    // The host dies before it has put the jobs into the queue.
    let answer = app.host.fire_timer().await;
    assert!(answer.jobs().iter().any(|job| job.contains(&noah.to_string())));
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    app.assert_newest_mail_has_live_code(noah);
}

#[tokio::test(start_paused = true)]
async fn late_joiners_of_a_group_and_more_of_them_than_usual() {
    let (mut tenant, _) = tenant_with_emma();
    let group = tenant.add_group(Group::named("Joiners"));
    let app = TestApp::new(tenant, &[("JOINER_GROUP_ID", &group.to_string()), ("SWEEP_MAX", "3")]);
    app.sweep().await;
    let add = |name| {
        let user = started(&app, name, 2);
        app.sandbox.edit(|tenant| tenant.add_member(group, user));
    };
    add("Noah");
    app.sweep().await;
    assert_eq!(mails_to(&app, "Noah"), 1);
    ["Ada", "Ben", "Cleo", "Dan"].into_iter().for_each(add);
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 1), "they wait for an approval");
}

#[tokio::test(start_paused = true)]
async fn guests_disabled_accounts_and_privileged_ones_are_no_late_joiners() {
    let app = installed(&[("SERVE_DISABLED", "false")]).await;
    let [guest, disabled, admin] = ["Gus", "Dan", "Ada"].map(|name| started(&app, name, 1));
    app.sandbox.edit(|t| {
        t.change(guest, |person| person.guest = true);
        t.change(disabled, |person| person.enabled = false);
        t.assign_role(admin, roles::GLOBAL_ADMINISTRATOR);
    });
    app.sweep_daily(3).await;
    let alerts = app.alerts();
    assert_eq!((app.pass_mails().len(), alerts.len()), (1, 1), "{alerts:?}");
    assert!(text(&alerts[0]).contains("ada@contoso.example"), "{alerts:?}");
}

/// Emma's authenticator of 2022 does not let her in, and she is no new joiner either.
#[tokio::test(start_paused = true)]
async fn use_of_an_earlier_employment_is_for_a_person_to_decide() {
    let app = installed(&[]).await;
    let noah = started(&app, "Noah", 2);
    let old = Method::of("fido2").created(time(NOW) - TimeDelta::days(700));
    app.sandbox.edit(|t| t.change(noah, |person| person.methods.push(old)));
    app.sweep_daily(3).await;
    let alerts = app.alerts();
    assert_eq!((mails_to(&app, "Noah"), alerts.len()), (0, 1), "{alerts:?}");
    assert!(text(&alerts[0]).contains("the authentication method fido2 is registered since"), "{alerts:?}");
}

#[tokio::test(start_paused = true)]
async fn long_standing_members_of_a_joiner_group_are_nobodys_business() {
    let (mut tenant, _) = tenant_with_emma();
    let group = tenant.add_group(Group::named("Staff"));
    let app = TestApp::new(tenant, &[("JOINER_GROUP_ID", &group.to_string()), ("LATE_DAYS", "60")]);
    app.sweep().await;
    for (name, days_ago) in [("Ann", 2_500), ("Bob", 95), ("Cid", 70)] {
        let user = started(&app, name, days_ago);
        app.sandbox.edit(|tenant| tenant.add_member(group, user));
    }
    for _ in 0..60 {
        app.advance(TimeDelta::hours(20));
        app.sweep().await;
    }
    let alerts = app.alerts();
    assert!(alerts.len() == 1 && text(&alerts[0]).contains("cid@contoso.example"), "{alerts:?}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_looked_at_waits_for_the_next_sweep() {
    let app = installed(&[]).await;
    started(&app, "Noah", 2);
    started(&app, "Olivia", 20);
    // All tries of the batch, and of the parts in it.
    app.sandbox.inject(Fault::on("POST", "/$batch", throttle("1")).times(8));
    app.sweep().await;
    assert_eq!((mails_to(&app, "Noah"), app.alerts().len()), (0, 0), "{:?}", app.alerts());
    app.sandbox.clear_faults();
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!((mails_to(&app, "Noah"), app.alerts().len()), (1, 1), "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn one_late_date_for_many_people_keeps_todays_joiners_from_nothing() {
    let app = installed(&[("SWEEP_MAX", "5")]).await;
    app.advance(TimeDelta::days(1));
    for name in ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"] {
        started(&app, name, 3);
    }
    started(&app, "Noah", -2);
    app.sweep().await;
    assert_eq!(
        (mails_to(&app, "Noah"), app.pass_mails().len(), app.alerts().len()),
        (1, 2, 1),
        "{:?}",
        app.alerts()
    );
}

#[tokio::test(start_paused = true)]
async fn an_arrival_that_only_the_report_shows_is_recorded_once() {
    let app = installed(&[("JOINER_CHECK", "registration,age")]).await;
    let noah = started(&app, "Noah", 2);
    app.sandbox.edit(|t| t.change(noah, |person| person.methods.push(Method::of("microsoftAuthenticator"))));
    let mut jobs = 0;
    for _ in 0..6 {
        app.advance(TimeDelta::hours(4));
        jobs += app.sweep().await.len();
    }
    assert!(jobs <= 2, "{jobs}");
    assert_eq!((mails_to(&app, "Noah"), app.alerts().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_says_what_it_is() {
    let app = installed(&[]).await;
    let (mut conditions, etag) = app.ledger().conditions().await.unwrap().unwrap();
    conditions.last_sweep = None;
    app.ledger().write_conditions(&conditions, Some(&etag)).await.unwrap();
    started(&app, "Noah", 2);
    app.sweep().await;
    let alerts = app.alerts();
    assert!(alerts.len() == 1 && text(&alerts[0]).contains("earlier versions left them out"), "{alerts:?}");
}
