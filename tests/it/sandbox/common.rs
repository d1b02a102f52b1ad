//! Rules that apply to all calls.

use axum::{body::Body, http::Request};
use serde_json::json;

use super::{Person, Tenant, caller, caller_of_one, properties};

#[tokio::test]
async fn a_call_requires_a_token() {
    let (caller, _) = caller_of_one();
    for authorization in [None, Some("Basic c2FuZGJveA=="), Some("Bearer ")] {
        let mut request = Request::get("/v1.0/users");
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        let reply = caller.raw(request.body(Body::empty()).unwrap()).await;
        assert_eq!((reply.error().0, reply.error().1), (401, "InvalidAuthenticationToken"));
    }
}

#[tokio::test(start_paused = true)]
async fn every_response_has_ids_and_a_date() {
    let (caller, emma) = caller_of_one();
    let sent = &[("client-request-id", "my-id")];
    for url in [format!("/v1.0/users/{emma}"), "/v1.0/users/nobody".to_owned()] {
        let reply = caller.send("GET", &url, sent, None).await;
        assert_eq!(reply.header("client-request-id"), "my-id");
        assert_eq!(reply.header("date"), "Sun, 22 Nov 2026 09:00:00 GMT");
        assert!(reply.header("request-id").parse::<uuid::Uuid>().is_ok());
        if reply.status == 404 {
            let inner = &reply.body["error"]["innerError"];
            assert_eq!(inner["client-request-id"], "my-id");
            assert_eq!(inner["request-id"], reply.header("request-id"));
            assert_eq!(inner["date"], "2026-11-22T09:00:00");
        }
    }
    let reply = caller.get(format!("/v1.0/users/{emma}")).await;
    assert_eq!(reply.header("client-request-id"), reply.header("request-id"));
}

#[tokio::test]
async fn unknown_paths_are_400_and_unimplemented_ones_501() {
    let (caller, emma) = caller_of_one();
    for (url, status) in [
        ("/v1.0/people".to_owned(), 400),
        ("/users".to_owned(), 400),
        ("/v1.0/me".to_owned(), 400),
        ("/beta/users".to_owned(), 501),
        ("/v1.0/users/$count".to_owned(), 501),
        (format!("/v1.0/users/{emma}/memberOf"), 501),
        (format!("/v1.0/users/{emma}/transitiveMemberOf/microsoft.graph.directoryRole"), 501),
        ("/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/sms".to_owned(), 501),
    ] {
        let reply = caller.get(&url).await;
        assert_eq!(reply.status, status, "{url}: {}", reply.body);
        assert!(!reply.error().2.is_empty());
        assert_eq!(reply.body["error"]["innerError"]["request-id"], reply.header("request-id"));
    }
    assert_eq!(caller.delete("/v1.0/users").await.status, 405);
}

#[tokio::test]
async fn an_unimplemented_option_is_named_in_a_501() {
    let (caller, emma) = caller_of_one();
    for (url, option) in [
        (format!("/v1.0/users/{emma}?$expand=manager"), "$expand"),
        ("/v1.0/users?$orderby=displayName".to_owned(), "$orderby"),
        (format!("/v1.0/users/{emma}/manager?$filter=x eq 1"), "$filter"),
        ("/v1.0/users?top=5".to_owned(), "top"),
    ] {
        let reply = caller.get(&url).await;
        assert_eq!(reply.status, 501);
        assert!(reply.error().2.contains(&format!("'{option}'")), "{}", reply.body);
    }
}

#[tokio::test]
async fn select_returns_exactly_the_selected_properties() {
    let (caller, emma) = caller_of_one();
    let url = |select: &str| format!("/v1.0/users/{emma}?$select={select}");
    let body = caller.get(url("id,employeeHireDate, otherMails")).await.expect(200);
    assert_eq!(properties(&body), ["employeeHireDate", "id", "otherMails"]);
    let context = "https://graph.microsoft.com/v1.0/$metadata#users(id,employeeHireDate,otherMails)/$entity";
    assert_eq!(body["@odata.context"], context);

    let reply = caller.get(url("id,hireday")).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.error().2.contains("Could not find a property named 'hireday' on type 'microsoft.graph.user'")
    );
    assert_eq!(caller.get(url("id,aboutMe")).await.status, 501, "exists in Graph only");
    assert_eq!(caller.get(url("id,")).await.status, 400);
}

