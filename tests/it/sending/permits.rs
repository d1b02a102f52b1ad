//! Permits for the mailbox, whoever needs them: calls, managers, notes; and who may have a pass while it refuses all mails.

use std::time::Duration;

use chrono::TimeDelta;
use firstpass::ledger::{Conditions, State};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, PassSpec, Person};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::{answers, host, reopen, shut, tenant};
use crate::{
    helpers::{NOW, PASS_PATH, TestApp, tenant_with_emma, throttle, time, to_address},
    http::{send, signed_in},
};

/// Somebody who is blocked for a reason of their own, and whose day is the nearest, is no probe: their job sends no mail.
#[tokio::test(start_paused = true)]
async fn a_joiner_who_gets_no_mail_anyway_is_not_the_probe() {
    let (mut tenant, joiners) = tenant(9);
    let blocked =
        tenant.add(Person::named("No Address").hire_date(time("2026-11-24T00:00:00Z")).usage_location("GB"));
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    app.sweep().await;
    assert_eq!(app.record(blocked).await.unwrap().cause.as_deref(), Some("no-address"));
    reopen(&app);
    // A day and a half of hourly sweeps, with a mailbox that accepts everything.
    app.sweep_hourly(36).await;
    assert_eq!(app.pass_mails().len(), joiners.len(), "the mailbox accepts mails for 36 hours");
}

/// A job that sends no mail for a reason that no record shows gives its turn on: the helpdesk has made a pass for this joiner.
#[tokio::test(start_paused = true)]
async fn a_probe_that_sends_no_mail_is_followed_by_another_one() {
    let (mut tenant, joiners) = tenant(5);
    let served =
        tenant.add(Person::named("Own Pass").hire_date(time("2026-11-23T00:00:00Z")).usage_location("GB"));
    tenant.change(served, |person| person.other_mails.push("own@mail.example".into()));
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    for user in &joiners {
        assert_eq!(app.run_job(*user).await.outcome, "blocked");
    }
    reopen(&app);
    app.sandbox.edit(|tenant| tenant.add_pass(served, PassSpec::opening(time(NOW)).lasting(8 * 60)));
    app.sweep_hourly(4).await;
    assert_eq!(app.pass_mails().len(), joiners.len());
}

/// A start is cancelled, by a disabled account, while the mailbox is shut: the pass is revoked, whether or not a note waits.
#[tokio::test(start_paused = true)]
async fn a_pass_whose_note_waits_is_still_revoked() {
    for (is_shut, is_renamed) in [(false, true), (true, false), (true, true)] {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        app.sweep().await;
        assert!(app.live_code(emma).is_some());
        if is_shut {
            shut(&app);
        }
        if is_renamed {
            app.sandbox.edit(|tenant| {
                tenant.change(emma, |p| p.user_principal_name = "emma.smith@contoso.example".into());
            });
        }
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
        let cause = app.record(emma).await.unwrap().cause;
        assert_eq!(cause.as_deref(), (is_shut && is_renamed).then_some("mailbox-shut"));
        app.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
        app.advance(TimeDelta::hours(1));
        let mut ends = Vec::new();
        for _ in 0..24 {
            app.advance(TimeDelta::minutes(20));
            ends.extend(app.sweep().await);
        }
        assert_eq!(app.live_code(emma), None, "shut {is_shut} renamed {is_renamed}");
    }
}

/// The same when somebody else's job is the probe.
#[tokio::test(start_paused = true)]
async fn a_pass_whose_note_waits_is_revoked_with_others_before() {
    let (mut tenant, joiners) = tenant(3);
    let emma = tenant.add(
        Person::named("Emma Brooks")
            .hire_date(time("2026-11-29T00:00:00Z"))
            .usage_location("GB")
            .private_mail("emma.brooks@mail.example"),
    );
    let app = TestApp::new(tenant, &[]);
    app.run_job(emma).await;
    shut(&app);
    app.sandbox.edit(|tenant| {
        tenant.change(emma, |p| p.user_principal_name = "emma.smith@contoso.example".into());
    });
    app.advance(TimeDelta::hours(1));
    app.run_job(joiners[0]).await;
    app.sweep().await;
    assert_eq!(app.record(emma).await.unwrap().cause.as_deref(), Some("mailbox-shut"));
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.enabled = false));
    let ends = app.sweep_hourly(5 * 24).await;
    let revoked = ends.iter().filter(|end| end.outcome == "revoked").count();
    assert_eq!((app.live_code(emma), revoked), (None, 1), "five days of hourly sweeps");
}

