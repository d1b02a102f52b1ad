//! Accounts that are not what their user type says, groups that hide their members, and units that restrict management.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Group, Permission, Person, Tenant};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{TestApp, log_capture::capture_log, tenant_with_emma};

fn text(message: &Value) -> String {
    format!("{} {}", message["subject"], message["body"]["content"])
}

/// Emma, as `edit` makes her.
fn app_with(settings: &[(&str, &str)], edit: impl FnOnce(Person) -> Person) -> (TestApp, Uuid) {
    let (mut tenant, emma) = tenant_with_emma();
    let person = tenant.users.get(&emma).unwrap().clone();
    tenant.change(emma, |emma| *emma = edit(person));
    (TestApp::new(tenant, settings), emma)
}

#[tokio::test(start_paused = true)]
async fn where_the_user_signs_in_decides_and_not_the_user_type() {
    type Edit = fn(Person) -> Person;
    let member: Edit = |person| person;
    let internal_guest: Edit = Person::internal_guest;
    let external_guest: Edit = |person| person.external_guest("emma@partner.example");
    let external_member: Edit = |person| person.external_member("emma@partner.example");
    let converted: Edit = |person| person.converted_guest("emma@partner.example");
    let internal = [("SERVE_GUESTS", "internal")];
    for (settings, edit, expected) in [
        (&[][..], member, ("delivered", "")),
        (&[][..], internal_guest, ("skipped", "the account is a guest")),
        (&internal[..], internal_guest, ("delivered", "")),
        (&[][..], external_guest, ("skipped", "the account is a guest")),
        (&internal[..], external_guest, ("skipped", "the account is a guest")),
        (&[][..], external_member, ("skipped", "signs in to another tenant")),
        (&internal[..], external_member, ("skipped", "signs in to another tenant")),
        (&[][..], converted, ("delivered", "")),
    ] {
        let (app, emma) = app_with(settings, edit);
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, expected.0, "{settings:?} {end:?}");
        assert!(end.why.contains(expected.1), "{settings:?} {end:?}");
        assert_eq!(app.pass_mails().len(), usize::from(expected.0 == "delivered"));
        let (status, body) = app.create_tap(&emma.to_string()).await;
        assert_eq!(status, if expected.0 == "delivered" { 201 } else { 403 }, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_queues_no_job_for_them_and_says_how_many_there_were() {
    let (app, _) = app_with(&[], |person| person.external_member("emma@partner.example"));
    let (ends, log) = capture_log("info", app.sweep()).await;
    assert!(ends.is_empty(), "{ends:?}");
    assert!(log.contains("unserved=1"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_joiner_who_becomes_external_loses_the_pass() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    let person = app.sandbox.edit(|t| t.users[&emma].clone());
    app.sandbox.edit(|t| t.change(emma, |p| *p = person.clone().external_member("emma@partner.example")));
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), app.live_code(emma)), ("revoked", None), "{ends:?}");
}

/// A group that hides its members, in a tenant with Emma, who is one.
fn hidden_group(is_member: bool) -> (Tenant, Uuid, String) {
    let (mut tenant, emma) = tenant_with_emma();
    let other = tenant.add(Person::named("Noah Fischer"));
    let members = if is_member { vec![emma, other] } else { vec![other] };
    let group = tenant.add_group(Group::named("Access").with_hidden_membership().members(members));
    (tenant, emma, group.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hides_its_members_is_not_an_empty_one() {
    let (tenant, emma, group) = hidden_group(true);
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group)]);
    let end = app.run_group_add_job(emma).await;
    assert_eq!(end.outcome, "blocked", "{end:?}");
    assert!(end.why.contains("hides its members: grant Member.Read.Hidden"), "{end:?}");
    app.sweep().await;
    let alerts = app.alerts();
    assert!(alerts.iter().any(|a| text(a).contains("could not read the on-demand group")), "{alerts:?}");
    // With the permission it is like any other.
    app.sandbox.edit(|t| t.granted.insert(Permission::HiddenMemberRead));
    assert_eq!(app.run_group_add_job(emma).await.outcome, "delivered");

    let (tenant, emma, group) = hidden_group(false);
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group)]);
    app.sandbox.edit(|t| t.granted.insert(Permission::HiddenMemberRead));
    let end = app.run_group_add_job(emma).await;
    assert_eq!(end.outcome, "skipped", "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_joiner_group_that_hides_its_members_fails_the_sweep_with_the_reason() {
    let (tenant, _, group) = hidden_group(true);
    let app = TestApp::new(tenant, &[("JOINER_GROUP_ID", &group)]);
    let answer = app.host.fire_timer().await;
    assert!(!answer.is_success(), "{}", answer.log());
    let alerts = app.alerts();
    assert!(alerts.len() == 1 && text(&alerts[0]).contains("Member.Read.Hidden"), "{alerts:?}");
    app.sandbox.edit(|t| t.granted.insert(Permission::HiddenMemberRead));
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_groups_that_hide_their_members_refuse_until_they_can_be_read() {
    for (setting, is_member, with_permission) in
        [("PROTECTED_GROUP_ID", false, 201), ("CREATE_TAP_ALLOWED_GROUP_ID", true, 201)]
    {
        let (tenant, emma, group) = hidden_group(is_member);
        let app = TestApp::new(tenant, &[(setting, &group)]);
        let (status, body) = app.create_tap(&emma.to_string()).await;
        assert_eq!((status, &body["type"]), (403, &"urn:firstpass:privilege-unknown".into()), "{setting}");
        app.sandbox.edit(|t| t.granted.insert(Permission::HiddenMemberRead));
        let (status, body) = app.create_tap(&emma.to_string()).await;
        assert_eq!(status, with_permission, "{setting} {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_restricted_unit_is_blocked_with_advice_that_helps() {
    let (app, emma) = app_with(&[], Person::management_restricted);
    let ends = app.sweep().await;
    assert_eq!((ends[0].outcome.as_str(), ends[0].deliveries), ("blocked", 1), "{ends:?}");
    let alerts = app.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = text(&alerts[0]);
    assert!(
        alert.contains("role scoped to that unit") && alert.contains("Directory.Write.Restricted"),
        "{alert}"
    );
    assert!(!alert.contains("Grant the app UserAuthMethod-TAP"), "{alert}");
    // And for a caller.
    let (status, body) = app.create_tap(&emma.to_string()).await;
    assert!(status == 502 && body.to_string().contains("Directory.Write.Restricted"), "{status} {body}");
    app.sandbox.edit(|t| t.granted.insert(Permission::RestrictedWrite));
    app.sweep_daily(1).await;
    app.assert_newest_mail_has_live_code(emma);
}

#[tokio::test(start_paused = true)]
async fn a_pass_of_someone_who_was_put_into_a_restricted_unit_cannot_be_revoked_and_that_is_said() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sandbox.edit(|t| {
        t.change(emma, |person| (person.hire_date, person.management_restricted) = (None, true));
    });
    app.sweep().await;
    let alerts = app.alerts();
    assert!(alerts.iter().any(|alert| text(alert).contains("role scoped to that unit")), "{alerts:?}");
}
