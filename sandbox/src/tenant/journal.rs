//! The journal of the tenant: requests, changes of passes, and mails.

use std::{collections::BTreeMap, fmt};

use axum::{body::Bytes, http::HeaderMap};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Pass, wire::GraphCall};

/// A request that reached the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// When it arrived.
    pub at: DateTime<Utc>,
    /// Its HTTP method.
    pub method: String,
    /// Its path and query, as sent.
    pub url: String,
    /// The status of the response, even if it was lost; `None` while the request is processed.
    pub status: Option<u16>,
    /// Whether the response was lost.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// The parts of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// Its headers and body.
    #[serde(skip)]
    pub content: Content,
}

/// The headers and the body of a request. Not shown and not served, because a mail contains a code.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The recorded headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body, as sent.
    pub body: Bytes,
}

impl Content {
    const HEADERS: [&str; 3] = ["content-type", "consistencylevel", "prefer"];

    pub(super) fn new(headers: &HeaderMap, body: &Bytes) -> Self {
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let kept = Self::HEADERS.into_iter().filter_map(|name| Some((name.to_owned(), text(name)?)));
        Self { headers: kept.collect(), body: body.clone() }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.body.len())
    }
}

/// A part of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its HTTP method.
    pub method: String,
    /// Its path and query, without the version.
    pub url: String,
    /// The status of its answer.
    pub status: u16,
}

/// The requests in the order of their arrival.
#[derive(Default)]
pub(super) struct Journal(Vec<Option<Request>>);

/// The position of a request in the journal.
#[derive(Clone, Copy)]
pub(super) struct EntryIndex(usize);

impl Journal {
    pub(super) fn start(&mut self, at: DateTime<Utc>, call: &GraphCall) -> EntryIndex {
        self.0.push(Some(Request {
            at,
            method: call.method.to_string(),
            url: call.url.clone(),
            status: None,
            lost: false,
            parts: Vec::new(),
            content: Content::new(&call.headers, &call.body),
        }));
        EntryIndex(self.0.len() - 1)
    }

    pub(super) fn finish(&mut self, EntryIndex(at): EntryIndex, status: u16, lost: bool, parts: Vec<Part>) {
        if let Some(Some(request)) = self.0.get_mut(at) {
            request.status = Some(status);
            request.lost = lost;
            request.parts = parts;
        }
    }

    /// Removes a request whose connection was refused after all.
    pub(super) fn remove(&mut self, EntryIndex(at): EntryIndex) {
        if let Some(request) = self.0.get_mut(at) {
            *request = None;
        }
    }

    pub(super) fn list(&self) -> Vec<Request> {
        self.0.iter().flatten().cloned().collect()
    }
}

/// A request that made or removed a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassEvent {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The request's `client-request-id`.
    pub by: Option<String>,
    /// The pass that the request made.
    pub made: Option<Pass>,
    /// The pass that the request replaced or deleted.
    pub gone: Option<Pass>,
}

/// A mail that was accepted for delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// When it was accepted.
    pub at: DateTime<Utc>,
    /// The address of the mailbox that it was sent from.
    pub from: String,
    /// Whether a copy is kept in that mailbox.
    pub save_to_sent_items: bool,
    /// The Graph message, as sent.
    pub message: Value,
}

impl Mail {
    /// The subject line.
    pub fn subject(&self) -> &str {
        self.message["subject"].as_str().unwrap_or_default()
    }

    /// The body, HTML or plain text.
    pub fn content(&self) -> &str {
        self.message["body"]["content"].as_str().unwrap_or_default()
    }

    /// The addresses in "To".
    pub fn to(&self) -> Vec<&str> {
        self.addresses("toRecipients")
    }

    /// The addresses in "Cc".
    pub fn cc(&self) -> Vec<&str> {
        self.addresses("ccRecipients")
    }

    fn addresses(&self, property: &str) -> Vec<&str> {
        let recipients = self.message[property].as_array().map(Vec::as_slice).unwrap_or_default();
        recipients.iter().filter_map(|recipient| recipient["emailAddress"]["address"].as_str()).collect()
    }

    pub(super) fn to_state(&self) -> Value {
        let mut state = self.message.clone();
        state["at"] = json!(self.at);
        state["from"] = json!(self.from);
        state["saveToSentItems"] = json!(self.save_to_sent_items);
        state
    }
}
