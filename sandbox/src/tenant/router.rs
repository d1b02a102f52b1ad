//! Where requests come in: journal, faults, token, latency, and then the call itself.

use std::{future::Future, time::Duration};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware,
    response::Response,
};
use rand::RngExt;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Sandbox,
    calls::{self, batch},
    control,
    faults::{Drawn, FaultKind},
    route::Route,
    wire::{Answer, Broken, GraphCall, GraphError, Ids},
};

/// Graph accepts no more than this in one request.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// How many requests a mailbox serves at a time.
const MAILBOX_CONCURRENCY: usize = 4;

pub(super) fn router(sandbox: Sandbox) -> Router {
    let dated = middleware::map_response_with_state(sandbox.clone(), date);
    control::routes().fallback(graph).layer(dated).with_state(sandbox)
}

/// RFC 7231's form of the tenant's time. Left to hyper, it would be the real one.
async fn date(State(sandbox): State<Sandbox>, mut response: Response) -> Response {
    let text = sandbox.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(header::DATE, value);
    }
    response
}

/// Answers from a task of its own: as with the real Graph, a caller who hangs up does not undo what they asked for.
async fn graph(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let ids = sandbox.ids(request.headers());
    let at_work = sandbox.clone();
    let outcome = match read(request).await {
        Ok(call) => tokio::spawn(async move { exchange(&at_work, &call).await })
            .await
            .map_err(|_| GraphError::internal()),
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| error.into_answer(sandbox.now(), &ids)).into_response()
}

async fn read(request: Request) -> Result<GraphCall, GraphError> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.path_and_query().map_or("/", |url| url.as_str()).to_owned();
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| {
        GraphError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The request is too large.")
    })?;
    Ok(GraphCall {
        target: target(&url)?.to_owned(),
        method: parts.method,
        url,
        headers: parts.headers,
        body,
    })
}

fn target(url: &str) -> Result<&str, GraphError> {
    match url.strip_prefix("/v1.0") {
        Some(target) if target.starts_with('/') => Ok(target),
        _ if url.starts_with("/beta/") => Err(GraphError::not_implemented("the beta version")),
        _ => {
            let version = url.split(['/', '?']).nth(1).unwrap_or_default();
            Err(GraphError::bad_request(format!("Invalid version: {version}")))
        }
    }
}

/// One request over the wire, journalled, with whatever fault it meets.
async fn exchange(sandbox: &Sandbox, call: &GraphCall) -> Answer {
    let fault = sandbox.lock().faults.draw(call, sandbox.now());
    if fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Refuse) {
        return Answer::refused();
    }
    let entry = sandbox.lock().requests.open(sandbox.now(), call);
    let mut parts = Vec::new();
    let answer = if call.is_batch() {
        meet(sandbox, call, fault.map(|fault| fault.kind), batch::run(sandbox, call, &mut parts)).await
    } else {
        dispatch(sandbox, call, fault).await
    };
    let requests = &mut sandbox.lock().requests;
    match answer.broken {
        Some(Broken::Refused) => requests.strike(entry),
        broken => requests.close(entry, answer.status.as_u16(), broken.is_some(), parts),
    }
    answer
}

/// One call, alone or as a part of a batch.
pub(super) async fn dispatch(sandbox: &Sandbox, call: &GraphCall, fault: Option<Drawn>) -> Answer {
    let (fault, replica) = fault.map(|drawn| (drawn.kind, drawn.replica)).unzip();
    let replica = replica.flatten().filter(|_| call.method == Method::GET);
    let effect = async {
        let now = sandbox.now();
        let mut state = sandbox.lock();
        let current = replica.map(|replica| replica.step_in(&mut state.tenant));
        let answer = calls::answer(&mut state, now, call);
        if let Some(current) = current {
            current.step_out(&mut state.tenant);
        }
        state.notify(now);
        answer
    };
    meet(sandbox, call, fault, effect).await
}

/// Has `effect` meet its fault.
async fn meet(
    sandbox: &Sandbox,
    call: &GraphCall,
    fault: Option<FaultKind>,
    effect: impl Future<Output = Result<Answer, GraphError>>,
) -> Answer {
    let ids = sandbox.ids(&call.headers);
    let outcome = attempt(sandbox, call, fault.as_ref(), effect).await;
    let mut answer = outcome.unwrap_or_else(|error| error.into_answer(sandbox.now(), &ids));
    answer.ids = Some(ids);
    match fault {
        Some(FaultKind::DelayAfter(wait)) => sleep(wait).await,
        Some(FaultKind::LoseAnswer) => answer.broken = Some(Broken::Lost),
        Some(FaultKind::FailAfter { status }) => {
            let ids = sandbox.ids(&call.headers);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let error = GraphError::new(status, "UnknownError", "");
            answer = error.into_answer(sandbox.now(), &ids);
        }
        _ => {}
    }
    answer
}

async fn attempt(
    sandbox: &Sandbox,
    call: &GraphCall,
    fault: Option<&FaultKind>,
    effect: impl Future<Output = Result<Answer, GraphError>>,
) -> Result<Answer, GraphError> {
    if let Some(error) = fault.and_then(FaultKind::as_error) {
        return Err(error);
    }
    call.check_bearer()?;
    // Taken before the wait and kept through it: a slow request is what fills a mailbox.
    let _place = Place::take(sandbox, call)?;
    let latency = sandbox.lock().tenant.latency;
    let delay = match fault {
        Some(FaultKind::Delay(wait)) => *wait,
        _ => Duration::ZERO,
    };
    if latency + delay > Duration::ZERO {
        sleep(latency + delay).await;
    }
    effect.await
}

impl Sandbox {
    /// The names of an exchange. The caller's own is given back to them.
    pub(super) fn ids(&self, headers: &HeaderMap) -> Ids {
        let request = uuid::Builder::from_random_bytes(self.lock().request_ids.random()).into_uuid();
        let client = headers.get("client-request-id").and_then(|id| id.to_str().ok());
        let client = client.map_or_else(|| request.to_string(), str::to_owned);
        Ids { request, client }
    }
}

/// One of the few places at a mailbox, given back when it is dropped.
struct Place {
    sandbox: Sandbox,
    mailbox: Uuid,
}

impl Place {
    fn take(sandbox: &Sandbox, call: &GraphCall) -> Result<Option<Self>, GraphError> {
        let Some(mailbox) = mailbox(sandbox, call) else { return Ok(None) };
        let mut state = sandbox.lock();
        let busy = state.busy.entry(mailbox).or_default();
        if *busy >= MAILBOX_CONCURRENCY {
            let message = "Application is over its MailboxConcurrency limit.";
            return Err(GraphError::throttled("ApplicationThrottled", message, Some("1".to_owned())));
        }
        *busy += 1;
        Ok(Some(Self { sandbox: sandbox.clone(), mailbox }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(busy) = self.sandbox.lock().busy.get_mut(&self.mailbox) {
            *busy -= 1;
        }
    }
}

fn mailbox(sandbox: &Sandbox, call: &GraphCall) -> Option<Uuid> {
    match (&call.method, Route::parse(call)) {
        (&Method::POST, Ok(Route::SendMail(sender))) => {
            sandbox.lock().tenant.find_user(&sender).map(|person| person.id)
        }
        _ => None,
    }
}
