//! Who may call, and what a refusal tells.

use std::sync::Arc;

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    time::OffsetDateTime,
};
use firstpass_sandbox::tenant::{Group, Person, TENANT_ID, roles};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{HandlerResponse, call_for, principal, send, send_with_key, signed_in};
use crate::helpers::{PASS_PATH, TestApp, html_escaped, log_capture::capture_log, tenant_with_emma};

const OID: &str = "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
const ANOTHER_TENANT: &str = "99999999-9999-9999-9999-999999999999";

/// The whole answer, as a caller can read it.
fn text(answer: &HandlerResponse) -> String {
    format!("{} {}", answer.headers, answer.body)
}

#[tokio::test(start_paused = true)]
async fn create_tap_is_off_until_somebody_switches_it_on() {
    for (name, value, status) in [
        ("CREATE_TAP_OPEN", "", 403),
        ("CREATE_TAP_OPEN", "false", 403),
        ("CREATE_TAP_OPEN", "true", 201),
        ("CREATE_TAP_ALLOWED_GROUP_ID", "the group", 201),
        ("CREATE_TAP_ALLOWED_CALLERS", OID, 201),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        let group = tenant.add_group(Group::named("May have a pass").members([emma])).to_string();
        let value = if value == "the group" { &group } else { value };
        let off = [("CREATE_TAP_OPEN", ""), ("WEBSITE_AUTH_ENABLED", "true")];
        let app = TestApp::new(tenant, &[&off[..], &[(name, value)]].concat());
        let (header, listed) = signed_in(OID, &[]);
        let answer =
            send_with_key(&app, &json!({"UserName": emma}).to_string(), &[(header, &listed)], "default")
                .await;
        assert_eq!(answer.status, status, "{name}={value} {answer:?}");
        if status == 403 {
            assert_eq!(answer.problem(), (403, "create-tap-off", None));
            for name in ["CREATE_TAP_OPEN=true", "CREATE_TAP_ALLOWED_GROUP_ID", "CREATE_TAP_ALLOWED_CALLERS"]
            {
                assert!(answer.detail().contains(name), "{answer:?}");
            }
            assert_eq!(app.sandbox.requests(), [], "Graph is not called");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_token_of_entra_id_and_of_our_tenant_names_a_caller() {
    let us = TENANT_ID.to_string();
    let of = |provider: &str, tenant: &str| principal(provider, &[("oid", OID), ("tid", tenant)]);
    for (principal, expected) in [
        (of("aad", &us), (201, "")),
        (of("aad", ANOTHER_TENANT), (403, "caller-not-allowed")),
        (of("google", &us), (403, "caller-not-allowed")),
        (principal("aad", &[("oid", OID)]), (403, "caller-not-allowed")),
    ] {
        let (tenant, emma) = tenant_with_emma();
        let settings = [("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "True")];
        let app = TestApp::new(tenant, &settings);
        let headers = [("X-MS-CLIENT-PRINCIPAL", principal.as_str())];
        let answer = send(&app, &json!({"UserName": emma}).to_string(), &headers).await;
        let (status, word, _) = answer.problem();
        assert_eq!((status, word), expected, "{answer:?}");
        assert_eq!(app.sandbox.passes().is_empty(), status != 201);
    }
}

/// Which role it is, how the account has it, and in which group, is for the audit line.
#[tokio::test(start_paused = true)]
async fn no_refusal_names_the_role_that_an_account_holds() {
    let (mut tenant, _) = tenant_with_emma();
    let direct = tenant.add(Person::named("Direct"));
    tenant.assign_role(direct, roles::GLOBAL_ADMINISTRATOR);
    let eligible = tenant.add(Person::named("Eligible"));
    tenant.make_eligible(eligible, roles::GLOBAL_ADMINISTRATOR);
    let grouped = tenant.add(Person::named("Grouped"));
    let tier = tenant.add_group(Group::named("Tier Zero").role_assignable().members([grouped]));
    tenant.assign_role(tier, roles::GLOBAL_ADMINISTRATOR);
    let guarded = tenant.add(Person::named("Guarded"));
    let glass = tenant.add_group(Group::named("Break Glass").members([guarded])).to_string();
    let app = TestApp::new(tenant, &[("PROTECTED_GROUP_ID", &glass)]);
    let mut answers = Vec::new();
    for (user, told) in [
        (direct, "Global Administrator"),
        (eligible, "Global Administrator"),
        (grouped, "through a group"),
        (guarded, "Break Glass"),
    ] {
        for parameters in
            [json!({}), json!({"Deliver": "mail", "LifetimeInMinutes": 20_000}), json!({"X": 1})]
        {
            let (answer, log) = capture_log("warn", call_for(&app, user, parameters)).await;
            assert_eq!(answer.problem(), (403, "privileged-account", None));
            assert!(log.contains(told), "the audit line says it: {log}");
            for word in ["Global", "Administrator", "role", "Tier Zero", "Break Glass", "eligible"] {
                assert!(!text(&answer).contains(word), "{word}: {answer:?}");
            }
            let mut body = answer.body.clone();
            for own in ["instance", "invocationId"] {
                body[own] = Value::Null;
            }
            answers.push(body);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "all alike: {answers:?}");
}

#[tokio::test(start_paused = true)]
async fn callers_without_a_name_cannot_exhaust_the_limit_of_others_by_failing() {
    let (mut tenant, emma) = tenant_with_emma();
    let others: Vec<Uuid> = (0..3).map(|n| tenant.add(Person::named(&format!("Other {n}")))).collect();
    let app = TestApp::new(tenant, &[("CREATE_TAP_LIMIT_PER_CALLER", "3")]);
    for n in 0..3 {
        let answer = call_for(&app, Uuid::from_u128(n), json!({})).await;
        assert_eq!(answer.problem(), (404, "no-such-user", None));
    }
    // Whoever tries names learns nothing more.
    let (answer, log) = capture_log("warn", call_for(&app, Uuid::from_u128(9), json!({}))).await;
    assert_eq!(answer.problem(), (429, "too-many-calls", Some(3_600)));
    assert!(!text(&answer).contains("no-such-user") && log.contains("no-such-user"), "{log}");
    // The others go on.
    for user in [emma, others[0], others[1]] {
        assert_eq!(call_for(&app, user, json!({})).await.status, 201);
    }
    let answer = call_for(&app, others[2], json!({})).await;
    assert_eq!(answer.problem(), (429, "too-many-calls", Some(3_600)));
    assert_eq!(app.count_requests("POST", PASS_PATH), 3);
    // So it is with the key that every function has from the start.
    let body = |user: Uuid| json!({"UserName": user}).to_string();
    for n in 0..3 {
        assert_eq!(send_with_key(&app, &body(Uuid::from_u128(n)), &[], "default").await.status, 404);
    }
    let answer = send_with_key(&app, &body(Uuid::from_u128(9)), &[], "default").await;
    assert_eq!(answer.problem(), (429, "too-many-calls", Some(3_600)));
    assert_eq!(send_with_key(&app, &body(emma), &[], "default").await.status, 201);
    // Who has a name has a limit of their own, for calls that fail too.
    for (n, status) in [(0, 404), (1, 404), (2, 404), (3, 429)] {
        let body = json!({"UserName": Uuid::from_u128(n)}).to_string();
        assert_eq!(send_with_key(&app, &body, &[], "helpdesk").await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_leads_to_a_host_that_an_admin_listed() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("TICKET_URL_HOSTS", "help.contoso.example")]);
    let with = |url: &str| json!({"NotifyUser": true, "ServiceDeskTicketUrl": url});
    for url in [
        "https://evil.example/help.contoso.example",
        "https://help.contoso.example.evil.example/4711",
        "https://sub.help.contoso.example/4711",
        "https://help.contoso.example:8443/4711",
        "https://help.contoso.example@evil.example/4711",
    ] {
        let answer = call_for(&app, emma, with(url)).await;
        assert_eq!(answer.problem(), (400, "invalid-request", None), "{url}");
        assert!(!answer.detail().contains("evil"), "{answer:?}");
    }
    assert_eq!(call_for(&app, emma, with("https://HELP.contoso.example:443/4711")).await.status, 201);
    let mail = app.pass_mails().pop().unwrap()["body"]["content"].as_str().unwrap().to_owned();
    assert!(mail.contains(&html_escaped("https://help.contoso.example/4711")), "{mail}");
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("TICKET_URL_HOSTS", "")]);
    let answer = call_for(&app, emma, with("https://help.contoso.example/4711")).await;
    assert_eq!(answer.status, 400);
    for name in ["TICKET_URL_HOSTS", "SERVICE_DESK_PORTAL_URL"] {
        assert!(answer.detail().contains(name), "{answer:?}");
    }
}

/// A token of this app that says nothing of its tenant, which the caller's token then can't be compared with.
#[derive(Debug)]
struct OpaqueToken;

#[async_trait::async_trait]
impl TokenCredential for OpaqueToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new("opaque", OffsetDateTime::from_unix_timestamp(4_070_908_800).unwrap()))
    }
}

/// An identity endpoint that is busy.
#[derive(Debug)]
struct NoToken;

#[async_trait::async_trait]
impl TokenCredential for NoToken {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Credential, "busy"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_app_that_names_no_tenant_lets_nobody_in() {
    let (tenant, emma) = tenant_with_emma();
    let settings = [("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "true")];
    let app = TestApp::new(tenant, &settings).with_credential(Arc::new(OpaqueToken));
    let (name, principal) = signed_in(OID, &[]);
    let answer = send(&app, &json!({"UserName": emma}).to_string(), &[(name, &principal)]).await;
    assert!(answer.status >= 400 && answer.code().is_none(), "{answer:?}");
    assert_eq!(app.sandbox.passes(), []);
}

/// That is no refusal of the caller, who may come back.
#[tokio::test(start_paused = true)]
async fn while_the_app_has_no_token_a_listed_caller_is_not_refused() {
    let (tenant, emma) = tenant_with_emma();
    let settings = [("CREATE_TAP_ALLOWED_CALLERS", OID), ("WEBSITE_AUTH_ENABLED", "true")];
    let app = TestApp::new(tenant, &settings).with_credential(Arc::new(NoToken));
    let (name, principal) = signed_in(OID, &[]);
    let answer = send(&app, &json!({"UserName": emma}).to_string(), &[(name, &principal)]).await;
    assert!(answer.status >= 500 && answer.problem().1 != "caller-not-allowed", "{answer:?}");
}

/// Under `func start` no key is asked for, and any page can post a text that is JSON there: the host hands it on.
#[tokio::test(start_paused = true)]
async fn a_web_page_without_a_key_or_a_token_has_no_pass_made() {
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::new(tenant, &[("CREATE_TAP_OPEN", "true")]);
    let body = json!({"UserName": emma}).to_string();
    let text = ("Content-Type", "text/plain");
    let (origin, site) = (("Origin", "https://evil.example"), ("sec-fetch-site", "cross-site"));
    for headers in [&[text, origin][..], &[text, site], &[origin, site]] {
        let (answer, log) = capture_log("warn", send(&app, &body, headers)).await;
        assert_eq!(answer.problem(), (403, "caller-not-allowed", None), "{headers:?}");
        assert!(log.contains("from a web page"), "{log}");
    }
    assert_eq!(app.sandbox.passes(), []);
    // A page that was given a key is a client as any other.
    assert_eq!(send_with_key(&app, &body, &[text, origin, site], "portal").await.status, 201);
}
