//! The circuit breaker over days: who is tried, who waits, who is revoked, and what is lost with an answer or a process.

use chrono::TimeDelta;
use firstpass::pass::Job;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Person, Tenant, samples::SENDER};

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use firstpass::{
    ledger::LedgerError,
    queue::{Queue, QueueError, QueueMessage, Queues, Received},
};
use firstpass_sandbox::functions_host::{self, Embedded, FunctionsHost, Storage};

use super::{minted, reopen, shut, tenant};
use crate::helpers::{PASS_PATH, TestApp, log_capture::capture_log, tenant_with_emma, time};
use crate::ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation};

fn two(first_day: &str, first_has_address: bool) -> (Tenant, uuid::Uuid, uuid::Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    let first = Person::named("First One").hire_date(time(first_day)).usage_location("GB");
    let first = if first_has_address { first.private_mail("first@mail.example") } else { first };
    let first = tenant.add(first);
    let second = Person::named("Second Two").hire_date(time("2026-11-25T00:00:00Z")).usage_location("GB");
    let second = tenant.add(second.private_mail("second@mail.example"));
    (tenant, first, second)
}

/// The joiner whose day is next has no private address, and so their job never tries the mailbox. Nobody else is ever chosen.
#[tokio::test(start_paused = true)]
async fn a_probe_that_sends_no_mail_does_not_keep_the_mailbox_shut() {
    let (tenant, _blocked, second) = two("2026-11-23T00:00:00Z", false);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    app.sweep().await;
    assert_eq!(minted(&app), 1);
    reopen(&app);
    let mut seen = Vec::new();
    for _ in 0..48 {
        app.advance(TimeDelta::hours(1));
        let ends = app.sweep().await;
        seen.extend(ends.iter().map(|end| format!("{}: {}", end.outcome, end.why)));
        if !app.pass_mails().is_empty() {
            break;
        }
    }
    let ended = app.sandbox.now();
    assert!(
        app.pass_mails().len() == 1 && ended < time("2026-11-22T12:00:00Z"),
        "{} mails at {ended}, the second starts on 2026-11-25: {:?}; {:?}",
        app.pass_mails().len(),
        app.record(second).await.unwrap().cause,
        &seen[..seen.len().min(5)]
    );
}

/// The same with the default ALERT_TO: only the alert of the next day opens it.
#[tokio::test(start_paused = true)]
async fn a_probe_that_sends_no_mail_does_not_cost_a_day() {
    let (tenant, _blocked, _second) = two("2026-11-23T00:00:00Z", false);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    reopen(&app);
    let mut hours = 0;
    while app.pass_mails().is_empty() && hours < 72 {
        app.advance(TimeDelta::hours(1));
        hours += 1;
        app.sweep().await;
    }
    assert!(hours <= 3, "served after {hours} hours");
}

/// A message that comes twice, the second time while the mailbox is shut: who was served gets no second pass.
#[tokio::test(start_paused = true)]
async fn a_second_message_for_a_served_member_makes_no_second_pass() {
    for is_shut in [false, true] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |person| person.hire_date = None);
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let max = tenant.add(
            Person::named("Max Muster")
                .private_mail("max@mail.example")
                .hire_date(time("2026-11-27T00:00:00Z")),
        );
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        let job = Job::group_add(emma, app.sandbox.now(), "e1").to_message();
        assert!(app.host.deliver(&job, 1).await.log().contains(": delivered: "));
        app.advance(TimeDelta::days(1));
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(max).await.outcome, "blocked");
        }
        let again = app.host.deliver(&job, 1).await;
        reopen(&app);
        app.sweep_hourly(3).await;
        let to_emma =
            app.pass_mails().iter().filter(|mail| !mail.to_string().contains("max@mail.example")).count();
        assert_eq!(
            to_emma,
            1,
            "shut: {is_shut}; {}; {:?}",
            again.log(),
            app.record(emma).await.unwrap().state
        );
    }
}

