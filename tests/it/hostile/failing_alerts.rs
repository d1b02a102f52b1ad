//! Alerts, sweeps and jobs while storage, Exchange or the identity endpoint fail in odd ways.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    app::App,
    host,
    ledger::{Conditions, Ledger, LedgerError, memory::MemoryLedger},
};
use firstpass_sandbox::{
    functions_host::{Storage, encode_base64, local_host::LocalHost},
    tenant::{Fault, FaultKind, Person, Tenant, samples::SENDER},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    helpers::{TestApp, log_capture::capture_log, tenant_with_emma, time},
    ledger::{
        blob_ledger,
        blob_service::BlobService,
        faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    },
};

const GARBAGE: &str = r#"{"colour":"red"}"#;

async fn send_garbage(app: &TestApp, messages: usize) {
    for _ in 0..messages {
        assert!(app.host.deliver(GARBAGE, 1).await.is_success());
    }
}

/// What can be wrong with the documents of alerts.
#[derive(Debug, Default)]
struct Wrong {
    keeps_none: AtomicBool,
    keep_takes_6_s: AtomicBool,
    deletes_none: AtomicBool,
    reads_fail: AtomicUsize,
    lost_claims: AtomicUsize,
    panics: AtomicBool,
}

fn takes(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl LedgerFault for Wrong {
    async fn before(&self, operation: Operation) -> Result<(), LedgerError> {
        let error = match operation {
            Operation::PendingAlerts => {
                assert!(!self.panics.load(Ordering::SeqCst), "a document that the summary cannot take");
                None
            }
            Operation::PendingAlert if takes(&self.reads_fail) => Some("503 ServerBusy"),
            Operation::WritePendingAlert => {
                if self.keep_takes_6_s.load(Ordering::SeqCst) {
                    tokio::time::sleep(Duration::from_secs(6)).await;
                }
                self.keeps_none.load(Ordering::SeqCst).then_some("503 ServerBusy")
            }
            Operation::DeletePendingAlert if self.deletes_none.load(Ordering::SeqCst) => {
                Some("403 AuthorizationPermissionMismatch")
            }
            _ => None,
        };
        error
            .map_or(Ok(()), |answer| Err(LedgerError::Unavailable(format!("the answer was {answer}").into())))
    }

    /// The answer to a claim is lost, and the client library sends the write again.
    fn after(&self, operation: Operation, _: bool) -> Result<(), LedgerError> {
        let is_lost = operation == Operation::WriteAlertMails && takes(&self.lost_claims);
        if is_lost { Err(LedgerError::Conflict) } else { Ok(()) }
    }
}

/// A tenant whose joiners have no address.
fn without_address(names: &[String]) -> (Tenant, Vec<Uuid>) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    let person =
        |name: &String| Person::named(name).hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB");
    let people = names.iter().map(|name| tenant.add(person(name))).collect();
    (tenant, people)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn all(app: &TestApp) -> String {
    app.alerts().iter().map(|alert| format!("{alert}\n")).collect()
}

fn subjects(app: &TestApp) -> Vec<String> {
    app.alerts().iter().map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
}

/// What a process counts ends with the mail that tells of it.
#[tokio::test(start_paused = true)]
async fn after_a_summary_the_count_begins_anew() {
    let (app, _) = TestApp::with_emma();
    send_garbage(&app, 350).await;
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert!(subjects(&app)[1].contains("349 more alerts"), "{:?}", subjects(&app));
    app.advance(TimeDelta::minutes(5));
    send_garbage(&app, 1).await;
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert!(subjects(&app)[2].contains("1 more alert ("), "{:?}", subjects(&app));
}

/// The same with people: who is blocked after a summary is named by the next mail.
#[tokio::test(start_paused = true)]
async fn who_is_alerted_after_a_summary_is_named() {
    let many: Vec<String> = (0..102).map(|n| format!("Blocked Person{n:03}")).collect();
    let (tenant, _) = without_address(&many);
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000")]);
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    assert_eq!(app.alerts().len(), 2, "{:?}", subjects(&app));
    app.sandbox.edit(|tenant| {
        let zoe = Person::named("Zoe Late").hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB");
        tenant.add(zoe);
    });
    app.sweep().await;
    app.sweep_hourly(48).await;
    assert!(all(&app).contains("Zoe Late"), "no mail names Zoe: {:?}", subjects(&app));
}

/// A summary names everybody.
#[tokio::test(start_paused = true)]
async fn everybody_who_is_blocked_is_named_in_a_mail() {
    let many: Vec<String> = (0..40).map(|n| format!("Blocked Person{n:03}")).collect();
    let (tenant, _) = without_address(&many);
    let app = TestApp::new(tenant, &[("SWEEP_MAX", "1000")]);
    for _ in 0..72 {
        app.sweep().await;
        app.advance(TimeDelta::hours(1));
    }
    let mails = all(&app);
    let missing: Vec<&String> = many.iter().filter(|name| !mails.contains(*name)).collect();
    assert!(missing.is_empty(), "{} of 40 are named nowhere; {:?}", missing.len(), subjects(&app));
}

fn with_wrong(people: &[&str]) -> (TestApp, Vec<Uuid>, Arc<FaultyLedger<Wrong>>) {
    let (tenant, people) = without_address(&names(people));
    let ledger = FaultyLedger::with_fault(Wrong::default());
    (TestApp::with_ledger(tenant, &[], ledger.clone()), people, ledger)
}

/// The record does not say that a person was told, so the next job alerts.
#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_kept_is_sent() {
    // Not at all, or in 6 s, which is in time for the record.
    for slow in [true, false] {
        let (app, people, ledger) = with_wrong(&["Ada North", "Ben South"]);
        app.run_job(people[0]).await;
        assert_eq!(app.alerts().len(), 1);
        ledger.fault.keeps_none.store(!slow, Ordering::SeqCst);
        ledger.fault.keep_takes_6_s.store(slow, Ordering::SeqCst);
        app.run_job(people[1]).await;
        ledger.fault.keeps_none.store(false, Ordering::SeqCst);
        ledger.fault.keep_takes_6_s.store(false, Ordering::SeqCst);
        assert_eq!(app.record(people[1]).await.unwrap().cause, None, "nobody is told yet");
        app.sweep_hourly(48).await;
        assert!(all(&app).contains("Ben South"), "slow={slow}: no mail names Ben: {:?}", subjects(&app));
    }
}

