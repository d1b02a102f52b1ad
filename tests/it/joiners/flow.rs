//! The normal flow of a joiner, from the sweep to the mail.

use chrono::TimeDelta;
use firstpass::{
    budget::DELIVERIES,
    ledger::{Purpose, State},
    pass::Job,
};
use firstpass_sandbox::tenant::{
    Fault, FaultKind, Group, PassSpec, Person, Untargeted, generate::generate, samples,
};
use uuid::Uuid;

use crate::helpers::{
    NOW, PASS_PATH, TestApp, abort_after, cc_addresses, emma, tenant_with_emma, time, to_address,
};

#[tokio::test(start_paused = true)]
async fn a_new_joiner_takes_three_requests() {
    let (app, emma) = TestApp::with_emma();
    let end = app.run_job(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    let requests: Vec<String> = app
        .sandbox
        .requests()
        .iter()
        .map(|r| format!("{} {}", r.method, r.url.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(requests, ["POST $batch", "POST temporaryAccessPassMethods", "POST sendMail"]);
}

#[tokio::test(start_paused = true)]
async fn the_pass_opens_on_day_one_in_the_joiners_zone_and_goes_to_the_private_address() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("MAIL_CC_CODE", "true")]);
    app.sweep().await;
    let pass = app.sandbox.passes().pop().unwrap();
    assert_eq!((pass.opens_by(), pass.lifetime_minutes), (time("2026-11-27T07:00:00Z"), 480));
    assert!(pass.one_time);
    let mail = app.pass_mails().pop().unwrap();
    assert_eq!(
        (to_address(&mail), cc_addresses(&mail)),
        ("emma.brooks@mail.example", vec!["grace.hall@contoso.example"])
    );
    assert!(
        app.sandbox.mails().iter().all(|mail| !mail.save_to_sent_items),
        "Sent Items must not keep a code"
    );
    app.assert_newest_mail_has_live_code(emma);
    let record = app.record(emma).await.unwrap();
    assert_eq!((record.state, record.purpose), (State::Delivered, Purpose::Joiner));
    let delivered = record.delivered.unwrap();
    assert_eq!(delivered.recipients, ["e…@mail.example", "g…@contoso.example"]);
    assert_eq!(delivered.language.as_deref(), Some("en"));
}

