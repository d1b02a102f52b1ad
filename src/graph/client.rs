//! One request to Graph and its answer.

use std::sync::Arc;

use azure_core::{
    credentials::TokenCredential,
    http::{
        ClientOptions, Context, HttpClient, Method, Pipeline, PipelineSendOptions, RawResponse, Request,
        RetryOptions, Transport, Url, headers::HeaderName, policies::auth::BearerTokenAuthorizationPolicy,
    },
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    error::{GraphError, request_id},
    retry::{Deadline, Idempotency, RetryPolicy},
};

/// Where Graph lives. Sandboxes are reached by their transport, so that even there the URL is the real one.
pub(super) const ROOT: &str = "https://graph.microsoft.com/v1.0";
const SCOPE: &str = "https://graph.microsoft.com/.default";

/// The client. Cheap to clone; every clone shares the connection pool and the token.
#[derive(Clone, Debug)]
pub struct Graph {
    pipeline: Pipeline,
}

/// One request.
#[derive(Debug)]
pub(super) struct GraphRequest {
    /// What we are doing, for error messages: "reading the user".
    pub what: &'static str,
    pub method: Method,
    /// The whole URL.
    pub url: String,
    pub body: Option<Value>,
    pub idempotency: Idempotency,
    /// After this nothing is sent any more.
    pub deadline: Option<Instant>,
    /// Asks for the eventually consistent index, which some filters need.
    pub eventual: bool,
}

impl GraphRequest {
    /// A read; harmless to idempotency.
    pub(super) fn get(what: &'static str, path: &str) -> Self {
        let url = format!("{ROOT}{path}");
        Self {
            what,
            method: Method::Get,
            url,
            body: None,
            idempotency: Idempotency::Idempotent,
            deadline: None,
            eventual: false,
        }
    }

    /// A change that must not happen twice.
    pub(super) fn post(what: &'static str, path: &str, body: Value, deadline: Instant) -> Self {
        Self {
            method: Method::Post,
            body: Some(body),
            idempotency: Idempotency::NotIdempotent,
            deadline: Some(deadline),
            ..Self::get(what, path)
        }
    }
}

impl Graph {
    /// A client that signs in with `credential` and talks through `transport`.
    pub fn new(transport: Arc<dyn HttpClient>, credential: Arc<dyn TokenCredential>) -> Self {
        let options = ClientOptions {
            transport: Some(Transport::new(transport)),
            // The stock policy would send a POST whose answer was lost nine times.
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let per_try = BearerTokenAuthorizationPolicy::new(credential, [SCOPE]);
        let pipeline = Pipeline::new(
            option_env!("CARGO_PKG_NAME"),
            option_env!("CARGO_PKG_VERSION"),
            options,
            vec![Arc::new(RetryPolicy)],
            vec![Arc::new(per_try)],
            None,
        );
        Self { pipeline }
    }

    /// Sends `call` and returns the answer's body.
    pub(super) async fn send(&self, call: GraphRequest) -> Result<Answer, GraphError> {
        let url =
            Url::parse(&call.url).map_err(|_| GraphError::unreadable(call.what, "a URL that is none"))?;
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
        let unchecked = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        match self.pipeline.send(&context, &mut request, Some(unchecked)).await {
            Ok(response) if response.status().is_success() => Ok(Answer { what: call.what, response }),
            Ok(response) => Err(GraphError::from_response(call.what, call.idempotency, &response)),
            Err(error) => Err(GraphError::from_transport(call.what, call.idempotency, &error)),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        what: &'static str,
        path: &str,
    ) -> Result<T, GraphError> {
        self.send(GraphRequest::get(what, path)).await?.json()
    }
}

/// A successful answer.
pub(super) struct Answer {
    what: &'static str,
    response: RawResponse,
}

impl Answer {
    /// Parses the body.
    ///
    /// The body is never quoted in the error: it may hold a code.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, GraphError> {
        serde_json::from_slice(self.response.body().as_ref()).map_err(|error| {
            let mut unreadable =
                GraphError::unreadable(self.what, &format!("{:?} error in the answer", error.classify()));
            unreadable.request_id = request_id(&self.response);
            unreadable
        })
    }
}

/// What stays as it is in a path segment; `#EXT#` and apostrophes do not.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');
/// What stays as it is in the value of a query option.
const OPTION: &AsciiSet =
    &SEGMENT.remove(b'$').remove(b',').remove(b':').remove(b'/').remove(b'(').remove(b')').remove(b'\'');

/// `text` as one segment of a path.
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
