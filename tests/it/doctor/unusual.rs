//! Healthy tenants of unusual kinds, and defects that are easily missed.

use std::{sync::Arc, time::Duration};

use firstpass::{doctor, ledger::Level};
use firstpass_sandbox::tenant::{
    APPLICATION_ID, ConditionalAccessPolicy, Fault, FaultKind, IDENTITY_ID, Method, MethodPolicy, Permission,
    Target, Tenant, roles,
};
use serde_json::json;
use uuid::Uuid;

use super::{JOINERS, defects, joiner_group_id, swept, when::TokenOf};
use crate::helpers::{TestApp, tenant_with_emma, time};

/// A name, settings, and what is changed after the sweep.
type Case = (&'static str, &'static [(&'static str, &'static str)], fn(&mut Tenant, Uuid));

async fn found(app: &TestApp) -> String {
    defects(app)
        .await
        .iter()
        .map(|f| format!("{} {}: {} -> {:?}\n", f.check, f.level.name(), f.what, f.to_do))
        .collect()
}

/// Microsoft's template "Block access for unknown or unsupported device platform".
#[tokio::test(start_paused = true)]
async fn unknown_platforms_blocked_is_no_obstacle() {
    let app = swept(&[], |t, _| {
        let mut policy = ConditionalAccessPolicy::named("Block unknown platforms")
            .with("/grantControls/builtInControls", json!(["block"]));
        policy.properties["conditions"]["platforms"] = json!({"includePlatforms": ["all"],
            "excludePlatforms": ["android", "iOS", "windows", "macOS", "linux"]});
        t.add_conditional_access(policy);
    })
    .await;
    assert_eq!(found(&app).await, "");
}

/// The admin did what the doctor says: the joiners' group is excluded. Nobody starts in August.
#[tokio::test(start_paused = true)]
async fn a_policy_that_excludes_the_joiners_group_in_august() {
    let app = swept(&[("JOINER_GROUP_ID", JOINERS)], |t, emma| {
        let policy = ConditionalAccessPolicy::named("Managed devices")
            .with("/grantControls/builtInControls", json!(["compliantDevice"]))
            .with("/conditions/users/excludeGroups", json!([joiner_group_id()]));
        t.add_conditional_access(policy);
        t.change(emma, |emma| emma.hire_date = Some(time("2027-03-01T00:00:00Z")));
    })
    .await;
    let found = found(&app).await;
    assert!(!found.contains("conditional-access"), "{found}");
}

/// A grant of nothing: Entra leaves the claim `roles` out.
#[tokio::test(start_paused = true)]
async fn an_identity_to_which_nothing_was_granted_is_told_what_is_missing() {
    let (mut tenant, _) = tenant_with_emma();
    tenant.granted.clear();
    let own = APPLICATION_ID.to_string();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "false"), ("AZURE_CLIENT_ID", own.as_str())]);
    let claims = json!({"appid": APPLICATION_ID, "idtyp": "app", "sub": IDENTITY_ID, "iat": 1_795_323_600, "exp": 1_795_410_000});
    let examination = doctor::examine(&app.product(Arc::new(TokenOf(claims)))).await;
    let shown: Vec<_> =
        examination.findings.iter().map(|f| (f.check.as_str(), f.level, f.what.as_str())).collect();
    assert!(
        examination.findings.iter().any(|f| f.check == "permissions" && f.level == Level::Fail),
        "{shown:#?}"
    );
}

/// Passkeys are for a pilot group, and nobody's groups were read.
#[tokio::test(start_paused = true)]
async fn passkeys_for_a_group_and_unread_groups_are_not_ok() {
    let app = swept(&[], |t, emma| {
        t.passkeys =
            MethodPolicy { include: vec![Target::Group(Uuid::from_u128(9))], ..MethodPolicy::default() };
        t.policy.include = vec![Target::Group(Uuid::from_u128(9))];
        t.change(emma, |emma| emma.hire_date = Some(time("2027-03-01T00:00:00Z")));
    })
    .await;
    let examination = doctor::examine(&app.app).await;
    let of = |check: &str| -> Vec<_> {
        examination.findings.iter().filter(|f| f.check == check).map(|f| (f.level, f.what.clone())).collect()
    };
    assert_eq!(of("pass-policy")[0].0, Level::NotAsked, "{:?}", of("pass-policy"));
    assert_eq!(of("passkeys")[0].0, Level::NotAsked, "{:?}", of("passkeys"));
}

