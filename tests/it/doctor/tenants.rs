//! Tenants with one defect each.

use std::collections::BTreeSet;

use firstpass::{
    clock::Clock,
    doctor,
    ledger::{Finding, Level},
};
use firstpass_sandbox::functions_host::{Storage, encode_base64};
use firstpass_sandbox::tenant::{
    AppRole, ConditionalAccessPolicy, Group, Membership, Method, MethodPolicy, Permission, Person,
    SendDenial, Target, Tenant, roles,
};
use serde_json::json;
use uuid::Uuid;

use super::{JOINERS, defects, joiner_group_id, of_concern, swept, with_queues};
use crate::helpers::time;

type Change = fn(&mut Tenant, Uuid);

struct Case {
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    change: Change,
    expected: (&'static str, Level, &'static str),
}

const fn case(name: &'static str, change: Change, expected: (&'static str, Level, &'static str)) -> Case {
    Case { name, settings: &[], change, expected }
}

const fn of_settings(
    name: &'static str,
    settings: &'static [(&'static str, &'static str)],
    expected: (&'static str, Level, &'static str),
) -> Case {
    Case { name, settings, change: |_, _| {}, expected }
}

/// Changes the group of joiners.
fn joiner_group(tenant: &mut Tenant, change: impl FnOnce(&mut Group)) {
    change(tenant.groups.get_mut(&joiner_group_id()).unwrap());
}

fn emma(tenant: &mut Tenant, emma: Uuid, change: impl FnOnce(&mut Person)) {
    tenant.change(emma, change);
}

const PASSKEYS: &[&str] = &["windowsHelloForBusiness", "fido2", "x509CertificateMultiFactor"];
use Level::{Fail, Warn};

