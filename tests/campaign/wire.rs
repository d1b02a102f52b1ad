//! The wire between firstpass and the tenant: notes what each run is told, names the run to the tenant, and is where
//! workers die.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use firstpass_sandbox::tenant::{Sandbox, samples::SERVICE_DESK};
use serde_json::Value;

use crate::{
    checks::during,
    evidence::{Evidence, Watch},
    plan::Call,
};

#[derive(Debug)]
pub struct Wire {
    pub inner: Arc<dyn HttpClient>,
    pub sandbox: Sandbox,
    pub watch: Watch,
    /// Whether each request becomes a line of the story.
    pub tells: bool,
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = match request.body() {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::SeekableStream(_) => String::new(),
        };
        let call = call_of(request, &body);
        if let Some(call) = call {
            self.watch.crash_point(call, false).await;
        }
        if matches!(call, Some(Call::Make | Call::Mail)) {
            during::in_time(&self.sandbox, &mut self.watch.lock());
        }
        if call == Some(Call::Mail) {
            during::mailing(&self.sandbox, &mut self.watch.lock(), &body);
        }
        let mut request = request.clone();
        if let Some(run) = Watch::this_run() {
            request.insert_header("client-request-id", run.to_string());
        }
        let result = self.inner.execute_request(&request).await;
        let result = match result {
            Ok(response) => self.note(&request, &body, response).await,
            Err(error) => {
                self.tell(&request, &error.to_string());
                Err(error)
            }
        };
        if let Some(call) = call {
            self.watch.crash_point(call, true).await;
        }
        result
    }
}

impl Wire {
    async fn note(
        &self,
        request: &Request,
        sent: &str,
        response: AsyncRawResponse,
    ) -> azure_core::Result<AsyncRawResponse> {
        let response = response.try_into_raw_response().await?;
        let (status, headers, body) = response.deconstruct();
        self.tell(request, &u16::from(status).to_string());
        if status.is_success() && request.url().path().ends_with("/$batch") {
            self.note_reading(sent, body.as_ref());
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }

    /// The answers of a batch, by the paths that were asked for.
    fn note_reading(&self, sent: &str, answered: &[u8]) {
        let (Some(run), Ok(sent), Ok(answered)) = (
            Watch::this_run(),
            serde_json::from_str::<Value>(sent),
            serde_json::from_slice::<Value>(answered),
        ) else {
            return;
        };
        let asked = sent["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut evidence = self.watch.lock();
        let run = &mut evidence.runs[run];
        let user = format!("/users/{}", run.user);
        let path =
            |url: &Value| url.as_str().and_then(|url| url.split('?').next()).unwrap_or_default().to_owned();
        // A reading begins anew with the account itself; later rounds ask for what was throttled.
        if asked.len() > 5 {
            run.reading.clear();
        }
        run.read_at = self.sandbox.now();
        for answer in answered["responses"].as_array().into_iter().flatten() {
            let Some(question) = asked.iter().find(|q| q["id"] == answer["id"]) else { continue };
            let key = path(&question["url"]).replace(&user, "me");
            let status = answer["status"].as_u64().and_then(|s| u16::try_from(s).ok()).unwrap_or_default();
            run.reading.insert(key, (status, answer["body"].clone()));
        }
    }

    fn tell(&self, request: &Request, what: &str) {
        let mut evidence = self.watch.lock();
        // A URL is written in many places on its way; no code may stand in one.
        evidence.written.push_str(request.url().as_str());
        evidence.written.push('\n');
        if self.tells {
            let line = format!("{} {}: {what}", request.method().as_ref(), request.url().path());
            say(&mut evidence, &self.sandbox, &line);
        }
    }
}

/// Adds a line to the story.
pub fn say(evidence: &mut Evidence, sandbox: &Sandbox, line: &str) {
    let run = Watch::this_run().map(|run| format!("[{run}] ")).unwrap_or_default();
    let since = sandbox.now() - crate::personas::EPOCH.parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let at = crate::plan::clock(since.to_std().unwrap_or_default());
    evidence.story.push(format!("{at} {run}{line}"));
}

fn call_of(request: &Request, body: &str) -> Option<Call> {
    let path = request.url().path();
    match request.method() {
        Method::Post if path.ends_with("/$batch") => Some(Call::Read),
        Method::Post if path.ends_with("temporaryAccessPassMethods") => Some(Call::Make),
        Method::Delete => Some(Call::Unmake),
        Method::Post if path.ends_with("/sendMail") => {
            Some(if body.contains(SERVICE_DESK) { Call::Alert } else { Call::Mail })
        }
        _ => None,
    }
}
