//! Temporary Access Passes.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Group, PassSpec, Permission, Target, Untargeted};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Caller, Person, Tenant, caller, caller_of_one, now, properties};

const POLICY: &str =
    "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";

fn url(user: Uuid) -> String {
    format!("/v1.0/users/{user}/authentication/temporaryAccessPassMethods")
}

/// The only pass in the list.
async fn listed(caller: &Caller, user: Uuid) -> Value {
    let body = caller.get(url(user)).await.expect(200);
    assert_eq!(body["value"].as_array().unwrap().len(), 1);
    body["value"][0].clone()
}

#[tokio::test(start_paused = true)]
async fn the_code_is_returned_once() {
    let (caller, emma) = caller_of_one();
    let made = caller.post(url(emma), json!({ "isUsableOnce": true })).await.expect(201);
    assert_eq!(made["temporaryAccessPass"].as_str().unwrap().chars().count(), 8);
    assert_eq!(made["@odata.type"], "#microsoft.graph.temporaryAccessPassAuthenticationMethod");
    assert_eq!(made["createdDateTime"], "2026-11-22T09:00:00.0000000Z");
    assert_eq!(made["startDateTime"], "2026-11-22T09:00:00Z");
    assert_eq!((&made["lifetimeInMinutes"], &made["isUsableOnce"]), (&json!(60), &json!(true)));
    assert_eq!(
        (&made["isUsable"], &made["methodUsabilityReason"]),
        (&json!(true), &json!("EnabledByPolicy"))
    );

    let one = caller.get(format!("{}/{}", url(emma), made["id"].as_str().unwrap())).await.expect(200);
    for read in [listed(&caller, emma).await, one] {
        assert_eq!(read["id"], made["id"]);
        assert_eq!(read["temporaryAccessPass"], Value::Null);
        assert_eq!(properties(&read).len(), 8);
    }
    assert_eq!(caller.sandbox.passes()[0].code.reveal(), made["temporaryAccessPass"].as_str().unwrap());
}

#[tokio::test]
async fn pass_lists_refuse_options_and_other_methods() {
    let (caller, emma) = caller_of_one();
    assert_eq!(caller.get(format!("{}?$select=id", url(emma))).await.status, 400);
    assert_eq!(caller.get(format!("{}?$top=1", url(emma))).await.status, 400);
    assert_eq!(caller.send("PATCH", &url(emma), &[], Some(json!({}))).await.status, 405);
    assert_eq!(caller.get(url(emma)).await.expect(200)["value"], json!([]));
}

#[tokio::test]
async fn a_new_pass_replaces_the_old_one() {
    let (caller, emma) = caller_of_one();
    let first = caller.post(url(emma), json!({})).await.expect(201);
    let second = caller.post(url(emma), json!({})).await.expect(201);
    assert_ne!(first["id"], second["id"]);
    assert_ne!(first["temporaryAccessPass"], second["temporaryAccessPass"]);
    assert_eq!(listed(&caller, emma).await["id"], second["id"]);
    assert_eq!(caller.get(format!("{}/{}", url(emma), first["id"].as_str().unwrap())).await.status, 404);
    assert_eq!(caller.delete(format!("{}/{}", url(emma), first["id"].as_str().unwrap())).await.status, 404);
    let gone = caller.delete(format!("{}/{}", url(emma), second["id"].as_str().unwrap())).await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    assert_eq!(caller.get(url(emma)).await.expect(200)["value"], json!([]));
}

#[tokio::test]
async fn a_tenant_can_refuse_to_replace_a_pass() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.policy.refuse_when_exists = true);
    let first = caller.post(url(emma), json!({})).await.expect(201);
    let reply = caller.post(url(emma), json!({})).await;
    assert_eq!((reply.error().0, reply.error().1), (400, "badRequest"));
    assert!(reply.error().2.contains("already exists"));
    assert_eq!(listed(&caller, emma).await["id"], first["id"]);
}

#[tokio::test]
async fn the_policy_limits_the_lifetime() {
    let (caller, emma) = caller_of_one();
    for minutes in [59, 481, 5, 43201, -1] {
        let reply = caller.post(url(emma), json!({ "lifetimeInMinutes": minutes })).await;
        let message = "Invalid LifetimeInMinutes specified. The valid range between 60 and 480.";
        assert_eq!(reply.error(), (400, "badRequest", message));
    }
    let made = caller.post(url(emma), json!({ "lifetimeInMinutes": 480 })).await.expect(201);
    assert_eq!(made["lifetimeInMinutes"], 480);
    caller.sandbox.edit(|tenant| tenant.policy.default_lifetime = 120);
    let made = caller.post(url(emma), json!({ "lifetimeInMinutes": null })).await.expect(201);
    assert_eq!(made["lifetimeInMinutes"], 120);
}

