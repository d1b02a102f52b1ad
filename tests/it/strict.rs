//! The strictness of the sandbox's router: one table for each kind of refusal.
//!
//! docs/SANDBOX.md names the tests here, in the other `strict_*` files and in `tests/it/sandbox`.

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header},
};
use firstpass_sandbox::tenant::{Person, Sandbox, Tenant};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::helpers::{NOW, tenant_with_emma, time};

pub const POLICY: &str =
    "/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/temporaryAccessPass";
pub const ASSIGNMENTS: &str = "/roleManagement/directory/roleAssignments";

/// A caller with a token, in a tenant with one joiner.
pub struct Graph {
    pub sandbox: Sandbox,
    pub emma: Uuid,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Reply {
    fn error(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.body["error"][name].as_str().unwrap_or_default();
        (self.status, text("code"), text("message"))
    }
}

impl Graph {
    pub fn new() -> Self {
        let (tenant, emma) = tenant_with_emma();
        Self::of(tenant, emma)
    }

    pub fn of(tenant: Tenant, emma: Uuid) -> Self {
        Self { sandbox: Sandbox::new(tenant, time(NOW)), emma }
    }

    /// `path` has no version; `{emma}` in it becomes her id.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let url = format!(
            "/v1.0{}",
            path.replace("{emma}", &self.emma.to_string()).replace(' ', "%20").replace('"', "%22")
        );
        let token = [("authorization", "Bearer sandbox")];
        let token = if headers.iter().any(|(name, _)| *name == "authorization") { &[][..] } else { &token };
        self.raw(method, &url, &[token, headers].concat(), body).await
    }

    pub async fn raw(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let request = headers.iter().fold(Request::builder().method(method).uri(url), |request, header| {
            request.header(header.0, header.1)
        });
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.sandbox.router().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string()).await
    }

    /// Asserts status, code, and words of the message for each path.
    pub async fn assert_refused(&self, headers: &[(&str, &str)], table: &[(&str, u16, &str, &str)]) {
        for (path, status, code, words) in table {
            let reply = self.send("GET", path, headers, "").await;
            let (got, got_code, message) = reply.error();
            assert_eq!((got, got_code), (*status, *code), "{path}: {message}");
            assert!(message.contains(words), "{path}: {message}");
        }
    }
}

const ADVANCED: &[(&str, &str)] = &[("consistencylevel", "eventual")];

#[tokio::test]
async fn options_are_refused_as_in_graph_or_unimplemented() {
    let graph = Graph::new();
    graph
        .assert_refused(
            &[],
            &[
                ("/users?$skip=10", 400, "Request_BadRequest", "'$skip' is not supported by the service."),
                ("/users?$search=\"a\"", 400, "Request_UnsupportedQuery", "'ConsistencyLevel: eventual'"),
                (
                    "/users?$filter=userPrincipalName eq 'a'&$orderby=displayName",
                    400,
                    "Request_UnsupportedQuery",
                    "Sorting not supported",
                ),
                ("/users?$orderby=displayName", 501, "SandboxNotImplemented", "'$orderby'"),
                ("/users?$expand=manager", 501, "SandboxNotImplemented", "'$expand'"),
                ("/users?$format=xml", 501, "SandboxNotImplemented", "'$format'"),
                ("/users?$colour=red", 400, "BadRequest", "'$colour'"),
                ("/users?top=5", 501, "SandboxNotImplemented", "'top'"),
                ("/users/{emma}?$top=5", 501, "SandboxNotImplemented", "'$top'"),
                ("/users?$count=yes", 400, "BadRequest", "'yes'"),
                ("/users?$top=0", 400, "Request_BadRequest", "'0'"),
            ],
        )
        .await;
    graph
        .assert_refused(
            ADVANCED,
            &[
                ("/users?$search=\"a\"&$count=true", 501, "SandboxNotImplemented", "'$search'"),
                ("/users?$skip=1&$count=true", 400, "Request_BadRequest", "'$skip'"),
            ],
        )
        .await;
}

#[tokio::test]
async fn unimplemented_filters_are_refused() {
    let graph = Graph::new();
    for filter in [
        "startswith(displayName,'A')",
        "endswith(mail,'a')",
        "not(accountEnabled eq true)",
        "not accountEnabled eq true",
        "userPrincipalName eq 'a' or userPrincipalName eq 'b'",
        "(userPrincipalName eq 'a')",
        "userPrincipalName in ('a','b')",
        "otherMails/any(m:m eq 'a')",
        "employeeHireDate ne 2026-11-21T00:00:00Z",
        "displayName eq 'A'",
    ] {
        let reply = graph.send("GET", &format!("/users?$count=true&$filter={filter}"), ADVANCED, "").await;
        assert_eq!(reply.error().0, 501, "{filter}: {}", reply.body);
    }
    // Text in quotes is a value.
    let quoted = graph.get("/users?$filter=userPrincipalName eq 'not (a) or b'").await;
    assert_eq!((quoted.status, &quoted.body["value"]), (200, &json!([])));
}

