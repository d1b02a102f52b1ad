//! One request to Graph and its answer.

use std::sync::Arc;

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    http::{
        AsyncRawResponse, ClientOptions, Context, HttpClient, Method, Pipeline, PipelineStreamOptions,
        RawResponse, Request, RetryOptions, Transport, Url, headers::HeaderName,
        policies::auth::BearerTokenAuthorizationPolicy,
    },
};
use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    error::{GraphError, request_id},
    retry::{Deadline, Idempotency, RetryPolicy, ReturnsBusy},
    server_time::ServerTime,
};
use crate::cloud::Cloud;

/// The client. Clones share the connection pool and the token.
#[derive(Clone, Debug)]
pub struct Graph {
    pipeline: Pipeline,
    /// The URL of Graph, for sandboxes too: they replace the transport.
    root: Arc<str>,
    credential: Arc<dyn TokenCredential>,
    scope: Arc<str>,
    time: Arc<ServerTime>,
}

/// One request.
#[derive(Debug)]
pub(super) struct GraphRequest {
    /// The operation in progress, for error messages: "reading the user".
    pub operation: &'static str,
    pub method: Method,
    /// The path below `/v1.0`, or the URL of a next page.
    pub url: String,
    pub body: Option<Value>,
    pub idempotency: Idempotency,
    /// No try starts after this.
    pub deadline: Option<Instant>,
    /// Sends `ConsistencyLevel: eventual`, which advanced queries need.
    pub eventual: bool,
    /// An answer that Graph is busy is returned at once.
    pub returns_busy: bool,
}

impl GraphRequest {
    /// A read of `path` below `/v1.0`.
    pub(super) fn get(operation: &'static str, path: &str) -> Self {
        Self {
            operation,
            method: Method::Get,
            url: path.to_owned(),
            body: None,
            idempotency: Idempotency::Idempotent,
            deadline: None,
            eventual: false,
            returns_busy: false,
        }
    }

    /// A change that must not be made twice.
    pub(super) fn post(operation: &'static str, path: &str, body: Value, deadline: Instant) -> Self {
        Self {
            method: Method::Post,
            body: Some(body),
            idempotency: Idempotency::NotIdempotent,
            deadline: Some(deadline),
            ..Self::get(operation, path)
        }
    }
}

impl Graph {
    /// A client for the Graph of `cloud` that signs in with `credential` and sends through `transport`.
    pub fn new(transport: Arc<dyn HttpClient>, credential: Arc<dyn TokenCredential>, cloud: Cloud) -> Self {
        let host = cloud.graph_host();
        let options = ClientOptions {
            transport: Some(Transport::new(transport)),
            // The default policy sends a POST again when its answer was lost.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let scope = format!("https://{host}/.default");
        let per_try = BearerTokenAuthorizationPolicy::new(credential.clone(), [scope.clone()]);
        let time = Arc::<ServerTime>::default();
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            vec![Arc::new(RetryPolicy::new(time.clone()))],
            vec![Arc::new(per_try)],
            None,
        );
        Self { pipeline, root: format!("https://{host}/v1.0").into(), credential, scope: scope.into(), time }
    }

    /// The time by Graph's clock, if it has answered lately.
    pub(crate) fn now(&self) -> Option<DateTime<Utc>> {
        self.time.now()
    }

    /// The app's token for Graph. Credentials keep it until it expires.
    pub(super) async fn token(&self) -> azure_core::Result<AccessToken> {
        self.credential.get_token(&[&self.scope], None).await
    }

    /// Whether a link leads to Graph: the token must not go anywhere else.
    pub(super) fn is_own(&self, url: &str) -> bool {
        url.strip_prefix(&*self.root).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Sends `call` and returns its successful answer.
    pub(super) async fn send(&self, call: GraphRequest) -> Result<Answer, GraphError> {
        let url = if call.url.starts_with('/') { format!("{}{}", self.root, call.url) } else { call.url };
        let url =
            Url::parse(&url).map_err(|_| GraphError::unreadable(call.operation, "the URL is invalid"))?;
        let mut request = Request::new(url, call.method);
        if call.eventual {
            request.insert_header(HeaderName::from_static("consistencylevel"), "eventual");
        }
        if let Some(body) = &call.body {
            request.insert_header(HeaderName::from_static("content-type"), "application/json");
            request.set_body(body.to_string());
        }
        let mut context = Context::new().with_value(call.idempotency);
        if let Some(deadline) = call.deadline {
            context = context.with_value(Deadline(deadline));
        }
        if call.returns_busy {
            context = context.with_value(ReturnsBusy);
        }
        let unchecked = PipelineStreamOptions { skip_checks: true, ..PipelineStreamOptions::default() };
        match self.pipeline.stream(&context, &mut request, Some(unchecked)).await.and_then(whole) {
            Ok(response) if response.status().is_success() => {
                Ok(Answer { operation: call.operation, response })
            }
            Ok(response) => Err(GraphError::from_response(call.operation, call.idempotency, &response)),
            Err(error) => Err(GraphError::from_transport(call.operation, call.idempotency, &error)),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<T, GraphError> {
        self.send(GraphRequest::get(operation, path)).await?.json()
    }
}

/// The answer with its body, which the policy has read: it is in one piece, and is not copied.
fn whole(answer: AsyncRawResponse) -> azure_core::Result<RawResponse> {
    let (status, headers, mut body) = answer.deconstruct();
    let body = body.next().now_or_never().flatten().transpose()?.unwrap_or_default();
    Ok(RawResponse::from_bytes(status, headers, body))
}

/// A successful answer.
pub(super) struct Answer {
    operation: &'static str,
    response: RawResponse,
}

impl Answer {
    /// The length of the body.
    pub(super) fn size(&self) -> usize {
        self.response.body().len()
    }

    /// Parses the body. The error does not quote it: it may hold a code.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, GraphError> {
        serde_json::from_slice(self.response.body().as_ref()).map_err(|error| {
            let mut unreadable = match error.is_data() {
                true => unknown_form(self.operation, &error),
                false => GraphError::unreadable(
                    self.operation,
                    &format!("{:?} error in the answer", error.classify()),
                ),
            };
            unreadable.request_id = request_id(&self.response);
            unreadable
        })
    }
}

/// The error for an answer that is JSON of another form than the documented one.
pub(super) fn unknown_form(operation: &'static str, error: &serde_json::Error) -> GraphError {
    // serde's error can quote the answer, which holds personal data; this one has a name of the schema only.
    let text = error.to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(property) => GraphError::unreadable(operation, &format!("the answer lacks {property}")),
        None => GraphError::unreadable(operation, "unknown form of answer"),
    }
}

/// The characters that a path segment does not escape. `#` and the apostrophe are escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');
/// The characters that the value of a query option does not escape.
const OPTION: &AsciiSet =
    &SEGMENT.remove(b'$').remove(b',').remove(b':').remove(b'/').remove(b'(').remove(b')').remove(b'\'');

/// `text` as one path segment.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// A query string from options like `("$top", "999")`.
pub(super) fn query(options: &[(&str, &str)]) -> String {
    options.iter().enumerate().fold(String::new(), |query, (i, (name, value))| {
        let separator = if i == 0 { '?' } else { '&' };
        format!("{query}{separator}{name}={}", utf8_percent_encode(value, OPTION))
    })
}