/// A storage that is busy for one request while the summary is made.
#[tokio::test(start_paused = true)]
async fn a_document_that_cannot_be_read_now_is_not_deleted() {
    let (app, people, ledger) = with_wrong(&["Ada North", "Ben South"]);
    for user in &people {
        app.run_job(*user).await;
    }
    ledger.fault.reads_fail.store(1, Ordering::SeqCst);
    app.sweep_hourly(48).await;
    assert!(all(&app).contains("Ben South"), "no mail names Ben: {:?}", subjects(&app));
}

/// The mail that has Ben is answered 504 and was not sent.
#[tokio::test(start_paused = true)]
async fn a_summary_whose_answer_is_lost_is_sent_again() {
    let (app, people, _) = with_wrong(&["Ada North", "Ben South"]);
    for user in &people {
        app.run_job(*user).await;
    }
    let fault = FaultKind::Fail { status: 504, code: String::new(), message: String::new() };
    app.sandbox.inject(Fault::on("POST", "sendMail", fault).times(1));
    app.sweep_hourly(48).await;
    assert!(all(&app).contains("Ben South"), "no mail names Ben: {:?}", subjects(&app));
}

/// The mail that says why nobody gets a pass is throttled.
#[tokio::test(start_paused = true)]
async fn the_alert_about_another_tenants_ledger_comes_although_its_first_mail_failed() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let (own, _) = TestApp::with_emma();
    let claims = json!({"tid": Uuid::from_u128(2)}).to_string();
    let token = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
    let credential = Arc::new(super::FixedToken(Box::leak(token.into_boxed_str())));
    let ledger = Arc::new(MemoryLedger::default());
    let theirs = Conditions { tenant: Some(Uuid::from_u128(1)), ..Conditions::default() };
    ledger.write_conditions(&theirs, None).await.unwrap();
    let settings = own.app.services.settings.clone();
    let app = App::new(settings, own.sandbox.transport(), credential, ledger, own.sandbox.clock());
    let functions = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), own.sandbox.clock());
    own.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Throttle { retry_after: None }).times(4));
    for _ in 0..7 * 24 {
        assert!(!functions.fire_timer().await.is_success());
        own.sandbox.advance(TimeDelta::hours(1));
    }
    assert!(!own.alerts().is_empty(), "no sweep succeeded for a week, and nobody was told");
}

