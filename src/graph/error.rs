//! What Graph refuses or fails to do, in words an admin can act on.

use std::{fmt, time::Duration};

use azure_core::{
    error::ErrorKind,
    http::{RawResponse, headers::HeaderName},
};
use serde::Deserialize;

use super::retry::{Idempotency, is_ambiguous, retry_after};
use crate::errors::chain;

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// What we were doing: "making the pass".
    pub what: &'static str,
    /// What that means for the caller.
    pub kind: GraphErrorKind,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Graph's error code, e.g. `Request_ResourceNotFound`; may be empty.
    pub code: String,
    /// Graph's words.
    pub message: String,
    /// Graph's `request-id`, which Microsoft's support asks for.
    pub request_id: Option<String>,
    /// When Graph wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What a failed call means for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphErrorKind {
    /// Graph said no. Nothing changed; asking again will not help.
    Refused,
    /// What the call is about is not there (or not yet, on this replica). Nothing changed.
    NotFound,
    /// Graph is busy. Nothing changed; asking later will help.
    Throttled,
    /// Graph was not reached, or a read got no answer. Nothing changed; asking later will help.
    Unavailable,
    /// A change was sent and its answer is lost: it may have happened.
    Ambiguous,
    /// No token could be had, or it was refused.
    SignIn,
    /// The answer is not what Graph's documentation says.
    Unreadable,
}

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default, rename = "innerError", alias = "innererror")]
    inner: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "request-id")]
    request_id: Option<String>,
}

impl GraphError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            GraphErrorKind::Throttled
                | GraphErrorKind::Unavailable
                | GraphErrorKind::Ambiguous
                | GraphErrorKind::SignIn
        )
    }

    /// What an admin can do about it.
    pub fn advice(&self) -> &'static str {
        match (self.kind, self.status) {
            (GraphErrorKind::SignIn, _) => {
                "check that the managed identity exists and AZURE_CLIENT_ID names it"
            }
            (GraphErrorKind::Refused, Some(403)) => {
                "grant the app's identity the Graph permission for this call (docs/PERMISSIONS.md)"
            }
            (GraphErrorKind::Refused | GraphErrorKind::NotFound, _) => {
                "read Graph's words, mend the account or the tenant's policy"
            }
            (GraphErrorKind::Unreadable, _) => {
                "report this with the request-id: Graph answered in an unknown form"
            }
            (GraphErrorKind::Throttled | GraphErrorKind::Unavailable | GraphErrorKind::Ambiguous, _) => {
                "nothing: it is tried again by itself"
            }
        }
    }

    pub(super) fn from_response(
        what: &'static str,
        idempotency: Idempotency,
        response: &RawResponse,
    ) -> Self {
        let status = u16::from(response.status());
        let body = serde_json::from_slice(response.body().as_ref()).unwrap_or_default();
        let mut error = Self::from_status(what, idempotency, status, &body);
        error.request_id = error.request_id.or_else(|| request_id(response));
        error.retry_after = retry_after(response.headers());
        error
    }

    /// From the status and body of an answer, or of one part of a `$batch`.
    pub(super) fn from_status(
        what: &'static str,
        idempotency: Idempotency,
        status: u16,
        body: &serde_json::Value,
    ) -> Self {
        let kind = match status {
            401 => GraphErrorKind::SignIn,
            404 => GraphErrorKind::NotFound,
            429 | 503 => GraphErrorKind::Throttled,
            _ if is_ambiguous(status.into()) => unknown(idempotency),
            500.. => unknown(idempotency),
            _ => GraphErrorKind::Refused,
        };
        let envelope = Envelope::deserialize(body).ok().map(|envelope| envelope.error);
        let (code, message, inner) = envelope.map_or_else(Default::default, |b| (b.code, b.message, b.inner));
        let request_id = inner.and_then(|inner| inner.request_id);
        Self { what, kind, status: Some(status), code, message, request_id, retry_after: None }
    }

    pub(super) fn from_transport(
        what: &'static str,
        idempotency: Idempotency,
        error: &azure_core::Error,
    ) -> Self {
        let kind = match error.kind() {
            ErrorKind::Connection => GraphErrorKind::Unavailable,
            ErrorKind::Io => unknown(idempotency),
            ErrorKind::Credential => GraphErrorKind::SignIn,
            _ => GraphErrorKind::Unavailable,
        };
        Self { kind, message: chain(error), ..Self::unreadable(what, "") }
    }

    /// Graph took too long altogether.
    pub fn no_time(what: &'static str) -> Self {
        Self { kind: GraphErrorKind::Unavailable, ..Self::unreadable(what, "it took too long altogether") }
    }

    pub(super) fn unreadable(what: &'static str, message: &str) -> Self {
        Self {
            what,
            kind: GraphErrorKind::Unreadable,
            status: None,
            code: String::new(),
            message: message.to_owned(),
            request_id: None,
            retry_after: None,
        }
    }
}

fn unknown(idempotency: Idempotency) -> GraphErrorKind {
    match idempotency {
        Idempotency::Idempotent => GraphErrorKind::Unavailable,
        Idempotency::NotIdempotent => GraphErrorKind::Ambiguous,
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            GraphErrorKind::Ambiguous => write!(f, "no clear answer while {}", self.what)?,
            GraphErrorKind::SignIn => write!(f, "could not sign in to Graph while {}", self.what)?,
            _ => write!(f, "Graph failed us while {}", self.what)?,
        }
        if let Some(status) = self.status {
            write!(f, ": {status}")?;
        }
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            // One line, and no novel: the text is Graph's.
            let words: String =
                self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
            write!(f, ": {words}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, " (request-id {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for GraphError {}

pub(super) fn request_id(response: &RawResponse) -> Option<String> {
    response.headers().get_optional_str(&HeaderName::from_static("request-id")).map(str::to_owned)
}
