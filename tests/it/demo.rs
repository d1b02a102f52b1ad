//! The demo: its output and its page.

use std::process::Command;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{self, Request},
};
use firstpass_sandbox::{
    demo::{Progress, setup::Setup, web},
    tenant::{Fault, Sandbox, samples::samples},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{
    helpers::{NOW, time},
    process::sandbox_binary,
};

fn demo(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(sandbox_binary()).arg("demo").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn once_prints_a_table_and_exits() {
    let (success, printed) = demo(&["--once"]);
    assert!(success);
    for words in [
        "Emma Brooks",
        "delivered",
        "blocked",
        "skipped",
        "07:00 Auckland",
        "07:00 Los Angeles",
        "no private address",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn json_prints_one_object_with_matching_totals() {
    let (success, printed) = demo(&["--once", "--json"]);
    assert!(success);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let jobs = report["jobs"].as_array().unwrap();
    assert!(jobs.len() >= 12);
    assert_eq!(report["joiners"], jobs.len());
    let outcomes = report["outcomes"].as_object().unwrap();
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["blocked", "delivered", "failed", "revoked", "skipped"]);
    for (word, count) in outcomes {
        assert_eq!(
            jobs.iter().filter(|job| job["outcome"] == **word).count() as u64,
            count.as_u64().unwrap(),
            "{word}"
        );
    }
    assert_eq!(outcomes["delivered"], report["mails"]);
    assert!(report["graph_requests"].as_u64().unwrap() >= 3 * report["mails"].as_u64().unwrap());
    assert!(
        jobs.iter().all(
            |job| !job["why"].as_str().unwrap().is_empty() && job["user"].as_str().unwrap().contains('@')
        )
    );
}

#[test]
fn the_page_is_served_on_loopback_only() {
    let (success, _) = demo(&["--listen", "0.0.0.0:0"]);
    assert!(!success);
}

/// A client of the page's server.
struct PageClient {
    setup: Setup,
    router: Router,
}

impl PageClient {
    /// After the first sweep.
    async fn new() -> Self {
        let now = time(NOW);
        let setup = Setup::new(Sandbox::new(samples(now), now)).unwrap();
        setup.run_first_sweep(&Progress::silent()).await.unwrap();
        Self { router: web::router(setup.clone()), setup }
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> (u16, String) {
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.send(Request::get(path).header("host", "127.0.0.1:8088"), "").await
    }

    async fn post(&self, action: &str, body: Value) -> (u16, Value) {
        let request = Request::post(format!("/demo/{action}"))
            .header("host", "127.0.0.1:8088")
            .header("origin", "http://127.0.0.1:8088")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json");
        let (status, answer) = self.send(request, &body.to_string()).await;
        (status, serde_json::from_str(&answer).unwrap())
    }

    /// The state.
    async fn state(&self) -> Value {
        serde_json::from_str(&self.get("/demo/state").await.1).unwrap()
    }

    /// The state after an action.
    async fn act(&self, action: &str, body: Value) -> Value {
        let (status, state) = self.post(action, body).await;
        assert_eq!(status, 200, "{state}");
        state
    }
}

/// The items of a list whose `field` has this value.
fn filtered<'a>(list: &'a Value, field: &str, value: impl Into<Value>) -> Vec<&'a Value> {
    let value = value.into();
    list.as_array().unwrap().iter().filter(|item| item[field] == value).collect()
}

fn person<'a>(state: &'a Value, name: &str) -> &'a Value {
    filtered(&state["people"], "name", name)[0]
}

fn passes_of<'a>(state: &'a Value, name: &str) -> Vec<&'a Value> {
    filtered(&state["passes"], "user", person(state, name)["id"].clone())
}

fn mails_about<'a>(state: &'a Value, name: &str) -> Vec<&'a Value> {
    filtered(&state["mails"], "user", person(state, name)["id"].clone())
}

/// The outcome of the last action for a user.
fn outcome<'a>(state: &'a Value, name: &str) -> &'a str {
    let lines = &state["events"].as_array().unwrap().last().unwrap()["lines"];
    filtered(lines, "user", person(state, name)["id"].clone())[0]["outcome"].as_str().unwrap()
}

#[tokio::test]
async fn a_second_sweep_sends_no_second_mail() {
    let client = PageClient::new().await;
    let before = client.state().await;
    let after = client.act("sweep", json!({})).await;
    assert_eq!(before["mails"].as_array().unwrap().len(), 31);
    assert_eq!(before["mails"], after["mails"]);
}

#[tokio::test]
async fn a_moved_first_day_causes_a_new_mail_and_replaces_the_pass() {
    let client = PageClient::new().await;
    let state =
        client.act("move", json!({"user": "emma.brooks@contoso.example", "date": "2026-11-26"})).await;
    assert_eq!(person(&state, "Emma Brooks")["dayOne"]["date"], "2026-11-26");
    assert_eq!(outcome(&state, "Emma Brooks"), "delivered");
    let subjects: Vec<_> = mails_about(&state, "Emma Brooks").iter().map(|mail| &mail["subject"]).collect();
    assert_eq!(subjects.len(), 2);
    assert_ne!(subjects[0], subjects[1]);
    let passes = passes_of(&state, "Emma Brooks");
    assert_eq!((&passes[0]["state"], &passes[1]["state"]), (&json!("replaced"), &json!("later")));
    assert_eq!(passes[1]["opensAt"], "2026-11-26T07:00:00Z");
    assert_eq!(state["mails"].as_array().unwrap().len(), 33, "the mail and its note, and no other");
}