#[tokio::test]
async fn a_malformed_pass_request_changes_nothing() {
    let (caller, emma) = caller_of_one();
    for body in [
        json!({ "lifetimeInMinutes": "60" }),
        json!({ "lifetimeInMinutes": 60.5 }),
        json!({ "isUsableOnce": "true" }),
        json!({ "startDateTime": "tomorrow" }),
        json!({ "startDateTime": "2026-11-30T07:00:00" }),
        json!({ "temporaryAccessPass": "letmein1" }),
        json!({ "lifetimeMinutes": 60 }),
        json!({ "@odata.type": "#microsoft.graph.fido2AuthenticationMethod" }),
    ] {
        assert_eq!(caller.post(url(emma), body.clone()).await.status, 400, "{body}");
    }
    assert!(caller.sandbox.passes().is_empty());
    let body = json!({ "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod" });
    caller.post(url(emma), body).await.expect(201);
}

#[tokio::test]
async fn a_start_is_normalised_and_not_in_the_past() {
    let (caller, emma) = caller_of_one();
    let made =
        caller.post(url(emma), json!({ "startDateTime": "2026-11-30T08:00:00+01:00" })).await.expect(201);
    assert_eq!(made["startDateTime"], "2026-11-30T07:00:00Z");
    assert_eq!((&made["isUsable"], &made["methodUsabilityReason"]), (&json!(false), &json!("NotYetValid")));
    let with_seconds = json!({ "startDateTime": "2026-11-30T06:59:17Z" });
    caller.post(url(emma), with_seconds).await.expect(201);
    assert_eq!(listed(&caller, emma).await["startDateTime"], "2026-11-30T06:59:17Z");
    let start = |minutes| json!({ "startDateTime": now() - TimeDelta::minutes(minutes) });
    assert_eq!(caller.post(url(emma), start(6)).await.status, 400);
    assert_eq!(caller.post(url(emma), start(4)).await.status, 201);
}

#[tokio::test]
async fn a_pass_starts_expires_and_stays_listed() {
    let (caller, emma) = caller_of_one();
    let start = json!({ "startDateTime": "2026-11-22T10:00:00Z", "lifetimeInMinutes": 60 });
    caller.post(url(emma), start).await.expect(201);
    for (minutes, reason) in [
        (59, "NotYetValid"),
        (1, "EnabledByPolicy"),
        (59, "EnabledByPolicy"),
        (1, "Expired"),
        (100_000, "Expired"),
    ] {
        caller.sandbox.advance(TimeDelta::minutes(minutes));
        let pass = listed(&caller, emma).await;
        assert_eq!(pass["methodUsabilityReason"], reason);
        assert_eq!(pass["isUsable"], reason == "EnabledByPolicy");
    }
}

#[tokio::test]
async fn only_a_one_time_pass_becomes_used() {
    for (one_time, reason) in [(true, "OneTimeUsed"), (false, "EnabledByPolicy")] {
        let (caller, emma) = caller_of_one();
        caller.post(url(emma), json!({ "isUsableOnce": one_time })).await.expect(201);
        let id = caller.sandbox.passes()[0].id;
        let now = caller.sandbox.now();
        caller.sandbox.edit(|tenant| tenant.use_pass(id, now));
        assert_eq!(listed(&caller, emma).await["methodUsabilityReason"], reason);
    }
}

#[tokio::test]
async fn the_helpdesk_can_make_a_pass_too() {
    let (caller, emma) = caller_of_one();
    caller.post(url(emma), json!({})).await.expect(201);
    let theirs = caller.sandbox.edit(|tenant| tenant.add_pass(emma, PassSpec::opening(now()).lasting(120)));
    assert_eq!(listed(&caller, emma).await["id"], json!(theirs));
}

#[tokio::test]
async fn the_policy_can_force_one_time_use() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.policy.one_time_only = true);
    assert_eq!(caller.post(url(emma), json!({ "isUsableOnce": false })).await.error().1, "badRequest");
    assert_eq!(caller.post(url(emma), json!({})).await.expect(201)["isUsableOnce"], true);
}