#[tokio::test]
async fn a_user_is_found_by_every_key_form() {
    let mut tenant = Tenant::new(7);
    let brien = tenant.add(Person::named("Siobhán O'Brien"));
    let guest = tenant.add(Person::named("Inês Duarte").external_guest("ines@partner.example"));
    let dollar = tenant.add(Person::named("Cash").user_principal_name("$cash@contoso.example"));
    let caller = caller(tenant);
    for (key, id) in [
        (format!("users/{brien}"), brien),
        (format!("users('{brien}')"), brien),
        ("users/siobhan.o'brien@contoso.example".to_owned(), brien),
        ("users/SIOBHAN.O%27BRIEN%40contoso.example".to_owned(), brien),
        ("users('siobhan.o''brien@contoso.example')".to_owned(), brien),
        ("users/ines_partner.example%23EXT%23@contoso.onmicrosoft.example".to_owned(), guest),
        ("users('$cash@contoso.example')".to_owned(), dollar),
    ] {
        let body = caller.get(format!("/v1.0/{key}")).await.expect(200);
        assert_eq!(body["id"], json!(id), "{key}");
    }
    for (key, status) in [
        ("users/$cash@contoso.example", 400),
        ("users('siobhan.o'brien@contoso.example')", 400),
        ("users/%zz", 400),
        ("users/nobody@contoso.example", 404),
    ] {
        assert_eq!(caller.get(format!("/v1.0/{key}")).await.status, status, "{key}");
    }
    let reply = caller.get("/v1.0/users/nobody@contoso.example").await;
    let message = "Resource 'nobody@contoso.example' does not exist or one of its queried reference-property objects \
                   are not present.";
    assert_eq!(reply.error(), (404, "Request_ResourceNotFound", message));
}

#[tokio::test]
async fn a_json_body_requires_the_json_content_type() {
    let (caller, emma) = caller_of_one();
    let url = format!("/v1.0/users/{emma}/authentication/temporaryAccessPassMethods");
    let request = |kind: Option<&str>, body: &'static str| {
        let request = Request::post(&url).header("Authorization", "Bearer sandbox");
        let request = kind.into_iter().fold(request, |request, kind| request.header("Content-Type", kind));
        caller.raw(request.body(Body::from(body)).unwrap())
    };
    assert_eq!(request(None, "{}").await.status, 400);
    assert_eq!(request(Some("text/plain"), "{}").await.status, 400);
    assert_eq!(request(Some("application/json"), "").await.status, 400);
    assert_eq!(request(Some("application/json"), "[]").await.status, 400);
    assert_eq!(request(Some("application/json; charset=utf-8"), "{}").await.status, 201);
}

#[tokio::test]
async fn the_journal_records_requests_as_sent() {
    let (caller, emma) = caller_of_one();
    caller.get(format!("/v1.0/users/{emma}?%24select=id")).await.expect(200);
    caller.get("/v1.0/users/nobody").await.expect(404);
    let seen: Vec<_> = caller.sandbox.requests().into_iter().map(|r| (r.method, r.url, r.status)).collect();
    let get = |url: String, status| ("GET".to_owned(), url, Some(status));
    assert_eq!(
        seen,
        [get(format!("/v1.0/users/{emma}?%24select=id"), 200), get("/v1.0/users/nobody".to_owned(), 404)]
    );
}

#[tokio::test]
async fn the_journal_does_not_show_bodies() {
    let (caller, emma) = caller_of_one();
    let body = json!({"lifetimeInMinutes": 60, "isUsableOnce": true});
    let url = format!("/v1.0/users/{emma}/authentication/temporaryAccessPassMethods");
    caller.post(&url, body.clone()).await.expect(201);
    let requests = caller.sandbox.requests();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&requests[0].content.body).unwrap(), body);
    let headers: Vec<_> = requests[0].content.headers.iter().collect();
    assert_eq!(headers, [(&"content-type".to_owned(), &"application/json".to_owned())], "no token");
    assert!(!format!("{requests:?}").contains("lifetime"));
    let state = caller.sandbox.state();
    assert_eq!(properties(&state["requests"][0]), ["at", "method", "status", "url"]);
}

#[tokio::test]
async fn duplicate_and_malformed_options_are_refused() {
    let (caller, _) = caller_of_one();
    for (query, status) in [
        ("$top=1", 200),
        ("%24top=1", 200),
        ("$top=1&$top=2", 400),
        ("$top=1&%24top=2", 400),
        ("$top=%2", 400),
        ("$top=%zz", 400),
        ("$top=%ff", 400),
        ("$filter=userPrincipalName%20eq%20'o''brien'", 200),
    ] {
        assert_eq!(caller.get(format!("/v1.0/users?{query}")).await.status, status, "{query}");
    }
}
