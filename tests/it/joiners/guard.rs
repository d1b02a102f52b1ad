//! Every role, however an account has it, against every way to a pass; and the group of protected accounts.

use firstpass_sandbox::tenant::{Group, Tenant, roles};
use uuid::Uuid;

use crate::{
    helpers::{TestApp, log_capture::capture_log, tenant_with_emma},
    http::send,
};

const ROLES: [(Uuid, bool); 15] = [
    (roles::AUTHENTICATION_ADMINISTRATOR, true),
    (roles::GLOBAL_ADMINISTRATOR, true),
    (roles::GROUPS_ADMINISTRATOR, true),
    (roles::HELPDESK_ADMINISTRATOR, true),
    (roles::PASSWORD_ADMINISTRATOR, true),
    (roles::PRIVILEGED_ROLE_ADMINISTRATOR, true),
    (roles::USER_ADMINISTRATOR, true),
    // A custom role.
    (Uuid::from_u128(99), true),
    (Uuid::from_u128(100), true),
    (roles::DIRECTORY_READERS, false),
    (roles::GUEST_INVITER, false),
    (roles::MESSAGE_CENTER_READER, false),
    (roles::REPORTS_READER, false),
    (roles::USAGE_SUMMARY_REPORTS_READER, false),
    (roles::USER_EXPERIENCE_SUCCESS_MANAGER, false),
];

type Give = fn(&mut Tenant, Uuid, Uuid);

/// How an account has a role, and what an admin reads of it.
const WAYS: [(Give, &str); 6] = [
    (|tenant, user, role| tenant.assign_role(user, role), "directly, for the tenant"),
    (|tenant, user, role| tenant.assign_role_in_unit(user, role), "directly, for /administrativeUnits/"),
    (|tenant, user, role| tenant.make_eligible(user, role), "can activate the role"),
    (
        |tenant, user, role| {
            let group = tenant.add_group(Group::named("Crew").members([user]));
            tenant.assign_role(group, role);
        },
        "through a group, for the tenant",
    ),
    (
        |tenant, user, role| {
            let inner = tenant.add_group(Group::named("Inner").members([user]));
            let outer = tenant.add_group(Group::named("Outer").members([inner]));
            tenant.assign_role(outer, role);
        },
        "through a group, for the tenant",
    ),
    (
        |tenant, user, role| {
            tenant.assign_role_in_unit(user, role);
            tenant.make_eligible(user, role);
        },
        "directly, for /administrativeUnits/",
    ),
];

#[tokio::test(start_paused = true)]
async fn each_role_in_each_way_is_seen_by_each_function() {
    for (role, is_privileged) in ROLES {
        for (give, words) in WAYS {
            let (mut tenant, emma) = tenant_with_emma();
            give(&mut tenant, emma, role);
            let group = tenant.add_group(Group::named("On-demand access").members([emma]));
            let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
            let case = format!("{} {words}", roles::name(role));
            let joiner = app.run_job(emma).await;
            assert_eq!(joiner.outcome == "blocked", is_privileged, "{case}: {joiner:?}");
            if !is_privileged {
                continue;
            }
            assert!(
                joiner.why.contains(words) && joiner.why.contains(roles::name(role)),
                "{case}: {joiner:?}"
            );
            assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked", "{case}");
            let body = format!(r#"{{"UserName":"{emma}"}}"#);
            let (answer, log) = capture_log("info", send(&app, &body, &[])).await;
            assert_eq!(answer.problem(), (403, "privileged-account", None), "{case}");
            assert!(!answer.body.to_string().contains(roles::name(role)), "{case}: {answer:?}");
            let audit = log.lines().find(|line| line.contains("create_tap.audit")).unwrap();
            assert!(audit.contains(roles::name(role)) && audit.contains(words), "{case}: {audit}");
            assert_eq!(app.sandbox.passes(), [], "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn members_of_the_protected_group_get_no_pass_from_any_function() {
    for is_nested in [false, true] {
        let (mut tenant, emma) = tenant_with_emma();
        let mut protected = tenant.add_group(Group::named("Break glass").members([emma]));
        if is_nested {
            protected = tenant.add_group(Group::named("Tier 0").members([protected]));
        }
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let (protected, group) = (protected.to_string(), group.to_string());
        let app = TestApp::new(tenant, &[("PROTECTED_GROUP_ID", &protected), ("ON_DEMAND_GROUP_ID", &group)]);
        let end = app.run_job(emma).await;
        assert!(end.outcome == "blocked" && end.why.contains("group of protected accounts"), "{end:?}");
        assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked");
        let answer = send(&app, &format!(r#"{{"UserName":"{emma}"}}"#), &[]).await;
        assert_eq!(answer.problem(), (403, "privileged-account", None));
        assert!(
            !answer.body.to_string().contains("Break glass") && !answer.body.to_string().contains("Tier 0")
        );
        assert_eq!(app.sandbox.passes(), []);
    }
    let (mut tenant, emma) = tenant_with_emma();
    let protected = tenant.add_group(Group::named("Break glass")).to_string();
    let app = TestApp::new(tenant, &[("PROTECTED_GROUP_ID", &protected)]);
    assert_eq!(app.run_job(emma).await.outcome, "delivered", "who is no member");
}

#[tokio::test(start_paused = true)]
async fn a_protected_group_that_cannot_be_read_blocks_everybody_with_one_alert() {
    type Prepare = fn(&mut Tenant) -> Uuid;
    let cases: [(Prepare, &str); 3] = [
        (|_| Uuid::from_u128(404), "Request_ResourceNotFound"),
        (
            |tenant| tenant.add_group(Group::named("Break glass").with_hidden_membership()),
            "hides its members",
        ),
        (
            |tenant| {
                tenant.granted.remove(&firstpass_sandbox::tenant::Permission::GroupMemberRead);
                tenant.add_group(Group::named("Break glass"))
            },
            "the group of protected accounts",
        ),
    ];
    for (prepare, words) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        let manager = tenant.users[&emma].manager.unwrap();
        let other = crate::helpers::emma(manager).user_principal_name("other@contoso.example");
        let other = tenant.add(other);
        let protected = prepare(&mut tenant).to_string();
        let app = TestApp::new(tenant, &[("PROTECTED_GROUP_ID", &protected)]);
        let ends = app.sweep().await;
        assert!(ends.len() == 2 && ends.iter().all(|end| end.outcome == "blocked"), "{ends:?}");
        assert!(ends[0].why.contains(words), "{words}: {ends:?}");
        assert_eq!(app.alerts().len(), 1, "{words}");
        assert!(app.live_code(emma).or(app.live_code(other)).is_none());
    }
}
