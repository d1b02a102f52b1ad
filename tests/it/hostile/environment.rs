//! A ledger of another tenant, a clock that is wrong, a proxy that answers in Graph's place.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use axum::Router;
use azure_core::{
    credentials::TokenCredential,
    http::{AsyncRawResponse, HttpClient, Request, headers::HeaderName},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use firstpass::{
    app::App,
    host,
    ledger::{AlertId, Ledger, memory::MemoryLedger},
};
use firstpass_sandbox::{
    functions_host::local_host::LocalHost,
    tenant::{Fault, FaultKind},
};
use serde_json::json;
use uuid::Uuid;

use super::FixedToken;
use crate::helpers::{JobEnd, NOW, PASS_PATH, TestApp, log_capture::capture_log};

/// firstpass on the tenant of `own`, with other parts.
fn functions(
    own: &TestApp,
    transport: Arc<dyn HttpClient>,
    credential: Arc<dyn TokenCredential>,
    ledger: Arc<dyn Ledger>,
) -> LocalHost {
    let app = App::new(own.app.services.settings.clone(), transport, credential, ledger, own.sandbox.clock());
    let router: Router = host::router(Ok(Arc::new(app.unwrap())));
    LocalHost::new(router, own.sandbox.clock())
}

/// A token that an identity of this tenant gets.
fn of_tenant(tenant: u128) -> Arc<dyn TokenCredential> {
    let claims = json!({"aud": "https://graph.microsoft.com", "tid": Uuid::from_u128(tenant)}).to_string();
    let token = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
    Arc::new(FixedToken(Box::leak(token.into_boxed_str())))
}

async fn create_tap(functions: &LocalHost, user: Uuid) -> (u64, String) {
    let answer = functions.call("CreateTap", &json!({"UserName": user}).to_string()).await;
    let res = &answer.body["Outputs"]["res"];
    (res["statusCode"].as_u64().unwrap(), res["body"].as_str().unwrap().to_owned())
}

fn headlines(own: &TestApp) -> Vec<String> {
    own.alerts().iter().map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_ledger_of_another_tenant_is_refused_by_every_invocation_with_one_alert() {
    let (own, emma) = TestApp::with_emma();
    let ledger = Arc::new(MemoryLedger::default());
    let with = |credential| functions(&own, own.sandbox.transport(), credential, ledger.clone());
    // A new ledger takes the tenant of its first sweep.
    let first = with(of_tenant(1));
    assert!(first.fire_timer().await.is_success());
    let (before, _) = ledger.conditions().await.unwrap().unwrap();
    assert_eq!(before.tenant, Some(Uuid::from_u128(1)));
    assert_eq!(headlines(&own), [] as [&str; 0]);

    let waiting = AlertId { kind: "panic".into(), id: Uuid::nil() };
    let alert = json!({"schema": 1, "at": NOW, "count": 1, "headline": "", "who": "Ada", "whatHappened": "", "whatToDo": ""});
    ledger.write_pending_alert(&waiting, &serde_json::from_value(alert).unwrap()).await.unwrap();

    let stranger = with(of_tenant(2));
    let (job, group) =
        (own.job(emma).to_message(), json!({"jobKey": "group-add/1", "reason": "group-add", "userId": emma}));
    let (status, body) = create_tap(&stranger, emma).await;
    assert!(
        status == 503 && body.contains("belongs to the tenant 00000000-0000-0000-0000-000000000001"),
        "{body}"
    );
    for _ in 0..2 {
        let sweep = stranger.fire_timer().await;
        assert!(!sweep.is_success() && sweep.log().contains("belongs to the tenant"), "{}", sweep.log());
        for delivery in 1..=5 {
            for message in [
                &job,
                &group.to_string(),
                &json!({"dailyLook": "2026-11-22T05:00:00Z"}).to_string(),
                &json!({"sweepContinues": "2026-11-22T05:00:00Z", "afterUser": emma}).to_string(),
                &json!({"continuedGroup": emma, "syncId": "1", "afterMember": emma}).to_string(),
            ] {
                let answer = stranger.deliver(message, delivery).await;
                assert!(!answer.is_success(), "{message}: {}", answer.log());
            }
        }
    }
    assert_eq!(headlines(&own).len(), 1, "{:?}", headlines(&own));
    assert!(headlines(&own)[0].contains("The ledger belongs to another tenant"));
    assert_eq!(own.sandbox.passes(), []);
    let (after, _) = ledger.conditions().await.unwrap().unwrap();
    assert_eq!((after, ledger.list().await.unwrap()), (before, vec![]), "nothing is written there");
    assert_eq!(ledger.pending_alerts().await.unwrap(), [waiting], "its alerts are for its own admins");
    assert_eq!(ledger.alert_mails().await.unwrap(), None);

    // Another process of the tenant, and one that does not know its tenant.
    let unknown: Arc<dyn TokenCredential> = Arc::new(FixedToken("opaque"));
    for credential in [of_tenant(1), unknown] {
        assert_eq!(create_tap(&with(credential), emma).await.0, 201);
    }
}

/// Shifts the `Date` of Graph's answers by so many seconds.
#[derive(Debug)]
struct Shifted {
    inner: Arc<dyn HttpClient>,
    by: AtomicI64,
    replaced_by: Option<&'static str>,
}

#[async_trait]
impl HttpClient for Shifted {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, mut headers, body) = self.inner.execute_request(request).await?.deconstruct();
        let name = HeaderName::from_static("date");
        let date = DateTime::parse_from_rfc2822(headers.get_optional_str(&name).unwrap()).unwrap();
        let shifted = date + TimeDelta::seconds(self.by.load(Ordering::SeqCst));
        let text = self.replaced_by.map_or_else(|| shifted.to_rfc2822(), str::to_owned);
        headers.insert(name, text);
        Ok(AsyncRawResponse::from_bytes(status, headers, body.collect().await?))
    }
}

