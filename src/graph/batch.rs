//! Many reads in one request.
//!
//! The outer 200 says nothing about the parts: each has its own status, is throttled on its own, and comes in
//! any order (Graph's JSON batching page).

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

/// How many rounds the parts that were throttled get.
const ROUNDS: u32 = 3;

/// One GET of a batch.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// What we are doing, for error messages; tells the parts apart.
    pub what: &'static str,
    /// Path and query below `/v1.0`.
    pub path: String,
}

/// The answers, by [`Part::what`].
pub(super) struct Parts(BTreeMap<&'static str, Result<Value, GraphError>>);

impl Parts {
    /// Takes the answer of one part.
    pub(super) fn take<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<T, GraphError> {
        let body =
            self.0.remove(what).unwrap_or_else(|| Err(GraphError::unreadable(what, "no such part")))?;
        // Not quoting the body: it can hold personal data.
        T::deserialize(body).map_err(|_| GraphError::unreadable(what, "unknown form of answer"))
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

fn is_worth_another_round(error: &GraphError) -> bool {
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
    /// Reads all `parts` (at most 20, Graph's limit) in one round trip; parts that Graph is too busy for are
    /// asked for again after the longest Retry-After among them.
    pub(super) async fn batch(&self, what: &'static str, parts: Vec<Part>) -> Result<Parts, GraphError> {
        let mut answers = BTreeMap::new();
        let mut open = parts;
        for round in 1..=ROUNDS {
            let mut wait = Duration::ZERO;
            for answer in self.batch_once(what, &open).await? {
                let Some(part) = answer.id.parse().ok().and_then(|i: usize| open.get(i)) else { continue };
                let retry_after = answer.retry_after();
                let result = match answer.status {
                    200..300 => Ok(answer.body),
                    status => Err(GraphError {
                        retry_after,
                        ..GraphError::from_status(part.what, Idempotency::Idempotent, status, &answer.body)
                    }),
                };
                if result.as_ref().is_err_and(is_worth_another_round) {
                    wait = wait.max(retry_after.unwrap_or(Duration::from_secs(1 << round)));
                }
                answers.insert(part.what, result);
            }
            open.retain(|part| match answers.get(part.what) {
                Some(result) => result.as_ref().is_err_and(is_worth_another_round),
                None => true,
            });
            if open.is_empty() || round == ROUNDS {
                break;
            }
            sleep(wait).await;
        }
        Ok(Parts(answers))
    }

    async fn batch_once(&self, what: &'static str, parts: &[Part]) -> Result<Vec<PartAnswer>, GraphError> {
        let requests: Vec<Value> = parts
            .iter()
            .enumerate()
            .map(|(i, part)| json!({"id": i.to_string(), "method": "GET", "url": part.path}))
            .collect();
        let call = GraphRequest {
            method: Method::Post,
            body: Some(json!({ "requests": requests })),
            ..GraphRequest::get(what, "/$batch")
        };
        let answers: Answers = self.send(call).await?.json()?;
        Ok(answers.responses)
    }
}
