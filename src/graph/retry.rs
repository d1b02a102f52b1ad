//! The policy that decides which requests are sent again, and when.
//!
//! | answer | a read | a change (POST of a pass, sendMail) |
//! |---|---|---|
//! | connection refused: nothing was sent | again | again |
//! | 429, 503: Graph did nothing | again, after Retry-After | again, after Retry-After; of sendMail [`super::mail`] decides |
//! | 401: the token was refused | once more, with a new token | once more, with a new token |
//! | connection lost, no answer in 30 s, 408, 500, 502, 504 | again | **never**: it may have taken effect |
//! | anything else | never | never |
//!
//! A `$batch` of GETs is a read. Retry-After may be fractional (Graph's throttling page shows `2.128`): it is rounded
//! up, and limited to 120 s; without it, or where it is none (0, negative, more than a day), the waits are 2, 4 and 8 s. There are at most 4 tries. None starts after the call's
//! deadline, and no change starts later than [`budget::GRAPH_CHANGE_MIN`] before it. What a failed mail means for the pass
//! is in `pass/issue/mod.rs`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    error::{Error, ErrorKind},
    http::{
        AsyncRawResponse, Context, Request, StatusCode,
        headers::HeaderName,
        policies::{Policy, PolicyResult},
    },
};
use tokio::time::{Instant, sleep, timeout};

use super::server_time::ServerTime;
use crate::{
    budget,
    transport::{BodyReader, retry_after},
};

/// Whether a request may be sent again when its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// A second request has no further effect.
    Idempotent,
    /// A second request repeats the effect.
    NotIdempotent,
}

/// The time after which no try starts, not even the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub Instant);

/// The caller waits itself when Graph is busy.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReturnsBusy;

/// The policy. It precedes the bearer policy, so that every try has a valid token.
/// It reads the bodies too, so that one that does not come counts as a lost answer.
#[derive(Debug)]
pub(super) struct RetryPolicy {
    bodies: BodyReader,
    time: Arc<ServerTime>,
}

impl RetryPolicy {
    /// Notes the time of every answer in `time`.
    pub(super) fn new(time: Arc<ServerTime>) -> Self {
        Self { bodies: BodyReader::default(), time }
    }

    /// One try, with its body in memory.
    async fn send_once(
        &self,
        ctx: &Context<'_>,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let (status, headers, body) = next[0].send(ctx, request, &next[1..]).await?.deconstruct();
        if let Some(date) = headers.get_optional_str(&HeaderName::from_static("date")) {
            self.time.note(date);
        }
        let body = if status.is_success() {
            self.bodies.success(body).await?
        } else {
            self.bodies.error(body).await?
        };
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

#[async_trait]
impl Policy for RetryPolicy {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let idempotency = ctx.value::<Idempotency>().copied().unwrap_or(Idempotency::NotIdempotent);
        let deadline =
            ctx.value::<Deadline>().map_or_else(|| Instant::now() + budget::GRAPH_REQUEST, |d| d.0);
        let min_time = match idempotency {
            Idempotency::Idempotent => Duration::ZERO,
            Idempotency::NotIdempotent => budget::GRAPH_CHANGE_MIN,
        };
        let mut renewed_token = false;
        for tried in 1.. {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || left < min_time {
                return Err(Error::with_message(ErrorKind::Other, "not sent: there is no time left"));
            }
            let limit = left.min(budget::GRAPH_TRY);
            let result = match timeout(limit, self.send_once(ctx, request, next)).await {
                Ok(result) => result,
                Err(_) => {
                    let message = format!("no answer within {:.0} s", limit.as_secs_f32());
                    Err(Error::with_message(ErrorKind::Io, message))
                }
            };
            let is_busy = |response: &AsyncRawResponse| is_busy(response.status());
            if ctx.value::<ReturnsBusy>().is_some() && result.as_ref().is_ok_and(is_busy) {
                return result;
            }
            let wait = match decide(&result, idempotency) {
                RetryDecision::Return => return result,
                RetryDecision::NewToken if renewed_token => return result,
                RetryDecision::NewToken => {
                    renewed_token = true;
                    Duration::ZERO
                }
                RetryDecision::After(wait) => wait,
                RetryDecision::Backoff => Duration::from_secs(1 << tried),
            };
            if tried >= budget::GRAPH_TRIES || Instant::now() + wait + min_time > deadline {
                return result;
            }
            tracing::debug!(
                event = "graph.retry_scheduled",
                tried,
                wait_seconds = wait.as_secs(),
                "The request to Graph is sent again after a wait"
            );
            sleep(wait).await;
        }
        unreachable!("the loop only ends by returning")
    }
}

enum RetryDecision {
    Return,
    NewToken,
    Backoff,
    After(Duration),
}

fn decide(result: &Result<AsyncRawResponse, Error>, idempotency: Idempotency) -> RetryDecision {
    let without_answer = match idempotency {
        Idempotency::Idempotent => RetryDecision::Backoff,
        Idempotency::NotIdempotent => RetryDecision::Return,
    };
    match result {
        Ok(response) => match response.status() {
            StatusCode::Unauthorized => RetryDecision::NewToken,
            status if is_busy(status) => {
                retry_after(response.headers()).map_or(RetryDecision::Backoff, RetryDecision::After)
            }
            status if is_ambiguous(status) => without_answer,
            _ => RetryDecision::Return,
        },
        Err(error) => match error.kind() {
            ErrorKind::Connection => RetryDecision::Backoff,
            ErrorKind::Io => without_answer,
            _ => RetryDecision::Return,
        },
    }
}

/// Whether Graph did nothing, and asks to come again.
fn is_busy(status: StatusCode) -> bool {
    matches!(status, StatusCode::TooManyRequests | StatusCode::ServiceUnavailable)
}

/// Whether a request that got this status may have taken effect.
pub(super) fn is_ambiguous(status: StatusCode) -> bool {
    matches!(u16::from(status), 408 | 500 | 502 | 504)
}