#[tokio::test]
async fn a_cancelled_start_revokes_the_pass_and_alerts_the_service_desk() {
    let client = PageClient::new().await;
    let state = client.act("cancel", json!({"user": "emma.brooks@contoso.example"})).await;
    assert_eq!(outcome(&state, "Emma Brooks"), "revoked");
    assert_eq!(passes_of(&state, "Emma Brooks")[0]["state"], "deleted");
    assert_eq!(mails_about(&state, "Emma Brooks")[1]["kind"], "alert");
}

#[tokio::test]
async fn a_user_added_to_the_group_gets_a_pass_for_one_sign_in() {
    let client = PageClient::new().await;
    let state = client.act("on-demand", json!({"user": "alex.morgan@contoso.example"})).await;
    assert_eq!(outcome(&state, "Alex Morgan"), "blocked", "there is no private address");
    let state = client.act("on-demand", json!({"user": "noah.fischer@contoso.example"})).await;
    assert_eq!(outcome(&state, "Noah Fischer"), "delivered");
    let pass = passes_of(&state, "Noah Fischer")[0];
    assert_eq!((&pass["state"], &pass["by"]), (&json!("works"), &json!("firstpass")));

    let sign_in = json!({"pass": pass["id"]});
    let state = client.act("sign-in", sign_in.clone()).await;
    assert_eq!(passes_of(&state, "Noah Fischer")[0]["state"], "used");
    let state = client.act("sign-in", sign_in).await;
    let said = &state["events"].as_array().unwrap().last().unwrap()["lines"][0]["note"];
    assert_eq!(said, "Refused: the pass was used, and works only once.");
}

#[tokio::test]
async fn advancing_a_day_runs_the_sweep_and_passes_start_and_expire() {
    let client = PageClient::new().await;
    let opened = |state: &Value| passes_of(state, "Oliver Hughes")[0]["state"].clone();
    let first = client.state().await;
    let next = client.act("forward", json!({"hours": 24})).await;
    let lines = &next["events"].as_array().unwrap().last().unwrap()["lines"];
    assert_eq!(lines[0]["note"], "Mon 23 Nov, 05:00 UTC: the daily sweep ran.");
    let at = |state: &Value| time(state["now"].as_str().unwrap());
    assert!((at(&next) - at(&first) - chrono::TimeDelta::days(1)).num_minutes() == 0);
    assert_eq!(first["nextSweep"], "2026-11-23T05:00:00Z");
    assert_eq!((opened(&first), opened(&next)), (json!("later"), json!("later")));
    client.act("forward", json!({"hours": 24})).await;
    let day_one = client.act("forward", json!({"hours": 3})).await;
    assert_eq!(opened(&day_one), "works", "at eight o'clock in London");
    let day_two = client.act("forward", json!({"hours": 24})).await;
    assert_eq!(opened(&day_two), "replaced", "nobody used it");
}

