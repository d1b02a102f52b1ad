//! What alerts tell an admin to do: true in the situation that led to the alert.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, Group, Permission, Person, SendDenial};
use serde_json::Value;

use crate::helpers::{PASS_PATH, TestApp, fail_with, log_capture::capture_log, tenant_with_emma, time};

/// The text of a mail, on one line.
fn text(mail: &Value) -> String {
    let text = format!("{} {}", mail["subject"].as_str().unwrap(), mail["body"]["content"].as_str().unwrap());
    text.replace("&#x27;", "'").replace("&quot;", "\"").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn only_alert(app: &TestApp) -> String {
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    text(&alerts[0])
}

/// The alert cannot be mailed either: its line in the log is what an admin has.
#[tokio::test(start_paused = true)]
async fn a_mail_that_exchange_refuses_needs_a_role_or_a_policy_in_exchange() {
    for (denial, remedy) in [
        (SendDenial::OutOfScope, "the role Application Mail.Send in Exchange Online"),
        (SendDenial::AccessPolicy, "an application access policy in Exchange Online"),
    ] {
        let (mut tenant, _) = tenant_with_emma();
        tenant.send_denied = Some(denial);
        let app = TestApp::new(tenant, &[]);
        let (ends, log) = capture_log("info", app.sweep()).await;
        assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{ends:?}");
        let alert = log.lines().find(|line| line.contains("event=alert ")).unwrap_or_default();
        for words in [remedy, "takes up to two hours", "everybody who waits is queued"] {
            assert!(alert.contains(words), "{denial:?}: \"{words}\" is missing in {alert}");
        }
        assert!(!alert.contains("the permission for this operation"), "{alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_moved_and_one_that_was_withdrawn_need_different_steps() {
    type Change = fn(&mut Person);
    let cases: [(Change, &str, &str); 2] = [
        (
            |person| person.hire_date = Some(time("2027-02-01T00:00:00Z")),
            "Nothing, if the start was moved to 2027-02-01",
            "set the hire date again",
        ),
        (|person| person.hire_date = None, "set the hire date again", "Nothing, if"),
    ];
    for (change, words, others) in cases {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(TimeDelta::days(1));
        app.sandbox.edit(|tenant| tenant.change(emma, change));
        assert_eq!(app.sweep().await[0].outcome, "revoked");
        let alert = only_alert(&app);
        assert!(alert.contains(words) && !alert.contains(others), "{alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_granted_late_helps_with_the_next_token() {
    for (permission, who) in [
        (Permission::UserRead, "all joiners"),
        (Permission::RoleManagementRead, "all joiners"),
        (Permission::MethodRead, "all joiners"),
        (Permission::PassReadWrite, "Emma Brooks"),
    ] {
        let (mut tenant, _) = tenant_with_emma();
        tenant.granted.remove(&permission);
        let app = TestApp::new(tenant, &[]);
        let answer = app.host.fire_timer().await;
        app.host.work(answer.jobs(), |_| {}).await;
        let alert = only_alert(&app);
        for words in [who, "for about a day", "a restart does not help"] {
            assert!(alert.contains(words), "{permission:?}: \"{words}\" is missing in {alert}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_account_is_named_as_long_as_the_tenant_knows_its_name() {
    for is_gone in [false, true] {
        let (app, emma) = TestApp::with_emma();
        app.sweep().await;
        app.advance(TimeDelta::days(1));
        app.sandbox.edit(|tenant| {
            tenant.delete(emma);
            if is_gone {
                tenant.deleted.clear();
            }
        });
        assert_eq!(app.sweep().await[0].outcome, "revoked");
        let alert = only_alert(&app);
        assert!(alert.contains(&emma.to_string()) && alert.contains("Deleted users"), "{alert}");
        let name = format!("Emma Brooks, emma.brooks@contoso.example, the account {emma}");
        assert_eq!(alert.contains(&name), !is_gone, "{alert}");
    }
}

/// Emma's account is deleted between the sweep, which knew her name, and the job, which has her id.
#[tokio::test(start_paused = true)]
async fn a_job_for_an_account_that_was_deleted_meanwhile_names_it() {
    let (app, emma) = TestApp::with_emma();
    let jobs = app.host.fire_timer().await.jobs();
    app.sandbox.edit(|tenant| tenant.delete(emma));
    app.host.work(jobs, |_| {}).await;
    let alert = only_alert(&app);
    for words in
        ["failed 10 times", "emma.brooks@contoso.example", "If it was deleted, there is nothing to do"]
    {
        assert!(alert.contains(words), "\"{words}\" is missing in {alert}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_joiner_gets_a_new_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::days(1));
    let account = app.sandbox.edit(|tenant| {
        let account = tenant.users[&emma].clone();
        tenant.delete(emma);
        account
    });
    app.sweep().await;
    app.sandbox.edit(|tenant| tenant.users.insert(emma, account));
    let ends = app.sweep_daily(1).await;
    assert_eq!(ends[0].outcome, "delivered", "the alert says so: {ends:?}");
}

/// Nothing else shows that people in a group in the group get no pass.
#[tokio::test(start_paused = true)]
async fn a_group_full_of_groups_is_said_once() {
    for setting in ["JOINER_GROUP_ID", "ON_DEMAND_GROUP_ID"] {
        let (mut tenant, emma) = tenant_with_emma();
        let team = tenant.add_group(Group::named("Team").members([emma]));
        let group = tenant.add_group(Group::named("All teams").members([team]));
        let app = TestApp::new(tenant, &[(setting, &group.to_string())]);
        for _ in 0..3 {
            app.sweep().await;
            app.advance(TimeDelta::days(1));
        }
        let alert = only_alert(&app);
        for words in ["1 group", setting, &group.to_string(), "Add the people themselves"] {
            assert!(alert.contains(words), "\"{words}\" is missing in {alert}");
        }
        // Once the group is in order, the same mistake is worth another word.
        app.sandbox.edit(|tenant| tenant.remove_member(group, team));
        app.sweep().await;
        app.sandbox.edit(|tenant| tenant.add_member(group, team));
        app.advance(TimeDelta::days(1));
        app.sweep().await;
        assert_eq!(app.alerts().len(), 2, "{setting}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_five_times_is_not_said_to_be_tried_again() {
    let (mut tenant, emma) = tenant_with_emma();
    let group = tenant.add_group(Group::named("On-demand access").members([emma]));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
    app.sandbox.inject(Fault::on("POST", PASS_PATH, fail_with(500)).always());
    let message = format!(r#"{{"jobKey":"group-add/1","reason":"group-add","userId":"{emma}"}}"#);
    app.host.work(vec![message], |_| {}).await;
    let alert = only_alert(&app);
    for words in ["failed 10 times", "not tried again by itself", "firstpass jobs requeue"] {
        assert!(alert.contains(words), "\"{words}\" is missing in {alert}");
    }
}