const CASES: &[Case] = &[
    of_settings("only reports", &[("REPORT_ONLY", "true")], ("settings", Warn, "REPORT_ONLY=true")),
    of_settings("paused", &[("PAUSED", "true")], ("settings", Warn, "PAUSED=true")),
    of_settings("no recipient of alerts", &[("ALERT_TO", "")], ("settings", Warn, "ALERT_TO is not set")),
    of_settings(
        "CreateTap is open",
        &[("CREATE_TAP_OPEN", "true")],
        ("settings", Warn, "CREATE_TAP_OPEN=true"),
    ),
    of_settings(
        "a misspelt setting",
        &[("PASS_LIFETIME", "480")],
        ("settings", Warn, "PASS_LIFETIME has no effect"),
    ),
    case(
        "no permission to make passes",
        |t, _| {
            t.granted.remove(&Permission::PassReadWrite);
        },
        ("permissions", Fail, "UserAuthMethod-TAP.ReadWrite.All is not in the token"),
    ),
    case(
        "no permission to read methods",
        |t, _| {
            t.granted.remove(&Permission::MethodRead);
        },
        ("permissions", Fail, "UserAuthenticationMethod.Read.All is not in the token"),
    ),
    case(
        "no permission to read roles",
        |t, _| {
            t.granted.remove(&Permission::RoleManagementRead);
        },
        ("permissions", Fail, "RoleManagement.Read.Directory is not in the token"),
    ),
    case(
        "every mailbox",
        |t, _| {
            t.granted.insert(Permission::MailSend);
        },
        ("permissions", Warn, "the permission Mail.Send, which it does not need"),
    ),
    case(
        "every method",
        |t, _| {
            t.granted.insert(Permission::MethodReadWrite);
        },
        ("permissions", Warn, "UserAuthenticationMethod.ReadWrite.All, which it does not need"),
    ),
    case("passes are off", |t, _| t.policy.enabled = false, ("pass-policy", Fail, "switched off")),
    case(
        "passes are for others",
        |t, _| t.policy.include = vec![Target::Group(Uuid::from_u128(9))],
        ("pass-policy", Warn, "the policy is not for emma.brooks@"),
    ),
    case(
        "passes exclude joiners",
        |t, emma| {
            let group = t.add_group(Group::named("No passes").members([emma]));
            t.policy.exclude = vec![group];
        },
        ("pass-policy", Warn, "the policy is not for emma.brooks@"),
    ),
    case(
        "passes are too short",
        |t, _| (t.policy.minimum_lifetime, t.policy.maximum_lifetime) = (10, 60),
        ("pass-policy", Warn, "the longest lifetime is 60 minutes"),
    ),
    of_settings(
        "a lifetime that the policy does not allow",
        &[("PASS_LIFETIME_MINUTES", "600")],
        ("pass-policy", Warn, "PASS_LIFETIME_MINUTES=600 is outside of the policy's 60 to 480 minutes"),
    ),
    of_settings(
        "passes that are to work at once",
        &[("PASS_START", "now")],
        ("pass-policy", Warn, "does not reach from the mail to day one"),
    ),
    Case {
        name: "passes for one use",
        settings: &[("PASS_ONE_TIME", "false")],
        change: |t, _| t.policy.one_time_only = true,
        expected: ("pass-policy", Warn, "PASS_ONE_TIME=false, and the policy"),
    },
    Case {
        name: "passes for one use, and PCs that ask twice",
        settings: &[("DEVICE_STEPS", "autopilot")],
        change: |t, _| t.policy.one_time_only = true,
        expected: ("pass-policy", Warn, "DEVICE_STEPS has autopilot"),
    },
    case(
        "nothing can be registered",
        |t, _| (t.passkeys.enabled, t.authenticator.enabled) = (false, false),
        ("passkeys", Fail, "neither a passkey nor Microsoft Authenticator"),
    ),
    case("no passkeys", |t, _| t.passkeys.enabled = false, ("passkeys", Warn, "passkeys are switched off")),
    case(
        "passkeys by admins only",
        |t, _| t.passkeys.self_service = false,
        ("passkeys", Warn, "may not register one themselves"),
    ),
    case(
        "passkeys are for others",
        |t, _| {
            t.passkeys =
                MethodPolicy { include: vec![Target::User(Uuid::from_u128(9))], ..MethodPolicy::default() }
        },
        ("passkeys", Warn, "the policy of passkeys is not for emma.brooks@"),
    ),
    case(
        "a passkey to register a passkey",
        |t, _| {
            let policy = ConditionalAccessPolicy::named("Protect registration").on_registration();
            t.add_conditional_access(policy.asking_for("Phishing-resistant MFA", PASSKEYS));
        },
        (
            "conditional-access",
            Fail,
            "\"Protect registration\" asks for the authentication strength \"Phishing-resistant MFA\"",
        ),
    ),
    case(
        "registration at trusted places",
        |t, _| {
            let policy = ConditionalAccessPolicy::named("Register in the office").on_registration();
            let places = json!({"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]});
            let block = policy.with("/grantControls/builtInControls", json!(["block"]));
            t.add_conditional_access(block.with("/conditions/locations", places));
        },
        (
            "conditional-access",
            Warn,
            "\"Register in the office\" blocks for registering security information, depending on the place",
        ),
    ),
    case(
        "compliant devices",
        |t, _| {
            let policy = ConditionalAccessPolicy::named("Managed devices");
            t.add_conditional_access(
                policy.with("/grantControls/builtInControls", json!(["compliantDevice"])),
            );
        },
        (
            "conditional-access",
            Warn,
            "\"Managed devices\" asks for a compliant device, depending on the place or the device: somebody with nothing but a pass cannot sign in",
        ),
    ),
    Case {
        name: "no such group",
        settings: &[("JOINER_GROUP_ID", JOINERS)],
        change: |t, _| drop(t.groups.remove(&joiner_group_id())),
        expected: ("joiners", Fail, "JOINER_GROUP_ID names no group"),
    },
    Case {
        name: "a paused rule",
        settings: &[("JOINER_GROUP_ID", JOINERS)],
        change: |t, _| joiner_group(t, |group| group.is_paused = true),
        expected: ("joiners", Fail, "the rule of the group New joiners is paused"),
    },
    Case {
        name: "a rule that lets in late",
        settings: &[("JOINER_GROUP_ID", JOINERS), ("LEAD_DAYS", "14")],
        change: |_, _| {},
        expected: ("joiners", Warn, "lets people in 7 days before day one, and LEAD_DAYS is 14"),
    },
    Case {
        name: "an empty group",
        settings: &[("JOINER_GROUP_ID", JOINERS)],
        change: |t, _| joiner_group(t, |group| group.membership = Membership::Assigned(BTreeSet::new())),
        expected: ("joiners", Warn, "the group of joiners has no members"),
    },
    case(
        "nobody starts",
        |t, id| emma(t, id, |emma| emma.hire_date = Some(time("2028-03-01T00:00:00Z"))),
        ("joiners", Warn, "nobody has a hire date within a year"),
    ),
    of_settings(
        "no such mailbox",
        &[("MAIL_FROM", "nobody@contoso.example")],
        ("sender", Fail, "MAIL_FROM names no account of the tenant"),
    ),
    Case {
        name: "a mailbox in onmicrosoft.com",
        settings: &[("MAIL_FROM", "welcome@contoso.onmicrosoft.com")],
        change: |t, _| {
            t.add_mailbox(Person::named("Welcome 2").user_principal_name("welcome@contoso.onmicrosoft.com"));
        },
        expected: ("sender", Warn, "MAIL_FROM is in onmicrosoft.com"),
    },
    case(
        "no private address",
        |t, id| emma(t, id, |emma| emma.other_mails.clear()),
        (
            "people",
            Warn,
            "starts on 2026-11-27: there is no address to send the pass to: no usable private address in otherMails",
        ),
    ),
    case(
        "an address of the tenant",
        |t, id| emma(t, id, |emma| emma.other_mails = vec!["emma2@contoso.example".to_owned()]),
        ("people", Warn, "there is no address to send the pass to"),
    ),
    case(
        "no manager",
        |t, id| emma(t, id, |emma| emma.manager = None),
        ("people", Warn, "no manager who can be told"),
    ),
    case(
        "hire dates at three in the afternoon",
        |t, id| emma(t, id, |emma| emma.hire_date = Some(time("2026-11-26T15:00:00Z"))),
        ("people", Warn, "1 of 1 hire dates are no midnight as HIRE_DATE_ZONE=joiner reads them"),
    ),
    case(
        "no usage location",
        |t, id| emma(t, id, |emma| emma.usage_location = None),
        ("people", Warn, "no usage location, so that the time zone is that of TIME_ZONE, UTC"),
    ),
    case(
        "an account in use",
        |t, id| {
            emma(t, id, |emma| emma.methods.push(Method::of("fido2").created(time("2026-11-10T08:00:00Z"))))
        },
        ("people", Warn, "the account is in use: the authentication method fido2 is registered"),
    ),
    case(
        "a privileged joiner",
        |t, id| t.assign_role(id, roles::AUTHENTICATION_ADMINISTRATOR),
        ("people", Warn, "the account holds the role Authentication Administrator"),
    ),
];

fn shown(found: &[Finding]) -> String {
    found
        .iter()
        .map(|Finding { check, level, user, what, .. }| {
            format!("{check} {}: {} {what}\n", level.name(), user.as_deref().unwrap_or_default())
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_tenant_has_no_finding() {
    let app = swept(&[], |_, _| {}).await;
    assert_eq!(shown(&defects(&app).await), "");
}

#[tokio::test(start_paused = true)]
async fn each_defect_is_named_and_nothing_else() {
    assert!(CASES.len() >= 25);
    for Case { name, settings, change, expected: (check, level, words) } in CASES {
        let app = swept(settings, change).await;
        let found = defects(&app).await;
        let [only] = found.as_slice() else { panic!("{name}: {} findings\n{}", found.len(), shown(&found)) };
        assert!(only.check == *check && only.level == *level, "{name}: {}", shown(&found));
        assert!(only.what.contains(words), "{name}: {}", shown(&found));
        assert!(only.to_do.as_ref().is_some_and(|to_do| to_do.len() > 10), "{name}: {only:?}");
        let is_about_person = only.what.contains("starts on");
        assert_eq!(only.user.is_some(), is_about_person, "{name}: {only:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_directory_role_the_permission_is_not_missed() {
    for role in [AppRole::Tenant, AppRole::Unit(Uuid::from_u128(5))] {
        let app = swept(&[], |tenant, _| {
            tenant.granted.remove(&Permission::PassReadWrite);
            tenant.app_role = Some(role);
        })
        .await;
        assert_eq!(shown(&defects(&app).await), "", "{role:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_in_august() {
    let app = swept(&[], |tenant, emma| {
        tenant.change(emma, |emma| emma.hire_date = Some(time("2027-03-01T00:00:00Z")));
    })
    .await;
    assert_eq!(shown(&defects(&app).await), "");
    let settings = [("JOINER_GROUP_ID", JOINERS)];
    let app = swept(&settings, |tenant, emma| tenant.change(emma, |emma| emma.hire_date = None)).await;
    assert_eq!(shown(&defects(&app).await), "");
}

#[tokio::test(start_paused = true)]
async fn policies_that_a_joiner_meets_or_that_are_off_are_no_obstacle() {
    let app = swept(&[], |tenant, emma| {
        let group = tenant.add_group(Group::named("Joiners").members([emma]));
        tenant.add_conditional_access(ConditionalAccessPolicy::named("MFA for all"));
        let strict =
            ConditionalAccessPolicy::named("Strict").on_registration().asking_for("Strong", PASSKEYS);
        tenant.add_conditional_access(strict.clone().with("/conditions/users/excludeGroups", json!([group])));
        tenant.add_conditional_access(
            strict.clone().with("/state", json!("enabledForReportingButNotEnforced")),
        );
        let with_pass = [PASSKEYS, &["temporaryAccessPassOneTime"]].concat();
        tenant
            .add_conditional_access(ConditionalAccessPolicy::named("Known").asking_for("Known", &with_pass));
        tenant.add_conditional_access(strict.with("/grantControls", json!(null)));
    })
    .await;
    assert_eq!(shown(&defects(&app).await), "");
}

/// What shows only with time, or in the ledger and the queue.
#[tokio::test(start_paused = true)]
async fn what_happens_later_is_named_too() {
    // No sweep for more than a day; meanwhile Emma is still to come.
    let app = swept(&[], |_, _| {}).await;
    app.advance(chrono::TimeDelta::hours(27));
    assert!(
        shown(&defects(&app).await)
            .starts_with("sweep fail:  the last sweep that ended well was at 2026-11-22")
    );

    // A message that failed for good.
    let app = swept(&[], |_, _| {}).await;
    let storage = Storage::new(app.sandbox.clock());
    let product = with_queues(&app, &storage);
    product.queues.as_ref().unwrap().poison.put(&encode_base64("{}")).await.unwrap();
    let found = of_concern(&doctor::examine(&product).await);
    assert_eq!(shown(&found), "queue warn:  1 messages failed for good\n");

    // Exchange refuses all mails.
    let app = swept(&[], |tenant, _| tenant.send_denied = Some(SendDenial::OutOfScope)).await;
    app.run_job(app.sandbox.edit(|tenant| tenant.find_user("emma.brooks@contoso.example").unwrap().id)).await;
    app.advance(chrono::TimeDelta::hours(1));
    assert!(
        shown(&defects(&app).await).starts_with("sender fail:  Exchange refuses all mails since 2026-11-22")
    );

    // The clock of this machine.
    let app = swept(&[], |_, _| {}).await;
    let clock = app.sandbox.clock();
    let wrong = Clock::from_fn(move || clock.now() + chrono::TimeDelta::minutes(7));
    let product = app.product_at(app.sandbox.credential(), wrong);
    let found = of_concern(&doctor::examine(&product).await);
    assert_eq!(shown(&found), "clock fail:  this machine's clock is 7 min 0 s ahead of Microsoft Graph's\n");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_missing_or_ends_soon_is_named() {
    const TOPIC: &str = "EventGrid:?azuresubscriptionid=00000000-0000-0000-0000-000000000001&resourcegroup=rg&partnertopic=topic&location=westeurope";
    let settings = [("ON_DEMAND_GROUP_ID", JOINERS), ("EVENT_GRID_PARTNER_TOPIC", TOPIC)];
    let app = swept(&settings, |tenant, _| {
        tenant.granted.insert(Permission::GroupRead);
    })
    .await;
    let found = shown(&defects(&app).await);
    assert_eq!(found, "notifications fail:  Graph has no subscription to the on-demand group\n");
    // The next sweep makes one, and no sweep renews it.
    app.advance(chrono::TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(shown(&defects(&app).await), "");
}
