//! Faults, as a caller in the same process meets them.

use std::time::Duration;

use azure_core::{
    error::ErrorKind,
    http::{Method, Request},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Caller, caller_of_one};
use crate::sandbox::{Fault, FaultKind, Group};

const PASSES: &str = "/v1.0/users/emma.brooks@contoso.example/authentication/temporaryAccessPassMethods";

/// A POST through the transport: its status, or how it failed.
async fn make_pass(caller: &Caller) -> Result<u16, ErrorKind> {
    let mut request =
        Request::new(format!("https://graph.microsoft.com{PASSES}").parse().unwrap(), Method::Post);
    request.insert_header("authorization", "Bearer sandbox");
    request.insert_header("content-type", "application/json");
    request.set_body("{}");
    let answer = caller.sandbox.transport().execute_request(&request).await;
    answer.map(|answer| u16::from(answer.status())).map_err(|error| error.kind().clone())
}

fn inject(caller: &Caller, kind: FaultKind) {
    caller.sandbox.inject(Fault::on("POST", "temporaryAccessPassMethods", kind));
}

#[tokio::test]
async fn throttled_with_whatever_header() {
    let (caller, _) = caller_of_one();
    for retry_after in [Some("2.128"), Some("Wed, 21 Oct 2026 07:28:00 GMT"), None] {
        inject(&caller, FaultKind::Throttle { retry_after: retry_after.map(str::to_owned) });
        let reply = caller.post(PASSES, json!({})).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, retry_after.unwrap_or_default()));
    }
    assert!(caller.sandbox.passes().is_empty());
    caller.post(PASSES, json!({})).await.expect(201);
}

#[tokio::test]
async fn failing_before_the_effect() {
    let (caller, _) = caller_of_one();
    let fail =
        FaultKind::Fail { status: 503, code: "serviceNotAvailable".to_owned(), message: "Busy.".to_owned() };
    inject(&caller, fail);
    assert_eq!(caller.post(PASSES, json!({})).await.error(), (503, "serviceNotAvailable", "Busy."));
    assert!(caller.sandbox.passes().is_empty());
}

#[tokio::test]
async fn losing_the_answer_after_the_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::LoseAnswer);
    assert!(matches!(make_pass(&caller).await, Err(ErrorKind::Io)));
    assert_eq!(caller.sandbox.passes().len(), 1);
    assert_eq!(caller.sandbox.requests()[0].status, Some(201));
}

