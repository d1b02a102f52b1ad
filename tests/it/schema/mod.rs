//! Checks requests against Microsoft's schema of Graph. [`TestApp`](crate::helpers::TestApp) does so at the end of every
//! test; the tests here check the checker.

mod check;
mod csdl;
mod filter;
mod nullable;
mod path;
mod query;
mod value;

use firstpass_sandbox::tenant::Sandbox;
use serde_json::{Value, json};

pub use self::nullable::nullable_properties;
use self::{
    check::{SentRequest, check, check_batch},
    csdl::{GRAPH, Schema},
};
use crate::helpers::{TestApp, graph_caller::Caller};

/// The schema problems of all requests to the sandbox.
pub fn problems(sandbox: &Sandbox) -> Vec<String> {
    sandbox.requests().iter().flat_map(|request| check::problems(&GRAPH, request)).collect()
}

const USER: &str = "/users/6a1f0e4c-0000-4000-8000-000000000001";
const PASSES: &str = "/users/6a1f0e4c-0000-4000-8000-000000000001/authentication/temporaryAccessPassMethods";
const POLICY: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";

fn request(method: &str, url: &str, body: Option<Value>) -> SentRequest {
    let headers = body.iter().map(|_| ("content-type".to_owned(), "application/json".to_owned()));
    SentRequest { method: method.into(), url: url.into(), headers: headers.collect(), body }
}

fn get(url: &str) -> SentRequest {
    request("GET", url, None)
}

/// A GET with the header for advanced queries.
fn get_eventual(url: &str) -> SentRequest {
    let mut request = get(url);
    request.headers.insert("consistencylevel".into(), "eventual".into());
    request
}

fn post(url: &str, body: Value) -> SentRequest {
    request("POST", url, Some(body))
}

fn send_mail(message: Value) -> SentRequest {
    post(&format!("{USER}/sendMail"), json!({"message": message, "saveToSentItems": false}))
}

/// Asserts that there is exactly one problem, and that it contains `words`.
#[track_caller]
fn assert_problem(request: &SentRequest, words: &str) {
    let problems = check(&GRAPH, request);
    assert!(
        problems.len() == 1 && problems[0].contains(words),
        "{} {}: '{words}' expected: {problems:?}",
        request.method,
        request.url
    );
}

#[test]
fn documented_requests_are_valid() {
    let pass =
        json!({"lifetimeInMinutes": 60, "isUsableOnce": true, "startDateTime": "2026-11-27T07:00:00Z"});
    let message = json!({
        "subject": "Welcome",
        "importance": "high",
        "body": {"contentType": "HTML", "content": "Hello"},
        "toRecipients": [{"emailAddress": {"address": "a@mail.example", "name": null}}],
        "internetMessageHeaders": [{"name": "x-first", "value": "pass"}],
    });
    for valid in [
        get(&format!("{USER}?$select=id,employeeHireDate,onPremisesExtensionAttributes/extensionAttribute1")),
        get(&format!("{USER}?%24select=id&$expand=manager($select=id,mail;$levels=1)")),
        get("/users('o''brien@contoso.example')/manager"),
        get("/users/ann_x.example%23EXT%23@contoso.example"),
        get(&format!("{USER}/transitiveMemberOf/microsoft.graph.group?$select=isAssignableToRole")),
        get(&format!("{USER}/transitiveMemberOf?$select=id,isAssignableToRole,roleTemplateId&$top=999")),
        get("/groups/1/members?$select=id,employeeHireDate"),
        get(
            "/users?$filter=startsWith(displayName,'o''b') and not (userType eq 'Guest' or accountEnabled eq false)",
        ),
        get("/users?$filter=userType in ('Member','Guest')&$orderby=displayName desc"),
        get_eventual("/users?$filter=employeeHireDate%20ge%202026-11-22T00:00:00Z&$count=true"),
        get("/roleManagement/directory/roleAssignments?$filter=principalId+eq+'1'"),
        get(&format!("{POLICY}?$select=state,maximumLifetimeInMinutes")),
        post(PASSES, json!({})),
        post(PASSES, pass),
        request("DELETE", &format!("{PASSES}/1"), None),
        post(
            "/subscriptions",
            json!({
                "changeType": "updated",
                "notificationUrl": "EventGrid:?",
                "resource": "groups/1",
                "expirationDateTime": "2026-12-21T05:00:00Z",
            }),
        ),
        request("PATCH", "/subscriptions/1", Some(json!({"expirationDateTime": "2026-12-21T05:00:00Z"}))),
        request("DELETE", "/subscriptions/1", None),
        send_mail(message.clone()),
        post(&format!("{USER}/microsoft.graph.sendMail"), json!({"Message": message})),
    ] {
        assert_eq!(check(&GRAPH, &valid), <[String; 0]>::default(), "{} {}", valid.method, valid.url);
    }
}

