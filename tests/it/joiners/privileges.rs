//! Users with privileged roles or groups get no pass.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind, Group, Tenant, roles};
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
