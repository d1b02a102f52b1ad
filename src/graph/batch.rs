//! Several reads in one request.
//!
//! Each part has its own status, is throttled separately and is answered in any order; the outer status is 200
//! (Graph's JSON batching page).

use std::{collections::BTreeMap, time::Duration};

use azure_core::http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    client::{Graph, GraphRequest},
    error::{GraphError, GraphErrorKind},
    retry::{self, Idempotency},
};

/// The rounds of requests, retries of throttled parts included.
const ROUNDS: u32 = 3;

/// One GET of a batch.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The operation in progress, for error messages; unique within a batch.
    pub operation: &'static str,
    /// Path and query below `/v1.0`.
    pub path: String,
}

/// The answers by [`Part::operation`].
pub(super) struct Parts(BTreeMap<&'static str, Result<Value, GraphError>>);

impl Parts {
    /// Removes and parses the answer of one part.
    pub(super) fn take<T: DeserializeOwned>(&mut self, operation: &'static str) -> Result<T, GraphError> {
        let body = self
            .0
            .remove(operation)
            .unwrap_or_else(|| Err(GraphError::unreadable(operation, "no such part")))?;
        // serde's error can quote the body, which holds personal data.
        T::deserialize(body).map_err(|_| GraphError::unreadable(operation, "unknown form of answer"))
    }
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<PartAnswer>,
}

#[derive(Deserialize)]
struct PartAnswer {
    id: String,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    body: Value,
}

fn is_retried(error: &GraphError) -> bool {
    matches!(error.kind, GraphErrorKind::Throttled | GraphErrorKind::Unavailable)
}

impl PartAnswer {
    fn retry_after(&self) -> Option<Duration> {
        let (_, value) = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        retry::parse_retry_after(&text, None)
    }
}

impl Graph {
    /// Reads all `parts` (at most 20, Graph's limit) in one round trip. Throttled parts are sent again after the
    /// longest Retry-After among them.
    pub(super) async fn batch(&self, operation: &'static str, parts: Vec<Part>) -> Result<Parts, GraphError> {
        let mut answers = BTreeMap::new();
        let mut open = parts;
        for round in 1..=ROUNDS {
            let mut wait = Duration::ZERO;
            for answer in self.batch_once(operation, &open).await? {
                let Some(part) = answer.id.parse().ok().and_then(|i: usize| open.get(i)) else { continue };
                let retry_after = answer.retry_after();
                let result = match answer.status {
                    200..300 => Ok(answer.body),
                    status => Err(GraphError {
                        retry_after,
                        ..GraphError::from_status(
                            part.operation,
                            Idempotency::Idempotent,
                            status,
                            &answer.body,
                        )
                    }),
                };
                if result.as_ref().is_err_and(is_retried) {
                    wait = wait.max(retry_after.unwrap_or(Duration::from_secs(1 << round)));
                }
                answers.insert(part.operation, result);
            }
            open.retain(|part| match answers.get(part.operation) {
                Some(result) => result.as_ref().is_err_and(is_retried),
                None => true,
            });
            if open.is_empty() || round == ROUNDS {
                break;
            }
            sleep(wait).await;
        }
        Ok(Parts(answers))
    }

    async fn batch_once(
        &self,
        operation: &'static str,
        parts: &[Part],
    ) -> Result<Vec<PartAnswer>, GraphError> {
        let requests: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(i, part)| json!({"id": i.to_string(), "method": "GET", "url": part.path}))
            .collect();
        let call = GraphRequest {
            method: Method::Post,
            body: Some(json!({ "requests": requests })),
            ..GraphRequest::get(operation, "/$batch")
        };
        let answers: Answers = self.send(call).await?.json()?;
        Ok(answers.responses)
    }
}
