//! Accounts that are in use get no joiner's pass, and a joiner who has arrived is left alone.

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::ledger::State;
use firstpass_sandbox::tenant::{Group, Method, Permission, Person, Tenant};
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, emma, log_capture::capture_log, tenant_with_emma, time};

fn days_ago(days: i64) -> DateTime<Utc> {
    time(NOW) - TimeDelta::days(days)
}

/// A tenant with Emma as `change` makes her, who may read sign-ins.
fn tenant_with(change: impl FnOnce(Person) -> Person) -> (Tenant, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    let manager = tenant.add(Person::named("Alex Morgan"));
    let emma = tenant.add(change(emma(manager)));
    tenant.granted.insert(Permission::AuditLogRead);
    (tenant, emma)
}

/// The outcome and the cause of Emma's job, and how often an admin was told.
async fn outcome(
    change: impl FnOnce(Person) -> Person,
    prepare: impl FnOnce(&mut Tenant),
    settings: &[(&str, &str)],
) -> (String, String, usize) {
    let (mut tenant, emma) = tenant_with(change);
    prepare(&mut tenant);
    let app = TestApp::new(tenant, settings);
    let end = app.run_job(emma).await;
    app.run_job(emma).await;
    let cause = app.record(emma).await.and_then(|record| record.cause).unwrap_or_default();
    (end.outcome, cause, app.alerts().len())
}

fn without_p1(tenant: &mut Tenant) {
    tenant.p1_licensed = false;
}

fn without_methods(tenant: &mut Tenant) {
    tenant.granted.remove(&Permission::MethodRead);
}

fn without_roles(tenant: &mut Tenant) {
    tenant.granted.remove(&Permission::RoleManagementRead);
}

fn nothing(_: &mut Tenant) {}

#[tokio::test(start_paused = true)]
async fn who_has_a_method_a_sign_in_or_an_old_account_is_no_joiner() {
    type Change = fn(Person) -> Person;
    let cases: [(Change, &str); 12] = [
        (|person| person, ""),
        (|person| person.method(Method::of("email")), ""),
        (|person| person.method(Method::of("microsoftAuthenticator")), "already-has-methods"),
        (|person| person.method(Method::of("phone").created(days_ago(400))), "already-has-methods"),
        (|person| person.method(Method::of("somethingNew")), "already-has-methods"),
        (|person| person.last_sign_in(days_ago(1)), "already-signed-in"),
        // Day one is in five days.
        (|person| person.created(days_ago(85)), ""),
        (|person| person.created(days_ago(86)), "account-too-old"),
        (|person| person.created(days_ago(4_000)), "account-too-old"),
        (|person| person.without_creation_time(), "account-too-old"),
        (
            |person| person.created(days_ago(900)).method(Method::of("fido2")).disabled(),
            "already-has-methods",
        ),
        (|person| person.created(days_ago(900)).last_sign_in(days_ago(2)), "already-signed-in"),
    ];
    for (change, cause) in cases {
        let expected = if cause.is_empty() { ("delivered", 0) } else { ("blocked", 1) };
        let (outcome, told, alerts) = outcome(change, nothing, &[]).await;
        assert_eq!((outcome.as_str(), told.as_str(), alerts), (expected.0, cause, expected.1));
    }
}

#[tokio::test(start_paused = true)]
async fn settings_choose_the_checks_and_what_must_be_readable() {
    type Change = fn(Person) -> Person;
    type Prepare = fn(&mut Tenant);
    type Settings = &'static [(&'static str, &'static str)];
    let phone: Change = |person| person.method(Method::of("phone"));
    let old: Change = |person| person.created(days_ago(900));
    let signed_in: Change = |person| person.last_sign_in(days_ago(3));
    let plain: Change = |person| person;
    let brand_new: Change = |person| person.created(days_ago(0));
    let cases: [(Change, Prepare, Settings, &str); 16] = [
        (phone, nothing, &[("JOINER_CHECK", "none")], ""),
        (old, nothing, &[("JOINER_CHECK", "methods")], ""),
        (old, nothing, &[("JOINER_MAX_AGE_DAYS", "1000")], ""),
        (phone, nothing, &[("JOINER_CHECK_IGNORES", "Phone")], ""),
        (phone, nothing, &[("JOINER_CHECK_IGNORES", "fido2")], "already-has-methods"),
        (phone, nothing, &[("JOINER_CHECK", "age,sign-ins")], ""),
        (signed_in, nothing, &[("JOINER_CHECK", "methods,age")], ""),
        // Unreadable methods block, also by default.
        (plain, without_methods, &[], "use-unknown"),
        (plain, without_methods, &[("JOINER_CHECK", "age")], ""),
        // Sign-ins that cannot be read block only where they are asked for by name.
        (signed_in, without_p1, &[], ""),
        (signed_in, without_p1, &[("JOINER_CHECK", "sign-ins")], "use-unknown"),
        // The report has no record of a new account.
        (phone, nothing, &[("JOINER_CHECK", "registration")], "already-has-methods"),
        (brand_new, nothing, &[("JOINER_CHECK", "registration")], ""),
        (plain, without_p1, &[("JOINER_CHECK", "registration")], "use-unknown"),
        (plain, without_methods, &[("JOINER_CHECK", "registration,age")], ""),
        (old, without_methods, &[("JOINER_CHECK", "registration,age")], "account-too-old"),
    ];
    for (at, (change, prepare, settings, cause)) in cases.into_iter().enumerate() {
        let expected = if cause.is_empty() { "delivered" } else { "blocked" };
        let (outcome, told, _) = outcome(change, prepare, settings).await;
        assert_eq!((outcome.as_str(), told.as_str()), (expected, cause), "case {at}: {settings:?}");
    }
}