/// A joiner whose only address Exchange refuses is no better probe.
#[tokio::test(start_paused = true)]
async fn a_joiner_whose_address_is_refused_is_not_always_the_probe() {
    let (mut tenant, joiners) = tenant(9);
    tenant.add(
        Person::named("Bad Address")
            .hire_date(time("2026-11-25T00:00:00Z"))
            .usage_location("GB")
            .private_mail("bad@mail.example"),
    );
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    let refusal = FaultKind::Fail {
        status: 400,
        code: "ErrorInvalidRecipients".into(),
        message: "At least one recipient is not valid.".into(),
    };
    app.run_job(joiners[0]).await;
    shut(&app);
    app.sweep().await;
    reopen(&app);
    app.sandbox.inject(Fault::on("POST", "sendMail", refusal).body("bad@mail.example").always());
    app.sweep_hourly(36).await;
    assert_eq!(app.pass_mails().len(), joiners.len(), "the mailbox accepts mails for 36 hours");
}

/// Where nobody waits, calls by mail find out that the mailbox accepts mails again.
#[tokio::test(start_paused = true)]
async fn calls_by_mail_work_again_when_the_mailbox_does() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = None);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    let call = async || {
        let body = json!({"UserName": emma, "Deliver": "mail"}).to_string();
        app.host.call("CreateTap", &body).await.body["Outputs"]["res"]["statusCode"].as_u64()
    };
    shut(&app);
    assert_eq!(call().await, Some(503));
    reopen(&app);
    app.sweep_hourly(7 * 24).await;
    assert_eq!(call().await, Some(201), "the mailbox accepts mails for a week");
}

/// A second message for a joiner who is in leaves the record as it is.
#[tokio::test(start_paused = true)]
async fn a_joiner_who_is_in_does_not_wait_for_the_mailbox() {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(
        Person::named("Max Muster")
            .hire_date(time("2026-12-01T00:00:00Z"))
            .usage_location("GB")
            .private_mail("max@mail.example"),
    );
    let app = TestApp::new(tenant, &[]);
    let message = app.job(emma).to_message();
    app.run_job(emma).await;
    app.advance(time("2026-11-27T08:00:00Z") - app.sandbox.now());
    let pass = app.sandbox.passes().into_iter().find(|pass| pass.user == emma).unwrap();
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
    app.host.deliver(&message, 1).await;
    assert!(app.record(emma).await.unwrap().arrived_at.is_some());
    app.advance(TimeDelta::hours(12));
    shut(&app);
    app.run_job(other).await;
    app.host.deliver(&message, 1).await;
    let record = app.record(emma).await.unwrap();
    reopen(&app);
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    app.sweep().await;
    let mut jobs = 0;
    for _ in 0..10 {
        app.advance(TimeDelta::days(1));
        let answer = app.host.fire_timer().await;
        jobs += answer.jobs().iter().filter(|job| job.contains(&emma.to_string())).count();
        app.host.work(answer.jobs(), |_| {}).await;
    }
    assert_eq!((record.state, jobs), (State::Delivered, 0), "jobs in ten days for a joiner who is in");
}

/// A person hears once that a pass ended unused.
#[tokio::test(start_paused = true)]
async fn a_second_pass_that_waits_is_told_once() {
    let (tenant, joiners) = tenant(8);
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1"), ("NUDGE_AFTER", "off")]);
    app.sandbox.edit(|tenant| {
        for user in &joiners {
            tenant.change(*user, |p| p.hire_date = Some(time("2026-11-27T00:00:00Z")));
        }
    });
    let (host, storage) = host(&app);
    let work = async {
        host.run("SweepJoiners").await.unwrap();
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(app.pass_mails().len(), joiners.len());
        app.advance(time("2026-11-27T17:00:00Z") - app.sandbox.now());
        host.run("SweepJoiners").await.unwrap();
        storage.wait_until_empty("pass-jobs").await;
    };
    work.await;
    assert_eq!(app.pass_mails().len(), 2 * joiners.len());
    let subjects: Vec<String> =
        app.alerts().iter().map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect();
    // "firstpass: 14 more alerts (...)"
    let more = subjects.iter().filter_map(|s| s.split(' ').nth(1)?.parse::<usize>().ok()).sum::<usize>();
    assert!(more <= joiners.len(), "{more} alerts about {} people: {subjects:?}", joiners.len());
}

