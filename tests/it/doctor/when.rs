//! When the app examines itself, and what that changes.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use chrono::TimeDelta;
use firstpass::{
    doctor, host,
    ledger::{Examination, Level},
    queue::JOBS,
};
use firstpass_sandbox::{
    functions_host::{Embedded, FunctionsHost, Storage, encode_base64, queues},
    tenant::{APPLICATION_ID, IDENTITY_ID, TENANT_ID, token_of_claims},
};
use serde_json::{Value, json};

use super::{CAREFUL, of_concern, swept, with_queues};
use crate::{
    helpers::{TestApp, tenant_with_emma},
    local_host::app as function_app,
};

/// A token with these claims, besides those of the app.
#[derive(Debug)]
pub(super) struct TokenOf(pub(super) Value);

#[async_trait]
impl TokenCredential for TokenOf {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let mut claims = json!({"aud": "https://graph.microsoft.com", "tid": TENANT_ID, "oid": IDENTITY_ID});
        claims.as_object_mut().unwrap().extend(self.0.as_object().unwrap().clone());
        let expires = azure_core::time::OffsetDateTime::from_unix_timestamp(4_070_908_800).unwrap();
        Ok(AccessToken::new(token_of_claims(claims), expires))
    }
}

/// The app of `app` in the Functions host, with the queues of `storage`.
fn start(app: &TestApp, storage: &Storage) -> FunctionsHost {
    let worker = Embedded::new(host::router(Ok(Arc::new(with_queues(app, storage)))));
    FunctionsHost::start(function_app(&[]), Arc::new(worker), storage.clone())
}

async fn sweep(host: &FunctionsHost, storage: &Storage) {
    assert!(host.run("SweepJoiners").await.unwrap().is_success());
    storage.wait_until_empty(JOBS).await;
}

async fn stored(app: &TestApp) -> Examination {
    app.ledger().examination().await.unwrap().expect("an examination").0
}

#[tokio::test(start_paused = true)]
async fn the_app_is_examined_once_a_day_and_after_a_start_with_other_settings() {
    let app = TestApp::new(tenant_with_emma().0, &CAREFUL);
    let storage = Storage::new(app.sandbox.clock());
    let host = start(&app, &storage);
    sweep(&host, &storage).await;
    let first = stored(&app).await;
    for _ in 0..3 {
        app.advance(TimeDelta::hours(2));
        storage.notify_clock_changed();
        sweep(&host, &storage).await;
    }
    assert_eq!(stored(&app).await, first, "once a day is enough");
    app.advance(TimeDelta::hours(24));
    storage.notify_clock_changed();
    sweep(&host, &storage).await;
    let second = stored(&app).await;
    assert_eq!((second.at - first.at).num_days(), 1, "{first:?} {second:?}");
    drop(host);

    let app = app.with_settings(&[&CAREFUL[..], &[("LEAD_DAYS", "3")]].concat());
    let host = start(&app, &storage);
    sweep(&host, &storage).await;
    let third = stored(&app).await;
    assert_ne!(third.settings, second.settings);
}

/// It reads, and writes nothing in the tenant.
#[tokio::test(start_paused = true)]
async fn an_examination_makes_no_pass_and_sends_no_mail() {
    let app = swept(&[], |_, _| {}).await;
    let before = app.sandbox.requests().len();
    let examination = doctor::examine(&app.app).await;
    let requests = app.sandbox.requests();
    assert!(requests.len() > before && examination.findings.len() > 10);
    for request in &requests[before..] {
        let is_batch = request.url.ends_with("/$batch");
        assert!(request.method == "GET" || is_batch, "{request:?}");
        assert!(request.parts.iter().all(|part| part.method == "GET"), "{request:?}");
    }
    assert_eq!(app.ledger().examination().await.unwrap(), None, "only the app itself writes it");
}

#[tokio::test(start_paused = true)]
async fn another_token_says_not_asked_and_never_missing() {
    let person = json!({"appid": APPLICATION_ID, "scp": "User.Read.All Directory.AccessAsUser.All"});
    // An app, but not the one that AZURE_CLIENT_ID names.
    let other = json!({"appid": TENANT_ID, "roles": []});
    let own_id = APPLICATION_ID.to_string();
    for (claims, settings) in [(person, &[][..]), (other, &[("AZURE_CLIENT_ID", own_id.as_str())][..])] {
        let (mut tenant, _) = tenant_with_emma();
        tenant.granted.retain(|permission| ["User.Read.All"].contains(&permission.name()));
        let app = TestApp::new(tenant, &[&CAREFUL[..], settings].concat());
        let product = app.product(Arc::new(TokenOf(claims)));
        let examination = doctor::examine(&product).await;
        let of = |check: &str| {
            examination.findings.iter().filter(|f| f.check == check).map(|f| f.level).collect::<Vec<_>>()
        };
        assert_eq!(of("token"), [Level::NotAsked]);
        for check in ["permissions", "pass-policy", "passkeys", "conditional-access"] {
            assert_eq!(of(check), [Level::NotAsked], "{check}: {examination:?}");
        }
        assert!(of_concern(&examination).iter().all(|finding| finding.check == "sweep"), "{examination:?}");
    }
}

