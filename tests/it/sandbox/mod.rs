//! The sandbox through its router, its transports and its own endpoints.

mod batch;
mod common;
mod control;
mod event_grid;
mod faults;
mod groups;
mod loopback;
mod mail;
mod paging;
mod passes;
mod people;
mod policies;
mod roles;
mod schedule;
mod serve;
mod subscriptions;
mod tenants;
mod transport;
mod usage;
mod users;

use std::{future::Future, pin::Pin};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header},
};
use chrono::{DateTime, Utc};
use firstpass_sandbox::tenant::{ConnectionFault, Person, Sandbox, Tenant};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

/// A Sunday.
fn now() -> DateTime<Utc> {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A caller with a token.
#[derive(Clone)]
struct Caller {
    sandbox: Sandbox,
    router: Router,
}

/// A request in progress. It borrows nothing, so that it can be spawned.
type Pending = Pin<Box<dyn Future<Output = Reply> + Send>>;

struct Reply {
    /// Whether the connection failed.
    is_broken: bool,
    status: u16,
    headers: HeaderMap,
    body: Value,
}

fn caller(tenant: Tenant) -> Caller {
    let sandbox = Sandbox::new(tenant, now());
    Caller { router: sandbox.router(), sandbox }
}

/// A tenant with one joiner.
fn tenant_of_one() -> (Tenant, Uuid) {
    let mut tenant = Tenant::new(7);
    let emma = tenant.add(Person::named("Emma Brooks").hire_date(at("2026-11-30T00:00:00Z")));
    (tenant, emma)
}

fn caller_of_one() -> (Caller, Uuid) {
    let (tenant, emma) = tenant_of_one();
    (caller(tenant), emma)
}

impl Caller {
    fn get(&self, url: impl AsRef<str>) -> Pending {
        self.send("GET", url.as_ref(), &[], None)
    }

    /// A GET with `ConsistencyLevel: eventual`.
    fn advanced(&self, url: impl AsRef<str>) -> Pending {
        self.send("GET", url.as_ref(), &[("ConsistencyLevel", "eventual")], None)
    }

    fn post(&self, url: impl AsRef<str>, body: Value) -> Pending {
        self.send("POST", url.as_ref(), &[], Some(body))
    }

    fn put(&self, url: impl AsRef<str>) -> Pending {
        self.send("PUT", url.as_ref(), &[], None)
    }

    fn delete(&self, url: impl AsRef<str>) -> Pending {
        self.send("DELETE", url.as_ref(), &[], None)
    }

    fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Option<Value>) -> Pending {
        let url = url.strip_prefix("https://graph.microsoft.com").unwrap_or(url);
        let mut request = Request::builder().method(method).uri(url.replace(' ', "%20"));
        request = request.header(header::AUTHORIZATION, "Bearer sandbox");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.raw(request.body(body).unwrap())
    }

    fn raw(&self, request: Request<Body>) -> Pending {
        let router = self.router.clone();
        Box::pin(async move {
            let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
            let is_broken = parts.extensions.get::<ConnectionFault>().is_some();
            let bytes = to_bytes(body, usize::MAX).await.unwrap();
            let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
            Reply { status: parts.status.as_u16(), headers: parts.headers, body, is_broken }
        })
    }
}

impl Reply {
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The status, and Graph's code and message.
    fn error(&self) -> (u16, &str, &str) {
        let error = &self.body["error"];
        (
            self.status,
            error["code"].as_str().unwrap_or_default(),
            error["message"].as_str().unwrap_or_default(),
        )
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The names of an object's properties, without annotations.
fn properties(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).filter(|name| !name.starts_with('@')).collect()
}

/// One property of every item of a collection.
fn column<'a>(collection: &'a Value, property: &str) -> Vec<&'a str> {
    collection["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item[property].as_str().unwrap_or_default())
        .collect()
}

fn mail_to(address: &str) -> Value {
    json!({
        "message": {
            "subject": "Welcome",
            "body": { "contentType": "HTML", "content": "<p>Hello</p>" },
            "toRecipients": [{ "emailAddress": { "address": address } }],
        },
        "saveToSentItems": false,
    })
}