/// A 403 that no Exchange has written, of a proxy or a gateway, stops nobody else.
#[tokio::test(start_paused = true)]
async fn one_odd_answer_does_not_stop_everybody() {
    for (status, code) in [(403, ""), (404, ""), (404, "UnknownError"), (403, "UnknownError")] {
        let (tenant, joiners) = tenant(2);
        let app = TestApp::new(tenant, &[]);
        let refusal = FaultKind::Fail { status, code: code.into(), message: String::new() };
        app.sandbox.inject(Fault::on("POST", "sendMail", refusal));
        app.run_job(joiners[0]).await;
        assert_eq!(app.run_job(joiners[1]).await.outcome, "delivered", "{status} {code}");
    }
}

/// A second message for a member who was served long ago, while the mailbox is shut, makes no second pass later.
#[tokio::test(start_paused = true)]
async fn a_duplicate_for_a_served_member_changes_nothing() {
    for is_shut in [false, true] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.hire_date = None);
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        let message =
            format!(r#"{{"jobKey":"group-add/1","reason":"group-add","userId":"{emma}","since":"{NOW}"}}"#);
        app.host.deliver(&message, 1).await;
        assert_eq!(app.pass_mails().len(), 1);
        app.advance(TimeDelta::hours(30));
        assert_eq!(app.live_code(emma), None);
        if is_shut {
            shut(&app);
            // Somebody else finds it out.
            let other = app.sandbox.edit(|tenant| {
                let user = tenant.add(Person::named("Max Muster").private_mail("max@mail.example"));
                tenant.add_member(group, user);
                user
            });
            app.run_group_add_job(other).await;
        }
        app.host.deliver(&message, 1).await;
        let state = app.record(emma).await.unwrap().state;
        reopen(&app);
        app.sweep_hourly(3).await;
        let to_emma =
            app.pass_mails().iter().filter(|mail| to_address(mail) == "emma.brooks@mail.example").count();
        assert_eq!((to_emma, state), (1, State::Delivered), "shut: {is_shut}");
    }
}

/// Managers who call at the same time: each call needs three mails. No pass is made whose mail has no time.
#[tokio::test(start_paused = true)]
async fn calls_of_managers_make_no_pass_that_cannot_be_sent() {
    let (mut wasted, mut told) = (Vec::new(), Vec::new());
    for (settings, count) in
        [(("MAILS_PER_MINUTE", "30"), 3), (("MAILS_PER_MINUTE", "30"), 4), (("MAILS_PER_MINUTE", "10"), 1)]
    {
        let (mut tenant, emma) = tenant_with_emma();
        let grace = tenant.users[&emma].manager.unwrap();
        let joiners: Vec<Uuid> = (0..count)
            .map(|n| {
                tenant.add(
                    Person::named(&format!("Joiner {n}"))
                        .hire_date(time("2026-11-27T00:00:00Z"))
                        .usage_location("GB")
                        .private_mail(&format!("joiner{n}@mail.example"))
                        .manager(grace),
                )
            })
            .collect();
        tenant.granted.insert(firstpass_sandbox::tenant::Permission::AuditLogRead);
        let app = TestApp::new(
            tenant,
            &[("CREATE_TAP_ALLOWED_CALLERS", "managers"), ("WEBSITE_AUTH_ENABLED", "true"), settings],
        );
        // One mail before, so that more than one call gets its permit.
        let call = async |user: Uuid| {
            let (name, principal) = signed_in(&grace.to_string(), &[("idtyp", "user")]);
            let headers =
                [(name, principal.as_str()), ("X-MS-CLIENT-PRINCIPAL-NAME", "grace.hall@contoso.example")];
            let body = json!({"UserName": user, "Deliver": "mail"}).to_string();
            let began = app.sandbox.now();
            let answer = send(&app, &body, &headers).await;
            (answer.status, answer.body["type"].clone(), (app.sandbox.now() - began).num_seconds())
        };
        if count > 1 {
            app.advance(TimeDelta::minutes(2));
            tokio::time::sleep(Duration::from_secs(120)).await;
        }
        join_all(joiners.iter().map(|user| call(*user))).await;
        wasted.push(app.count_requests("DELETE", PASS_PATH));
        told.push(app.pass_mails().len());
    }
    assert_eq!(wasted, [0, 0, 0], "passes were made and not sent; joiners were told of them: {told:?}");
}