#[tokio::test]
async fn a_fault_affects_one_request_and_the_pass_is_still_delivered() {
    let client = PageClient::new().await;
    for (request, kind, status, lost) in
        [("mail", "throttled", 429, Value::Null), ("pass", "lost", 201, json!(true))]
    {
        let state = client.act("fault", json!({"request": request, "kind": kind})).await;
        assert_eq!(state["faults"].as_array().unwrap().len(), 1);
        let before = state["requests"].as_array().unwrap().len();
        let user =
            if request == "mail" { "noah.fischer@contoso.example" } else { "arjun.nair@contoso.example" };
        let state = client.act("on-demand", json!({"user": user})).await;
        assert_eq!(state["faults"], json!([]));
        let met = |r: &&Value| r["status"] == status && r["lost"] == lost;
        assert_eq!(
            state["requests"].as_array().unwrap()[before..].iter().filter(met).count(),
            1,
            "{request}"
        );
        let lines = &state["events"].as_array().unwrap().last().unwrap()["lines"];
        assert_eq!(
            (lines.as_array().unwrap().len(), &lines[1]["outcome"]),
            (2, &json!("delivered")),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn redelivery_delays_pass_in_virtual_time() {
    let client = PageClient::new().await;
    client.setup.sandbox.inject(Fault::on("POST", "sendMail", crate::helpers::fail_with(400)).always());
    let before = client.state().await;
    let after = client.act("on-demand", json!({"user": "noah.fischer@contoso.example"})).await;
    assert_eq!(outcome(&after, "Noah Fischer"), "failed");
    assert_eq!(after["invocations"].as_array().unwrap().last().unwrap()["delivery"], 10);
    let at = |state: &Value| time(state["now"].as_str().unwrap());
    assert!(at(&after) - at(&before) >= chrono::TimeDelta::minutes(27), "nine visibility timeouts");
}

#[tokio::test]
async fn each_request_belongs_to_one_invocation() {
    let state = PageClient::new().await.state().await;
    let (invocations, requests) =
        (state["invocations"].as_array().unwrap(), state["requests"].as_array().unwrap());
    assert_eq!(invocations[0]["function"], "SweepJoiners");
    let mut next = 0;
    for invocation in invocations {
        assert_eq!(invocation["first"], next, "no gap and no overlap");
        next = invocation["end"].as_u64().unwrap();
    }
    assert_eq!(next, requests.len() as u64);
    assert!(requests.iter().any(|r| r["parts"].as_array().is_some_and(|parts| parts.len() > 2)));
}

#[tokio::test]
async fn windows_are_in_the_users_time_zone() {
    let state = PageClient::new().await.state().await;
    for (name, opens) in [
        ("Aroha Ngata", "2026-11-27T07:00:00Z"),
        ("Jordan Rivera", "2026-11-25T07:00:00Z"),
        ("Fatima Zahra Benali", "2026-11-28T07:00:00Z"),
    ] {
        assert_eq!(passes_of(&state, name)[0]["opensLocal"], opens, "{name}");
    }
}

#[tokio::test]
async fn codes_are_not_part_of_the_state() {
    let client = PageClient::new().await;
    let (_, overview) = client.get("/demo/state").await;
    let state: Value = serde_json::from_str(&overview).unwrap();
    for pass in state["passes"].as_array().unwrap() {
        let (status, answer) =
            client.get(&format!("/demo/passes/{}/code", pass["id"].as_str().unwrap())).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let code = answer["code"].as_str().unwrap();
        assert!(status == 200 && code.len() >= 8);
        assert!(!overview.contains(&Value::from(code).to_string()), "the overview shows a code");
    }
}

#[tokio::test]
async fn invalid_input_reports_all_problems_and_changes_nothing() {
    let client = PageClient::new().await;
    let before = client.state().await;
    let emma = "emma.brooks@contoso.example";
    for (action, body, problems) in [
        ("sweep", json!([]), vec!["the body is not a JSON object"]),
        ("sweep", json!({"when": "now"}), vec!["\"when\" is not a field of this action"]),
        ("move", json!({}), vec!["user is missing", "date is missing"]),
        (
            "move",
            json!({"user": emma, "date": "2026-11-31"}),
            vec!["date is not a calendar date such as 2026-11-30"],
        ),
        (
            "move",
            json!({"user": emma, "date": "2026-11-21"}),
            vec!["date must be from 2026-11-22 to 2027-01-21"],
        ),
        (
            "on-demand",
            json!({"user": "welcome@contoso.example"}),
            vec!["user is not in this tenant: give an object id or a sign-in name"],
        ),
        ("forward", json!({}), vec!["hours is missing"]),
        ("forward", json!({"hours": 0}), vec!["hours must be from 1 to 168"]),
        ("cancel", json!({"user": 7}), vec!["user is not a text"]),
        ("sign-in", json!({"pass": "x"}), vec!["pass is not the id of a pass in this tenant"]),
        ("fault", json!({"request": "mail", "kind": "fire"}), vec!["kind is neither throttled nor lost"]),
    ] {
        let (status, answer) = client.post(action, body).await;
        assert_eq!((status, &answer["problems"]), (400, &json!(problems)), "{action}");
    }
    assert_eq!(client.post("dance", json!({})).await.0, 404);
    let after = client.state().await;
    assert_eq!((&before["events"], &before["requests"]), (&after["events"], &after["requests"]));
}

#[tokio::test]
async fn other_origins_and_hosts_are_refused() {
    let client = PageClient::new().await;
    let post = |host: &str| {
        Request::post("/demo/sweep").header("host", host).header("content-type", "application/json")
    };
    for (request, expected) in [
        (post("localhost:8088"), 200),
        (post("[::1]:8088").header("origin", "http://[::1]:8088"), 200),
        (post("127.0.0.1:8088").header("origin", "https://shop.example"), 403),
        (post("127.0.0.1:8088").header("origin", "http://127.0.0.1:9000"), 403),
        (post("127.0.0.1:8088").header("origin", "null"), 403),
        (post("127.0.0.1:8088").header("sec-fetch-site", "cross-site"), 403),
        (post("127.0.0.1:8088").header("sec-fetch-site", "same-site"), 403),
        (post("rebound.example:8088"), 403),
        (post("127.0.0.1.rebound.example"), 403),
        (post(""), 403),
        (Request::post("/demo/sweep").header("host", "localhost").header("content-type", "text/plain"), 415),
        (Request::get("/demo/state").header("host", "rebound.example"), 403),
        (Request::get("/sandbox/state").header("host", "rebound.example"), 403),
        (Request::get("/demo/state").header("host", "localhost").header("sec-fetch-site", "cross-site"), 403),
        (Request::get("/").header("host", "localhost").header("sec-fetch-site", "cross-site"), 200),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(client.send(request, "{}").await.0, expected, "{shown}");
    }
}