#[test]
fn an_unknown_path_is_reported() {
    for (invalid, words) in [
        ("/user", "no entity set or singleton 'user'"),
        ("/users/1/manger", "'user' has no 'manger'"),
        ("/users/1/authentication/temporaryAccessPasses", "has no 'temporaryAccessPasses'"),
        ("/users/1/temporaryAccessPassMethods", "'user' has no"),
        ("/users(emma@contoso.example)/manager", "stands in quotes"),
        ("/users('o'brien@contoso.example')", "quotes in it doubled"),
        ("/users/$cash@contoso.example", "only in parentheses"),
        ("/users//manager", "an empty key"),
        ("/users/1/transitiveMemberOf/microsoft.graph.message", "neither a type derived from"),
        ("/policies/authenticationMethodPolicy", "has no 'authenticationMethodPolicy'"),
        ("/users/1/displayName/length", "has no parts"),
        ("users", "does not begin with a slash"),
    ] {
        assert_problem(&get(invalid), words);
    }
}

#[test]
fn an_invalid_query_is_reported() {
    for (invalid, words) in [
        (format!("{USER}?$select=id,employeeHiredate"), "no property 'employeeHiredate'"),
        (format!("{USER}?$select=id,"), "no property ''"),
        (format!("{USER}?$select=manager"), "no property 'manager'"),
        (format!("{USER}?$top=5"), "this is one object"),
        (format!("{USER}?$expand=managr"), "no navigation property 'managr'"),
        (format!("{USER}?$expand=manager($select=nam)"), "no property 'nam'"),
        (format!("{USER}?$selct=id"), "no such query option"),
        (format!("{USER}?$select=id&%24select=mail"), "comes twice"),
        ("/users?top=5".into(), "no such query option"),
        ("/users?$top=1000".into(), "not between 1 and 999"),
        ("/users?$count=yes".into(), "no value of it"),
        ("/users?$count=true".into(), "need the header ConsistencyLevel"),
        ("/users?$orderby=displayNam".into(), "no property 'displayNam'"),
        ("/users?$filter=hireDay ge 2026-11-22T00:00:00Z".into(), "no property 'hireDay'"),
        ("/users?$filter=employeeHireDate ge '2026-11-22'".into(), "not of type 'Edm.DateTimeOffset'"),
        ("/users?$filter=employeeHireDate ge 2026-11-22".into(), "not of type 'Edm.DateTimeOffset'"),
        ("/users?$filter=employeeHireDate since 2026-11-22T00:00:00Z".into(), "'since' does not fit"),
        ("/users?$filter=accountEnabled ge true".into(), "'ge' does not fit"),
        ("/users?$filter=accountEnabled eq 'true'".into(), "not of type 'Edm.Boolean'"),
        ("/users?$filter=userType eq Member".into(), "not of type 'Edm.String'"),
        ("/users?$filter=otherMails eq 'a@mail.example'".into(), "'eq' does not fit"),
        ("/users?$filter=startsWith(employeeHireDate,'2026')".into(), "is for text"),
        ("/users?$filter=userType eq 'Member".into(), "does not end"),
        ("/users?$filter=userType eq 'Member' accountEnabled".into(), "is too much"),
        ("/users?$filter=(userType eq 'Member'".into(), "too early"),
        (format!("{POLICY}?$select=maximumLifetime"), "no property 'maximumLifetime'"),
    ] {
        assert_problem(&get(&invalid), words);
    }
}

#[test]
fn an_invalid_body_is_reported() {
    let text = json!({"contentType": "HTML", "content": "Hello"});
    for (invalid, words) in [
        (post(PASSES, json!({"lifetimeInMinutes": "60"})), "a string is not of type 'Edm.Int32'"),
        (post(PASSES, json!({"lifetimeInMinutes": 60.5})), "not of type 'Edm.Int32'"),
        (
            post(PASSES, json!({"lifetime": 60})),
            "'temporaryAccessPassAuthenticationMethod' has no such property",
        ),
        (post(PASSES, json!({"isUsableOnce": "true"})), "not of type 'Edm.Boolean'"),
        (post(PASSES, json!({"startDateTime": "2026-11-27T07:00:00"})), "not of type 'Edm.DateTimeOffset'"),
        (post("/subscriptions", json!({"expirationDate": "2026-12-21T05:00:00Z"})), "no such property"),
        (
            post("/subscriptions", json!({"expirationDateTime": "2026-12-21"})),
            "not of type 'Edm.DateTimeOffset'",
        ),
        (post(PASSES, json!([])), "not an object"),
        (request("POST", PASSES, None), "not an object"),
        (send_mail(json!({"subject": "A", "sensitivity": "private"})), "'message' has no such property"),
        (send_mail(json!({"importance": "urgent"})), "no member of 'importance'"),
        (send_mail(json!({"body": {"contentType": "markdown"}})), "no member of 'bodyType'"),
        (send_mail(json!({"body": "Hello"})), "a string is not of type 'itemBody'"),
        (send_mail(json!({"toRecipients": {"emailAddress": {}}})), "not a list of 'recipient'"),
        (
            send_mail(json!({"toRecipients": [{"address": "a@mail.example"}]})),
            "body.message.toRecipients[0].address",
        ),
        (
            post(&format!("{USER}/sendMail"), json!({"mesage": {"body": text}, "message": {}})),
            "no such parameter",
        ),
        (post(&format!("{USER}/sendMail"), json!({"saveToSentItems": true})), "'Message' is missing"),
        (
            post(&format!("{USER}/sendMail"), json!({"message": {}, "saveToSentItems": "false"})),
            "body.saveToSentItems: a string is not of type 'Edm.Boolean'",
        ),
        (SentRequest { headers: [].into(), ..post(PASSES, json!({})) }, "without the Content-Type"),
    ] {
        assert_problem(&invalid, words);
    }
}