/// A sweep has found that a served joiner is in; the job before this one finds the mailbox shut.
#[tokio::test(start_paused = true)]
async fn a_served_joiner_does_not_wait_for_the_mailbox() {
    let (tenant, joiners) = tenant(2);
    let app = TestApp::new(tenant, &[("ALERT_TO", ""), ("SWEEP_MAX", "1000")]);
    let [served, other] = joiners[..] else { panic!() };
    assert_eq!(app.run_job(served).await.outcome, "delivered");
    let pass = app.record(served).await.unwrap().delivered.unwrap().pass;
    app.advance(pass.ends_at - app.sandbox.now() - TimeDelta::minutes(10));
    let now = app.sandbox.now();
    app.sandbox.edit(|tenant| tenant.use_pass(pass.pass_id.parse().unwrap(), now));
    app.advance(TimeDelta::hours(1));
    let jobs = app.host.fire_timer().await.jobs();
    assert!(jobs.iter().any(|job| job.contains(&served.to_string())), "{jobs:?}");
    shut(&app);
    assert_eq!(app.run_job(other).await.outcome, "blocked");
    for job in jobs.iter().filter(|job| job.contains(&served.to_string())) {
        app.host.deliver(job, 1).await;
    }
    let marked = app.record(served).await.unwrap();
    reopen(&app);
    let mut ends = Vec::new();
    for _ in 0..48 {
        app.advance(TimeDelta::hours(1));
        let answer = app.host.fire_timer().await;
        for job in answer.jobs() {
            let end = app.host.deliver(&job, 1).await;
            if job.contains(&served.to_string()) {
                ends.push(end.log().to_owned());
            }
        }
    }
    let after = app.record(served).await.unwrap();
    assert!(
        marked.cause.is_none() && ends.len() <= 2,
        "a served joiner is marked as waiting: {:?} {:?}; {} jobs in 48 sweeps after the end, then {:?} {:?}; {:?}",
        marked.state,
        marked.cause,
        ends.len(),
        after.state,
        after.arrived_at,
        ends.last()
    );
}

/// What the same costs afterwards: a job in every sweep, for weeks.
#[tokio::test(start_paused = true)]
async fn who_waited_and_needs_no_mail_costs_no_job_in_every_sweep() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |person| person.hire_date = None);
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let max = tenant.add(
        Person::named("Max Muster").private_mail("max@mail.example").hire_date(time("2026-11-27T00:00:00Z")),
    );
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    let job = Job::group_add(emma, app.sandbox.now(), "e1").to_message();
    assert!(app.host.deliver(&job, 1).await.log().contains(": delivered: "));
    app.advance(TimeDelta::days(1));
    shut(&app);
    assert_eq!(app.run_job(max).await.outcome, "blocked");
    app.host.deliver(&job, 1).await;
    // They leave the group: nothing is due any more.
    app.sandbox.edit(|tenant| tenant.remove_member(group, emma));
    reopen(&app);
    let mut of_emma = 0;
    for _ in 0..48 {
        app.advance(TimeDelta::hours(1));
        let answer = app.host.fire_timer().await;
        for job in answer.jobs() {
            of_emma += usize::from(job.contains(&emma.to_string()));
            app.host.deliver(&job, 1).await;
        }
    }
    assert!(of_emma <= 2, "{of_emma} jobs in 48 sweeps; {:?}", app.record(emma).await.unwrap());
}

/// Somebody is added to the group and is a joiner too: both messages come while the mailbox is shut.
#[tokio::test(start_paused = true)]
async fn a_member_who_is_a_joiner_too_still_gets_the_pass_on_demand() {
    for is_shut in [false, true] {
        let (mut tenant, emma) = tenant_with_emma();
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let max = tenant.add(
            Person::named("Max Muster")
                .private_mail("max@mail.example")
                .hire_date(time("2026-11-27T00:00:00Z")),
        );
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(max).await.outcome, "blocked");
        }
        let job = Job::group_add(emma, app.sandbox.now(), "e1").to_message();
        app.host.deliver(&job, 1).await;
        app.run_job(emma).await;
        reopen(&app);
        app.sweep_hourly(4).await;
        let record = app.record(emma).await.unwrap();
        assert!(record.on_demand_at.is_some(), "shut: {is_shut}: {record:?}");
    }
}