#[tokio::test]
async fn failing_after_the_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::FailAfter { status: 504 });
    assert_eq!(caller.post(PASSES, json!({})).await.status, 504);
    assert_eq!(caller.sandbox.passes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_replica_shows_what_was() {
    let (caller, emma) = caller_of_one();
    caller.post(PASSES, json!({})).await.expect(201);
    let stale =
        Fault { method: None, path_contains: emma.to_string(), ..Fault::on("", "", FaultKind::Stale) };
    caller.sandbox.inject(stale.always().lasting(Duration::from_secs(300)));
    let first = caller.sandbox.passes()[0].id.to_string();
    let passes = format!("/v1.0/users/{emma}/authentication/temporaryAccessPassMethods");
    caller.post(&passes, json!({})).await.expect(201);
    caller.sandbox.edit(|tenant| tenant.change(emma, |person| person.hire_date = None));
    let shown = async || caller.get(&passes).await.body["value"][0]["id"].as_str().unwrap().to_owned();
    let hired = async || caller.get(format!("/v1.0/users/{emma}?$select=employeeHireDate")).await.body;
    assert_eq!(shown().await, first);
    assert!(hired().await["employeeHireDate"].is_string());
    let second = caller.sandbox.passes()[0].id.to_string();
    assert_ne!(first, second, "changes are made to the tenant as it is");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(shown().await, second);
    assert!(hired().await["employeeHireDate"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_lagging_replica_shows_memberships_as_they_were() {
    let (caller, emma) = caller_of_one();
    let group = caller.sandbox.edit(|tenant| tenant.add_group(Group::named("On-demand access")));
    let of_emma = format!("/v1.0/users/{emma}/transitiveMemberOf");
    let of_group = format!("/v1.0/groups/{group}/members");
    let stale =
        |path: &str| Fault { path_contains: path.to_owned(), ..Fault::on("GET", "", FaultKind::Stale) };
    for path in [&of_emma, &of_group] {
        caller.sandbox.inject(stale(path).always().lasting(Duration::from_secs(60)));
    }
    caller.sandbox.edit(|tenant| tenant.add_member(group, emma));
    let counts = async || {
        let count = async |url: &str| caller.get(url).await.expect(200)["value"].as_array().unwrap().len();
        (count(&of_emma).await, count(&of_group).await)
    };
    assert_eq!(counts().await, (0, 0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(counts().await, (1, 1), "the tenant itself had the change all the time");
}

#[tokio::test]
async fn what_became_of_passes_is_noted_whoever_hears_of_it() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::LoseAnswer);
    assert!(make_pass(&caller).await.is_err());
    let first = caller.sandbox.passes()[0].clone();
    caller.post(PASSES, json!({})).await.expect(201);
    let second = caller.sandbox.passes()[0].clone();
    caller.delete(format!("{PASSES}/{}", second.id)).await.expect(204);
    let events: Vec<_> = caller.sandbox.pass_events().into_iter().map(|e| (e.made, e.gone)).collect();
    assert_eq!(
        events,
        [(Some(first.clone()), None), (Some(second.clone()), Some(first)), (None, Some(second))]
    );
}

#[tokio::test]
async fn refusing_the_connection() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::Refuse);
    assert!(matches!(make_pass(&caller).await, Err(ErrorKind::Connection)));
    assert!(caller.sandbox.passes().is_empty());
    assert!(caller.sandbox.requests().is_empty());
    assert!(matches!(make_pass(&caller).await, Ok(201)));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_gets_what_they_asked_for_all_the_same() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::Delay(Duration::from_secs(45)));
    assert!(timeout(Duration::from_secs(30), make_pass(&caller)).await.is_err());
    assert!(caller.sandbox.passes().is_empty());
    assert_eq!(caller.sandbox.requests()[0].status, None, "still under way");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(caller.sandbox.passes().len(), 1);
    assert_eq!(caller.sandbox.requests()[0].status, Some(201));
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_late() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::DelayAfter(Duration::from_secs(45)));
    assert!(timeout(Duration::from_secs(30), make_pass(&caller)).await.is_err());
    assert_eq!(caller.sandbox.passes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_request_takes_its_time() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(300));
    let start = Instant::now();
    caller.get(format!("/v1.0/users/{emma}")).await.expect(200);
    assert_eq!(start.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_part_takes_the_whole_batch_with_it() {
    let (caller, emma) = caller_of_one();
    let url = PASSES.trim_start_matches("/v1.0");
    let make = json!({
        "id": "a", "method": "POST", "url": url, "headers": { "Content-Type": "application/json" }, "body": {},
    });
    let read = json!({ "id": "b", "method": "GET", "url": format!("/users/{emma}") });
    let batch = async || -> Result<Value, ErrorKind> {
        let url = "https://graph.microsoft.com/v1.0/$batch".parse().unwrap();
        let mut request = Request::new(url, Method::Post);
        request.insert_header("authorization", "Bearer sandbox");
        request.insert_header("content-type", "application/json");
        request.set_body(json!({ "requests": [make, read] }).to_string());
        let answer = caller.sandbox.transport().execute_request(&request).await;
        let answer = answer.map_err(|error| error.kind().clone())?;
        Ok(answer.try_into_raw_response().await.unwrap().into_body().json().unwrap())
    };
    inject(&caller, FaultKind::Refuse);
    assert!(matches!(batch().await, Err(ErrorKind::Connection)));
    assert_eq!((caller.sandbox.passes().len(), caller.sandbox.requests().len()), (0, 0));

    inject(&caller, FaultKind::LoseAnswer);
    assert!(matches!(batch().await, Err(ErrorKind::Io)));
    assert_eq!((caller.sandbox.passes().len(), caller.sandbox.requests().len()), (1, 1));

    inject(&caller, FaultKind::Delay(Duration::from_secs(45)));
    let start = Instant::now();
    assert!(batch().await.is_ok());
    assert_eq!(start.elapsed(), Duration::from_secs(45));
}

#[tokio::test(start_paused = true)]
async fn misbehaviour_is_drawn_from_the_seed_and_ends() {
    let statuses = async || {
        let (caller, emma) = caller_of_one();
        caller.sandbox.misbehave(0.5);
        let mut statuses = Vec::new();
        for _ in 0..160 {
            statuses.push(caller.get(format!("/v1.0/users/{emma}")).await.status);
        }
        caller.sandbox.clear_faults();
        for _ in 0..160 {
            caller.get(format!("/v1.0/users/{emma}")).await.expect(200);
        }
        statuses
    };
    let first = statuses().await;
    assert!(first.contains(&200) && first.contains(&429) && first.contains(&503));
    assert_eq!(first, statuses().await);
}
