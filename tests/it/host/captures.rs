//! Requests as they were captured from the Functions host 4.1037 (`tests/captures/requests.jsonl`): the handler reads each
//! of them and does the right thing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::helpers::{TestApp, log_capture::capture_log, source, tenant_with_emma};

/// The body of each request, by its name.
fn captures() -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    source::read("tests/captures/requests.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|request| (text(&request["name"]), text(&request["body"])))
        .collect()
}

const NO_JSON: &str = "body is not a JSON object; send it uncompressed with Content-Type: application/json";
const NO_TEXT: &str = "it is a text, but neither a user principal name nor an object id";
const NO_MESSAGE: &str = "it is an object, but no job";
const NO_USER: &str = "UserName is missing";
const BAD_USER: &str = "UserName is neither a user principal name nor an object id";
const NO_BODY: &str = "body is empty; send {\"UserName\": \"…\"} with a Content-Length";

/// What the handler says of each request. Names of users were not captured, so no call makes a pass.
const EXPECTED: [(&str, &str); 44] = [
    ("timer, first scheduled run", "queued 1 jobs"),
    ("timer, second run", "queued 1 jobs"),
    ("timer, past due after the host was down", "queued 1 jobs"),
    ("timer, after a past due run", "queued 1 jobs"),
    ("timer, 1 ms early", "queued 1 jobs"),
    ("timer, by hand", "queued 1 jobs"),
    ("queue, plain text", NO_TEXT),
    ("queue, JSON object with every kind of field", NO_MESSAGE),
    ("queue, JSON object that pollutes the metadata", "a member's id is not an object id"),
    ("queue, JSON string", NO_TEXT),
    ("queue, number", "it is neither a text nor an object"),
    ("queue, empty text", NO_TEXT),
    ("queue, text that is a date", NO_TEXT),
    ("queue, JSON list", NO_MESSAGE),
    ("queue, broken JSON", NO_TEXT),
    ("queue, JSON string that is a date", NO_TEXT),
    ("queue, control characters", NO_TEXT),
    ("queue, true", "it is neither a text nor an object"),
    ("queue, delivered again", NO_MESSAGE),
    ("http, function key header", BAD_USER),
    ("http, function key code", BAD_USER),
    ("http, host key", BAD_USER),
    ("http, master key", BAD_USER),
    ("http, lower path", NO_USER),
    ("http, invalid json", NO_JSON),
    ("http, plain text", NO_JSON),
    ("http, no content type", NO_USER),
    ("http, empty body", NO_BODY),
    ("http, chunked", NO_BODY),
    ("http, gzip", NO_JSON),
    ("http, invalid utf8", BAD_USER),
    ("http, bom", BAD_USER),
    ("http, utf16", BAD_USER),
    ("http, latin1", BAD_USER),
    ("http, octet", NO_JSON),
    ("http, form", NO_JSON),
    ("http, multipart", NO_JSON),
    ("http, dates in body", BAD_USER),
    ("http, array body", NO_JSON),
    ("http, iso string body", NO_JSON),
    ("http, query dup", NO_USER),
    ("http, hdr dup & special", NO_USER),
    ("http, expect continue", NO_USER),
    ("http, HTTP/1.0", NO_USER),
];

/// Keys, tokens and cookies in the requests.
const SECRETS: [&str; 7] = ["\"fk\"", "\"hk\"", "=fk", "code=", "Bearer zzz", "a=b", "x-functions-key"];

#[tokio::test(start_paused = true)]
async fn the_handler_reads_every_captured_request() {
    let mut captures = captures();
    for (name, expected) in EXPECTED {
        let body = captures.remove(name).unwrap_or_else(|| panic!("{name}"));
        let (tenant, _) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        let function = match name.split(", ").next() {
            Some("timer") => "SweepJoiners",
            Some("queue") => "OnGroupAdd",
            _ => "CreateTap",
        };
        let (answer, log) = capture_log("trace", app.host.post(function, body)).await;
        assert!(answer.is_success(), "{name}: {answer:?}");
        let res = &answer.body["Outputs"]["res"];
        let said = match function {
            "CreateTap" => {
                assert_eq!(res["statusCode"], 400, "{name}");
                let problem: Value = serde_json::from_str(res["body"].as_str().unwrap()).unwrap();
                problem["detail"].as_str().unwrap().to_owned()
            }
            _ => answer.log().to_owned(),
        };
        assert!(said.contains(expected), "{name}: {said}");
        let key = if name == "http, master key" { "master" } else { "default" };
        let is_audited = log.contains(&format!("caller=\"function key {key}\""));
        assert_eq!(is_audited, function == "CreateTap", "{name}: {log}");
        for secret in SECRETS {
            assert!(!log.contains(secret) && !answer.body.to_string().contains(secret), "{name}: {secret}");
        }
    }
    assert!(captures.is_empty(), "{:?}", captures.keys());
}

/// Who is called in a captured request is made up; with a user of the tenant in its place, the call makes a pass.
#[tokio::test(start_paused = true)]
async fn a_captured_call_for_a_user_of_the_tenant_makes_a_pass() {
    let captures = captures();
    for (name, user) in [
        ("http, function key header", "a"),
        ("http, function key code", "a"),
        ("http, host key", "a"),
        ("http, master key", "a"),
        ("http, bom", "bom"),
        ("http, utf16", "u16"),
    ] {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        let field = |user: &str| format!(r#"{{\"UserName\":\"{user}\"}}"#);
        let body = captures[name].replace(&field(user), &field(&emma.to_string()));
        let answer = app.host.post("CreateTap", body).await;
        assert_eq!(answer.body["Outputs"]["res"]["statusCode"], 201, "{name}: {}", answer.log());
    }
}