/// A SAS without `d`, a lock or an immutability policy.
#[tokio::test(start_paused = true)]
async fn documents_that_cannot_be_deleted_are_not_mailed_for_ever() {
    let (app, people, ledger) = with_wrong(&["Ada North"]);
    ledger.fault.deletes_none.store(true, Ordering::SeqCst);
    app.run_job(people[0]).await;
    app.sweep_hourly(48).await;
    let mails = app.alerts().len();
    assert!(mails <= 4, "{mails} mails about one alert in two days: {:?}", subjects(&app).last());
}

/// The write that claims the first alert is sent again by the client library: it is our own, and not another process's.
#[tokio::test(start_paused = true)]
async fn a_repeated_claim_is_our_own() {
    let (app, people, ledger) = with_wrong(&["Ada North"]);
    ledger.fault.lost_claims.store(1, Ordering::SeqCst);
    app.run_job(people[0]).await;
    assert_eq!(app.alerts().len(), 1, "the first of a kind goes at once");
}

async fn waiting(app: &TestApp) -> usize {
    app.ledger().pending_alerts().await.unwrap().len()
}

/// The mail of a first alert is refused: its document waits, and tomorrow's sweep is too late for it.
#[tokio::test(start_paused = true)]
async fn a_first_alert_whose_mail_failed_wakes_the_app() {
    let (app, _) = TestApp::with_emma();
    let storage = Storage::new(app.sandbox.clock());
    let _host = app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    app.sandbox.inject(Fault::on("POST", "sendMail", FaultKind::Throttle { retry_after: None }).times(4));
    storage.put("pass-jobs", encode_base64(GARBAGE)).unwrap();
    storage.wait_until_empty("pass-jobs").await;
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    assert_eq!((app.alerts().len(), waiting(&app).await), (1, 0), "(mails, documents) three hours later");
}

/// The app was scaled to zero meanwhile: another process is woken, sends what is due, and leaves what is not due.
#[tokio::test(start_paused = true)]
async fn what_the_woken_process_leaves_wakes_it_again() {
    let (app, _) = TestApp::with_emma();
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    for _ in 0..3 {
        storage.put("pass-jobs", encode_base64(GARBAGE)).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1800)).await;
    // Another kind, half an hour later: one goes at once, one is kept.
    for _ in 0..2 {
        storage.put("pass-jobs", encode_base64(r#"{"lifecycleEvent":"x"}"#)).unwrap();
        storage.put("pass-jobs", encode_base64(r#"["nobody@contoso.example"]"#)).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(900)).await;
    let before = (app.alerts().len(), waiting(&app).await);
    drop(host);
    let _other = app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
    assert_eq!(
        waiting(&app).await,
        0,
        "documents left 12 hours later; before {before:?}; {:?}",
        subjects(&app)
    );
}

/// The admin does what the alert says, while the process lives.
#[tokio::test(start_paused = true)]
async fn alerts_are_kept_again_when_the_ledger_is_ours_again() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let (tenant, people) = without_address(&names(&["Ada North", "Ben South"]));
    let own = TestApp::new(tenant, &[]);
    let claims = json!({"tid": Uuid::from_u128(2)}).to_string();
    let token = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims));
    let credential = Arc::new(super::FixedToken(Box::leak(token.into_boxed_str())));
    let ledger = Arc::new(MemoryLedger::default());
    let copied = Conditions { tenant: Some(Uuid::from_u128(1)), ..Conditions::default() };
    let etag = ledger.write_conditions(&copied, None).await.unwrap();
    let app = App::new(
        own.app.services.settings.clone(),
        own.sandbox.transport(),
        credential,
        ledger.clone(),
        own.sandbox.clock(),
    );
    let functions = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), own.sandbox.clock());
    assert!(!functions.fire_timer().await.is_success());
    // "If the ledger was copied on purpose, remove `tenant` from its conditions.json."
    ledger.write_conditions(&Conditions { tenant: None, ..copied }, Some(&etag)).await.unwrap();
    for _ in 0..48 {
        own.sandbox.advance(TimeDelta::hours(1));
        let sweep = functions.fire_timer().await;
        assert!(sweep.is_success(), "{}", sweep.log());
        functions.work(sweep.jobs(), |_| {}).await;
    }
    for user in people {
        let cause = ledger.read(user).await.unwrap().unwrap().0.cause;
        assert_eq!(cause.as_deref(), Some("no-address"), "both are recorded as told");
    }
    let mails = all(&own);
    assert!(mails.contains("Ada North") && mails.contains("Ben South"), "{:?}", subjects(&own));
}

/// An identity endpoint that takes the connection and never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl TokenCredential for Hanging {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        std::future::pending().await
    }
}