#[tokio::test]
async fn path_segments_are_those_of_the_schema() {
    let graph = Graph::new();
    let missing = "Resource not found for the segment";
    graph
        .assert_refused(
            &[],
            &[
                ("/joiners", 400, "BadRequest", "Resource not found for the segment 'joiners'."),
                ("/users/{emma}/boss", 400, "BadRequest", "segment 'boss'"),
                ("/users/{emma}/authentication/passes", 400, "BadRequest", missing),
                ("/groups/{emma}/people", 400, "BadRequest", missing),
                ("/roleManagement/directory/rolls", 400, "BadRequest", missing),
                ("/policies/passPolicy", 400, "BadRequest", missing),
                ("/v1.0/users", 400, "BadRequest", "segment 'v1.0'"),
                ("/me", 400, "BadRequest", "delegated"),
                ("/groups/{emma}/members/microsoft.graph.cat", 400, "Request_UnsupportedQuery", ""),
                ("/groups/{emma}/members/microsoft.graph.user", 501, "SandboxNotImplemented", ""),
                ("/users/{emma}/memberOf", 501, "SandboxNotImplemented", ""),
                ("/users/{emma}/displayName", 501, "SandboxNotImplemented", ""),
                ("/users/{emma}/authentication/fido2Methods", 501, "SandboxNotImplemented", ""),
                ("/invitations", 501, "SandboxNotImplemented", ""),
                ("/users/$count", 501, "SandboxNotImplemented", ""),
            ],
        )
        .await;
}

#[tokio::test]
async fn methods_are_not_allowed_or_unimplemented() {
    let graph = Graph::new();
    let passes = "/users/{emma}/authentication/temporaryAccessPassMethods";
    for (method, path, status) in [
        ("PATCH", passes, 405),
        ("PUT", passes, 405),
        ("DELETE", passes, 405),
        ("PATCH", &format!("{passes}/1"), 405),
        ("GET", "/users/{emma}/sendMail", 405),
        ("DELETE", "/users", 405),
        ("POST", "/users/{emma}/manager", 405),
        ("POST", "/users", 501),
        ("PATCH", "/users/{emma}", 501),
        ("DELETE", "/users/{emma}", 501),
        ("PATCH", POLICY, 501),
        ("POST", ASSIGNMENTS, 501),
    ] {
        let reply = graph.send(method, path, &[("content-type", "application/json")], "{}").await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
    }
    assert!(graph.sandbox.edit(|tenant| tenant.find_user(&graph.emma.to_string()).is_some()));
}

