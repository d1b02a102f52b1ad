//! Users with privileged roles or groups get no pass.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, NullForm, NullProperty, Permission, Tenant, roles};
use uuid::Uuid;

use crate::helpers::{TestApp, tenant_with_emma};

#[tokio::test(start_paused = true)]
async fn privileged_or_unreadable_accounts_are_blocked() {
    type MakePrivileged = fn(&mut Tenant, Uuid);
    let privileges: [MakePrivileged; 6] = [
        |t, user| t.assign_role(user, roles::GLOBAL_ADMINISTRATOR),
        |t, user| t.assign_role(user, roles::PASSWORD_ADMINISTRATOR),
        |t, user| t.assign_role(user, Uuid::from_u128(99)),
        |t, user| t.make_eligible(user, roles::GLOBAL_ADMINISTRATOR),
        |t, user| {
            t.add_group(Group::named("Tier 0").members([user]).role_assignable());
        },
        |t, user| {
            let inner = t.add_group(Group::named("Inner").members([user]));
            t.add_group(Group::named("Outer").members([inner]).role_assignable());
        },
    ];
    for make_privileged in privileges {
        let (mut tenant, emma) = tenant_with_emma();
        make_privileged(&mut tenant, emma);
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(emma).await.outcome, "blocked");
        assert_eq!((app.sandbox.passes().len(), app.alerts().len()), (0, 1));
    }
    for unreadable in ["transitiveMemberOf", "roleAssignments", "roleEligibilityScheduleInstances"] {
        let (app, emma) = TestApp::with_emma();
        let kind = FaultKind::Fail { status: 403, code: "accessDenied".into(), message: "no".into() };
        app.sandbox.inject(Fault::on("GET", unreadable, kind).always());
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, "blocked", "{unreadable}: {end:?}");
        assert!(end.why.contains("could not be read"), "{end:?}");
        assert_eq!(app.sandbox.passes(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn harmless_roles_and_a_missing_pim_licence_do_not_block() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.assign_role(emma, roles::REPORTS_READER);
    tenant.pim_licensed = false;
    let app = TestApp::new(tenant, &[]);
    assert_eq!(app.run_job(emma).await.outcome, "delivered");
}

#[tokio::test(start_paused = true)]
async fn a_privilege_alert_is_repeated_when_the_role_is_assigned_again() {
    let (app, emma) = TestApp::with_emma();
    app.sweep().await;
    let role = roles::GLOBAL_ADMINISTRATOR;
    for round in 1..=2 {
        app.sandbox.edit(|t| t.assign_role(emma, role));
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.run_job(emma).await.outcome, "blocked");
        assert_eq!(app.alerts().len(), round);
        app.sandbox.edit(|t| t.roles.clear());
        app.advance(TimeDelta::hours(1));
        assert_eq!(app.run_job(emma).await.outcome, "skipped");
    }
}

