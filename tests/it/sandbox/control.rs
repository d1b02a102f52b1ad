//! The sandbox's own endpoints, and the identity endpoint.

use axum::{body::Body, http::Request};
use firstpass_sandbox::tenant::{Group, roles};
use serde_json::{Value, json};

use super::{Caller, Person, Reply, Tenant, at, caller, caller_of_one, mail_to, now, properties};

/// A request without a token.
async fn bare(caller: &Caller, method: &str, url: &str, body: Value) -> Reply {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    caller.raw(Request::builder().method(method).uri(url).body(body).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn the_state_contains_everything() {
    let mut tenant = Tenant::new(7);
    let alex = tenant.add(Person::named("Alex Morgan"));
    let emma = tenant.add(Person::named("Emma Brooks").manager(alex).hire_date(at("2026-11-30T00:00:00Z")));
    let group = tenant.add_group(Group::named("Team").members([emma]));
    tenant.add_mailbox(Person::named("Welcome").user_principal_name("welcome@contoso.example"));
    tenant.assign_role(alex, roles::GLOBAL_ADMINISTRATOR);
    let caller = caller(tenant);
    let passes = format!("/v1.0/users/{emma}/authentication/temporaryAccessPassMethods");
    let made = caller.post(&passes, json!({})).await.expect(201);
    caller
        .post("/v1.0/users/welcome@contoso.example/sendMail", mail_to("emma@gmail.example"))
        .await
        .expect(202);

    let state = bare(&caller, "GET", "/sandbox/state", Value::Null).await.expect(200);
    assert_eq!(state, caller.sandbox.state());
    assert_eq!(state["now"], "2026-11-22T09:00:00Z");
    let user = |id| state["users"].as_array().unwrap().iter().find(|user| user["id"] == json!(id)).unwrap();
    assert_eq!(user(emma)["employeeHireDate"], "2026-11-30T00:00:00Z");
    assert_eq!((&user(emma)["manager"], &user(emma)["privileged"]), (&json!(alex), &json!(false)));
    assert_eq!((&user(alex)["manager"], &user(alex)["privileged"]), (&Value::Null, &json!(true)));
    assert_eq!(state["passes"][0]["userId"], json!(emma));
    assert_eq!(state["passes"][0]["temporaryAccessPass"], made["temporaryAccessPass"]);
    assert_eq!((&state["groups"][0]["id"], &state["groups"][0]["members"]), (&json!(group), &json!([emma])));
    assert_eq!(state["mails"][0]["from"], "welcome@contoso.example");
    assert_eq!(state["mails"][0]["at"], "2026-11-22T09:00:00Z");
    assert_eq!(state["mails"][0]["subject"], "Welcome");
    assert_eq!(
        state["requests"][0],
        json!({ "at": "2026-11-22T09:00:00Z", "method": "POST", "url": passes, "status": 201 })
    );
    assert_eq!(state["requests"].as_array().unwrap().len(), 2, "reading the state is not recorded");
}

#[tokio::test(start_paused = true)]
async fn the_clock_can_be_advanced() {
    let (caller, _) = caller_of_one();
    let reply = bare(&caller, "POST", "/sandbox/clock", json!({ "advance_seconds": 86400 })).await;
    assert_eq!(reply.header("date"), "Mon, 23 Nov 2026 09:00:00 GMT");
    assert_eq!(reply.expect(200)["now"], "2026-11-23T09:00:00Z");
    assert_eq!(caller.sandbox.clock().now(), now() + chrono::TimeDelta::days(1));
    let refused = bare(&caller, "PUT", "/sandbox/clock", Value::Null).await;
    assert_eq!((refused.status, refused.header("date")), (405, "Mon, 23 Nov 2026 09:00:00 GMT"));
    assert_eq!(bare(&caller, "POST", "/sandbox/clock", json!({ "advance": 1 })).await.status, 400);
    assert_eq!(
        bare(&caller, "GET", "/sandbox/clock", Value::Null).await.expect(200)["now"],
        "2026-11-23T09:00:00Z"
    );
}

#[tokio::test]
async fn faults_can_be_armed_and_cleared() {
    let (caller, emma) = caller_of_one();
    let url = format!("/v1.0/users/{emma}");
    let throttle = json!({
        "method": "GET", "path_contains": "/users", "times": 9, "kind": { "throttle": { "retry_after": "2.128" } },
    });
    bare(&caller, "POST", "/sandbox/faults", throttle).await.expect(204);
    let reply = caller.get(&url).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "2.128"));
    bare(&caller, "DELETE", "/sandbox/faults", Value::Null).await.expect(204);
    caller.get(&url).await.expect(200);
    assert_eq!(bare(&caller, "POST", "/sandbox/faults", json!({ "kind": "explode" })).await.status, 400);
}