/// The host kills the process after 600 s, with everything in it.
#[tokio::test(start_paused = true)]
async fn a_token_that_does_not_come_ends_every_invocation_in_time() {
    let (own, emma) = TestApp::with_emma();
    let app = App::new(
        own.app.services.settings.clone(),
        own.sandbox.transport(),
        Arc::new(Hanging),
        Arc::new(MemoryLedger::default()),
        own.sandbox.clock(),
    );
    let functions = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), own.sandbox.clock());
    let limit = Duration::from_secs(600);
    let mut late = Vec::new();
    if tokio::time::timeout(limit, functions.fire_timer()).await.is_err() {
        late.push("SweepJoiners");
    }
    if tokio::time::timeout(limit, functions.deliver(&own.job(emma).to_message(), 1)).await.is_err() {
        late.push("OnGroupAdd");
    }
    let body = json!({"UserName": emma}).to_string();
    let call = functions.call("CreateTap", &body);
    if tokio::time::timeout(Duration::from_secs(230), call).await.is_err() {
        late.push("CreateTap");
    }
    assert!(late.is_empty(), "not ended in time: {late:?}");
}

/// A document about everybody that is too long is written anew.
#[tokio::test(start_paused = true)]
async fn a_document_of_all_that_is_too_long_is_written_anew() {
    for name in ["conditions.json", "alert-mails.json"] {
        let (tenant, _) = without_address(&names(&["Ada North", "Ben South"]));
        let service = BlobService::new();
        service.put(name, &format!("{{\"schema\":1,\"x\":\"{}\"}}", "x".repeat(17 << 20)));
        let app = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
        let (_, log) = capture_log("warn", async {
            for _ in 0..5 {
                app.sweep().await;
                app.advance(TimeDelta::hours(1));
            }
        })
        .await;
        assert!(
            service.text(name).unwrap().len() < 1 << 20,
            "{name} stays; {}",
            log.lines().next().unwrap_or("")
        );
    }
}

/// Where in the queue Emma is, whose sweep begins so long after a message about 500 people, and takes half a minute.
async fn position_of_joiner(message_first: i64) -> (TimeDelta, usize) {
    use firstpass_sandbox::tenant::Group;
    let (mut tenant, _) = tenant_with_emma();
    let person = |n: usize| Person::named(&format!("Member {n}")).private_mail(&format!("m{n}@mail.example"));
    let people: Vec<Uuid> = (0..500).map(|n| tenant.add(person(n))).collect();
    let group = tenant.add_group(Group::named("On-demand access").members(people.clone()));
    let app = TestApp::new(tenant, &[("ON_DEMAND_GROUP_ID", &group.to_string()), ("SWEEP_MAX", "100000")]);
    let storage = Storage::new(app.sandbox.clock());
    let host = app.start_host(&storage, &[("SWEEP_SCHEDULE", "0 0 4 * * *")]);
    app.sandbox.edit(|tenant| tenant.latency = Duration::from_secs(10));
    let put = || storage.put("pass-jobs", encode_base64(&json!(people).to_string())).unwrap();
    let seconds = |seconds: i64| tokio::time::sleep(Duration::from_secs(seconds.unsigned_abs()));
    let began: DateTime<Utc>;
    if message_first > 0 {
        put();
        seconds(message_first).await;
        began = app.sandbox.now();
        host.run("SweepJoiners").await.unwrap();
    } else {
        began = app.sandbox.now();
        let message = async {
            seconds(message_first).await;
            put();
        };
        let (sweep, ()) = tokio::join!(host.run("SweepJoiners"), message);
        sweep.unwrap();
    }
    let took = app.sandbox.now() - began;
    storage.wait_until_empty("pass-jobs").await;
    let to: Vec<String> =
        app.pass_mails().iter().map(|mail| crate::helpers::to_address(mail).to_owned()).collect();
    (took, to.iter().position(|address| address == "emma.brooks@mail.example").expect("Emma's mail"))
}

/// The jobs of a sweep are queued when it ends; messages that came while it ran go behind them too.
#[tokio::test(start_paused = true)]
async fn messages_that_came_during_a_sweep_go_behind_its_jobs() {
    let before = position_of_joiner(20).await;
    let during = position_of_joiner(-2).await;
    assert!(
        during.1 < before.1 + 50,
        "mails before hers: {before:?} if the message came before the sweep, {during:?} if during it"
    );
}