#[tokio::test]
async fn a_malformed_body_is_refused() {
    let graph = Graph::new();
    let passes = "/users/{emma}/authentication/temporaryAccessPassMethods";
    let json: &[(&str, &str)] = &[("content-type", "application/json")];
    for (path, headers, body, status, code, words) in [
        (passes, &[][..], "{}", 400, "BadRequest", "must contain the Content-Type header"),
        (passes, &[("content-type", "text/xml")], "<a/>", 400, "BadRequest", "'text/xml'"),
        (passes, json, "{", 400, "BadRequest", "Unable to read JSON"),
        (passes, json, "[]", 400, "BadRequest", "Unable to read JSON"),
        (passes, json, "", 400, "BadRequest", "Unable to read JSON"),
        (passes, json, r#"{"colour":"red"}"#, 400, "BadRequest", "Invalid JSON payload"),
        (passes, json, r#"{"lifetimeInMinutes":"60"}"#, 400, "BadRequest", "Invalid JSON payload"),
        ("/$batch", json, r#"{"requests":[],"more":1}"#, 400, "BadRequest", "Invalid batch payload format"),
    ] {
        let reply = graph.send("POST", path, headers, body).await;
        let (got, got_code, message) = reply.error();
        assert_eq!((got, got_code), (status, code), "{body}: {message}");
        assert!(message.contains(words), "{body}: {message}");
    }
    assert_eq!(graph.sandbox.passes(), []);
}

#[tokio::test]
async fn a_mail_in_mime_is_base64() {
    let graph = Graph::new();
    let send = "/users/welcome@contoso.example/sendMail";
    let plain: &[(&str, &str)] = &[("content-type", "text/plain")];
    let reply = graph.send("POST", send, plain, "Hello, app").await;
    assert_eq!((reply.error().0, reply.error().1), (400, "ErrorMimeContentInvalidBase64String"));
    assert_eq!(graph.send("POST", send, plain, "SGVsbG8=").await.status, 501);
}

#[tokio::test]
async fn send_mail_parameters_may_begin_with_a_capital() {
    let graph = Graph::new();
    let message = json!({
        "@odata.type": "#microsoft.graph.message",
        "subject": "Welcome",
        "body": {"contentType": "html", "content": "<p>Hello</p>"},
        "toRecipients": [{"emailAddress": {"address": "emma@mail.example"}}],
    });
    let send = "/users/welcome@contoso.example/sendMail";
    for (body, status) in [
        (json!({"message": message, "saveToSentItems": false}), 202),
        (json!({"Message": message, "SaveToSentItems": false}), 202),
        (json!({"message": message, "Message": message}), 400),
        (json!({"message": {"@odata.type": "#microsoft.graph.event"}}), 400),
    ] {
        let reply = graph.post(send, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
    }
    assert!(graph.sandbox.mails().iter().all(|mail| !mail.save_to_sent_items));
}

#[tokio::test]
async fn links_point_to_the_requested_host() {
    let (mut tenant, emma) = tenant_with_emma();
    for number in 0..3 {
        tenant.add(Person::named(&format!("Joiner {number}")));
    }
    let graph = Graph::of(tenant, emma);
    for (host, root) in [
        ("graph.microsoft.com", "https://graph.microsoft.com/v1.0/"),
        ("127.0.0.1:8089", "http://127.0.0.1:8089/v1.0/"),
        ("localhost:8089", "http://localhost:8089/v1.0/"),
        ("[::1]:8089", "http://[::1]:8089/v1.0/"),
        // An unknown host is not repeated.
        ("evil.example", "https://graph.microsoft.com/v1.0/"),
        ("127.0.0.1.evil.example", "https://graph.microsoft.com/v1.0/"),
    ] {
        let reply = graph.send("GET", "/users?$select=id&$top=1", &[("host", host)], "").await;
        for link in ["@odata.nextLink", "@odata.context"] {
            assert!(reply.body[link].as_str().unwrap().starts_with(root), "{host}: {}", reply.body[link]);
        }
        let batch = json!({"requests": [{"id": "1", "method": "GET", "url": "/users?$top=1"}]}).to_string();
        let headers = [("host", host), ("content-type", "application/json")];
        let reply = graph.send("POST", "/$batch", &headers, &batch).await;
        let link = &reply.body["responses"][0]["body"]["@odata.nextLink"];
        assert!(link.as_str().unwrap().starts_with(root), "{host}: {link}");
    }
}

#[tokio::test]
async fn batches_of_microsofts_sdks_are_accepted() {
    let graph = Graph::new();
    let part = |more: Value| {
        let mut part = json!({"id": "1", "method": "GET", "url": format!("/users/{}", graph.emma)});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"requests": [part]})
    };
    for (more, status) in [
        (json!({"depends_on": [], "headers": {"accept": "application/json"}}), 200),
        (json!({"dependsOn": []}), 200),
        (json!({"depends_on": ["0"]}), 501),
        (json!({"dependsOn": ["0"]}), 501),
        (json!({"colour": "red"}), 400),
    ] {
        assert_eq!(graph.post("/$batch", &part(more.clone())).await.status, status, "{more}");
    }
    let write = json!({"requests": [{"id": "7", "method": "POST", "url": "/users", "body": {}}]});
    let refused = graph.post("/$batch", &write).await;
    assert_eq!(
        refused.error(),
        (400, "BadRequest", "Write request with id '7' does not contain a Content-Type header.")
    );
}

#[tokio::test]
async fn the_policy_names_the_context_of_its_targets() {
    let graph = Graph::new();
    let policy = graph.get(POLICY).await.body;
    assert_eq!(
        policy["@odata.type"],
        "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration"
    );
    let context = policy["includeTargets@odata.context"].as_str().unwrap();
    assert!(context.starts_with("https://graph.microsoft.com/v1.0/$metadata#policies/"), "{context}");
}

#[tokio::test]
async fn only_json_responses_have_a_content_type() {
    let graph = Graph::new();
    let reply = graph.get("/users/{emma}").await;
    let kind = reply.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("application/json;odata.metadata=minimal;"), "{kind}");
    let passes = format!("/users/{}/authentication/temporaryAccessPassMethods", graph.emma);
    let made = graph.post(&passes, &json!({})).await;
    let id = made.body["id"].as_str().unwrap();
    let gone = graph.send("DELETE", &format!("{passes}/{id}"), &[], "").await;
    assert_eq!((gone.status, gone.headers.get(header::CONTENT_TYPE)), (204, None));
}