/// Emma may register neither.
#[tokio::test(start_paused = true)]
async fn authenticator_for_others_and_no_passkeys_is_a_dead_end() {
    let app = swept(&[], |t, _| {
        t.passkeys.enabled = false;
        t.authenticator =
            MethodPolicy { include: vec![Target::Group(Uuid::from_u128(9))], ..MethodPolicy::default() };
    })
    .await;
    let found = found(&app).await;
    assert!(found.contains("passkeys fail"), "{found}");
}

/// On the second day an examination costs little, however many were served.
#[tokio::test(start_paused = true)]
async fn whoever_was_served_is_not_asked_about_again() {
    let app = swept(&[], |_, _| {}).await;
    app.sweep().await;
    assert_eq!(app.pass_mails().len(), 1);
    let before = app.sandbox.requests().len();
    let examination = doctor::examine(&app.app).await;
    let requests = app.sandbox.requests();
    let asked = requests[before..]
        .iter()
        .flat_map(|r| r.parts.clone())
        .filter(|part| part.url.contains("authentication/methods"));
    assert_eq!(asked.count(), 0);
    assert!(
        examination.findings.iter().any(|f| f.check == "people" && f.level == Level::Ok),
        "{examination:?}"
    );
}

/// The advice is followed: a rule in ZONES.
#[tokio::test(start_paused = true)]
async fn a_rule_in_zones_ends_the_warning_about_the_usage_location() {
    let app = swept(&[("TIME_ZONE", "Europe/Berlin"), ("ZONES", ZONES)], |t, emma| {
        t.change(emma, |emma| {
            emma.usage_location = None;
            emma.office_location = Some("HQ".into());
        });
    })
    .await;
    assert_eq!(found(&app).await, "");
}
const ZONES: &str = "officeLocation:HQ=Europe/Berlin";

/// `firstpass doctor --now`: nothing is written.
#[tokio::test(start_paused = true)]
async fn examining_now_writes_nothing() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "false")]);
    doctor::examine(&app.app).await;
    let conditions = app.ledger().conditions().await.unwrap();
    assert!(conditions.is_none(), "{conditions:?}");
}

/// The same with the ledger of another tenant: an admin's machine mails nobody.
#[tokio::test(start_paused = true)]
async fn examining_now_mails_nobody() {
    let app = swept(&[], |_, _| {}).await;
    let mails = app.sandbox.mails().len();
    let claims = json!({"tid": "00000000-0000-0000-0000-00000000000f", "appid": APPLICATION_ID, "roles": []});
    doctor::examine(&app.product(Arc::new(TokenOf(claims)))).await;
    assert_eq!(app.sandbox.mails().len(), mails, "{:?}", app.alerts());
}

/// Somebody's app has the greater permission.
#[tokio::test(start_paused = true)]
async fn directory_readwrite_includes_reading() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "false")]);
    let claims = json!({"appid": APPLICATION_ID, "roles": ["Directory.ReadWrite.All", "UserAuthenticationMethod.ReadWrite.All",
        "Policy.ReadWrite.AuthenticationMethod", "RoleManagement.ReadWrite.Directory"]});
    let examination = doctor::examine(&app.product(Arc::new(TokenOf(claims)))).await;
    let missing: Vec<_> = examination
        .findings
        .iter()
        .filter(|f| f.check == "permissions" && f.level == Level::Fail)
        .map(|f| &f.what)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// A check that could not be asked is not also well.
#[tokio::test(start_paused = true)]
async fn no_check_is_not_asked_and_ok() {
    let (mut tenant, _) = tenant_with_emma();
    tenant.granted.clear();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "false")]);
    let examination = doctor::examine(&app.app).await;
    let of = |check: &str| -> Vec<_> {
        examination.findings.iter().filter(|f| f.check == check).map(|f| (f.level, f.what.clone())).collect()
    };
    for check in ["sender", "pass-policy", "passkeys", "joiners"] {
        assert!(
            !(of(check).iter().any(|(l, _)| *l == Level::NotAsked)
                && of(check).iter().any(|(l, _)| *l == Level::Ok)),
            "{:#?}",
            of(check)
        );
    }
}

