//! The in-process transport and the credential, in azure_core's pipeline.

use std::sync::Arc;

use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, Request, Transport,
    policies::auth::BearerTokenAuthorizationPolicy,
};
use chrono::TimeDelta;
use firstpass_sandbox::tenant::{Fault, FaultKind};
use serde_json::Value;

use super::{caller_of_one, now};

fn get(url: &str) -> Request {
    Request::new(url.parse().unwrap(), Method::Get)
}

#[tokio::test(start_paused = true)]
async fn the_azure_core_pipeline_uses_the_real_urls() {
    let (caller, emma) = caller_of_one();
    let scope = "https://graph.microsoft.com/.default";
    let bearer = BearerTokenAuthorizationPolicy::new(caller.sandbox.credential(), [scope]);
    let options =
        ClientOptions { transport: Some(Transport::new(caller.sandbox.transport())), ..Default::default() };
    let pipeline = Pipeline::new(Some("test"), Some("0"), options, vec![], vec![Arc::new(bearer)], None);
    caller.sandbox.inject(Fault::on(
        "GET",
        "/users",
        FaultKind::Throttle { retry_after: Some("7".to_owned()) },
    ));

    let mut request = get(&format!("https://graph.microsoft.com/v1.0/users/{emma}?$select=displayName"));
    let answer = pipeline.send(&Context::default(), &mut request, None).await.unwrap();
    let body: Value = answer.into_body().json().unwrap();
    assert_eq!(body["displayName"], "Emma Brooks");

    let statuses: Vec<_> = caller.sandbox.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(429), Some(200)]);
    assert_eq!(caller.sandbox.now() - now(), TimeDelta::seconds(7), "the virtual delay advances the clock");
}

#[tokio::test]
async fn a_token_is_not_sent_to_other_hosts() {
    let (caller, _) = caller_of_one();
    for url in ["http://graph.microsoft.com/v1.0/users", "https://graph.example/v1.0/users"] {
        assert!(caller.sandbox.transport().execute_request(&get(url)).await.is_err());
    }
    assert!(caller.sandbox.requests().is_empty());
}

#[tokio::test]
async fn the_transport_preserves_headers() {
    let (caller, _) = caller_of_one();
    let url = get("https://graph.microsoft.com/v1.0/users");
    let answer = caller.sandbox.transport().execute_request(&url).await.unwrap();
    assert_eq!(u16::from(answer.status()), 401);
    assert!(answer.headers().get_optional_str(&"request-id".into()).is_some());
    assert!(answer.headers().get_optional_str(&"date".into()).is_some());
}