/// Who waits with a working code, and whose start is withdrawn meanwhile: the code is revoked.
#[tokio::test(start_paused = true)]
async fn a_pass_of_somebody_who_waits_is_revoked_when_the_start_is_withdrawn() {
    type Withdraw = fn(&mut Person);
    let ways: [(&str, Withdraw); 1] = [("disabled", |person| person.enabled = false)];
    for (way, withdraw) in ways {
        for (is_shut, waits) in [(false, false), (true, false), (true, true)] {
            let (tenant, joiners) = tenant(2);
            let app = TestApp::new(tenant, &[]);
            let [emma, other] = joiners[..] else { panic!() };
            assert_eq!(app.run_job(emma).await.outcome, "delivered");
            app.advance(TimeDelta::hours(1));
            if is_shut {
                shut(&app);
                assert_eq!(app.run_job(other).await.outcome, "blocked");
            }
            if waits {
                // The first day moves: a new mail is due.
                app.sandbox.edit(|tenant| {
                    tenant.change(emma, |person| person.hire_date = Some(time("2026-11-26T00:00:00Z")));
                });
                app.sweep().await;
                let record = app.record(emma).await.unwrap();
                assert_eq!(record.cause.as_deref(), Some("mailbox-shut"));
                assert!(app.live_code(emma).is_some());
            }
            app.sandbox.edit(|tenant| tenant.change(emma, withdraw));
            app.sweep_daily(3).await;
            assert!(
                app.live_code(emma).is_none(),
                "{way}; shut: {is_shut}, waits: {waits}: the code works after three days"
            );
        }
    }
}

/// Whom only the first sweep of a day serves is queued when the mailbox is open again, not a day later.
#[tokio::test(start_paused = true)]
async fn whom_a_daily_look_has_found_does_not_wait_for_the_next_one() {
    for is_shut in [false, true] {
        let (mut tenant, joiners) = tenant(4);
        let [first, second, _, other] = joiners[..] else { panic!() };
        for user in [first, second] {
            tenant.change(user, |person| person.hire_date = Some(time("2026-11-23T00:00:00Z")));
        }
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(first).await.outcome, "delivered");
        assert_eq!(app.run_job(second).await.outcome, "delivered");
        let ends_at = app.record(first).await.unwrap().delivered.unwrap().pass.ends_at;
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(other).await.outcome, "blocked");
        }
        app.advance(ends_at - app.sandbox.now() + TimeDelta::minutes(5));
        for hour in 0..16 {
            app.sweep().await;
            if hour == 12 {
                reopen(&app);
            }
            app.advance(TimeDelta::hours(1));
        }
        let to =
            |address: &str| app.pass_mails().iter().filter(|mail| mail.to_string().contains(address)).count();
        let mails = (to("joiner0@mail.example"), to("joiner1@mail.example"));
        assert_eq!(
            mails,
            (2, 2),
            "shut: {is_shut}: the passes ended at {ends_at}, now {}",
            app.sandbox.now()
        );
    }
}

/// Nobody waits: then nothing says that the mailbox still refuses, and no alert comes every day.
#[tokio::test(start_paused = true)]
async fn without_anybody_who_waits_no_alert_comes_for_ever() {
    let (tenant, joiners) = tenant(1);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    // One odd answer.
    let refusal = FaultKind::Fail {
        status: 403,
        code: "ErrorAccessDenied".into(),
        message: "Access is denied.".into(),
    };
    app.sandbox.inject(Fault::on("POST", "sendMail", refusal));
    assert_eq!(app.run_job(joiners[0]).await.outcome, "blocked");
    // The start is withdrawn.
    app.sandbox.edit(|tenant| tenant.change(joiners[0], |person| person.hire_date = None));
    let days = async {
        app.sweep_daily(80).await;
    };
    let ((), log) = capture_log("error", days).await;
    let alerts: Vec<&str> = log.lines().filter(|line| line.contains("event=alert ")).collect();
    assert!(alerts.len() <= 2, "{} alerts; the last: {}", alerts.len(), alerts.last().unwrap());
}

/// The daily alert is a try too, and two tries are 45 minutes apart.
#[tokio::test(start_paused = true)]
async fn the_alert_of_the_day_keeps_its_distance_to_the_last_try() {
    let (tenant, _) = tenant(3);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    let count = || app.sandbox.requests().iter().filter(|r| r.url.contains("sendMail")).count();
    app.advance(TimeDelta::minutes(23 * 60 + 20));
    app.sweep().await;
    let before = count();
    app.advance(TimeDelta::minutes(10));
    app.sweep().await;
    assert_eq!(count(), before, "ten minutes after the last try");
}