/// Terms of use are accepted in the browser, whatever the device.
#[tokio::test(start_paused = true)]
async fn terms_of_use_or_a_device() {
    let app = swept(&[], |t, _| {
        let mut policy = ConditionalAccessPolicy::named("Device or terms")
            .with("/grantControls/builtInControls", json!(["compliantDevice"]));
        policy.properties["grantControls"]["termsOfUse"] = json!(["ce580154-086a-40fd-91df-8a60abac81a0"]);
        policy.properties["grantControls"]["operator"] = json!("OR");
        t.add_conditional_access(policy);
    })
    .await;
    assert_eq!(found(&app).await, "");
}

/// More people than are looked at, one of them with a defect: the others are said not to have been asked.
#[tokio::test(start_paused = true)]
async fn whoever_was_not_looked_at_is_said_even_beside_a_defect() {
    for defect in [false, true] {
        let app = swept(&[("SWEEP_MAX", "1000")], |t, emma| {
            let person = t.users[&emma].clone();
            for n in 0..250_u32 {
                let mut other = person.clone();
                other.id = Uuid::from_u128(0xbeef_0000 + u128::from(n));
                other.user_principal_name = format!("p{n}@contoso.example");
                other.other_mails = vec![format!("p{n}@mail.example")];
                t.add(other);
            }
            if defect {
                t.change(emma, |emma| emma.other_mails.clear());
            }
        })
        .await;
        let examination = doctor::examine(&app.app).await;
        let of_people: Vec<_> =
            examination.findings.iter().filter(|f| f.check == "people").map(|f| f.what.as_str()).collect();
        assert!(of_people.iter().any(|what| what.contains("not asked")), "defect {defect}: {of_people:?}");
    }
}

/// A token without `roles`, of an app whose identity is the system's.
#[tokio::test(start_paused = true)]
async fn roles_claim_is_absent_and_no_client_id() {
    let app = swept(&[], |_, _| {}).await;
    let claims = json!({"appid": APPLICATION_ID, "idtyp": "app"});
    let examination = doctor::examine(&app.product(Arc::new(TokenOf(claims)))).await;
    let token = examination.findings.iter().find(|f| f.check == "token").unwrap();
    assert_eq!(token.level, Level::Ok, "{token:?}");
}

/// Emma started yesterday, used her pass and registered a passkey. That is what firstpass is for.
#[tokio::test(start_paused = true)]
async fn whoever_got_in_yesterday_is_no_defect() {
    let app = swept(&[], |_, _| {}).await;
    let emma = app.sandbox.edit(|tenant| tenant.find_user("emma.brooks@contoso.example").unwrap().id);
    app.run_job(emma).await;
    app.advance(time("2026-11-27T09:00:00Z") - app.sandbox.now());
    app.sandbox.edit(|tenant| {
        let pass = tenant.passes[&emma].id;
        tenant.use_pass(pass, time("2026-11-27T08:30:00Z"));
        tenant.change(emma, |emma| {
            emma.methods.push(Method::of("fido2").created(time("2026-11-27T08:31:00Z")));
        });
    });
    for at in ["2026-11-27T10:00:00Z", "2026-11-28T05:00:00Z"] {
        app.advance(time(at) - app.sandbox.now());
        app.sweep().await;
        let found: String = found(&app).await.lines().filter(|line| line.starts_with("people")).collect();
        assert_eq!(found, "", "at {at}");
    }
}

/// One answer that does not come takes the others along.
#[tokio::test(start_paused = true)]
async fn one_slow_answer_does_not_silence_the_others() {
    let app = swept(&[], |t, _| {
        t.granted.remove(&Permission::PassReadWrite);
    })
    .await;
    app.sandbox
        .inject(Fault::on("GET", "conditionalAccess", FaultKind::Delay(Duration::from_secs(600))).times(99));
    let examination = doctor::examine(&app.app).await;
    let shown: Vec<_> =
        examination.findings.iter().map(|f| format!("{} {}: {}", f.check, f.level.name(), f.what)).collect();
    assert!(shown.iter().any(|line| line.contains("permissions fail")), "{shown:#?}");
}
#[tokio::test(start_paused = true)]
async fn throttling_does_not_silence_the_others() {
    let app = swept(&[], |t, _| {
        t.granted.remove(&Permission::PassReadWrite);
    })
    .await;
    app.sandbox.inject(Fault::on("GET", "conditionalAccess", crate::helpers::throttle("100")).times(99));
    let examination = doctor::examine(&app.app).await;
    let shown: Vec<_> =
        examination.findings.iter().map(|f| format!("{} {}: {}", f.check, f.level.name(), f.what)).collect();
    assert!(shown.iter().any(|line| line.contains("permissions fail")), "{shown:#?}");
}

