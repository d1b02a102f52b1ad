//! A plain client of the sandbox's Graph, without firstpass.

use std::sync::Arc;

use azure_core::http::{HttpClient, Method, Request};
use firstpass_sandbox::tenant::Sandbox;
use serde_json::Value;

pub struct Caller {
    transport: Arc<dyn HttpClient>,
}

/// An answer; `body` is null if it is empty or not JSON.
pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Caller {
    pub fn new(sandbox: &Sandbox) -> Self {
        Self { transport: sandbox.transport() }
    }

    /// Returns `None` if the connection broke.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Reply> {
        let url = format!("https://graph.microsoft.com/v1.0{path}").parse().unwrap();
        let mut request = Request::new(url, method);
        request.insert_header("authorization", "Bearer sandbox");
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            request.set_body(body.to_string());
        }
        let answer = self.transport.execute_request(&request).await.ok()?;
        let status = answer.status().into();
        let bytes = answer.into_body().collect().await.ok()?;
        Some(Reply { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    pub async fn get(&self, path: &str) -> Option<Reply> {
        self.send(Method::Get, path, None).await
    }
}