/// A probe that is fast: the mailbox is open again within the second after the sweep that chose it. Whoever waits is queued by
/// the message that asks for a sweep.
#[tokio::test(start_paused = true)]
async fn a_fast_probe_is_followed_by_a_sweep() {
    for milliseconds in [2_000, 700] {
        let (tenant, _) = tenant(5);
        let app = TestApp::new(tenant, &[]);
        shut(&app);
        app.sweep().await;
        app.advance(TimeDelta::minutes(46));
        reopen(&app);
        let jobs = app.host.fire_timer().await.jobs();
        let probe: Vec<&String> = jobs.iter().filter(|job| job.contains("jobKey")).collect();
        assert_eq!(probe.len(), 1);
        app.advance(TimeDelta::milliseconds(milliseconds));
        assert!(app.host.deliver(probe[0], 1).await.log().contains(": delivered: "));
        let answer =
            app.host.deliver(&format!(r#"{{"sweepDue":"{}"}}"#, app.sandbox.now().to_rfc3339()), 1).await;
        let queued = answer.jobs().iter().filter(|job| job.contains("jobKey")).count();
        assert_eq!(queued, 4, "{milliseconds} ms after the sweep: {}", answer.log());
    }
}

/// Who waited until it was too late is named to a person, as everybody else who is too late.
#[tokio::test(start_paused = true)]
async fn who_waited_until_it_was_too_late_is_named() {
    for is_shut in [false, true] {
        let (tenant, first, _) = two("2026-11-24T00:00:00Z", true);
        let app = TestApp::new(tenant, &[("ALERT_TO", ""), ("LATE_DAYS", "3")]);
        let name = app.sandbox.edit(|tenant| tenant.users[&first].user_principal_name.clone());
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(first).await.outcome, "blocked");
        }
        let days = async {
            if is_shut {
                app.sweep().await;
                app.sweep_daily(8).await;
                reopen(&app);
            } else {
                // Nobody swept meanwhile.
                app.sandbox.edit(|tenant| tenant.change(first, |person| person.hire_date = None));
                app.sweep().await;
                app.advance(TimeDelta::days(8));
                let day = time("2026-11-24T00:00:00Z");
                app.sandbox.edit(|tenant| tenant.change(first, |person| person.hire_date = Some(day)));
            }
        };
        days.await;
        let after = async {
            for _ in 0..45 {
                app.sweep().await;
                app.advance(TimeDelta::days(1));
            }
        };
        let ((), log) = capture_log("error", after).await;
        let mailed = app.pass_mails().iter().any(|mail| mail.to_string().contains("first@mail.example"));
        let named = log.lines().any(|line| line.contains("event=alert ") && line.contains(&name));
        assert!(mailed || named, "shut: {is_shut}: {:?}\n{log}", app.record(first).await);
    }
}

/// A first day that passed while the mailbox was shut is a late one, for whoever was in flight and for whoever was not.
#[tokio::test(start_paused = true)]
async fn who_waits_beyond_the_first_day_is_late() {
    let (tenant, first, second) = two("2026-11-24T00:00:00Z", true);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    app.sweep().await;
    app.sweep_daily(3).await;
    reopen(&app);
    app.sweep_hourly(3).await;
    for user in [first, second] {
        assert!(app.live_code(user).is_some(), "{:?}", app.record(user).await);
    }
}

/// Those whom a sweep has let through before do not count as too many because the mailbox was shut.
#[tokio::test(start_paused = true)]
async fn who_waits_is_not_held_back_as_too_many() {
    let (tenant, _) = tenant(30);
    let app = TestApp::new(tenant, &[("ALERT_TO", ""), ("SWEEP_MAX", "40")]);
    shut(&app);
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|tenant| {
        for n in 0..20 {
            let person = Person::named(&format!("Later {n}")).usage_location("GB");
            let person = person.private_mail(&format!("later{n}@mail.example"));
            tenant.add(person.hire_date(time("2026-11-28T00:00:00Z")));
        }
    });
    app.sweep().await;
    reopen(&app);
    app.sweep_hourly(24).await;
    assert!(app.pass_mails().len() >= 30, "{} mails a day after", app.pass_mails().len());
}