impl Shifted {
    fn new(own: &TestApp, by: i64, replaced_by: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self { inner: own.sandbox.transport(), by: by.into(), replaced_by })
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_one_alert_and_decides_about_nobody() {
    for (by, words) in
        [(-900, "15 min 0 s ahead of"), (900, "behind"), (86_400 * 3, "behind"), (-86_400 * 365, "ahead of")]
    {
        let (own, emma) = TestApp::with_emma();
        let graph = Shifted::new(&own, by, None);
        let ledger = Arc::new(MemoryLedger::default());
        let functions = functions(&own, graph.clone(), own.sandbox.credential(), ledger.clone());
        let job = own.job(emma).to_message();
        let work = async {
            let sweep = functions.fire_timer().await;
            assert!(!sweep.is_success() && sweep.log().contains("clock is"), "{by}: {}", sweep.log());
            for delivery in 1..=5 {
                let end = JobEnd::from(&functions.deliver(&job, delivery).await);
                assert!(end.outcome == "failed" && end.why.contains("clock is"), "{by}: {end:?}");
            }
            create_tap(&functions, emma).await
        };
        let ((status, body), log) = capture_log("info", work).await;
        assert!(status == 503 && body.contains("clock-wrong"), "{by}: {body}");
        assert!(log.contains(words), "{by}: {log}");
        assert_eq!(headlines(&own).len(), 1, "{by}: {:?}", headlines(&own));
        assert!(headlines(&own)[0].contains("The clock is wrong"));
        assert_eq!((own.sandbox.passes(), ledger.list().await.unwrap()), (vec![], vec![]), "{by}");

        graph.by.store(0, Ordering::SeqCst);
        let sweep = functions.fire_timer().await;
        functions.work(sweep.jobs(), |_| {}).await;
        own.assert_newest_mail_has_live_code(emma);
        let (conditions, _) = ledger.conditions().await.unwrap().unwrap();
        assert!(!conditions.conditions.contains_key("clock-wrong"), "{by}: it has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_difference_and_a_date_that_is_none_stop_nothing() {
    for (by, replaced_by) in [
        (110, None),
        (-110, None),
        (0, Some("yesterday")),
        (0, Some("")),
        (0, Some("Fri, 31 Dec 99999 23:59:59 GMT")),
    ] {
        let (own, emma) = TestApp::with_emma();
        let graph = Shifted::new(&own, by, replaced_by);
        let functions = functions(&own, graph, own.sandbox.credential(), Arc::new(MemoryLedger::default()));
        let sweep = functions.fire_timer().await;
        assert!(sweep.is_success(), "{by} {replaced_by:?}: {}", sweep.log());
        functions.work(sweep.jobs(), |_| {}).await;
        own.assert_newest_mail_has_live_code(emma);
        assert_eq!(headlines(&own), [] as [&str; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_unexpected_answer_and_no_refusal() {
    let (app, emma) = TestApp::with_emma();
    let redirect = FaultKind::Fail { status: 302, code: String::new(), message: String::new() };
    for (method, path) in [("GET", "/users?"), ("POST", "$batch")] {
        app.sandbox.inject(Fault::on(method, path, redirect.clone()).always());
    }
    let sweep = app.host.fire_timer().await;
    let words = ["unexpected answer", "302", "a proxy or a firewall"];
    assert!(!sweep.is_success() && words.iter().all(|words| sweep.log().contains(words)), "{}", sweep.log());
    app.sandbox.inject(Fault::on("GET", "/users/", redirect.clone()).always());
    let end = app.run_job(emma).await;
    assert!(end.outcome == "failed" && end.why.contains("unexpected answer"), "{end:?}");
    assert!(app.record(emma).await.is_none() && app.sandbox.passes().is_empty());

    let (app, emma) = TestApp::with_emma();
    app.sandbox.inject(Fault::on("POST", PASS_PATH, redirect).always());
    let end = app.run_job(emma).await;
    assert!(end.outcome == "failed" && app.sandbox.passes().is_empty(), "{end:?}");
    assert_eq!(app.count_requests("POST", PASS_PATH), 1);
}