#[derive(Debug)]
struct NoToken;

#[async_trait::async_trait]
impl azure_core::credentials::TokenCredential for NoToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<azure_core::credentials::TokenRequestOptions<'_>>,
    ) -> azure_core::Result<azure_core::credentials::AccessToken> {
        Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "no identity"))
    }
}

/// Graph has answered nothing at all: nothing that depends on it is well.
#[tokio::test(start_paused = true)]
async fn without_a_token_nothing_of_the_tenant_is_well() {
    let (tenant, _) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "false")]);
    let examination = doctor::examine(&app.product(Arc::new(NoToken))).await;
    let lies: Vec<_> = examination
        .findings
        .iter()
        .filter(|f| f.level == Level::Ok && ["sender", "clock", "ledger"].contains(&f.check.as_str()))
        .map(|f| format!("{}: {}", f.check, f.what))
        .collect();
    assert!(lies.is_empty(), "{lies:#?}");
}

/// Whom the flow blocks, and the examination says that nothing is missing.
#[tokio::test(start_paused = true)]
async fn whoever_gets_no_pass_is_named() {
    let cases: [Case; 3] = [
        ("an old account", &[("JOINER_MAX_AGE_DAYS", "30")], |t, emma| {
            t.change(emma, |emma| emma.created = Some(time("2020-01-01T00:00:00Z")))
        }),
        ("signed in before", &[], |t, emma| {
            t.change(emma, |emma| {
                emma.last_sign_in = Some(time("2026-11-20T08:00:00Z"));
                emma.created = Some(time("2026-10-01T00:00:00Z"));
            })
        }),
        ("the manager left", &[("MAIL_TO", "manager"), ("MAIL_CC", "")], |t, emma| {
            let manager = t.users[&emma].manager.unwrap();
            t.change(manager, |manager| manager.enabled = false);
        }),
    ];
    let mut unseen = Vec::new();
    for (name, settings, change) in cases {
        let app = swept(settings, change).await;
        let emma = app.sandbox.edit(|tenant| tenant.find_user("emma.brooks@contoso.example").unwrap().id);
        let people = found(&app).await.lines().any(|line| line.starts_with("people"));
        let end = app.run_job(emma).await;
        if end.outcome == "blocked" && !people {
            unseen.push(format!("{name}: the flow says {} {}", end.outcome, end.why));
        }
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
}

/// infra/permissions.json: the feature `managers` needs UserAuthenticationMethod.Read.All and AuditLog.Read.All.
#[tokio::test(start_paused = true)]
async fn what_managers_as_callers_need_is_missed() {
    let app = swept(
        &[("JOINER_CHECK", "none"), ("CREATE_TAP_OPEN", "false"), ("CREATE_TAP_ALLOWED_CALLERS", "managers")],
        |t, _| {
            t.granted.remove(&Permission::MethodRead);
        },
    )
    .await;
    let found = found(&app).await;
    assert!(found.contains("UserAuthenticationMethod.Read.All"), "found: {found:?}");
}

/// Whoever can activate a role gets no pass.
#[tokio::test(start_paused = true)]
async fn a_joiner_with_an_eligible_role_is_named() {
    let app = swept(&[], |t, emma| t.make_eligible(emma, roles::GLOBAL_ADMINISTRATOR)).await;
    let emma = app.sandbox.edit(|tenant| tenant.find_user("emma.brooks@contoso.example").unwrap().id);
    let people = found(&app).await;
    let end = app.run_job(emma).await;
    assert_eq!(end.outcome, "blocked");
    let examination = doctor::examine(&app.app).await;
    let says: Vec<_> = examination.findings.iter().filter(|f| f.check == "people").map(|f| &f.what).collect();
    assert!(people.contains("people"), "the flow says: {}; the examination: {says:?}", end.why);
}