/// A function app with a sweep a day, and a quick tenant.
#[tokio::test(start_paused = true)]
async fn a_quick_app_serves_everybody_within_two_hours_of_the_end() {
    for milliseconds in [0, 40, 80, 120, 160, 200, 240] {
        let (tenant, joiners) = tenant(6);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        app.sandbox.edit(|tenant| tenant.latency = std::time::Duration::from_millis(milliseconds));
        shut(&app);
        let (host, storage) = super::host(&app);
        host.run("SweepJoiners").await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(3 * 3_600)).await;
        reopen(&app);
        tokio::time::sleep(std::time::Duration::from_secs(2 * 3_600)).await;
        assert_eq!(
            (app.pass_mails().len(), storage.messages("pass-jobs").len()),
            (joiners.len(), 0),
            "{milliseconds} ms a request"
        );
    }
}

/// The answer to a write of conditions.json is lost, and the store's client tries again: 412.
#[derive(Debug, Default)]
struct LostAnswer(AtomicU32);

#[async_trait]
impl LedgerFault for LostAnswer {
    fn after(&self, operation: Operation, succeeded: bool) -> Result<(), LedgerError> {
        let is_first = operation == Operation::WriteConditions
            && succeeded
            && self.0.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first { Err(LedgerError::Conflict) } else { Ok(()) }
    }
}

/// The alert that nobody gets a mail comes at once, also if the answer of the ledger is lost.
#[tokio::test(start_paused = true)]
async fn the_first_alert_is_not_lost_with_an_answer_of_the_ledger() {
    let (tenant, joiners) = tenant(3);
    let app = TestApp::with_ledger(tenant, &[], FaultyLedger::with_fault(LostAnswer::default()));
    shut(&app);
    let work = async {
        for user in &joiners {
            assert_eq!(app.run_job(*user).await.outcome, "blocked");
        }
        app.sweep_hourly(20).await;
    };
    let ((), log) = capture_log("error", work).await;
    assert_eq!(log.lines().filter(|line| line.contains("event=alert ")).count(), 1, "within 20 hours: {log}");
}

/// Whoever is blocked for a reason of their own, of which a person was told, stays so: no second alert about it.
#[tokio::test(start_paused = true)]
async fn who_is_blocked_is_not_alerted_again_because_of_the_mailbox() {
    let (tenant, blocked, second) = two("2026-11-24T00:00:00Z", false);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    let work = async {
        assert_eq!(app.run_job(blocked).await.outcome, "blocked");
        shut(&app);
        // An hourly sweep has queued both.
        assert_eq!(app.run_job(second).await.outcome, "blocked");
        assert_eq!(app.run_job(blocked).await.outcome, "blocked");
        reopen(&app);
        app.sweep_hourly(4).await;
    };
    let ((), log) = capture_log("error", work).await;
    let alerts = log
        .lines()
        .filter(|line| line.contains("event=alert ") && line.contains("no usable private address"))
        .count();
    assert_eq!(alerts, 1, "{log}");
}

/// The host dies before it has written what the sweep of a message has found: the message comes again, and so do the jobs.
#[tokio::test(start_paused = true)]
async fn a_sweep_of_a_message_whose_answer_is_lost_is_repeated() {
    let (tenant, joiners) = tenant(5);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    app.sweep().await;
    app.advance(TimeDelta::minutes(50));
    reopen(&app);
    // The probe is sent, and with it the mailbox is open again.
    let probe = app.sweep().await;
    assert_eq!((probe.len(), app.pass_mails().len()), (1, 1));
    app.advance(TimeDelta::seconds(30));
    let message = format!(r#"{{"sweepDue":"{}"}}"#, app.sandbox.now().to_rfc3339());
    let inserted = app.host.queue_invocation(&message, 1)["Metadata"]["InsertionTime"].clone();
    let deliver = async |count: u32| {
        let mut invocation = app.host.queue_invocation(&message, count);
        invocation["Metadata"]["InsertionTime"] = inserted.clone();
        let answer = app.host.post("OnGroupAdd", invocation.to_string()).await;
        (answer.jobs().iter().filter(|job| job.contains("jobKey")).count(), answer.log().to_owned())
    };
    assert_eq!(deliver(1).await.0, 4);
    // Nothing of that arrived in the queue.
    app.advance(TimeDelta::minutes(10));
    let (queued, log) = deliver(2).await;
    assert_eq!(queued, 4, "{log}; {} joiners wait for the sweep of the next day", joiners.len() - 1);
}

/// A pass that nobody was sent appears late: it is deleted, whatever the mailbox does.
#[tokio::test(start_paused = true)]
async fn a_pass_that_appears_late_is_deleted_while_the_mailbox_is_shut() {
    for is_shut in [false, true] {
        let (tenant, joiners) = tenant(2);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        let [emma, other] = joiners[..] else { panic!() };
        // The answers to both POSTs are lost: a pass is in the tenant.
        app.sandbox.inject(Fault::on("POST", PASS_PATH, FaultKind::LoseAnswer).times(2));
        assert_eq!(app.run_job(emma).await.outcome, "failed");
        assert!(app.live_code(emma).is_some());
        app.advance(TimeDelta::minutes(10));
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(other).await.outcome, "blocked");
            // It is tried again, as the queue does.
            assert_eq!(app.run_job(emma).await.outcome, "blocked");
        }
        app.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = None));
        app.sweep_daily(3).await;
        assert!(
            app.live_code(emma).is_none(),
            "shut: {is_shut}: a pass of a withdrawn start works after three days"
        );
    }
}