/// What goes wrong with the summary, behind the sweep's own work, must not take the jobs of all joiners with it.
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_care_for_alerts_loses_no_joiner() {
    let (tenant, emma) = tenant_with_emma();
    let ledger = FaultyLedger::with_fault(Wrong::default());
    let app = TestApp::with_ledger(tenant, &[], ledger.clone());
    ledger.fault.panics.store(true, Ordering::SeqCst);
    for _ in 0..7 {
        let sweep = app.host.fire_timer().await;
        if sweep.is_success() {
            app.host.work(sweep.jobs(), |_| {}).await;
        }
        app.advance(TimeDelta::days(1));
    }
    assert!(!app.pass_mails().is_empty(), "Emma ({emma}) started, and no sweep of the week queued her");
}

/// The subject of an item in Exchange has at most 255 characters (Microsoft's page on the EWS element Subject).
#[tokio::test(start_paused = true)]
async fn the_subject_of_a_summary_fits_into_exchange() {
    let many: Vec<String> = (0..10).map(|n| format!("Blocked Person{n:03}")).collect();
    let (tenant, _) = without_address(&many);
    let app = TestApp::new(tenant, &[]);
    app.sweep().await;
    app.advance(TimeDelta::hours(1));
    app.sweep().await;
    let longest = subjects(&app).iter().map(|subject| subject.chars().count()).max();
    assert!(longest <= Some(255), "{longest:?} characters");
}

/// Graph's answers are 100 KiB long; of one to a request that has `slow` only 70 KiB come.
#[derive(Debug)]
struct Dripping {
    inner: Arc<dyn azure_core::http::HttpClient>,
    slow: String,
}

#[async_trait]
impl azure_core::http::HttpClient for Dripping {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> azure_core::Result<azure_core::http::AsyncRawResponse> {
        use azure_core::http::{AsyncRawResponse, Body};
        use futures::{StreamExt, stream};
        let sent = match request.body() {
            Body::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Body::SeekableStream(_) => String::new(),
        };
        let is_slow = request.url().as_str().contains(&self.slow) || sent.contains(&self.slow);
        let (status, headers, body) = self.inner.execute_request(request).await?.deconstruct();
        let mut bytes = body.collect().await?.to_vec();
        if !status.is_success() || bytes.is_empty() {
            return Ok(AsyncRawResponse::from_bytes(status, headers, bytes));
        }
        bytes.resize(bytes.len() + (100 << 10), b' ');
        if !is_slow {
            // The rest of a page takes a tenth of a second.
            let rest = bytes.split_off(70 << 10);
            let rest = async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(rest.into())
            };
            let whole = stream::once(async move { Ok(bytes.into()) }).chain(stream::once(rest));
            return Ok(AsyncRawResponse::new(status, headers, Box::pin(whole)));
        }
        bytes.truncate(70 << 10);
        let some = stream::once(async move { Ok(bytes.into()) }).chain(stream::pending());
        Ok(AsyncRawResponse::new(status, headers, Box::pin(some)))
    }
}

/// One job's answer stands still, in the middle of a body of more than 64 KiB.
#[tokio::test(start_paused = true)]
async fn an_answer_that_stands_still_stops_no_other() {
    let (mut tenant, emma) = tenant_with_emma();
    let noah = tenant.add(
        Person::named("Noah Weber")
            .hire_date(time("2026-11-27T00:00:00Z"))
            .usage_location("GB")
            .private_mail("noah@mail.example"),
    );
    let own = TestApp::new(tenant, &[]);
    let graph = Arc::new(Dripping { inner: own.sandbox.transport(), slow: noah.to_string() });
    let services = &own.app.services;
    let ledger = services.ledger.clone();
    let app =
        App::new(services.settings.clone(), graph, own.sandbox.credential(), ledger, own.sandbox.clock());
    let functions = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), own.sandbox.clock());
    let slow = own.job(noah).to_message();
    let quick = own.job(emma).to_message();
    let began = tokio::time::Instant::now();
    let alone = functions.deliver(&quick, 1).await;
    let alone = (alone.is_success(), began.elapsed());
    let (_, (sweep, took)) = tokio::join!(functions.deliver(&slow, 1), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = tokio::time::Instant::now();
        let sweep = functions.fire_timer().await;
        (sweep, began.elapsed())
    });
    assert!(
        sweep.is_success() && took < Duration::from_secs(20),
        "alone {alone:?}; beside it a sweep took {took:?}, success {}: {}",
        sweep.is_success(),
        sweep.log()
    );
}
