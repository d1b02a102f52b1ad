//! Batches.

use std::time::Duration;

use firstpass_sandbox::tenant::{Fault, FaultKind};
use serde_json::{Value, json};

use super::{Caller, Pending, Person, Tenant, caller, caller_of_one, mail_to};

fn post(caller: &Caller, parts: Vec<Value>) -> Pending {
    caller.post("/v1.0/$batch", json!({ "requests": parts }))
}

fn part(id: &str, url: &str) -> Value {
    json!({ "id": id, "method": "GET", "url": url })
}

/// The response to the part with this id.
fn response<'a>(body: &'a Value, id: &str) -> &'a Value {
    body["responses"].as_array().unwrap().iter().find(|response| response["id"] == id).unwrap()
}

#[tokio::test]
async fn batch_parts_have_separate_responses_in_any_order() {
    let (caller, emma) = caller_of_one();
    let passes = format!("/users/{emma}/authentication/temporaryAccessPassMethods");
    let make = json!({
        "id": "c", "method": "POST", "url": passes, "headers": { "Content-Type": "application/json" }, "body": {},
    });
    let parts = vec![part("a", &format!("/users/{emma}?$select=id")), part("b", "/users/nobody"), make];
    let body = post(&caller, parts).await.expect(200);
    let order: Vec<_> =
        body["responses"].as_array().unwrap().iter().map(|response| &response["id"]).collect();
    assert_ne!(order, ["a", "b", "c"]);
    assert_eq!(response(&body, "a")["body"]["id"], json!(emma));
    assert_eq!(response(&body, "a")["headers"]["Content-Type"], "application/json");
    assert_eq!(response(&body, "b")["status"], 404);
    assert_eq!(response(&body, "b")["body"]["error"]["code"], "Request_ResourceNotFound");
    assert_eq!(response(&body, "c")["status"], 201);

    let requests = caller.sandbox.requests();
    assert_eq!(requests.len(), 1, "a batch is one request");
    assert_eq!((requests[0].url.as_str(), requests[0].status), ("/v1.0/$batch", Some(200)));
    let statuses: Vec<_> = requests[0].parts.iter().map(|part| (part.method.as_str(), part.status)).collect();
    assert_eq!(statuses, [("GET", 200), ("GET", 404), ("POST", 201)]);
    assert_eq!(requests[0].parts[1].url, "/users/nobody");
}

#[tokio::test]
async fn a_batch_part_has_its_own_headers() {
    let (caller, _) = caller_of_one();
    let url = "/users?$count=true&$filter=employeeHireDate ge 2026-11-21T00:00:00Z";
    let mut advanced = part("b", url);
    advanced["headers"] = json!({ "ConsistencyLevel": "eventual" });
    let sent = json!({ "requests": [part("a", url), advanced] });
    let reply = caller.send("POST", "/v1.0/$batch", &[("ConsistencyLevel", "eventual")], Some(sent)).await;
    let body = reply.expect(200);
    assert_eq!(response(&body, "a")["status"], 400);
    assert_eq!(response(&body, "b")["body"]["@odata.count"], 1);
}

#[tokio::test]
async fn a_malformed_batch_is_refused_as_a_whole() {
    let (caller, emma) = caller_of_one();
    let user = format!("/users/{emma}");
    let passes = format!("/users/{emma}/authentication/temporaryAccessPassMethods");
    let many = |count: usize| (0..count).map(|at| part(&at.to_string(), &user)).collect::<Vec<_>>();
    let mut dependent = part("b", &user);
    dependent["dependsOn"] = json!(["a"]);
    for (parts, status) in [
        (many(20), 200),
        (many(21), 400),
        (vec![], 400),
        (vec![part("a", &user), part("A", &user)], 400),
        (vec![part("a", "https://graph.microsoft.com/v1.0/users")], 400),
        (vec![json!({ "id": "a", "method": "POST", "url": passes, "body": {} })], 400),
        (vec![json!({ "id": "a", "method": "POST", "url": passes })], 400),
        (vec![json!({ "method": "GET", "url": user })], 400),
        (vec![json!({ "id": 1, "method": "GET", "url": user })], 400),
        (vec![part("a", &user), dependent], 501),
    ] {
        assert_eq!(post(&caller, parts.clone()).await.status, status, "{parts:?}");
    }
    assert!(caller.sandbox.passes().is_empty());
    assert_eq!(caller.get("/v1.0/$batch").await.status, 405);
    let nested = post(&caller, vec![part("a", "/$batch")]).await.expect(200);
    assert_eq!(response(&nested, "a")["status"], 501);
}

#[tokio::test]
async fn a_single_batch_part_can_be_throttled() {
    let (caller, emma) = caller_of_one();
    let throttle = FaultKind::Throttle { retry_after: Some("2.128".to_owned()) };
    caller.sandbox.inject(Fault::on("GET", "/manager", throttle));
    let parts = vec![part("a", &format!("/users/{emma}")), part("b", &format!("/users/{emma}/manager"))];
    let body = post(&caller, parts).await.expect(200);
    assert_eq!(response(&body, "a")["status"], 200);
    assert_eq!(response(&body, "b")["status"], 429);
    assert_eq!(response(&body, "b")["headers"]["Retry-After"], "2.128");
}

#[tokio::test(start_paused = true)]
async fn the_mailbox_limit_applies_to_batch_parts() {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name("welcome@contoso.example"));
    tenant.latency = Duration::from_secs(1);
    let caller = caller(tenant);
    let send = |id: usize| {
        json!({
            "id": id.to_string(),
            "method": "POST",
            "url": "/users/welcome@contoso.example/sendMail",
            "headers": { "Content-Type": "application/json" },
            "body": mail_to("emma@gmail.example"),
        })
    };
    let body = post(&caller, (0..6).map(send).collect()).await.expect(200);
    let statuses: Vec<_> = body["responses"].as_array().unwrap().iter().map(|part| &part["status"]).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 4);
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2);
}