/// A code went to a wrong address, and HR corrects it, early or late, while the mailbox is shut: when the first day comes, whoever
/// has that mailbox has no working code.
#[tokio::test(start_paused = true)]
async fn a_code_at_a_corrected_address_does_not_work_on_the_first_day() {
    for (is_shut, hours_before) in [(false, 60), (true, 3), (true, 60)] {
        let (tenant, joiners) = tenant(6);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        // Both start on the same day; the other one is the probe.
        let (emma, other) = (joiners[0].max(joiners[1]), joiners[0].min(joiners[1]));
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        let opens_at = app.record(emma).await.unwrap().delivered.unwrap().pass.opens_at;
        let wrong = app.live_code(emma).unwrap();
        app.advance(opens_at - app.sandbox.now() - TimeDelta::hours(hours_before));
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(other).await.outcome, "blocked");
        }
        app.sandbox.edit(|tenant| {
            tenant.change(emma, |person| person.other_mails = vec!["right@mail.example".into()]);
        });
        for _ in 0..=hours_before {
            app.sweep().await;
            app.advance(TimeDelta::hours(1));
        }
        let now = app.sandbox.now();
        assert_ne!(
            app.live_code(emma),
            Some(wrong),
            "shut: {is_shut}, corrected {hours_before} hours before the opening: the code at the wrong address works at {now}, open since {opens_at}"
        );
    }
}

/// A mail may have arrived, and then the start is withdrawn: its code is revoked, whatever the mailbox does.
#[tokio::test(start_paused = true)]
async fn a_code_that_may_have_arrived_is_revoked_while_the_mailbox_is_shut() {
    for is_shut in [false, true] {
        let (tenant, joiners) = tenant(2);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        let [emma, other] = joiners[..] else { panic!() };
        app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::LoseAnswer).times(3));
        assert_eq!(app.run_job(emma).await.outcome, "failed");
        assert!(app.live_code(emma).is_some() && !app.pass_mails().is_empty(), "the joiner has the code");
        app.advance(TimeDelta::minutes(10));
        if is_shut {
            shut(&app);
            assert_eq!(app.run_job(other).await.outcome, "blocked");
        }
        app.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = None));
        app.sweep_daily(3).await;
        let code = app.live_code(emma);
        assert!(
            code.is_none(),
            "shut: {is_shut}: a code that was mailed works three days after the start was withdrawn"
        );
    }
}

/// A later sweep whose answer is lost has queued nobody: the rest of the one before is not void.
#[tokio::test(start_paused = true)]
async fn a_later_sweep_whose_answer_is_lost_does_not_void_the_rest_of_the_one_before() {
    let (tenant, joiners) = tenant(firstpass::budget::SWEEP_PART + 20);
    let app = TestApp::new(tenant, &[("ALERT_TO", ""), ("SWEEP_MAX", "100000"), ("MAIL_CC", "none")]);
    let first = app.host.fire_timer().await.jobs();
    let rest = first.iter().find(|message| message.contains("sweepContinues")).unwrap().clone();
    app.advance(TimeDelta::minutes(30));
    // The host dies while it writes this one into the queue.
    let lost = app.host.fire_timer().await.jobs();
    assert!(lost.len() > firstpass::budget::SWEEP_PART);
    app.advance(TimeDelta::minutes(30));
    let answer = app.host.deliver(&rest, 1).await;
    let queued = answer.jobs().iter().filter(|job| job.contains("jobKey")).count();
    assert!(queued >= 20, "{queued} of {}: {}", joiners.len(), answer.log());
}