/// Reminders in a row, each with a word to the manager: all arrive.
#[tokio::test(start_paused = true)]
async fn reminders_and_words_to_managers_all_arrive() {
    let (mut tenant, emma) = tenant_with_emma();
    let grace = tenant.users[&emma].manager.unwrap();
    let count = 80;
    for n in 1..count {
        tenant.add(
            Person::named(&format!("Joiner {n}"))
                .hire_date(time("2026-11-27T00:00:00Z"))
                .usage_location("GB")
                .private_mail(&format!("joiner{n}@mail.example"))
                .manager(grace),
        );
    }
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000")]);
    app.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(300));
    let (host, storage) = host(&app);
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(app.pass_mails().len(), count);
    app.advance(time("2026-11-27T12:00:00Z") - app.sandbox.now());
    tokio::time::sleep(Duration::from_secs(120)).await;
    let before = host.log().invocations().len();
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    let mails = app.pass_mails();
    let notes = &mails[count..];
    let to_manager = notes.iter().filter(|mail| to_address(mail) == "grace.hall@contoso.example").count();
    let failed = host.log().invocations()[before..].iter().filter(|i| i.attempt > 1).count();
    assert_eq!((notes.len() - to_manager, to_manager, failed), (count, count, 0));
}

/// Timer, queue and HTTP in processes of their own: the alert of a sweep can be a fifth request. Nothing is lost by its 429.
#[tokio::test(start_paused = true)]
async fn a_fifth_request_of_three_processes_costs_no_pass() {
    let (tenant, joiners) = tenant(4);
    let jobs = TestApp::new(tenant, &[]);
    let (calls, timer) = (jobs.another_instance(), jobs.another_instance());
    // The timer's sweep has an alert: a joiner without an address is none of its own, a ledger that cannot be read is.
    jobs.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(9))).always());
    jobs.sandbox.edit(|tenant| {
        for n in 0..200 {
            tenant.add(
                Person::named(&format!("Flood {n}"))
                    .hire_date(time("2026-11-27T00:00:00Z"))
                    .usage_location("GB")
                    .private_mail(&format!("flood{n}@mail.example")),
            );
        }
    });
    let deliver = |user: &Uuid| {
        let message = jobs.job(*user).to_message();
        let jobs = &jobs;
        async move { jobs.host.deliver(&message, 1).await }
    };
    let body = json!({"UserName": joiners[3], "Deliver": "mail"}).to_string();
    tokio::join!(
        join_all(joiners[..3].iter().map(deliver)),
        calls.host.call("CreateTap", &body),
        timer.host.fire_timer()
    );
    // The alert of a sweep is the fifth, seldom. Whatever is refused is sent again.
    assert_eq!(jobs.count_requests("DELETE", PASS_PATH), 0);
    assert_eq!(
        (
            jobs.pass_mails().iter().filter(|mail| mail.to_string().contains("joiner")).count(),
            jobs.alerts().len()
        ),
        (4, 1)
    );
}

