//! Policies of methods of sign-in, and Conditional Access.

use firstpass_sandbox::tenant::{
    ConditionalAccessPolicy, IDENTITY_ID, Identity, MethodPolicy, Permission, Sandbox, TENANT_ID, Target,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Tenant, caller, column, now, properties};

const METHODS: &str = "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations";
const CONDITIONAL_ACCESS: &str = "/v1.0/identity/conditionalAccess/policies";

#[tokio::test]
async fn policies_of_methods_have_a_state_targets_and_exceptions() {
    let mut tenant = Tenant::new(7);
    let [in_it, out] = [1, 2].map(Uuid::from_u128);
    tenant.passkeys =
        MethodPolicy { include: vec![Target::Group(in_it)], exclude: vec![out], ..MethodPolicy::default() };
    tenant.authenticator.enabled = false;
    let caller = caller(tenant);
    let passkeys = caller.get(format!("{METHODS}/FIDO2")).await.expect(200);
    assert_eq!(
        (&passkeys["state"], &passkeys["isSelfServiceRegistrationAllowed"]),
        (&json!("enabled"), &json!(true))
    );
    assert_eq!(column(&json!({"value": passkeys["includeTargets"]}), "id"), [in_it.to_string()]);
    assert_eq!(column(&json!({"value": passkeys["excludeTargets"]}), "id"), [out.to_string()]);
    let authenticator = caller.get(format!("{METHODS}/microsoftAuthenticator")).await.expect(200);
    assert_eq!(authenticator["state"], "disabled");
}

#[tokio::test]
async fn conditional_access_policies_need_a_permission_of_their_own() {
    let mut tenant = Tenant::new(7);
    tenant.page_size_cap = 2;
    for name in ["One", "Two", "Three"] {
        tenant.add_conditional_access(ConditionalAccessPolicy::named(name).on_registration());
    }
    let caller = caller(tenant);
    let refused = caller.get(CONDITIONAL_ACCESS).await;
    assert_eq!((refused.status, refused.error().1), (403, "AccessDenied"));
    caller.sandbox.edit(|tenant| tenant.granted.insert(Permission::ConditionalAccessRead));
    let first =
        caller.get(format!("{CONDITIONAL_ACCESS}?$select=id,displayName,conditions")).await.expect(200);
    assert_eq!(properties(&first["value"][0]), ["conditions", "displayName", "id"]);
    assert!(first["@odata.nextLink"].is_string(), "{first}");
    let actions = &first["value"][0]["conditions"]["applications"]["includeUserActions"];
    assert_eq!(actions, &json!(["urn:user:registersecurityinfo"]));
}

#[tokio::test]
async fn a_token_has_the_roles_that_were_granted_when_it_was_issued() {
    let mut tenant = Tenant::new(7);
    tenant.granted = [Permission::UserRead].into();
    let sandbox = Sandbox::new(tenant, now());
    sandbox.set_identity(Identity::default());
    let token =
        sandbox.credential().get_token(&["https://graph.microsoft.com/.default"], None).await.unwrap();
    sandbox.edit(|tenant| tenant.granted.insert(Permission::PassReadWrite));
    let claims = claims(token.token.secret());
    assert_eq!(claims["roles"], json!(["User.Read.All"]));
    assert_eq!((&claims["oid"], &claims["tid"]), (&json!(IDENTITY_ID), &json!(TENANT_ID)));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 24 * 3600);
}

fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}