/// A queue that refuses one message of those that ask for a sweep.
#[derive(Debug)]
struct FailsOnce {
    queue: Arc<dyn Queue>,
    puts: AtomicU32,
    fails: u32,
}

#[async_trait]
impl Queue for FailsOnce {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        self.queue.peek().await
    }
    async fn count(&self) -> Result<usize, QueueError> {
        self.queue.count().await
    }
    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        self.queue.receive(hidden).await
    }
    async fn put_hidden(&self, text: &str, hidden: Duration) -> Result<(), QueueError> {
        // {"sweepDue": in base64.
        if text.starts_with("eyJzd2VlcER1ZS") && self.puts.fetch_add(1, Ordering::Relaxed) + 1 == self.fails {
            return Err(QueueError::Unavailable("no connection".into()));
        }
        self.queue.put_hidden(text, hidden).await
    }
    async fn delete(&self, message: &Received) -> Result<(), QueueError> {
        self.queue.delete(message).await
    }
    async fn release(&self, message: &Received) -> Result<(), QueueError> {
        self.queue.release(message).await
    }
}

/// One message that cannot be put into the queue does not cost a day: with a sweep a day, all are served three hours after the end.
#[tokio::test(start_paused = true)]
async fn a_wake_up_that_cannot_be_queued_does_not_cost_a_day() {
    let mut late = Vec::new();
    for fails in [0, 1, 2, 3, 4, 5, 6, 7] {
        let (tenant, joiners) = tenant(6);
        let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
        app.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(400));
        shut(&app);
        let storage = Storage::new(app.sandbox.clock());
        let Queues { jobs, poison } = functions_host::queues(&storage);
        let jobs = Arc::new(FailsOnce { queue: jobs, puts: AtomicU32::new(0), fails });
        let product = app.product(app.sandbox.credential()).with_queues(Queues { jobs, poison });
        let worker = Embedded::new(firstpass::host::router(Ok(Arc::new(product))));
        let never = crate::local_host::app(&[("SWEEP_SCHEDULE", "0 0 5 31 12 *")]);
        let host = FunctionsHost::start(never, Arc::new(worker), storage.clone());
        host.run("SweepJoiners").await.unwrap();
        tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
        reopen(&app);
        tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
        if app.pass_mails().len() != joiners.len() {
            late.push((fails, app.pass_mails().len()));
        }
    }
    assert_eq!(late, [], "(which message failed, how many were served of 6)");
}

/// A process that was started for the message keeps the tries going, also if it has nothing to do itself: another process may be
/// gone, with what it knew.
#[tokio::test(start_paused = true)]
async fn a_fresh_process_keeps_the_tries_going() {
    let (tenant, joiners) = tenant(6);
    let app = TestApp::new(tenant, &[("ALERT_TO", "")]);
    shut(&app);
    // This process dies after its sweep.
    app.sweep().await;
    app.advance(TimeDelta::minutes(10));
    let (_host, storage) = super::host(&app);
    super::put(&storage, format!(r#"{{"sweepDue":"{}"}}"#, app.sandbox.now().to_rfc3339()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let hidden = storage.messages("pass-jobs").len();
    reopen(&app);
    tokio::time::sleep(Duration::from_secs(3 * 3_600)).await;
    assert_eq!(
        (hidden, app.pass_mails().len()),
        (1, joiners.len()),
        "(the next sweep is hidden, mails after three hours)"
    );
}

/// The sweep whose alert is accepted queues everybody, once: no other sweep queues them all again.
#[tokio::test(start_paused = true)]
async fn the_sweep_that_opens_the_mailbox_is_not_followed_by_another_one() {
    let (tenant, joiners) = tenant(30);
    let app = TestApp::new(tenant, &[]);
    shut(&app);
    app.sweep().await;
    app.sandbox.edit(|tenant| tenant.latency = Duration::from_secs(1));
    app.advance(TimeDelta::days(1));
    reopen(&app);
    let (host, storage) = super::host(&app);
    host.run("SweepJoiners").await.unwrap();
    storage.wait_until_empty("pass-jobs").await;
    assert_eq!(app.pass_mails().len(), joiners.len());
    let jobs = host.log().invocations().iter().filter(|i| i.function == "OnGroupAdd").count();
    assert!(jobs <= joiners.len() + 3, "{jobs} messages for {} joiners", joiners.len());
}