/// Where Privileged Identity Management was never used, nobody has an eligible role. A missing permission is another case.
#[tokio::test(start_paused = true)]
async fn a_tenant_without_privileged_identity_management_is_told_from_a_missing_permission() {
    let inner = |code: &str, message: &str| {
        format!(r#"{{"errorCode":"{code}","message":{message},"instanceAnnotations":[]}}"#)
    };
    let cases = [
        (403, "UnauthorizedAccessException", "The tenant has not onboarded to PIM.".to_owned(), "delivered"),
        (
            403,
            "UnknownError",
            inner("TenantNotOnboarded", r#""The tenant has not onboarded to PIM.""#),
            "delivered",
        ),
        (
            400,
            "UnknownError",
            inner("AadPremiumLicenseRequired", r#""The tenant needs a licence.""#),
            "delivered",
        ),
        (400, "UnknownError", inner("AadPremiumLicenseRequired", "null"), "delivered"),
        (403, "UnknownError", inner("PermissionScopeNotGranted", r#""Missing permission.""#), "blocked"),
        (403, "UnknownError", inner("PermissionScopeNotGranted", "null"), "blocked"),
        (403, "Forbidden", "not onboarded".to_owned(), "blocked"),
    ];
    for (status, code, message, outcome) in cases {
        let (app, emma) = TestApp::with_emma();
        let kind = FaultKind::Fail { status, code: code.into(), message: message.clone() };
        app.sandbox.inject(Fault::on("GET", "roleEligibilityScheduleInstances", kind).always());
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, outcome, "{message}: {end:?}");
        let names_inner = end.why.contains("403 PermissionScopeNotGranted") && !end.why.contains("errorCode");
        assert_eq!(names_inner, message.contains("PermissionScopeNotGranted"), "{end:?}");
    }
}

const ELIGIBLE_ROLES: &str = "roleEligibilityScheduleInstances";

fn no_licence() -> FaultKind {
    FaultKind::Fail { status: 400, code: "AadPremiumLicenseRequired".into(), message: "P2 is needed.".into() }
}

/// Where no licence is there, nobody is eligible. Where somebody is, that answer is wrong for whomever it is about.
#[tokio::test(start_paused = true)]
async fn a_missing_licence_is_not_believed_where_the_tenant_shows_somebody_who_is_eligible() {
    type Show = fn(&mut Tenant, Uuid, Uuid);
    let cases: [(&str, Show, bool); 4] = [
        ("nobody is eligible", |_, _, _| {}, false),
        ("another is eligible for a role", |t, _, other| t.make_eligible(other, roles::REPORTS_READER), true),
        (
            "the account itself can join a group",
            |t, emma, _| {
                let group = t.add_group(Group::named("Project"));
                t.eligible_members.insert((emma, group));
            },
            true,
        ),
        (
            "another can join a group",
            |t, _, other| {
                let group = t.add_group(Group::named("Project"));
                t.eligible_members.insert((other, group));
            },
            true,
        ),
    ];
    for (case, show, is_blocked) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        let other = crate::helpers::emma(tenant.users[&emma].manager.unwrap());
        let other = tenant.add(other.user_principal_name("other@contoso.example"));
        tenant.granted.insert(Permission::GroupEligibilityRead);
        tenant.make_eligible(emma, roles::GLOBAL_ADMINISTRATOR);
        show(&mut tenant, emma, other);
        let app = TestApp::new(tenant, &[]);
        assert_eq!(app.run_job(other).await.outcome, "delivered", "{case}");
        app.sandbox.inject(Fault::on("GET", ELIGIBLE_ROLES, no_licence()).always());
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome == "blocked", is_blocked, "{case}: {end:?}");
        if is_blocked {
            assert!(
                end.why.contains("AadPremiumLicenseRequired") && end.why.contains("within the last hour"),
                "{end:?}"
            );
            assert_eq!((app.alerts().len(), app.live_code(emma)), (1, None), "{case}");
            assert_eq!(app.create_tap(&emma.to_string()).await.0, 403, "{case}");
        }
        // A licence can end.
        app.advance(TimeDelta::minutes(61));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome == "blocked", case.contains("itself"), "{case}: {end:?}");
    }
}

/// An account without groups is ordinary; one that is certainly in something is not.
#[tokio::test(start_paused = true)]
async fn an_empty_list_of_memberships_is_believed_unless_the_account_is_certainly_in_something() {
    type Give = fn(&mut Tenant, Uuid);
    let cases: [(&str, Give, bool, bool); 4] = [
        ("nothing", |_, _| {}, false, false),
        ("a harmless role for the tenant", |t, emma| t.assign_role(emma, roles::REPORTS_READER), false, true),
        (
            "one for a unit, which is not listed",
            |t, emma| t.assign_role_in_unit(emma, roles::REPORTS_READER),
            false,
            false,
        ),
        ("the joiner group", |_, _| {}, true, true),
    ];
    for (case, give, is_by_group, is_blocked) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        give(&mut tenant, emma);
        let joiners =
            is_by_group.then(|| tenant.add_group(Group::named("Joiners").members([emma])).to_string());
        let settings: Vec<_> = joiners.iter().map(|id| ("JOINER_GROUP_ID", id.as_str())).collect();
        let (of, property) = ("directoryObject".to_owned(), "value".to_owned());
        let app = TestApp::new(tenant, &settings);
        app.sandbox.edit(|t| t.null_property = Some(NullProperty { of, property, form: NullForm::Empty }));
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome, if is_blocked { "blocked" } else { "delivered" }, "{case}: {end:?}");
        assert!(!is_blocked || end.why.contains("Graph lists no group and no role"), "{case}: {end:?}");
    }
}

/// The other direction: the same batch shows an eligible role.
#[tokio::test(start_paused = true)]
async fn a_missing_licence_for_groups_is_not_believed_where_the_tenant_shows_an_eligible_role() {
    for (has_role, is_blocked) in [(true, true), (false, false)] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.granted.insert(Permission::GroupEligibilityRead);
        if has_role {
            tenant.make_eligible(emma, roles::REPORTS_READER);
        }
        let group = tenant.add_group(Group::named("Tier 0").role_assignable());
        tenant.eligible_members.insert((emma, group));
        let app = TestApp::new(tenant, &[]);
        app.sandbox.inject(Fault::on("GET", "privilegedAccess/group", no_licence()).always());
        let end = app.run_job(emma).await;
        assert_eq!(end.outcome == "blocked", is_blocked, "{end:?}");
    }
}
