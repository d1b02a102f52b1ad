//! The history of the demo, which the tenant does not keep: removed passes, creators of passes, requests by invocation.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::Method,
    middleware::{self, Next},
    response::Response,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::report::Row;
use crate::tenant::{Pass, Sandbox};

/// All entries, oldest first.
pub(super) struct History {
    pub(super) passes: Vec<PassRecord>,
    pub(super) invocations: Vec<Invocation>,
    pub(super) events: Vec<Event>,
}

pub(super) struct PassRecord {
    pub(super) pass: Pass,
    pub(super) creator: PassCreator,
    pub(super) removal: Option<Removal>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PassCreator {
    Firstpass,
    Helpdesk,
}

/// How a pass was removed.
#[derive(Clone, Copy)]
pub(super) enum Removal {
    Deleted,
    Replaced,
}

pub(super) struct Invocation {
    pub(super) at: DateTime<Utc>,
    pub(super) function: String,
    /// The `DequeueCount` of a queue message.
    pub(super) delivery: Option<u64>,
    pub(super) status: u16,
    /// The first line of the handler's log.
    pub(super) log: String,
    /// The range of the tenant's requests that it sent: functions run one at a time in the demo.
    pub(super) requests: Range<usize>,
}

/// An action on the page, and its results.
pub(super) struct Event {
    pub(super) at: DateTime<Utc>,
    pub(super) title: String,
    /// The user whom the action concerns.
    pub(super) user: Option<Uuid>,
    pub(super) lines: Vec<EventDetail>,
}

pub(super) enum EventDetail {
    /// A sentence.
    Note(String),
    /// The outcome of a job.
    Job(Row),
}

impl History {
    pub(super) fn new(sandbox: &Sandbox) -> Self {
        let mut history = Self { passes: Vec::new(), invocations: Vec::new(), events: Vec::new() };
        history.update_passes(sandbox, PassCreator::Helpdesk);
        history
    }

    /// Compares the history with the tenant's passes; `creator` made the new ones.
    pub(super) fn update_passes(&mut self, sandbox: &Sandbox, creator: PassCreator) {
        let present = sandbox.passes();
        for record in self.passes.iter_mut().filter(|record| record.removal.is_none()) {
            match present.iter().find(|pass| pass.user == record.pass.user) {
                Some(pass) if pass.id == record.pass.id => record.pass = pass.clone(),
                Some(_) => record.removal = Some(Removal::Replaced),
                None => record.removal = Some(Removal::Deleted),
            }
        }
        for pass in present {
            if !self.passes.iter().any(|record| record.pass.id == pass.id) {
                self.passes.push(PassRecord { pass, creator, removal: None });
            }
        }
    }
}

/// Wraps the tenant so that its passes are recorded after each request of the app, before the next one can replace
/// them.
pub(super) fn record_passes(tenant: Router, sandbox: &Sandbox, history: &Arc<Mutex<History>>) -> Router {
    let (sandbox, history) = (sandbox.clone(), history.clone());
    tenant.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (sandbox, history) = (sandbox.clone(), history.clone());
        async move {
            let response = next.run(request).await;
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .update_passes(&sandbox, PassCreator::Firstpass);
            response
        }
    }))
}

/// Wraps the handler so that each invocation is recorded.
pub(super) fn record_invocations(
    handler: Router,
    sandbox: &Sandbox,
    history: &Arc<Mutex<History>>,
) -> Router {
    let (sandbox, history) = (sandbox.clone(), history.clone());
    handler.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (sandbox, history) = (sandbox.clone(), history.clone());
        async move {
            // The host's readiness probe is a GET.
            if request.method() != Method::POST {
                return next.run(request).await;
            }
            let function = request.uri().path().trim_start_matches('/').to_owned();
            let (parts, body) = request.into_parts();
            let (asked, body) = read(body).await;
            let (at, first) = (sandbox.now(), sandbox.requests().len());
            let response: Response = next.run(Request::from_parts(parts, body)).await;
            let (parts, body) = response.into_parts();
            let (answered, body) = read(body).await;
            let delivery = asked["Metadata"]["DequeueCount"].as_str().and_then(|count| count.parse().ok());
            history.lock().unwrap_or_else(PoisonError::into_inner).invocations.push(Invocation {
                at,
                function,
                delivery,
                status: parts.status.as_u16(),
                log: answered["Logs"][0].as_str().unwrap_or_default().to_owned(),
                requests: first..sandbox.requests().len(),
            });
            Response::from_parts(parts, body)
        }
    }))
}

/// The body as JSON, and the body itself.
async fn read(body: Body) -> (Value, Body) {
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    (serde_json::from_slice(&bytes).unwrap_or_default(), Body::from(bytes))
}
