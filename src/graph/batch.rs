//! Several reads in one request.
//!
//! Each part has its own status, is throttled separately and is answered in any order; the outer status is 200
//! (Graph's JSON batching page).

use std::{collections::BTreeMap, time::Duration};

use azure_core::http::Method;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use tokio::time::sleep;

use super::{
    client::{Graph, GraphRequest, unknown_form},
    error::{GraphError, GraphErrorKind},
    page::at_most,
    retry::Idempotency,
};
use crate::transport::{MIB, parse_retry_after};

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

/// How many parts a batch can have (Graph's JSON batching page).
pub(super) const MAX_PARTS: usize = 20;

/// The body of one part's answer.
pub(super) type PartResult = Result<Box<RawValue>, GraphError>;

/// The longest body of a part. What serde keeps of a body for a while can take many times its size.
const MAX_BODY: usize = 2 * MIB;
/// The longest headers of a part.
const MAX_HEADERS: usize = 64 << 10;

/// The answers by [`Part::operation`].
pub(super) struct Parts(BTreeMap<&'static str, PartResult>);

impl Parts {
    /// The parts that the token of this process may not read.
    pub(super) fn forbidden(&self) -> Vec<GraphError> {
        let errors = self.0.values().filter_map(|result| result.as_ref().err());
        errors.filter(|error| error.status == Some(403)).cloned().collect()
    }

    /// Removes and parses the answer of one part.
    pub(super) fn take<T: DeserializeOwned>(&mut self, operation: &'static str) -> Result<T, GraphError> {
        let body = self
            .0
            .remove(operation)
            .unwrap_or_else(|| Err(GraphError::unreadable(operation, "no such part")))?;
        read_body(operation, &body)
    }
}

/// Parses the body of a part.
pub(super) fn read_body<T: DeserializeOwned>(
    operation: &'static str,
    body: &RawValue,
) -> Result<T, GraphError> {
    serde_json::from_str(body.get()).map_err(|error| unknown_form(operation, &error))
}

#[derive(Deserialize)]
struct Answers {
    #[serde(deserialize_with = "at_most::<MAX_PARTS, _, _>")]
    responses: Vec<PartAnswer>,
}

#[derive(Deserialize)]
struct PartAnswer {
    id: String,
    status: u16,
    #[serde(default, deserialize_with = "at_most_bytes::<MAX_HEADERS, _>")]
    headers: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "at_most_bytes::<MAX_BODY, _>")]
    body: Option<Box<RawValue>>,
}

/// `None` for a longer text.
fn at_most_bytes<'de, const MAX: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    let text = <&RawValue>::deserialize(deserializer)?;
    Ok((text.get().len() <= MAX).then(|| text.to_owned()))
}

fn is_retried(error: &GraphError) -> bool {
    matches!(error.kind, GraphErrorKind::Throttled | GraphErrorKind::Unavailable)
}

impl PartAnswer {
    fn retry_after(&self) -> Option<Duration> {
        let headers: BTreeMap<String, Value> = serde_json::from_str(self.headers.as_ref()?.get()).ok()?;
        let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        parse_retry_after(&text, None)
    }
}

impl Graph {
    /// Reads all `parts` (at most [`MAX_PARTS`], with an operation of its own each) in one round trip.
    pub(super) async fn batch(&self, operation: &'static str, parts: Vec<Part>) -> Result<Parts, GraphError> {
        let operations: Vec<&'static str> = parts.iter().map(|part| part.operation).collect();
        let answers = self.batch_in_order(operation, parts).await?;
        Ok(Parts(operations.into_iter().zip(answers).collect()))
    }

    /// Reads all `parts` (at most [`MAX_PARTS`]) in one round trip; the answers have their order. Throttled parts are sent
    /// again after the longest Retry-After among them.
    pub(super) async fn batch_in_order(
        &self,
        operation: &'static str,
        parts: Vec<Part>,
    ) -> Result<Vec<PartResult>, GraphError> {
        let missing = |part: &Part| Err(GraphError::unreadable(part.operation, "no such part"));
        let mut results: Vec<PartResult> = parts.iter().map(missing).collect();
        let mut open: Vec<(usize, Part)> = parts.into_iter().enumerate().collect();
        for round in 1..=ROUNDS {
            let mut wait = Duration::ZERO;
            let mut answered = BTreeMap::new();
            let answers = match self.batch_once(operation, &open).await {
                // What was answered before counts.
                Err(_) if round > 1 => break,
                answers => answers?,
            };
            for answer in answers {
                let Some((at, part)) = answer.id.parse().ok().and_then(|i: usize| open.get(i)) else {
                    continue;
                };
                let retry_after = answer.retry_after();
                let result = match (answer.status, answer.body) {
                    _ if answered.contains_key(at) => {
                        Err(GraphError::unreadable(part.operation, "the part was answered twice"))
                    }
                    (200..300, Some(body)) => Ok(body),
                    (200..300, None) => Err(GraphError::unreadable(
                        part.operation,
                        "the part has no body, or a very long one",
                    )),
                    (status, body) => Err(GraphError {
                        retry_after,
                        ..GraphError::from_status(
                            part.operation,
                            Idempotency::Idempotent,
                            status,
                            body.as_ref().map_or("", |body| body.get()).as_bytes(),
                        )
                    }),
                };
                let is_open = result.as_ref().is_err_and(is_retried);
                if is_open {
                    wait = wait.max(retry_after.unwrap_or(Duration::from_secs(1 << round)));
                }
                answered.insert(*at, is_open);
                results[*at] = result;
            }
            open.retain(|(at, _)| answered.get(at).copied().unwrap_or(true));
            if open.is_empty() || round == ROUNDS {
                break;
            }
            sleep(wait).await;
        }
        Ok(results)
    }

    async fn batch_once(
        &self,
        operation: &'static str,
        parts: &[(usize, Part)],
    ) -> Result<Vec<PartAnswer>, GraphError> {
        let requests: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(i, (_, part))| json!({"id": i.to_string(), "method": "GET", "url": part.path}))
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
