//! Faults, seen by a caller in this process.

use std::time::Duration;

use azure_core::{
    error::ErrorKind,
    http::{Method, Request},
};
use firstpass_sandbox::tenant::{Fault, FaultKind, Group};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Caller, caller_of_one};

const PASSES: &str = "/v1.0/users/emma.brooks@contoso.example/authentication/temporaryAccessPassMethods";

/// POSTs a pass through the transport: the status, or the kind of error.
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
async fn a_throttled_request_can_have_any_retry_after() {
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
async fn a_failed_request_has_no_effect() {
    let (caller, _) = caller_of_one();
    let fail =
        FaultKind::Fail { status: 503, code: "serviceNotAvailable".to_owned(), message: "Busy.".to_owned() };
    inject(&caller, fail);
    assert_eq!(caller.post(PASSES, json!({})).await.error(), (503, "serviceNotAvailable", "Busy."));
    assert!(caller.sandbox.passes().is_empty());
}

#[tokio::test]
async fn a_request_with_a_lost_response_has_its_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::LoseAnswer);
    assert!(matches!(make_pass(&caller).await, Err(ErrorKind::Io)));
    assert_eq!(caller.sandbox.passes().len(), 1);
    assert_eq!(caller.sandbox.requests()[0].status, Some(201));
}

