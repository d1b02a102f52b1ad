//! The HTTP client between the product and the tenant. It records what each invocation reads, sends the invocation's id
//! to the tenant, and injects crashes of workers.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use firstpass_sandbox::tenant::{Sandbox, samples::SERVICE_DESK};
use serde_json::Value;

use crate::{checks::immediate, scenario::Operation, trace::SharedTrace};

#[derive(Debug)]
pub struct RecordingClient {
    pub inner: Arc<dyn HttpClient>,
    pub sandbox: Sandbox,
    pub trace: SharedTrace,
    /// Whether each request adds a line to the trace.
    pub verbose: bool,
}

#[async_trait]
impl HttpClient for RecordingClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = match request.body() {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::SeekableStream(_) => String::new(),
        };
        let operation = operation_of(request, &body);
        if let Some(operation) = operation {
            self.trace.crash_point(operation, false).await;
        }
        if matches!(operation, Some(Operation::CreatePass | Operation::SendMail)) {
            immediate::check_lease_time(&self.sandbox, &mut self.trace.lock());
        }
        if operation == Some(Operation::SendMail) {
            immediate::check_mailed_code(&self.sandbox, &mut self.trace.lock(), &body);
        }
        let mut request = request.clone();
        if let Some(id) = SharedTrace::current_invocation() {
            request.insert_header("client-request-id", id.to_string());
        }
        let result = self.inner.execute_request(&request).await;
        let result = match result {
            Ok(response) => self.record_response(&request, &body, response).await,
            Err(error) => {
                self.record_request(&request, &error.to_string());
                Err(error)
            }
        };
        if let Some(operation) = operation {
            self.trace.crash_point(operation, true).await;
        }
        result
    }
}

impl RecordingClient {
    async fn record_response(
        &self,
        request: &Request,
        sent: &str,
        response: AsyncRawResponse,
    ) -> azure_core::Result<AsyncRawResponse> {
        let response = response.try_into_raw_response().await?;
        let (status, headers, body) = response.deconstruct();
        self.record_request(request, &u16::from(status).to_string());
        if status.is_success() && request.url().path().ends_with("/$batch") {
            self.record_batch(sent, body.as_ref());
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }

    fn record_batch(&self, sent: &str, received: &[u8]) {
        let (Some(id), Ok(sent), Ok(received)) = (
            SharedTrace::current_invocation(),
            serde_json::from_str::<Value>(sent),
            serde_json::from_slice::<Value>(received),
        ) else {
            return;
        };
        let parts = sent["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut trace = self.trace.lock();
        let invocation = &mut trace.invocations[id];
        let user = format!("/users/{}", invocation.user);
        let path = |url: &Value| match url.as_str().unwrap_or_default() {
            url if url.contains("signInActivity") => "sign-ins".to_owned(),
            url if url.contains("employeeLeaveDateTime") => "leave-date".to_owned(),
            url => url.split('?').next().unwrap_or_default().to_owned(),
        };
        // A full batch starts a new read; a smaller one repeats the parts that were throttled.
        if parts.len() > 5 {
            invocation.responses.clear();
        }
        invocation.read_at = self.sandbox.now();
        for response in received["responses"].as_array().into_iter().flatten() {
            let Some(part) = parts.iter().find(|part| part["id"] == response["id"]) else { continue };
            let key = path(&part["url"]).replace(&user, "me");
            let status = response["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or_default();
            invocation.responses.insert(key, (status, response["body"].clone()));
        }
    }

    fn record_request(&self, request: &Request, result: &str) {
        let mut trace = self.trace.lock();
        // Proxies and servers log URLs, so the leak check searches them too.
        trace.output.push_str(request.url().as_str());
        trace.output.push('\n');
        if self.verbose {
            let line = format!("{} {}: {result}", request.method().as_ref(), request.url().path());
            trace.add_line(&self.sandbox, &line);
        }
    }
}

fn operation_of(request: &Request, body: &str) -> Option<Operation> {
    let path = request.url().path();
    match request.method() {
        Method::Post if path.ends_with("/$batch") => Some(Operation::ReadUser),
        Method::Post if path.ends_with("temporaryAccessPassMethods") => Some(Operation::CreatePass),
        Method::Delete => Some(Operation::DeletePass),
        Method::Post if path.ends_with("/delivery") => Some(Operation::SendMail),
        Method::Post if path.ends_with("/sendMail") => {
            Some(if body.contains(SERVICE_DESK) { Operation::SendAlert } else { Operation::SendMail })
        }
        _ => None,
    }
}