/// What whoever can write two attributes could try, or what an import does by mistake.
#[tokio::test(start_paused = true)]
async fn a_hire_date_on_employees_mails_nobody_and_names_each_once() {
    let (mut tenant, emma) = tenant_with_emma();
    let employee = |name: &str| {
        Person::named(name)
            .hire_date(time("2026-11-25T00:00:00Z"))
            .usage_location("GB")
            .private_mail(&format!("{}@attacker.example", name.to_lowercase().replace(' ', ".")))
            .created(days_ago(1_200))
    };
    let employees = [
        employee("Grace Hall").method(Method::of("microsoftAuthenticator")),
        employee("Noah Reed").last_sign_in(days_ago(1)),
        employee("Ivy Stone"),
    ]
    .map(|person| tenant.add(person));
    tenant.granted.insert(Permission::AuditLogRead);
    let app = TestApp::new(tenant, &[]);
    app.sweep_daily(3).await;
    assert_eq!(app.pass_mails().len(), 1, "only the joiner's");
    assert!(app.live_code(emma).is_some());
    assert!(employees.iter().all(|employee| app.live_code(*employee).is_none()));
    let alerts: Vec<String> = app.alerts().iter().map(ToString::to_string).collect();
    assert_eq!(alerts.len(), 3);
    for (name, words) in
        [("grace.hall", "microsoftAuthenticator"), ("noah.reed", "signed in"), ("ivy.stone", "created on")]
    {
        let alert = alerts.iter().find(|alert| alert.contains(name)).unwrap();
        assert!(alert.contains(words) && alert.contains("hire date changed by mistake?"), "{alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_can_decide_for_an_account_in_use() {
    let (mut tenant, emma) = tenant_with(|person| person.method(Method::of("phone")).created(days_ago(900)));
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    assert_eq!(app.run_job(emma).await.outcome, "blocked");
    assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");
    let (tenant, _) = tenant_with(|person| person.method(Method::of("phone")).created(days_ago(900)));
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.create_tap("emma.brooks@contoso.example").await.0, 201);
}

/// The pass was mailed before the account's use could be seen: the check was off, or Graph lagged.
#[tokio::test(start_paused = true)]
async fn a_mailed_pass_is_revoked_only_for_use_that_is_older() {
    let registered = |at: Option<DateTime<Utc>>| Method { created_at: at, ..Method::of("fido2") };
    for (method, expected) in [
        (registered(Some(days_ago(30))), "revoked"),
        (registered(Some(time(NOW) + TimeDelta::hours(6))), "skipped"),
        (registered(None), "skipped"),
    ] {
        let (tenant, emma) = tenant_with(|person| person);
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        app.advance(TimeDelta::days(1));
        app.sandbox.edit(|tenant| tenant.change(emma, |person| person.methods.push(method.clone())));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, expected, "{method:?}: {}", end.why);
        assert_eq!(app.live_code(emma).is_none(), expected == "revoked");
        app.advance(TimeDelta::hours(1));
        app.run_job(emma).await;
        assert_eq!(app.alerts().len(), usize::from(expected == "revoked"), "the matter is told once");
        assert_eq!(app.pass_mails().len(), 1, "no other pass is made");
    }
}

#[tokio::test(start_paused = true)]
async fn a_joiner_who_has_arrived_is_left_alone_whatever_hr_changes() {
    type Change = fn(&mut Person, DateTime<Utc>);
    let arrivals: [Change; 3] = [
        |person, now| person.methods.push(Method::of("fido2").created(now)),
        |person, _| person.methods.push(Method::of("microsoftAuthenticator")),
        |person, now| person.last_sign_in = Some(now),
    ];
    let changes: [Change; 4] = [
        |person, _| person.hire_date = None,
        |person, now| person.hire_date = Some(now + TimeDelta::days(6)),
        |person, _| person.enabled = false,
        |person, now| person.hire_date = Some(now - TimeDelta::days(400)),
    ];
    for arrive in arrivals {
        for change in changes {
            let (tenant, emma) = tenant_with(|person| person);
            let app = TestApp::new(tenant, &[("PASS_ONE_TIME", "false")]);
            app.sweep().await;
            // Day one is the 27th; the pass opens at 07:00 and is for eight hours.
            app.advance(time("2026-11-27T08:30:00Z") - app.sandbox.now());
            let now = app.sandbox.now();
            app.sandbox.edit(|tenant| tenant.change(emma, |person| arrive(person, now)));
            app.advance(TimeDelta::minutes(20));
            assert_eq!(app.run_job(emma).await.why, "the joiner is in the account");
            assert!(app.record(emma).await.unwrap().arrived_at.is_some());
            app.sandbox.edit(|tenant| tenant.change(emma, |person| change(person, now)));
            app.sweep_daily(3).await;
            assert_eq!((app.alerts().len(), app.pass_mails().len()), (0, 1));
            assert_eq!(app.record(emma).await.unwrap().state, State::Delivered);
        }
    }
}