/// Azure keeps a token for a day: a permission that was granted later is not in it.
#[tokio::test(start_paused = true)]
async fn a_token_from_before_the_grant_says_until_when_it_is_used() {
    let app = TestApp::new(tenant_with_emma().0, &CAREFUL);
    let (from, until) = (1_795_323_600, 1_795_410_000);
    let claims = json!({"appid": APPLICATION_ID, "iat": from, "exp": until, "roles": [
        "User.Read.All", "GroupMember.Read.All", "Policy.Read.AuthenticationMethod", "RoleManagement.Read.Directory",
        "UserAuthenticationMethod.Read.All",
    ]});
    let examination = doctor::examine(&app.product(Arc::new(TokenOf(claims)))).await;
    let found = of_concern(&examination);
    let missing = found.iter().find(|finding| finding.check == "permissions").unwrap();
    assert!(missing.what.contains("UserAuthMethod-TAP.ReadWrite.All"), "{missing:?}");
    let to_do = missing.to_do.as_ref().unwrap();
    assert!(to_do.contains("granted after 2026-11-22 05:00:00 UTC"), "{to_do}");
    assert!(to_do.contains("until 2026-11-23 05:00:00 UTC"), "{to_do}");
}

#[tokio::test(start_paused = true)]
async fn the_ledger_of_another_tenant_is_named_and_not_written_to() {
    let app = swept(&[], |_, _| {}).await;
    let claims = json!({"tid": "00000000-0000-0000-0000-00000000000f", "appid": APPLICATION_ID, "roles": []});
    let product = Arc::new(app.product(Arc::new(TokenOf(claims))));
    let examination = doctor::examine(&product).await;
    let ledger = examination.findings.iter().find(|finding| finding.check == "ledger").unwrap();
    assert!(ledger.level == Level::Fail && ledger.what.contains("belongs to the tenant"), "{ledger:?}");
    let storage = Storage::new(app.sandbox.clock());
    let worker = Embedded::new(host::router(Ok(product)));
    let host = FunctionsHost::start(function_app(&[]), Arc::new(worker), storage.clone());
    let queues = queues(&storage);
    queues.jobs.put(&encode_base64(r#"{"examinationDue":"x"}"#)).await.unwrap();
    storage.wait_until_empty(JOBS).await;
    assert_eq!(app.ledger().examination().await.unwrap(), None);
    drop(host);
}

/// Two apps with other settings on one ledger (a slot, a canary): each asks again with every sweep.
#[tokio::test(start_paused = true)]
async fn two_apps_on_one_ledger_do_not_examine_for_ever() {
    let one = TestApp::new(tenant_with_emma().0, &CAREFUL);
    let (storage_one, storage_two) = (Storage::new(one.sandbox.clock()), Storage::new(one.sandbox.clock()));
    let host_one = start(&one, &storage_one);
    let services = &one.app.services;
    let settings: Vec<(&str, &str)> = [&CAREFUL[..], &[("LEAD_DAYS", "3")]].concat();
    let two = TestApp::with_ledger(tenant_with_emma().0, &settings, services.ledger.clone());
    let host_two = start(&two, &storage_two);
    let mut times = std::collections::BTreeSet::new();
    for _ in 0..8 {
        sweep(&host_one, &storage_one).await;
        times.insert(stored(&one).await.at);
        sweep(&host_two, &storage_two).await;
        times.insert(stored(&one).await.at);
        one.advance(TimeDelta::hours(1));
        two.advance(TimeDelta::hours(1));
        storage_one.notify_clock_changed();
        storage_two.notify_clock_changed();
    }
    assert!(times.len() <= 3, "{} examinations in 8 hours", times.len());
}

/// Healthy, a sweep a day at 05:00 UTC; one job runs after midnight.
#[tokio::test(start_paused = true)]
async fn an_examination_is_never_older_than_doctor_accepts_where_daily_sweeps_run() {
    let app = TestApp::new(tenant_with_emma().0, &CAREFUL);
    let emma = app.sandbox.edit(|tenant| tenant.find_user("emma.brooks@contoso.example").unwrap().id);
    let storage = Storage::new(app.sandbox.clock());
    let host = start(&app, &storage);
    let mut oldest = TimeDelta::zero();
    let at = |text: &str| crate::helpers::time(text);
    for day in 22..=26 {
        let now = at(&format!("2026-11-{day}T05:00:00Z"));
        app.advance(now - app.sandbox.now());
        storage.notify_clock_changed();
        if day > 22 {
            oldest = oldest.max(app.sandbox.now() - stored(&app).await.at);
        }
        sweep(&host, &storage).await;
        if day == 23 {
            app.advance(at("2026-11-24T00:10:00Z") - app.sandbox.now());
            storage.notify_clock_changed();
            let job = format!(r#"{{"jobKey":"joiner/1","reason":"joiner","userId":"{emma}"}}"#);
            queues(&storage).jobs.put(&encode_base64(&job)).await.unwrap();
            storage.wait_until_empty(JOBS).await;
        }
    }
    assert!(oldest <= TimeDelta::hours(26), "{} h {} min", oldest.num_hours(), oldest.num_minutes() % 60);
}
