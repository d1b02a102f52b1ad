//! The endpoints of other systems on the host `hooks.contoso.example`, as strict as Logic Apps and Teams are documented to be:
//! `/delivery`, for codes, and `/alerts`, a workflow of Teams.

use axum::http::{HeaderMap, Method, StatusCode, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::hmac;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    TENANT_ID,
    wire::{CallResult, ErrorResponse, GraphCall, GraphResponse},
};

/// The URL for codes. Its signature is that of a Logic App.
pub const DELIVERY_URL: &str =
    "https://hooks.contoso.example/delivery?sv=1.0&sig=c2FuZGJveC1kZWxpdmVyeS1zaWc";
/// The URL for alerts.
pub const ALERT_URL: &str = "https://hooks.contoso.example/alerts?sv=1.0&sig=c2FuZGJveC1hbGVydHMtc2ln";
/// The key that requests with codes can be signed with.
pub const DELIVERY_KEY: &str = "sandbox-delivery-key-0123456789abcdef";
/// The application id that tokens of such requests can be for.
pub const DELIVERY_AUDIENCE: &str = "api://6f1d5b02-0000-4000-8000-0000000000aa";

/// How old a signature may be.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// What Teams accepts at most, in bytes
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
const TEAMS_MAX: usize = 28 * 1024;

/// A request that an endpoint accepted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebhookCall {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// `/delivery` or `/alerts`.
    pub path: String,
    /// How the endpoint knew the app: `key`, `token` or `url`.
    pub proof: &'static str,
    /// What it sent.
    pub body: Value,
}

/// Checks a request, and returns what the endpoint keeps of it.
pub(super) fn receive(calls: &mut Vec<WebhookCall>, now: DateTime<Utc>, call: &GraphCall) -> CallResult {
    let refuse = |status: StatusCode, why: &str| ErrorResponse::new(status, "WebhookRefused", why);
    let is = |url: &str| url.strip_prefix("https://hooks.contoso.example") == Some(&call.target);
    if !is(DELIVERY_URL) && !is(ALERT_URL) {
        return Err(refuse(
            StatusCode::UNAUTHORIZED,
            "There is no such workflow, or the signature is wrong.",
        ));
    }
    if call.method != Method::POST {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "The workflow takes POST only."));
    }
    if call.header(header::CONTENT_TYPE) != Some("application/json") {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body must be application/json."));
    }
    let body: Value = serde_json::from_slice(&call.body)
        .map_err(|_| refuse(StatusCode::BAD_REQUEST, "The body is not JSON."))?;
    let proof = if is(ALERT_URL) {
        check_card(&body, call.body.len()).map_err(|why| refuse(StatusCode::BAD_REQUEST, why))?;
        "url"
    } else {
        proof(&call.headers, &call.body, now).map_err(|why| refuse(StatusCode::UNAUTHORIZED, why))?
    };
    calls.push(WebhookCall { at: now, path: call.path().to_owned(), proof, body });
    Ok(GraphResponse::accepted())
}

/// How the app proves itself to the endpoint for codes: in one way, and correctly.
fn proof(headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<&'static str, &'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("x-firstpass-signature"), text("authorization")) {
        (Some(signature), None) => check_signature(signature, body, now).map(|()| "key"),
        (None, Some(token)) => check_token(token, now).map(|()| "token"),
        (None, None) => Err("The request has neither a signature nor a token."),
        (Some(_), Some(_)) => Err("The request has a signature and a token."),
    }
}

fn check_signature(header: &str, body: &[u8], now: DateTime<Utc>) -> Result<(), &'static str> {
    const FORM: &str = "The signature has not the form t=…,v1=….";
    let (seconds, hex) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).ok_or(FORM)?;
    let at = seconds.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(FORM)?;
    if (now - at).abs() > TOLERANCE {
        return Err("The signature is too old.");
    }
    let digits: Option<Vec<u8>> = (0..hex.len() / 2)
        .map(|i| hex.get(2 * i..2 * i + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
        .collect();
    let signed = [seconds.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, DELIVERY_KEY.as_bytes());
    hmac::verify(&key, &signed, &digits.ok_or(FORM)?).map_err(|_| "The signature is wrong.")
}

/// As a receiver does that trusts the tenant's tokens for its own application.
fn check_token(header: &str, now: DateTime<Utc>) -> Result<(), &'static str> {
    let token = header.strip_prefix("Bearer ").ok_or("The token is no bearer token.")?;
    let claims = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    if claims["aud"] != json!(DELIVERY_AUDIENCE) {
        return Err("The token is for another audience.");
    }
    let is_current = claims["exp"].as_i64().is_some_and(|exp| exp > now.timestamp());
    if claims["tid"] != json!(TENANT_ID) || !is_current {
        return Err("The token is of another tenant, or has ended.");
    }
    Ok(())
}

/// What a workflow of Teams needs to post a card: a message with one Adaptive Card.
fn check_card(body: &Value, size: usize) -> Result<(), &'static str> {
    if size > TEAMS_MAX {
        return Err("The message is larger than 28 KB.");
    }
    let attachment = &body["attachments"][0];
    let is_message = body["type"] == "message"
        && body["attachments"].as_array().is_some_and(|attachments| attachments.len() == 1)
        && attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        && attachment["contentUrl"].is_null();
    let card = &attachment["content"];
    let is_card = card["type"] == "AdaptiveCard"
        && card["version"].as_str().is_some_and(|version| ["1.2", "1.3", "1.4", "1.5"].contains(&version))
        && card["body"].as_array().is_some_and(|elements| !elements.is_empty());
    if !is_message || !is_card {
        return Err("The body is no message with one Adaptive Card.");
    }
    check_element(card)
}

/// Elements that this version of the card has, with what they need.
fn check_element(element: &Value) -> Result<(), &'static str> {
    const TEXTS: [&str; 2] = ["TextBlock", "TextRun"];
    let kind = element["type"].as_str().unwrap_or_default();
    match kind {
        "AdaptiveCard" | "Container" => {
            let items = element["body"].as_array().or(element["items"].as_array());
            items.into_iter().flatten().try_for_each(check_element)
        }
        "FactSet" => {
            let facts = element["facts"].as_array().ok_or("A FactSet has no facts.")?;
            let is_fact = |fact: &Value| fact["title"].is_string() && fact["value"].is_string();
            facts.iter().all(is_fact).then_some(()).ok_or("A fact has no title or no value.")
        }
        "RichTextBlock" => {
            let inlines = element["inlines"].as_array().ok_or("A RichTextBlock has no inlines.")?;
            inlines.iter().try_for_each(check_element)
        }
        kind if TEXTS.contains(&kind) => {
            element["text"].is_string().then_some(()).ok_or("A text is no string.")
        }
        _ => Err("The card has an element that is not known."),
    }
}