#[test]
fn an_unsupported_method_is_reported() {
    let policy = json!({"state": "enabled"});
    for (invalid, words) in [
        (post(&format!("{USER}/manager"), json!({})), "POST is not supported here"),
        (post("/groups/1/members", json!({"id": "1"})), "POST is not supported here"),
        (post(POLICY, policy.clone()), "POST is not supported here"),
        (request("PATCH", &format!("{PASSES}/1"), Some(json!({}))), "PATCH is not supported here"),
        (request("DELETE", PASSES, None), "DELETE is not supported here"),
        (request("DELETE", &format!("{USER}/manager"), None), "DELETE is not supported here"),
        (request("DELETE", &format!("{PASSES}/1"), Some(json!({}))), "a DELETE with a body"),
        (request("GET", PASSES, Some(json!({}))), "a GET with a body"),
        (request("PUT", POLICY, Some(policy)), "no such method"),
        (get(&format!("{USER}/sendMail")), "called with POST"),
        (post(&format!("{PASSES}?$select=id"), json!({})), "query options on a POST"),
    ] {
        assert_problem(&invalid, words);
    }
}

/// The excerpt has no such collection, so this test has its own schema.
#[test]
fn a_collection_without_insertions_is_known_by_its_annotation() {
    let schema = Schema::parse(
        r#"<Schema>
          <EntityType Name="key"/>
          <EntityType Name="user"><NavigationProperty Name="keys" Type="Collection(graph.key)" ContainsTarget="true"/></EntityType>
          <EntityContainer Name="GraphService"><EntitySet Name="users" EntityType="microsoft.graph.user"/></EntityContainer>
          <Annotations Target="microsoft.graph.user/keys">
            <Annotation><Record><PropertyValue Property="Insertable" Bool="false"/></Record></Annotation>
          </Annotations>
        </Schema>"#,
    );
    assert_eq!(check(&schema, &get("/users/1/keys")), <[String; 0]>::default());
    assert_eq!(check(&schema, &post("/users/1/keys", json!({}))), ["POST is not supported here"]);
}

#[test]
fn a_batch_is_checked_with_its_parts() {
    let batch = |requests: Vec<Value>| check_batch(&GRAPH, &post("/$batch", json!({"requests": requests})));
    let part = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    assert_eq!(batch(vec![part("1", USER), part("2", PASSES)]), <[String; 0]>::default());
    let full = |n: usize| (0..n).map(|i| part(&i.to_string(), USER)).collect();
    assert_eq!(batch(full(20)), <[String; 0]>::default());
    for (requests, words) in [
        (vec![], "0 requests"),
        (full(21), "21 requests"),
        (vec![part("a", USER), part("A", USER)], "'A' is not unique"),
        (vec![json!({"id": 1, "method": "GET", "url": USER})], "'' is not unique text"),
        (vec![json!({"id": "1", "method": "GET", "url": USER, "path": USER})], "no such field 'path'"),
        (vec![part("1", "users/1")], "not relative"),
        (vec![part("1", "/v1.0/users/1")], "not relative"),
        (vec![part("1", "https://graph.microsoft.com/v1.0/users/1")], "not relative"),
        (vec![part("1", "/users/1/manger")], "GET /users/1/manger in a batch: 'user' has no 'manger'"),
        (vec![json!({"id": "1", "method": "POST", "url": PASSES, "body": {}})], "without the Content-Type"),
    ] {
        let problems = batch(requests);
        assert!(problems.len() == 1 && problems[0].contains(words), "'{words}' expected: {problems:?}");
    }
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "GET /users?$select=hireday: $select: 'user' has no property 'hireday'")]
async fn a_test_with_an_invalid_request_fails() {
    let (app, _) = TestApp::with_emma();
    Caller::new(&app.sandbox).get("/users?$select=hireday").await;
}

#[tokio::test(start_paused = true)]
async fn a_test_can_allow_an_invalid_request() {
    let (app, _) = TestApp::with_emma();
    let app = app.allow_schema_problem("'user' has no property 'hireday'");
    let reply = Caller::new(&app.sandbox).get("/users?$select=hireday").await.unwrap();
    assert_eq!(reply.status, 400, "{}", reply.body);
}
