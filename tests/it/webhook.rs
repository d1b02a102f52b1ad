//! The endpoint that codes are delivered to: what it gets, and what each of its answers means.

use std::{error::Error, iter::successors, time::Duration};

use firstpass::webhook::WebhookError;
use firstpass_sandbox::tenant::{
    DELIVERY_AUDIENCE, DELIVERY_KEY, DELIVERY_URL, Fault, FaultKind, TENANT_ID, token_of_claims,
};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma, throttle},
    hostile::FixedToken,
};

const URL: (&str, &str) = ("DELIVERY_WEBHOOK_URL", DELIVERY_URL);
const KEY: (&str, &str) = ("DELIVERY_WEBHOOK_KEY", DELIVERY_KEY);
const AUDIENCE: (&str, &str) = ("DELIVERY_WEBHOOK_AUDIENCE", DELIVERY_AUDIENCE);

fn app(settings: &[(&str, &str)]) -> TestApp {
    TestApp::new(tenant_with_emma().0, settings)
}

async fn post(app: &TestApp) -> Result<(), WebhookError> {
    let webhook = app.app.services.delivery_webhook.as_ref().unwrap();
    webhook
        .post(json!({"schemaVersion": 1, "a": "ä"}).to_string(), Instant::now() + Duration::from_secs(60))
        .await
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_can_tell_the_app_by_a_key_or_by_a_token() {
    for (proof, expected) in [(KEY, "key"), (AUDIENCE, "token")] {
        let app = app(&[URL, proof]);
        assert_eq!(post(&app).await, Ok(()));
        let calls = app.sandbox.webhooks();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].path.as_str(), calls[0].proof), ("/delivery", expected));
        assert_eq!(calls[0].body, json!({"schemaVersion": 1, "a": "ä"}));
        assert_eq!(app.sandbox.state()["webhooks"][0]["proof"], expected);
    }
    assert!(app(&[]).app.services.delivery_webhook.is_none());
}

#[tokio::test(start_paused = true)]
async fn another_key_or_a_token_for_something_else_is_refused() {
    let other = ("DELIVERY_WEBHOOK_KEY", "another-key-0123456789abcdefghijkl");
    let refused = |result| matches!(result, Err(WebhookError::Refused { status: 401, .. }));
    assert!(refused(post(&app(&[URL, other])).await));
    let graph = token_of_claims(
        json!({"aud": "https://graph.microsoft.com", "tid": TENANT_ID, "exp": 4_000_000_000_i64}),
    );
    let app = app(&[URL, AUDIENCE]);
    let product = app.product(std::sync::Arc::new(FixedToken(graph.leak())));
    let webhook = product.services.delivery_webhook.as_ref().unwrap();
    assert!(refused(webhook.post("{}".to_owned(), Instant::now() + Duration::from_secs(60)).await));
    assert_eq!(app.sandbox.webhooks(), []);
}

#[tokio::test(start_paused = true)]
async fn every_answer_says_whether_something_was_done() {
    const HOST: &str = "hooks.contoso.example";
    let refused = |status| WebhookError::Refused { host: HOST.to_owned(), status };
    let busy = |status, seconds: Option<u64>| WebhookError::Busy {
        host: HOST.to_owned(),
        status,
        retry_after: seconds.map(Duration::from_secs),
    };
    let unclear = |why: &str| WebhookError::Unclear { host: HOST.to_owned(), why: why.to_owned() };
    for (kind, expected, arrived) in [
        (fail_with(302), refused(302), 0),
        (fail_with(400), refused(400), 0),
        (fail_with(404), refused(404), 0),
        (throttle("2.1"), busy(429, Some(3)), 0),
        (FaultKind::Throttle { retry_after: None }, busy(429, None), 0),
        (FaultKind::Unavailable { retry_after: "7".to_owned() }, busy(503, Some(7)), 0),
        (fail_with(503), unclear("the answer was 503"), 0),
        (fail_with(408), unclear("the answer was 408"), 0),
        (FaultKind::FailAfter { status: 502 }, unclear("the answer was 502"), 1),
        (FaultKind::LoseAnswer, unclear("the connection was closed before a response"), 1),
        (FaultKind::DelayAfter(Duration::from_secs(45)), unclear("there was no answer in time"), 1),
    ] {
        let app = app(&[URL, KEY]);
        app.sandbox.inject(Fault::on("POST", "/delivery", kind));
        assert_eq!(post(&app).await, Err(expected));
        assert_eq!(app.sandbox.webhooks().len(), arrived, "it is sent once");
    }
    let app = app(&[URL, KEY]);
    app.sandbox.inject(Fault::on("POST", "/delivery", FaultKind::Refuse));
    assert!(matches!(post(&app).await, Err(WebhookError::NotSent { .. })));
    let webhook = app.app.services.delivery_webhook.as_ref().unwrap();
    let late = webhook.post("{}".to_owned(), Instant::now() + Duration::from_secs(5)).await;
    assert!(matches!(late, Err(WebhookError::NotSent { .. })), "there is no time for an answer");
    assert_eq!(app.sandbox.webhooks(), []);
}

#[tokio::test(start_paused = true)]
async fn neither_an_error_nor_the_log_shows_more_than_the_host() {
    let app = app(&[URL, KEY]);
    for kind in [FaultKind::Refuse, FaultKind::LoseAnswer, fail_with(302), fail_with(500)] {
        app.sandbox.inject(Fault::on("POST", "/delivery", kind));
        let (result, log) = capture_log("trace", post(&app)).await;
        let error = result.unwrap_err();
        let chain = successors(Some(&error as &dyn Error), |&error| error.source());
        let text = chain.fold(format!("{error:?} {} {log}", error.advice("URL")), |text, error| {
            text + &error.to_string()
        });
        assert!(error.to_string().contains("hooks.contoso.example"), "{error}");
        for secret in ["delivery?", "sig=", "c2FuZGJveC1kZWxpdmVyeS1zaWc", DELIVERY_KEY] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
