//! Authentication methods, sign-ins and the report on registrations.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Method, PassSpec, Permission};

use super::{Person, Tenant, caller, column, now};

fn tenant_with(person: Person) -> Tenant {
    let mut tenant = Tenant::new(7);
    tenant.add(person);
    tenant.granted.insert(Permission::AuditLogRead);
    tenant
}

#[tokio::test]
async fn methods_are_the_password_what_was_registered_and_the_pass() {
    let mut tenant = tenant_with(
        Person::named("Emma Brooks")
            .method(Method::of("microsoftAuthenticator"))
            .method(Method::of("fido2").created(now() - TimeDelta::days(3))),
    );
    let emma = tenant.users.keys().next().copied().unwrap();
    tenant.add_pass(emma, PassSpec::opening(now()));
    let caller = caller(tenant);
    let body = caller.get(format!("/v1.0/users/{emma}/authentication/methods")).await.expect(200);
    let kinds = ["password", "microsoftAuthenticator", "fido2", "temporaryAccessPass"];
    let expected = kinds.map(|kind| format!("#microsoft.graph.{kind}AuthenticationMethod"));
    assert_eq!(column(&body, "@odata.type"), expected.each_ref().map(String::as_str));
    let dates: Vec<bool> =
        body["value"].as_array().unwrap().iter().map(|m| m["createdDateTime"].is_string()).collect();
    assert_eq!(dates, [true, false, true, true]);
    assert!(!body.to_string().contains(caller.sandbox.passes()[0].code.reveal()));
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::MethodRead));
    let reply = caller.get(format!("/v1.0/users/{emma}/authentication/methods")).await;
    assert_eq!(reply.error(), (403, "accessDenied", "Request Authorization failed"));
}

#[tokio::test]
async fn sign_ins_need_a_permission_and_a_licence() {
    let at = now() - TimeDelta::days(1);
    let tenant = tenant_with(Person::named("Emma Brooks").last_sign_in(at));
    let emma = tenant.users.keys().next().copied().unwrap();
    let caller = caller(tenant);
    let path = format!("/v1.0/users/{emma}?$select=id,signInActivity");
    let body = caller.get(&path).await.expect(200);
    assert_eq!(body["signInActivity"]["lastSuccessfulSignInDateTime"], "2026-11-21T09:00:00Z");
    let body = caller.get(format!("/v1.0/users/{emma}")).await.expect(200);
    assert!(body.get("signInActivity").is_none(), "only on request");
    caller.sandbox.edit(|tenant| tenant.p1_licensed = false);
    assert_eq!(caller.get(&path).await.error().1, "Authentication_RequestFromNonPremiumTenantOrB2CTenant");
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::AuditLogRead));
    assert_eq!(caller.get(&path).await.error().1, "Authentication_MSGraphPermissionMissing");
}

#[tokio::test]
async fn the_report_on_registrations_lags_by_a_day() {
    let tenant = tenant_with(
        Person::named("Emma Brooks")
            .created(now() - TimeDelta::hours(20))
            .method(Method::of("phone").created(now() - TimeDelta::hours(2))),
    );
    let emma = tenant.users.keys().next().copied().unwrap();
    let caller = caller(tenant);
    let path = format!("/v1.0/reports/authenticationMethods/userRegistrationDetails/{emma}");
    assert_eq!(caller.get(&path).await.status, 404);
    caller.sandbox.advance(TimeDelta::hours(10));
    assert_eq!(caller.get(&path).await.expect(200)["methodsRegistered"], serde_json::json!([]));
    caller.sandbox.advance(TimeDelta::hours(20));
    let registered = serde_json::json!(["mobilePhone"]);
    assert_eq!(caller.get(&path).await.expect(200)["methodsRegistered"], registered);
}

#[tokio::test]
async fn every_account_has_a_time_of_creation_but_very_old_ones() {
    let mut tenant = tenant_with(Person::named("Emma Brooks"));
    tenant.add(Person::named("Old Hand").without_creation_time());
    let caller = caller(tenant);
    let body = caller.get("/v1.0/users?$select=displayName,createdDateTime").await.expect(200);
    for user in body["value"].as_array().unwrap() {
        assert_eq!(user["createdDateTime"].is_null(), user["displayName"] == "Old Hand", "{user}");
    }
}

#[tokio::test]
async fn methods_and_sign_ins_can_be_added_over_http() {
    let tenant = tenant_with(Person::named("Emma Brooks"));
    let caller = caller(tenant);
    let name = "emma.brooks@contoso.example";
    for path in ["methods/fido2", "sign-in"] {
        assert_eq!(caller.put(format!("/sandbox/users/{name}/{path}")).await.status, 204);
        assert_eq!(caller.put(format!("/sandbox/users/nobody/{path}")).await.status, 400);
    }
    let body = caller.get("/sandbox/state").await.expect(200);
    let user = &body["users"][0];
    assert_eq!(user["methods"][1]["@odata.type"], "#microsoft.graph.fido2AuthenticationMethod");
    assert_eq!(user["signInActivity"]["lastSuccessfulSignInDateTime"], "2026-11-22T09:00:00Z");
}