/// A caller waits for the answer with the code no longer than for a mail.
#[tokio::test(start_paused = true)]
async fn a_notice_does_not_hold_the_code_back_for_minutes() {
    let (tenant, joiners) = tenant(8);
    let app = TestApp::new(tenant, &[]);
    let call = async |user: Uuid| {
        let began = app.sandbox.now();
        let body = json!({"UserName": user, "NotifyUser": true}).to_string();
        let answer = app.host.call("CreateTap", &body).await;
        let res = &answer.body["Outputs"]["res"];
        let took = (app.sandbox.now() - began).num_seconds();
        (res["statusCode"].as_u64(), took, res["body"].as_str().unwrap().contains("no more mails"))
    };
    let ends = join_all(joiners.iter().map(|user| call(*user))).await;
    assert!(ends.iter().all(|(_, took, _)| *took < 60), "the code is held back: {ends:?}");
}

/// Nothing is written to the ledger of another tenant.
#[tokio::test(start_paused = true)]
async fn the_mailbox_of_another_tenants_ledger_is_left_alone() {
    let (tenant, _) = tenant(2);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    let (conditions, etag) = app.ledger().conditions().await.unwrap().unwrap();
    assert!(conditions.mailbox.is_some());
    let theirs = Conditions { tenant: Some(Uuid::from_u128(5)), ..conditions };
    app.ledger().write_conditions(&theirs, Some(&etag)).await.unwrap();
    reopen(&app);
    // A process of ours by mistake.
    let ours = app.another_instance();
    ours.host.fire_timer().await;
    let (after, _) = app.ledger().conditions().await.unwrap().unwrap();
    assert_eq!(after, theirs, "the ledger of another tenant was written");
}

/// From the start of a job to its lease: `budget::BEFORE_LEASE`, 165 s.
#[tokio::test(start_paused = true)]
async fn reading_again_fits_into_its_budget() {
    let (tenant, joiners) = tenant(2);
    let app = TestApp::new(tenant, &[("MAILS_PER_MINUTE", "1")]);
    assert_eq!(app.run_job(joiners[0]).await.outcome, "delivered");
    let began = app.sandbox.now();
    let slow = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        app.sandbox.inject(Fault::on("POST", "$batch", throttle("110")));
    };
    tokio::join!(app.run_job(joiners[1]), slow);
    let requests = app.sandbox.requests();
    let made = requests.iter().rfind(|r| r.method == "POST" && r.url.contains(PASS_PATH)).unwrap();
    let before = (made.at - began).num_seconds();
    assert!(before <= 165, "the pass was made {before} s after the start of the job");
}

/// Reminders with a word to the manager, at small limits.
#[tokio::test(start_paused = true)]
async fn words_to_managers_arrive_at_any_limit() {
    let mut lost = Vec::new();
    for per_minute in ["1000", "1", "2", "5", "10", "20", "30"] {
        let (mut tenant, emma) = tenant_with_emma();
        let grace = tenant.users[&emma].manager.unwrap();
        for n in 1..30 {
            tenant.add(
                Person::named(&format!("Joiner {n}"))
                    .hire_date(time("2026-11-27T00:00:00Z"))
                    .usage_location("GB")
                    .private_mail(&format!("joiner{n}@mail.example"))
                    .manager(grace),
            );
        }
        let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000"), ("MAILS_PER_MINUTE", per_minute)]);
        app.sandbox.edit(|tenant| tenant.send_limits.messages_per_minute = None);
        let (host, storage) = host(&app);
        host.run("SweepJoiners").await.unwrap();
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(app.pass_mails().len(), 30);
        app.advance(time("2026-11-27T11:00:00Z") - app.sandbox.now());
        let before = host.log().invocations().len();
        host.run("SweepJoiners").await.unwrap();
        storage.wait_until_empty("pass-jobs").await;
        let mails = app.pass_mails();
        let notes = &mails[30..];
        let to_manager = notes.iter().filter(|mail| to_address(mail) == "grace.hall@contoso.example").count();
        let invocations = host.log().invocations();
        let failed = invocations[before..].iter().filter(|i| i.attempt > 1).count();
        // At ten a minute or less, six jobs at a time can wait for longer than one may.
        let is_slow = per_minute.parse::<u32>().unwrap() <= 10;
        if to_manager < notes.len() - to_manager || (failed > 0 && !is_slow) {
            lost.push((per_minute, notes.len() - to_manager, to_manager, failed));
        }
    }
    assert_eq!(lost, []);
}