/// The samples cover one case each; their notes name the case.
#[tokio::test(start_paused = true)]
async fn every_sample_has_the_expected_outcome() {
    let app = TestApp::new(samples::samples(time(NOW)), &[]);
    let ends = app.sweep().await;
    let recipients: Vec<String> = app.pass_mails().iter().map(|mail| to_address(mail).to_owned()).collect();
    let samples: Vec<(&str, Person)> = app
        .sandbox
        .edit(|tenant| tenant.notes.iter().map(|(id, note)| (*note, tenant.users[id].clone())).collect());
    for (note, person) in &samples {
        let expected = !matches!(
            *note,
            "external guest"
                | "the helpdesk made a pass that works now"
                | "no private address"
                | "User Administrator"
                | "eligible for Groups Administrator"
                | "in a role-assignable group"
                | "an employee whose hire date was changed"
        );
        let served = person.other_mails.first().is_some_and(|address| recipients.contains(address));
        assert_eq!(served, expected, "{}: {note}", person.display_name);
    }
    assert_eq!(samples.len() - 1, ends.len(), "the listing shows that the guest is one");
    assert!(samples.len() >= 18, "only {} samples", samples.len());
    assert!(ends.iter().all(|end| end.deliveries == 1), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_sweep_sends_no_second_mail() {
    let app = TestApp::new(samples::samples(time(NOW)), &[]);
    app.sweep().await;
    let (mails, alerts) = (app.pass_mails().len(), app.alerts().len());
    for _ in 0..4 {
        app.advance(TimeDelta::minutes(20));
        app.sweep().await;
    }
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (mails, alerts + 1), "the summary of the hour");
}

#[tokio::test(start_paused = true)]
async fn the_sweep_reads_every_page() {
    for settings in [vec![], vec!["group"]] {
        let mut tenant = generate(250, 7, time(NOW));
        tenant.page_size_cap = 17;
        let group =
            tenant.groups.values().find(|g| g.display_name.to_lowercase().contains("joiner")).unwrap().id;
        let value = group.to_string();
        let mut settings: Vec<(&str, &str)> =
            settings.iter().map(|_| ("JOINER_GROUP_ID", value.as_str())).collect();
        settings.push(("SWEEP_MAX", "1000"));
        let app = TestApp::new(tenant, &settings);
        let ends = app.sweep().await;
        assert!(ends.len() > 100, "{} jobs", ends.len());
        let mails = app.pass_mails().len();
        assert_eq!(mails, ends.iter().filter(|end| end.outcome == "delivered").count());
        assert!(ends.iter().all(|end| end.outcome != "failed"), "{ends:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_moved_day_one_gets_a_new_pass_and_the_moved_mail() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    app.sandbox.edit(|tenant| tenant.change(emma, |p| p.hire_date = Some(time("2026-11-30T00:00:00Z"))));
    let ends = app.sweep().await;
    assert!(ends[0].why.contains("moved"), "{ends:?}");
    assert_eq!(app.sandbox.passes().pop().unwrap().opens_by(), time("2026-11-30T07:00:00Z"));
    assert!(app.pass_mails().pop().unwrap()["body"]["content"].as_str().unwrap().contains("moved"));
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_joiners_pass_is_revoked_with_one_alert() {
    type Change = fn(&mut Person);
    let cancelled: [Change; 4] = [
        |p| p.hire_date = None,
        |p| p.hire_date = Some(time("2027-03-01T00:00:00Z")),
        |p| p.enabled = false,
        |p| p.guest = true,
    ];
    for change in cancelled {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(TimeDelta::days(1));
        app.sandbox.edit(|tenant| tenant.change(emma, change));
        let ends = app.sweep().await;
        assert_eq!(ends[0].outcome, "revoked", "{ends:?}");
        assert_eq!(app.live_code(emma), None);
        assert_eq!(app.alerts().len(), 1);
        app.advance(TimeDelta::days(1));
        app.sweep().await;
        assert_eq!(app.alerts().len(), 1, "the alert is not repeated");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rehired_user_on_a_new_account_is_served_as_a_new_joiner() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(25));
    app.sandbox
        .edit(|tenant| tenant.change(emma, |p| p.hire_date = Some(app.sandbox.now() + TimeDelta::days(3))));
    let ends = app.sweep().await;
    assert!(ends[0].outcome == "delivered" && ends[0].why.contains("moved"), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn another_issuers_working_pass_is_kept() {
    let (mut tenant, emma) = tenant_with_emma();
    let helpdesk = tenant.add_pass(emma, PassSpec::opening(time(NOW)).lasting(480));
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.run_job(emma).await.outcome, "skipped");
    assert_eq!(app.sandbox.passes()[0].id, helpdesk);
    // The joiner is served when it has expired.
    app.advance(TimeDelta::days(1));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_repeatedly_deleted_pass_is_issued_four_times_then_alerted() {
    let (app, emma) = TestApp::with_emma();
    for _ in 0..5 {
        app.sweep().await;
        app.sandbox.edit(|tenant| tenant.delete_pass(emma));
        // A daily look sees it; a job at once.
        app.advance(TimeDelta::hours(1));
        app.run_job(emma).await;
        app.sandbox.edit(|tenant| tenant.delete_pass(emma));
        app.advance(TimeDelta::hours(1));
    }
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (4, 1));
    app.sweep().await;
    assert_eq!((app.pass_mails().len(), app.alerts().len()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_mail_leaves_no_pass_and_the_next_sweep_retries() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.undeliverable.insert("emma.brooks@mail.example".into());
    let app = TestApp::new(tenant, &[]);
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{ends:?}");
    assert_eq!(
        (app.sandbox.passes().len(), app.count_requests("POST", PASS_PATH)),
        (0, 1),
        "no other one is made"
    );
    assert_eq!(app.alerts().len(), 1, "at once");
    assert_eq!(app.record(emma).await.unwrap().state, State::Blocked);
    app.sandbox.edit(|tenant| tenant.undeliverable.clear());
    app.advance(TimeDelta::days(1));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_prevents_sign_in_blocks() {
    let refusals: [(bool, Untargeted); 3] =
        [(false, Untargeted::Refused), (true, Untargeted::Refused), (true, Untargeted::Unusable)];
    for (enabled, untargeted) in refusals {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.enabled = enabled;
        tenant.policy.include.clear();
        tenant.policy.untargeted = untargeted;
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(emma).await.outcome, "blocked");
        assert_eq!((app.sandbox.passes().len(), app.pass_mails().len(), app.alerts().len()), (0, 0, 1));
        app.sandbox.edit(|tenant| tenant.policy = firstpass_sandbox::tenant::Policy::default());
        app.advance(TimeDelta::days(1));
        assert_eq!(app.sweep().await[0].outcome, "delivered", "a later sweep tries again");
    }
}

#[tokio::test(start_paused = true)]
async fn pass_settings_are_clamped_to_the_policy() {
    for (minutes, expected) in [("10", 60), ("300", 300), ("43200", 480)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.one_time_only = true;
        let app = TestApp::new(tenant, &[("PASS_LIFETIME_MINUTES", minutes), ("PASS_ONE_TIME", "false")]);
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        let pass = app.sandbox.passes().pop().unwrap();
        assert_eq!((pass.lifetime_minutes, pass.one_time), (expected, true));
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_pass_is_replaced_where_the_tenant_refuses_a_second_one() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.policy.refuse_when_exists = true;
    tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
    let app = TestApp::new(tenant, &[]);
    let end = app.run_job(emma).await;
    assert_eq!(end.outcome, "delivered", "{end:?}");
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn an_immediate_pass_that_would_expire_too_early_opens_on_day_one() {
    for (maximum, opens) in [(480, "2026-11-27T07:00:00Z"), (10_080, NOW)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.maximum_lifetime = maximum;
        let app = TestApp::new(tenant, &[("PASS_START", "now")]);
        assert_eq!(app.run_job(emma).await.outcome, "delivered");
        let pass = app.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_by(), time(opens));
        assert!(pass.closes_at() > time("2026-11-27T07:00:00Z"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_account_is_retried_until_it_has_replicated() {
    let (mut tenant, _) = tenant_with_emma();
    let slow = tenant.add(emma(Uuid::nil()).replicating_until(time(NOW) + TimeDelta::seconds(20)));
    let app = TestApp::new(tenant, &[]);
    let end = app.run_job(slow).await;
    assert_eq!((end.outcome.as_str(), end.deliveries), ("delivered", 1), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn two_workers_on_one_joiner_send_one_mail() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.latency = std::time::Duration::from_millis(100);
    let app = TestApp::new(tenant, &[]);
    let (one, two) = tokio::join!(app.run_job(emma), app.run_job(emma));
    let mut outcomes = [one.outcome, two.outcome];
    outcomes.sort();
    assert_eq!(outcomes, ["delivered", "failed"]);
    assert_eq!(app.pass_mails().len(), 1);
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_dead_workers_lease_expires_after_five_minutes() {
    let (app, emma) = TestApp::with_emma();
    // The worker dies while it waits for the answer to sendMail.
    app.sandbox.inject(Fault::on(
        "POST",
        "sendMail",
        FaultKind::Delay(std::time::Duration::from_secs(86_400)),
    ));
    abort_after(1, app.run_job(emma)).await;
    let end = app.run_job(emma).await;
    assert!(end.outcome == "failed" && end.why.contains("another job"), "{end:?}");
    app.advance(TimeDelta::minutes(6));
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(app.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_member_gets_a_pass_at_once_and_another_on_day_one() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access"));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    let run_job = async || app.run_group_add_job(emma).await;
    assert_eq!(run_job().await.outcome, "skipped", "not a member");
    app.sandbox.edit(|tenant| tenant.add_member(group, emma));
    assert_eq!(run_job().await.outcome, "delivered");
    assert_eq!(app.sandbox.passes()[0].opens_at, app.sandbox.now());
    app.assert_newest_mail_has_live_code(emma);
    assert_eq!(run_job().await.outcome, "skipped", "the message is repeated");
    assert_eq!(app.sweep().await[0].outcome, "skipped", "the pass on demand still works");
    app.advance(TimeDelta::days(1));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    assert_eq!(app.sandbox.passes()[0].opens_by(), time("2026-11-27T07:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn settings_choose_the_recipients() {
    for (to_setting, cc_setting, expected_to, expected_cc) in [
        (
            "extensionAttribute3, otherMails",
            "manager",
            "emma@attribute.example",
            vec!["grace.hall@contoso.example"],
        ),
        ("manager", "manager, hr@contoso.example", "grace.hall@contoso.example", vec!["hr@contoso.example"]),
        ("otherMails", "none", "emma.brooks@mail.example", vec![]),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| p.extension_attributes[2] = Some("emma@attribute.example".into()));
        let settings = [("MAIL_TO", to_setting), ("MAIL_CC", cc_setting), ("MAIL_CC_CODE", "true")];
        let app = TestApp::new(tenant, &settings);
        app.run_job(emma).await;
        let mail = app.pass_mails().pop().unwrap();
        assert_eq!((to_address(&mail), cc_addresses(&mail)), (expected_to, expected_cc));
    }
}

#[tokio::test(start_paused = true)]
async fn the_accounts_own_mailbox_is_not_a_private_address() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.change(emma, |p| p.other_mails = vec![p.user_principal_name.to_uppercase(), "no address".into()]);
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.run_job(emma).await.outcome, "blocked");
    assert_eq!(app.sandbox.passes(), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_for_an_unknown_user_fails() {
    let (app, _) = TestApp::with_emma();
    let job = Job::joiner(Uuid::from_u128(1), app.sandbox.now().date_naive());
    let answer = app.host.deliver(&job.to_message(), DELIVERIES).await;
    assert!(!answer.is_success() && answer.log().contains("no such user"), "{}", answer.log());
    assert_eq!(app.alerts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_another_change_of_the_account_is_tried_again() {
    let conflict = || FaultKind::Fail {
        status: 409,
        code: "Directory_ConcurrencyViolation".into(),
        message: "A conflicting object was being updated.".into(),
    };
    for (times, ends_as, deliveries) in [(1, "delivered", 1), (3, "delivered", 1), (5, "delivered", 2)] {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        app.sandbox.inject(Fault { times, ..Fault::on("POST", PASS_PATH, conflict()) });
        let ends = app.sweep().await;
        assert_eq!(
            (ends[0].outcome.as_str(), ends[0].deliveries),
            (ends_as, deliveries),
            "{times}: {ends:?}"
        );
        app.assert_newest_mail_has_live_code(emma);
        assert_eq!((app.pass_mails().len(), app.alerts().len()), (1, 0), "{times}");
    }
}