#[tokio::test]
async fn fail_after_returns_an_error_after_the_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::FailAfter { status: 504 });
    assert_eq!(caller.post(PASSES, json!({})).await.status, 504);
    assert_eq!(caller.sandbox.passes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_replica_returns_old_accounts_and_passes() {
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
    assert_ne!(first, second, "writes change the current tenant");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(shown().await, second);
    assert!(hired().await["employeeHireDate"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_stale_replica_returns_old_memberships() {
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
    assert_eq!(counts().await, (1, 1), "the tenant had the change");
}

#[tokio::test]
async fn pass_events_include_requests_with_lost_responses() {
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
async fn a_refused_connection_has_no_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::Refuse);
    assert!(matches!(make_pass(&caller).await, Err(ErrorKind::Connection)));
    assert!(caller.sandbox.passes().is_empty());
    assert!(caller.sandbox.requests().is_empty());
    assert!(matches!(make_pass(&caller).await, Ok(201)));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_still_takes_effect() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::Delay(Duration::from_secs(45)));
    assert!(timeout(Duration::from_secs(30), make_pass(&caller)).await.is_err());
    assert!(caller.sandbox.passes().is_empty());
    assert_eq!(caller.sandbox.requests()[0].status, None, "still in progress");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(caller.sandbox.passes().len(), 1);
    assert_eq!(caller.sandbox.requests()[0].status, Some(201));
}

#[tokio::test(start_paused = true)]
async fn a_response_can_be_delayed() {
    let (caller, _) = caller_of_one();
    inject(&caller, FaultKind::DelayAfter(Duration::from_secs(45)));
    assert!(timeout(Duration::from_secs(30), make_pass(&caller)).await.is_err());
    assert_eq!(caller.sandbox.passes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn latency_applies_to_every_request() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(300));
    let start = Instant::now();
    caller.get(format!("/v1.0/users/{emma}")).await.expect(200);
    assert_eq!(start.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn a_batch_and_its_parts_have_one_latency() {
    let (caller, emma) = caller_of_one();
    caller.sandbox.edit(|tenant| tenant.latency = Duration::from_millis(300));
    let part = |id: u32| json!({ "id": id.to_string(), "method": "GET", "url": format!("/users/{emma}") });
    let timed = async |parts: Vec<Value>, status| {
        let start = Instant::now();
        caller.post("/v1.0/$batch", json!({ "requests": parts })).await.expect(status);
        start.elapsed()
    };
    assert_eq!(timed((0..20).map(part).collect(), 200).await, Duration::from_millis(300));
    assert_eq!(timed(vec![], 400).await, Duration::from_millis(300), "a refused one too");
    let slow = FaultKind::Delay(Duration::from_secs(1));
    caller.sandbox.inject(Fault::on("GET", "/users", slow.clone()).nth(2));
    assert_eq!(timed(vec![part(1), part(2)], 200).await, Duration::from_millis(1_300), "the slowest part");
    caller.sandbox.inject(Fault::on("POST", "$batch", slow));
    assert_eq!(timed(vec![part(1)], 200).await, Duration::from_millis(1_300));
}

#[tokio::test(start_paused = true)]
async fn a_connection_fault_of_a_part_affects_the_whole_batch() {
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
async fn random_faults_follow_the_seed_and_can_be_cleared() {
    let statuses = async || {
        let (caller, emma) = caller_of_one();
        caller.sandbox.set_fault_rate(0.5);
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

#[test]
fn faults_can_be_read_from_json() {
    let fault = |text| serde_json::from_str::<Fault>(text);
    let throttle =
        fault(r#"{"path_contains":"/users","kind":{"throttle":{"retry_after":"2.128"}}}"#).unwrap();
    assert_eq!(throttle.kind, FaultKind::Throttle { retry_after: Some("2.128".to_owned()) });
    assert_eq!((throttle.nth, throttle.times), (1, 1));
    assert_eq!(
        fault(r#"{"kind":{"delay":1.5}}"#).unwrap().kind,
        FaultKind::Delay(Duration::from_millis(1500))
    );
    assert_eq!(fault(r#"{"kind":"lose_answer"}"#).unwrap().kind, FaultKind::LoseAnswer);
    assert_eq!(
        fault(r#"{"kind":{"fail_after":{"status":504}}}"#).unwrap().kind,
        FaultKind::FailAfter { status: 504 }
    );
    let stale = fault(r#"{"method":"GET","body_contains":"emma","for_seconds":240,"kind":"stale"}"#).unwrap();
    assert_eq!((&stale.kind, stale.body_contains.as_str()), (&FaultKind::Stale, "emma"));
    assert_eq!(stale.lasts, Some(Duration::from_secs(240)));
    assert!(fault(r#"{"kind":"stale","for_seconds":null}"#).is_err(), "omit it for no limit");
    assert!(fault(r#"{"kind":{"fail_after":{"code":"x"}}}"#).is_err());
    assert!(fault(r#"{"kind":"refuse","path":"/users"}"#).is_err(), "unknown fields are refused");
    assert!(fault(r#"{"kind":{"throttle":{"after":"1"}}}"#).is_err());
    assert!(fault(r#"{"kind":{"delay":-1}}"#).is_err());
}

/// The statuses of consecutive GETs; 0 for a connection error.
async fn read_often(caller: &Caller, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        statuses.push(caller.get("/v1.0/users?$top=1").await.status);
    }
    statuses
}

#[tokio::test]
async fn a_fault_affects_the_nth_request_and_the_following_ones() {
    let (caller, _) = caller_of_one();
    let refused = FaultKind::Fail { status: 403, code: "Forbidden".to_owned(), message: String::new() };
    caller.sandbox.inject(Fault::on("GET", "/users", refused.clone()).nth(2).times(2));
    assert_eq!(read_often(&caller, 5).await, [200, 403, 403, 200, 200]);
    caller.sandbox.inject(Fault::on("POST", "/users", refused));
    assert_eq!(read_often(&caller, 1).await, [200], "another method");
}

#[tokio::test(start_paused = true)]
async fn a_fault_can_match_a_body_and_expire() {
    let (mut tenant, emma) = super::tenant_of_one();
    let sender = tenant.add_mailbox(super::Person::named("Welcome"));
    let caller = super::caller(tenant);
    let refused = FaultKind::Fail { status: 403, code: "Forbidden".to_owned(), message: String::new() };
    let fault = Fault::on("POST", "sendMail", refused).body("emma@").always();
    caller.sandbox.inject(fault.lasting(Duration::from_secs(60)));
    let send = async |to: &str| {
        caller.post(format!("/v1.0/users/{sender}/sendMail"), super::mail_to(to)).await.status
    };
    assert_eq!((send("noah@mail.example").await, send("emma@mail.example").await), (202, 403), "{emma}");
    caller.sandbox.advance(chrono::TimeDelta::seconds(59));
    assert_eq!(send("emma@mail.example").await, 403);
    caller.sandbox.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(send("emma@mail.example").await, 202);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_random_fault_occurs() {
    let (caller, _) = caller_of_one();
    caller.sandbox.set_fault_rate(1.0);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let start = Instant::now();
        let reply = caller.get("/v1.0/users?$top=1").await;
        let is_slow = start.elapsed() >= Duration::from_secs(45);
        seen.insert((reply.status, reply.header("retry-after").to_owned(), reply.is_broken, is_slow));
    }
    let status = |wanted: u16| seen.iter().any(|(status, _, is_broken, _)| *status == wanted && !is_broken);
    assert!([429, 503, 504, 500, 502, 401].into_iter().all(status), "{seen:?}");
    let retry_after = |text: &str| seen.iter().any(|(status, header, ..)| *status == 429 && header == text);
    assert!(["2.128", "7", ""].into_iter().all(retry_after), "{seen:?}");
    assert!(
        seen.iter().any(|(.., is_broken, _)| *is_broken) && seen.iter().any(|(.., is_slow)| *is_slow),
        "{seen:?}"
    );
}
