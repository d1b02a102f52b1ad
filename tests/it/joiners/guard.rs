//! Every role, however an account has it, against every way to a pass; and the group of protected accounts.

use firstpass_sandbox::tenant::{AppRole, Fault, Group, Permission, Tenant, roles};
use uuid::Uuid;

use crate::{
    helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma},
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
                tenant.granted.remove(&Permission::GroupMemberRead);
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

/// Privileged Identity Management for groups: nobody is a member yet, but can be in a minute.
#[tokio::test(start_paused = true)]
async fn who_can_activate_the_membership_of_a_privileged_group_gets_no_pass_where_the_app_can_see_it() {
    for (is_granted, is_role_assignable, is_protected, is_blocked) in [
        (true, true, false, true),
        (true, false, true, true),
        (true, false, false, false),
        (false, true, false, false),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        let tier_0 = Group::named("Tier 0");
        let tier_0 = tenant.add_group(if is_role_assignable { tier_0.role_assignable() } else { tier_0 });
        tenant.eligible_members.insert((emma, tier_0));
        if is_granted {
            tenant.granted.insert(Permission::GroupEligibilityRead);
        }
        let id = tier_0.to_string();
        let settings = [("PROTECTED_GROUP_ID", id.as_str())];
        let app = TestApp::new(tenant, if is_protected { &settings } else { &[] });
        let case = format!("granted {is_granted}, role {is_role_assignable}, protected {is_protected}");
        let (end, log) = capture_log("info", app.run_job(emma)).await;
        assert_eq!(end.outcome == "blocked", is_blocked, "{case}: {end:?}");
        if is_blocked {
            assert!(
                end.why.contains("can activate its membership of the privileged group \"Tier 0\""),
                "{end:?}"
            );
            let answer = send(&app, &format!(r#"{{"UserName":"{emma}"}}"#), &[]).await;
            assert_eq!(answer.problem(), (403, "privileged-account", None));
            assert!(!answer.body.to_string().contains("Tier 0"));
        }
        assert_eq!(
            log.contains("event=eligible_groups.not_checked"),
            !is_granted,
            "{case}: it is said where not"
        );
    }
    let (mut tenant, emma) = tenant_with_emma();
    (tenant.pim_licensed, _) = (false, tenant.granted.insert(Permission::GroupEligibilityRead));
    assert_eq!(TestApp::new(tenant, &[]).run_job(emma).await.outcome, "delivered", "there is no such thing");
}

/// The role Authentication Administrator instead of the permission: Entra ID itself refuses whom the role does not cover.
#[tokio::test(start_paused = true)]
async fn an_app_with_the_directory_role_serves_whom_the_role_covers_and_nobody_else() {
    type Prepare = fn(&mut Tenant, Uuid) -> AppRole;
    let cases: [(&str, Prepare, bool); 5] = [
        ("for the tenant", |_, _| AppRole::Tenant, true),
        (
            "for a unit with the joiner",
            |tenant, emma| {
                let unit = Uuid::from_u128(5);
                tenant.units.insert(unit, [emma].into());
                AppRole::Unit(unit)
            },
            true,
        ),
        ("for another unit", |_, _| AppRole::Unit(Uuid::from_u128(6)), false),
        (
            "a privileged joiner",
            |tenant, emma| {
                tenant.assign_role(emma, roles::USER_ADMINISTRATOR);
                AppRole::Tenant
            },
            false,
        ),
        (
            "a joiner in a role-assignable group",
            |tenant, emma| {
                tenant.add_group(Group::named("Tier 0").members([emma]).role_assignable());
                AppRole::Tenant
            },
            false,
        ),
    ];
    for (case, prepare, is_served) in cases {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.granted.remove(&Permission::PassReadWrite);
        tenant.app_role = Some(prepare(&mut tenant, emma));
        let group = tenant.add_group(Group::named("On-demand access").members([emma]));
        let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string())]);
        let ends = app.sweep().await;
        assert_eq!((ends.len(), ends[0].deliveries), (1, 1), "{case}: {ends:?}");
        assert_eq!(ends[0].outcome, if is_served { "delivered" } else { "blocked" }, "{case}: {ends:?}");
        let status = app.create_tap(&emma.to_string()).await.0;
        assert_eq!(status == 201, is_served, "{case}: {status}");
        if !is_served {
            assert_eq!(app.run_group_add_job(emma).await.outcome, "blocked", "{case}");
            app.sweep_daily(2).await;
            assert_eq!(
                (app.alerts().len(), app.sandbox.passes().len()),
                (1, 0),
                "{case}: one alert, no pass"
            );
        }
    }
}

/// A joiner who becomes privileged after the mail is seen by a look, whichever of the two lets the app make passes.
#[tokio::test(start_paused = true)]
async fn an_app_with_the_directory_role_hears_of_a_joiner_who_becomes_privileged() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.remove(&Permission::PassReadWrite);
    tenant.app_role = Some(AppRole::Tenant);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.sandbox.edit(|tenant| tenant.assign_role(emma, roles::USER_ADMINISTRATOR));
    app.sweep_daily(2).await;
    assert_eq!(app.alerts().len(), 1);
    assert!(app.alerts()[0].to_string().contains("User Administrator"), "{:?}", app.alerts());
}

/// The start is cancelled, and Graph neither shows nor deletes the pass: an admin has to, and hears of it once.
#[tokio::test(start_paused = true)]
async fn a_cancelled_start_whose_pass_the_directory_role_does_not_cover_is_told_once() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.remove(&Permission::PassReadWrite);
    let unit = Uuid::from_u128(5);
    tenant.units.insert(unit, [emma].into());
    tenant.app_role = Some(AppRole::Unit(unit));
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.sandbox.edit(|tenant| {
        tenant.units.clear();
        tenant.change(emma, |person| person.hire_date = None);
    });
    for _ in 0..5 {
        app.advance(chrono::TimeDelta::hours(1));
        app.sweep().await;
    }
    assert_eq!(app.alerts().len(), 1, "{:?}", app.alerts());
    assert!(app.alerts()[0].to_string().contains("delete it yourself"), "{:?}", app.alerts());
}

#[tokio::test(start_paused = true)]
async fn groups_that_an_account_can_join_block_if_the_app_may_read_them_and_cannot() {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.insert(Permission::GroupEligibilityRead);
    let app = TestApp::new(tenant, &[]);
    app.sandbox.inject(Fault::on("GET", "privilegedAccess/group", fail_with(400)));
    let end = app.run_job(emma).await;
    assert!(end.outcome == "blocked" && end.why.contains("could not be read"), "{end:?}");
}