#[tokio::test]
async fn the_method_can_be_disabled() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.policy.enabled = false);
    let reply = caller.post(url(emma), json!({})).await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().2.starts_with("Converged UserCredentialPolicy does not allow"));
    assert_eq!(caller.get(POLICY).await.expect(200)["state"], "disabled");
}

#[tokio::test]
async fn the_policy_can_exclude_a_user() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks"));
    let jonas = tenant.add(Person::named("Jonas Weber"));
    let lea = tenant.add(Person::named("Lea Zürcher"));
    let inner = tenant.add_group(Group::named("Inner").members([emma]));
    let pilot = tenant.add_group(Group::named("Pilot").members([inner]));
    tenant.policy.include = vec![Target::Group(pilot), Target::User(lea)];
    let caller = caller(tenant);
    assert_eq!(caller.post(url(emma), json!({})).await.expect(201)["isUsable"], true);
    assert_eq!(caller.post(url(lea), json!({})).await.expect(201)["isUsable"], true);
    let made = caller.post(url(jonas), json!({})).await.expect(201);
    assert_eq!(
        (&made["isUsable"], &made["methodUsabilityReason"]),
        (&json!(false), &json!("DisabledByPolicy"))
    );
    caller.sandbox.edit(|tenant| tenant.policy.untargeted = Untargeted::Refused);
    assert!(caller.post(url(jonas), json!({})).await.error().2.starts_with("Converged UserCredentialPolicy"));
}

#[tokio::test]
async fn only_external_guests_are_refused_a_pass() {
    let mut tenant = Tenant::new(7);
    let external = tenant.add(Person::named("Inês Duarte").external_guest("ines@partner.example"));
    let internal = tenant.add(Person::named("Ann Guest").internal_guest());
    let converted = tenant.add(Person::named("Giulia Conti").converted_guest("giulia@studio.example"));
    let caller = caller(tenant);
    let reply = caller.post(url(external), json!({})).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.error().2, "Temporary Access Pass cannot be added to an external guest user.");
    caller.post(url(internal), json!({})).await.expect(201);
    caller.post(url(converted), json!({})).await.expect(201);
    let member = caller
        .sandbox
        .edit(|tenant| tenant.add(Person::named("Omar").external_member("omar@partner.example")));
    caller.post(url(member), json!({})).await.expect(201);
}

#[tokio::test]
async fn members_of_a_restricted_unit_cannot_be_changed() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks").management_restricted());
    let caller = caller(tenant);
    let reply = caller.post(url(emma), json!({})).await;
    let (status, code, message) = reply.error();
    assert_eq!((status, code), (403, "Authorization_RequestDenied"));
    assert!(message.contains("restricted management administrative unit"), "{message}");
    caller.sandbox.edit(|tenant| tenant.granted.insert(Permission::RestrictedWrite));
    let made = caller.post(url(emma), json!({})).await.expect(201);
    let pass = format!("{}/{}", url(emma), made["id"].as_str().unwrap());
    caller.sandbox.edit(|tenant| tenant.granted.remove(&Permission::RestrictedWrite));
    assert_eq!(caller.delete(&pass).await.status, 403);
}

#[tokio::test]
async fn codes_are_unique_and_follow_the_policy() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.policy.default_length = 12);
    let mut codes = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let made = caller.post(url(emma), json!({})).await.expect(201);
        let code = made["temporaryAccessPass"].as_str().unwrap().to_owned();
        assert_eq!(code.len(), 12);
        assert!(code.contains(|c: char| !c.is_ascii_alphanumeric()), "{code}");
        codes.insert(code);
    }
    assert_eq!(codes.len(), 200);
}

#[tokio::test]
async fn the_policy_id_is_case_insensitive() {
    let (caller, _) = caller_of_one();
    let body = caller.get(POLICY).await.expect(200);
    assert_eq!(body["id"], "TemporaryAccessPass");
    assert_eq!(
        (&body["minimumLifetimeInMinutes"], &body["maximumLifetimeInMinutes"]),
        (&json!(60), &json!(480))
    );
    assert_eq!((&body["defaultLifetimeInMinutes"], &body["defaultLength"]), (&json!(60), &json!(8)));
    assert_eq!(body["includeTargets"][0]["id"], "all_users");
    caller.get(POLICY.replace("temporaryAccessPass", "TEMPORARYACCESSPASS")).await.expect(200);
}