/// `a_slow_mailbox_gets_no_more_requests_at_a_time_than_it_takes` delays by `DelayAfter`, which holds no slot of the mailbox: with 100
/// at a time it passes too. This one holds it.
#[tokio::test(start_paused = true)]
async fn a_slow_mailbox_that_is_busy_meanwhile() {
    let (tenant, joiners) = tenant(24);
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Delay(Duration::from_secs(5))).always());
    let deliver = |user: &Uuid| {
        let message = app.job(*user).to_message();
        let app = &app;
        async move { app.host.deliver(&message, 1).await }
    };
    let ends = join_all(joiners.iter().map(deliver)).await;
    assert!(ends.iter().all(|end| end.log().contains(": delivered: ")));
    assert_eq!((answers(&app, 429), app.count_requests("POST", PASS_PATH)), (0, 24));
}

/// A manager is told that the mailbox refuses all mails, and not that the joiner is none of theirs.
#[tokio::test(start_paused = true)]
async fn a_manager_hears_that_the_mailbox_is_shut() {
    let (mut tenant, emma) = tenant_with_emma();
    let grace = tenant.users[&emma].manager.unwrap();
    tenant.granted.insert(firstpass_sandbox::tenant::Permission::AuditLogRead);
    let settings = [("CREATE_TAP_ALLOWED_CALLERS", "managers"), ("WEBSITE_AUTH_ENABLED", "true")];
    let app = TestApp::new(tenant, &settings);
    shut(&app);
    app.run_job(emma).await;
    for deliver in ["mail", "response"] {
        let (name, principal) = signed_in(&grace.to_string(), &[("idtyp", "user")]);
        let headers =
            [(name, principal.as_str()), ("X-MS-CLIENT-PRINCIPAL-NAME", "grace.hall@contoso.example")];
        let body = json!({"UserName": emma, "Deliver": deliver}).to_string();
        let answer = send(&app, &body, &headers).await;
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (503, &json!("urn:firstpass:mailbox-shut")),
            "{deliver}: {}",
            answer.body
        );
    }
}

/// With ALERT_TO, the mail of the daily alert finds out that the mailbox accepts mails again: a day later.
#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_mended_is_found_within_two_hours() {
    let (mut tenant, joiners) = tenant(9);
    tenant.add(Person::named("No Address").hire_date(time("2026-11-24T00:00:00Z")).usage_location("GB"));
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    reopen(&app);
    let mut hours = 0;
    while app.pass_mails().len() < joiners.len() && hours < 72 {
        app.advance(TimeDelta::hours(1));
        app.sweep().await;
        hours += 1;
    }
    assert!(hours <= 2, "served after {hours} hours");
}

/// A call that cannot send its mails in time leaves the code that the joiner has.
#[tokio::test(start_paused = true)]
async fn a_call_that_has_no_time_kills_no_code() {
    let (mut tenant, emma) = tenant_with_emma();
    let grace = tenant.users[&emma].manager.unwrap();
    tenant.granted.insert(firstpass_sandbox::tenant::Permission::AuditLogRead);
    let settings = [
        ("CREATE_TAP_ALLOWED_CALLERS", "managers"),
        ("WEBSITE_AUTH_ENABLED", "true"),
        ("MAILS_PER_MINUTE", "10"),
    ];
    let app = TestApp::new(tenant, &settings);
    app.run_job(emma).await;
    let code = app.live_code(emma);
    assert!(code.is_some());
    app.advance(TimeDelta::hours(1));
    let (name, principal) = signed_in(&grace.to_string(), &[("idtyp", "user")]);
    let headers = [(name, principal.as_str()), ("X-MS-CLIENT-PRINCIPAL-NAME", "grace.hall@contoso.example")];
    let body = json!({"UserName": emma, "Deliver": "mail"}).to_string();
    let answer = send(&app, &body, &headers).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_ne!(app.live_code(emma), code);
    let code = app.live_code(emma).unwrap();
    let mails = app.pass_mails();
    let codes = mails.iter().filter(|mail| mail.to_string().contains(&crate::helpers::html_escaped(&code)));
    assert_eq!(codes.count(), 1, "the new code was mailed");
}
