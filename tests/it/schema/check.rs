//! Checks a request against the schema.

use std::collections::{BTreeMap, BTreeSet};

use firstpass_sandbox::tenant::Request;
use serde_json::{Map, Value};

use super::{
    csdl::{Action, Schema},
    path::{self, Kind, Place},
    query::Query,
    value,
};

/// The maximum number of requests in a batch.
const BATCH_MAX: usize = 20;
/// The fields of a request in a batch.
const BATCH_FIELDS: [&str; 6] = ["id", "method", "url", "headers", "body", "dependsOn"];

/// A single request or a part of a batch.
#[derive(Clone, Default)]
pub struct SentRequest {
    pub method: String,
    /// Path and query, without the version.
    pub url: String,
    /// Names are in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
}

/// The problems of a recorded request, each with the method and URL it belongs to.
pub fn problems(schema: &Schema, request: &Request) -> Vec<String> {
    let name = |method: &str, url: &str, why: String| format!("{method} {url}: {why}");
    let Some(url) = request.url.strip_prefix("/v1.0") else {
        return vec![name(&request.method, &request.url, "not of version v1.0".to_owned())];
    };
    let mut sent = SentRequest {
        method: request.method.clone(),
        url: url.to_owned(),
        headers: request.content.headers.clone(),
        body: None,
    };
    if !request.content.body.is_empty() {
        match serde_json::from_slice(&request.content.body) {
            Ok(body) => sent.body = Some(body),
            Err(_) => return vec![name(&sent.method, &sent.url, "the body is not JSON".to_owned())],
        }
    }
    if url == "/$batch" {
        return check_batch(schema, &sent);
    }
    check(schema, &sent).into_iter().map(|why| name(&sent.method, &sent.url, why)).collect()
}

/// The problems of a single request.
pub fn check(schema: &Schema, sent: &SentRequest) -> Vec<String> {
    let mut problems = check_headers(sent);
    let (path, query) = sent.url.split_once('?').unwrap_or((&sent.url, ""));
    match (path::resolve(schema, path), Query::parse(query)) {
        (Ok(place), Ok(query)) => check_call(schema, sent, &place, &query, &mut problems),
        (place, query) => problems.extend([place.err(), query.err()].into_iter().flatten()),
    }
    problems
}

fn check_headers(sent: &SentRequest) -> Vec<String> {
    let mut problems = Vec::new();
    let kind = sent.headers.get("content-type").map(String::as_str).unwrap_or_default();
    if sent.body.is_some() && !kind.to_lowercase().starts_with("application/json") {
        problems.push("a body without the Content-Type application/json".to_owned());
    }
    if sent.headers.get("consistencylevel").is_some_and(|level| level != "eventual") {
        problems.push("the only ConsistencyLevel is 'eventual'".to_owned());
    }
    problems
}

fn check_call(
    schema: &Schema,
    sent: &SentRequest,
    place: &Place<'_>,
    query: &Query,
    problems: &mut Vec<String>,
) {
    if sent.method == "GET" {
        if matches!(place.kind, Kind::Action(_)) {
            problems.push("an action is called with POST".to_owned());
        }
        // The annotation names the header; Graph's page on advanced queries says when it is required.
        if query.is_advanced()
            && place.limits.headers.contains("consistencylevel")
            && !sent.headers.contains_key("consistencylevel")
        {
            problems.push("$count and $search here need the header ConsistencyLevel".to_owned());
        }
        query.check(schema, place, problems);
    } else if !query.is_empty() {
        problems.push(format!("query options on a {}", sent.method));
    }
    match (&sent.body, sent.method.as_str()) {
        (Some(_), "GET" | "DELETE") => problems.push(format!("a {} with a body", sent.method)),
        (None, "GET" | "DELETE") => {}
        (body, _) => check_body(schema, place, body.as_ref(), problems),
    }
    problems.extend(check_method(&sent.method, place).map(str::to_owned));
}

fn check_method(method: &str, place: &Place<'_>) -> Option<&'static str> {
    match (method, &place.kind) {
        ("GET", _) | ("POST", Kind::Action(_)) => None,
        ("POST", Kind::Collection) if place.owns_objects && !place.limits.forbid("Insertable") => None,
        ("POST", _) => Some("POST is not supported here"),
        ("PATCH", Kind::Object { .. }) if place.owns_objects && !place.limits.forbid("Updatable") => None,
        ("PATCH", _) => Some("PATCH is not supported here"),
        ("DELETE", Kind::Object { has_key: true })
            if place.owns_objects && !place.limits.forbid("Deletable") =>
        {
            None
        }
        ("DELETE", _) => Some("DELETE is not supported here"),
        _ => Some("no such method"),
    }
}

fn check_body(schema: &Schema, place: &Place<'_>, body: Option<&Value>, problems: &mut Vec<String>) {
    let Some(Value::Object(fields)) = body else {
        problems.push("the body is not an object".to_owned());
        return;
    };
    match place.kind {
        Kind::Action(action) => check_parameters(schema, action, fields, problems),
        _ => value::check_fields(schema, "body", &place.of, fields, problems),
    }
}

/// Parameter names are case-insensitive: the schema has `Message`, Graph's documentation `message`.
fn check_parameters(schema: &Schema, action: &Action, sent: &Map<String, Value>, problems: &mut Vec<String>) {
    for (name, value) in sent {
        match action.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, of)) => value::check(schema, &format!("body.{name}"), of, value, problems),
            None => problems.push(format!("body.{name}: the action has no such parameter")),
        }
    }
    for (name, _) in action.parameters.iter().filter(|(_, of)| !of.is_nullable) {
        if !sent.keys().any(|key| key.eq_ignore_ascii_case(name)) {
            problems.push(format!("the parameter '{name}' is missing"));
        }
    }
}

/// The problems of a batch and of its parts.
pub fn check_batch(schema: &Schema, sent: &SentRequest) -> Vec<String> {
    let mut problems = check_headers(sent);
    if sent.method != "POST" {
        problems.push("a batch is sent with POST".to_owned());
    }
    let parts = sent.body.as_ref().and_then(|body| body["requests"].as_array());
    let parts = parts.map(Vec::as_slice).unwrap_or_default();
    if parts.is_empty() || parts.len() > BATCH_MAX {
        problems.push(format!("{} requests in a batch", parts.len()));
    }
    let mut ids = BTreeSet::new();
    for part in parts {
        let id = part["id"].as_str().unwrap_or_default();
        if id.is_empty() || !ids.insert(id.to_lowercase()) {
            problems.push(format!("the id '{id}' is not unique text"));
        }
        for field in part.as_object().into_iter().flat_map(Map::keys) {
            if !BATCH_FIELDS.contains(&field.as_str()) {
                problems.push(format!("request '{id}': no such field '{field}'"));
            }
        }
    }
    let mut problems: Vec<_> = problems.into_iter().map(|why| format!("POST /$batch: {why}")).collect();
    for part in parts {
        let part = part_of_batch(part);
        let in_batch = |why| format!("{} {} in a batch: {why}", part.method, part.url);
        if part.url.starts_with("/v1.0") || part.url.starts_with("/$batch") || !part.url.starts_with('/') {
            problems.push(in_batch("the URL is not relative to the version".to_owned()));
            continue;
        }
        problems.extend(check(schema, &part).into_iter().map(in_batch));
    }
    problems
}

fn part_of_batch(part: &Value) -> SentRequest {
    let text = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
    let headers = part["headers"].as_object().into_iter().flatten();
    SentRequest {
        method: text("method"),
        url: text("url"),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
        body: part.get("body").cloned(),
    }
}