/// A method that is registered before the pass opens was not registered with it.
#[tokio::test(start_paused = true)]
async fn use_before_the_pass_opens_is_no_arrival() {
    let (tenant, emma) = tenant_with(|person| person);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| {
        tenant.change(emma, |person| person.methods.push(Method::of("fido2").created(now)));
    });
    app.run_job(emma).await;
    assert_eq!(app.record(emma).await.unwrap().arrived_at, None);
    // HR withdraws the day: the pass goes.
    app.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = None));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), app.live_code(emma)), ("revoked", None));
}

#[tokio::test(start_paused = true)]
async fn another_start_long_after_the_arrival_is_for_a_person_to_decide() {
    let (tenant, emma) = tenant_with(|person| person);
    let app = TestApp::new(tenant, &[("JOINER_CHECK", "methods")]);
    app.sweep().await;
    app.advance(time("2026-11-27T08:00:00Z") - app.sandbox.now());
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| {
        tenant.change(emma, |person| person.methods.push(Method::of("fido2").created(now)));
    });
    app.run_job(emma).await;
    app.advance(TimeDelta::days(300));
    let again = app.sandbox.now() + TimeDelta::days(3);
    app.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = Some(again)));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), app.alerts().len()), ("blocked", 1), "{ends:?}");
    assert_eq!(app.pass_mails().len(), 1);
}

/// A permission that is missing, or a policy that is off, is one matter and not one for each joiner.
#[tokio::test(start_paused = true)]
async fn what_blocks_every_joiner_is_one_alert_and_group_members_are_named_each() {
    type Prepare = fn(&mut Tenant);
    let missing: [(Prepare, &str); 3] = [
        (without_methods, "use-unknown"),
        (without_roles, "privilege-unknown"),
        (|tenant| tenant.policy.enabled = false, "passes-off"),
    ];
    for (prepare, cause) in missing {
        let (mut tenant, emma) = tenant_with(|person| person);
        let manager = tenant.users[&emma].manager.unwrap();
        for n in 0..7 {
            let other = Person::named(&format!("Other{n} One"))
                .hire_date(time("2026-11-27T00:00:00Z"))
                .private_mail(&format!("other{n}@mail.example"));
            tenant.add(other.manager(manager));
        }
        prepare(&mut tenant);
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        let ends = app.sweep().await;
        assert!(ends.len() == 8 && ends.iter().all(|end| end.outcome == "blocked"), "{ends:?}");
        let alerts = app.alerts();
        assert_eq!(alerts.len(), 1, "{cause}");
        assert!(alerts[0]["subject"].as_str().unwrap().contains("No joiner gets a pass"), "{}", alerts[0]);
        assert_eq!(app.record(emma).await.unwrap().cause.as_deref(), Some(cause));
        app.advance(TimeDelta::hours(12));
        app.sweep().await;
        assert_eq!(app.alerts().len(), 1, "{cause}: once");
        // Nothing serves a member of the group later: each has to be told.
        if cause != "use-unknown" {
            let (mut tenant, emma) = tenant_with(|person| Person { hire_date: None, ..person });
            prepare(&mut tenant);
            let group = tenant.add_group(Group::named("On-demand access").members([emma]));
            let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
            app.run_group_add_job(emma).await;
            assert!(app.alerts()[0].to_string().contains("emma.brooks@"), "{:?}", app.alerts());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn that_sign_ins_are_not_checked_is_logged_once() {
    for (granted, setting, lines) in [(false, "", 1), (true, "", 0), (false, "methods", 0)] {
        let (mut tenant, emma) = tenant_with(|person| person);
        if !granted {
            tenant.granted.remove(&Permission::AuditLogRead);
        }
        let settings = [("JOINER_CHECK", setting)];
        let app = TestApp::new(tenant, if setting.is_empty() { &[] } else { &settings });
        let work = async {
            app.run_job(emma).await;
            app.run_job(emma).await;
        };
        let ((), log) = capture_log("info", work).await;
        assert_eq!(log.matches("event=sign_ins.not_checked").count(), lines, "{granted} {setting}");
    }
}