#[tokio::test]
async fn sending_can_be_limited_and_denied_over_http() {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name("welcome@contoso.example"));
    let caller = caller(tenant);
    let put = async |url: &str, body: Value| bare(&caller, "PUT", url, body).await;
    let send = || caller.post("/v1.0/users/welcome@contoso.example/sendMail", mail_to("emma@gmail.example"));
    let shown = async || bare(&caller, "GET", "/sandbox/send-limits", Value::Null).await.expect(200);
    assert_eq!(shown().await, json!({ "messages_per_minute": 30, "recipients_per_day": 10_000 }));
    put("/sandbox/send-limits", json!({ "messages_per_minute": 1 })).await.expect(204);
    send().await.expect(202);
    assert_eq!(send().await.status, 429);
    put("/sandbox/send-limits", json!({ "messages_per_minute": null })).await.expect(204);
    assert_eq!(shown().await, json!({ "messages_per_minute": null, "recipients_per_day": 10_000 }));
    send().await.expect(202);
    for why in ["out_of_scope", "access_policy", "mailbox_full", "submission_blocked", "account_suspended"] {
        put("/sandbox/send-denial", json!({ "why": why })).await.expect(204);
        assert!(send().await.status >= 403, "{why}");
    }
    bare(&caller, "DELETE", "/sandbox/send-denial", Value::Null).await.expect(204);
    send().await.expect(202);
    for (url, body) in [
        ("/sandbox/send-limits", json!({ "messages_per_minute": 0 })),
        ("/sandbox/send-limits", json!({ "per_hour": 9 })),
        ("/sandbox/send-denial", json!({ "why": "monday" })),
    ] {
        assert_eq!(put(url, body.clone()).await.status, 400, "{body}");
    }
    let state = bare(&caller, "GET", "/sandbox/state", Value::Null).await.expect(200);
    let statuses: Vec<_> =
        state["requests"].as_array().unwrap().iter().map(|r| r["status"].as_u64()).collect();
    assert_eq!(statuses, [202, 429, 202, 403, 403, 507, 554, 403, 202].map(Some));
}

#[tokio::test]
async fn a_property_can_be_null_absent_or_a_list_with_a_null() {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks").private_mail("emma@mail.example"));
    tenant.assign_role(emma, roles::REPORTS_READER);
    let team = tenant.add_group(Group::named("Team").members([emma]));
    let caller = caller(tenant);
    let set = |of: &str, property: &str, form: &str| {
        let body = json!({ "of": of, "property": property, "form": form });
        bare(&caller, "PUT", "/sandbox/null-property", body)
    };
    let user = format!("/v1.0/users/{emma}?$select=id,displayName,otherMails,identities");
    let whole = caller.get(&user).await.expect(200);
    assert!(!whole["displayName"].is_null());
    for form in ["null", "absent"] {
        set("user", "displayName", form).await.expect(204);
        let read = caller.get(&user).await.expect(200);
        assert!(read["displayName"].is_null(), "{form}");
        assert_eq!(read.get("displayName").is_none(), form == "absent");
        assert_eq!(read["otherMails"], whole["otherMails"], "no other property");
        let listed = caller.get("/v1.0/users?$select=displayName").await.expect(200);
        assert!(listed["value"][0]["displayName"].is_null(), "in every answer");
        let members =
            caller.get(format!("/v1.0/groups/{team}/members?$select=displayName")).await.expect(200);
        assert!(members["value"][0]["displayName"].is_null(), "in every answer");
        let group = caller.get(format!("/v1.0/groups/{team}")).await.expect(200);
        assert_eq!(group["displayName"], "Team", "of no other type");
    }
    set("user", "otherMails", "null_item").await.expect(204);
    let read = caller.get(&user).await.expect(200);
    assert_eq!((&read["otherMails"], &read["displayName"]), (&json!([null]), &whole["displayName"]));
    // Inside of others.
    set("objectIdentity", "signInType", "null").await.expect(204);
    assert!(caller.get(&user).await.expect(200)["identities"][0]["signInType"].is_null());
    set("unifiedRoleDefinition", "displayName", "null").await.expect(204);
    let roles = format!(
        "/v1.0/roleManagement/directory/roleAssignments?$filter=principalId eq '{emma}'&$expand=roleDefinition"
    );
    let roles = caller.get(roles).await.expect(200);
    assert!(roles["value"][0]["roleDefinition"]["displayName"].is_null());
    // Of every kind of method.
    set("authenticationMethod", "createdDateTime", "absent").await.expect(204);
    let methods = caller.get(format!("/v1.0/users/{emma}/authentication/methods")).await.expect(200);
    assert_eq!(properties(&methods["value"][0]), ["id"]);
    assert_eq!(set("user", "id", "null").await.status, 400);
    assert_eq!(set("user", "mail", "nothing").await.status, 400);
    bare(&caller, "DELETE", "/sandbox/null-property", Value::Null).await.expect(204);
    assert_eq!(caller.get(&user).await.expect(200), whole);
}

#[tokio::test]
async fn a_managed_identity_gets_a_token_that_works() {
    let (caller, _) = caller_of_one();
    let resource = "https%3A%2F%2Fgraph.microsoft.com";
    let token = async |query: String, header: bool| {
        let request = Request::get(format!("/msi/token?{query}"));
        let request = if header { request.header("X-IDENTITY-HEADER", "secret") } else { request };
        caller.raw(request.body(Body::empty()).unwrap()).await
    };
    let query = format!("api-version=2019-08-01&resource={resource}");
    let body = token(query.clone(), true).await.expect(200);
    assert_eq!(body["resource"], "https://graph.microsoft.com");
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["expires_on"].as_str().unwrap().parse::<i64>().unwrap() > 4_000_000_000);
    let bearer = format!("Bearer {}", body["access_token"].as_str().unwrap());
    let request = Request::get("/v1.0/users").header("Authorization", bearer);
    caller.raw(request.body(Body::empty()).unwrap()).await.expect(200);

    assert_eq!(token(query, false).await.status, 400);
    assert_eq!(token(format!("resource={resource}"), true).await.status, 400);
    assert_eq!(token("api-version=2019-08-01".to_owned(), true).await.status, 400);
}
