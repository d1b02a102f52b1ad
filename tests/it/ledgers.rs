//! What every ledger promises, whatever it is made of: one suite for all stores.

use std::sync::Arc;

use chrono::TimeDelta;
use firstpass::{
    environment::Environment,
    ledger::{
        Delivered, Lease, Ledger, LedgerError, MembershipSnapshot, PassRecord, Purpose, Record, State,
        blob::BlobLedger, memory::MemoryLedger,
    },
    telemetry,
};
use futures::future::join_all;
use serde_json::json;
use tracing::instrument::WithSubscriber;
use uuid::Uuid;

use crate::{
    blob_service::{BlobService, Fault},
    helpers::{NOW, World, seconds, tenant_with_emma, time},
    leaks::Captured,
};

/// Every promise, one after the other. `ledger` is empty, and its container is not even there.
pub async fn keeps_every_promise(ledger: &dyn Ledger) {
    nothing_is_there_at_first(ledger).await;
    nobody_overwrites_what_they_have_not_read(ledger).await;
    of_many_at_once_one_wins(ledger).await;
    what_is_written_is_read(ledger).await;
    many_records_are_listed_and_few_are_open(ledger).await;
    rosters_are_kept_under_the_same_conditions_and_apart(ledger).await;
}

async fn nothing_is_there_at_first(ledger: &dyn Ledger) {
    assert_eq!(ledger.read(Uuid::from_u128(1)).await, Ok(None));
    assert_eq!(ledger.list().await, Ok(vec![]));
    assert_eq!(ledger.open(time(NOW)).await, Ok(vec![]));
}

async fn nobody_overwrites_what_they_have_not_read(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(1);
    let mut record = record(State::Failed);
    let first = ledger.write(user, &record, None).await.unwrap();
    assert_eq!(ledger.write(user, &record, None).await, Err(LedgerError::Conflict), "there is one already");
    record.state = State::Issuing;
    let second = ledger.write(user, &record, Some(&first)).await.unwrap();
    assert_eq!(ledger.write(user, &record, Some(&first)).await, Err(LedgerError::Conflict), "an old version");
    assert_eq!(ledger.read(user).await, Ok(Some((record.clone(), second.clone()))));
    assert_eq!(
        ledger.write(Uuid::from_u128(2), &record, Some(&second)).await,
        Err(LedgerError::Conflict),
        "there is none of that user"
    );
    assert_eq!(ledger.list().await, Ok(vec![(user, record)]));
}

async fn of_many_at_once_one_wins(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(3);
    let records: Vec<Record> =
        (0..8).map(|n| Record { cause: Some(format!("writer {n}")), ..record(State::Issuing) }).collect();
    let first = join_all(records.iter().map(|record| ledger.write(user, record, None))).await;
    let etag = the_only_winner(&first, &records, ledger, user).await;
    let second = join_all(records.iter().map(|record| ledger.write(user, record, Some(&etag)))).await;
    the_only_winner(&second, &records, ledger, user).await;
}

async fn the_only_winner(
    written: &[Result<firstpass::ledger::ETag, LedgerError>],
    records: &[Record],
    ledger: &dyn Ledger,
    user: Uuid,
) -> firstpass::ledger::ETag {
    let winners: Vec<usize> = (0..written.len()).filter(|&n| written[n].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{written:?}");
    assert!(written.iter().all(|w| matches!(w, Ok(_) | Err(LedgerError::Conflict))), "{written:?}");
    let (read, etag) = ledger.read(user).await.unwrap().unwrap();
    assert_eq!((&read, Ok(&etag)), (&records[winners[0]], written[winners[0]].as_ref()));
    etag
}

async fn what_is_written_is_read(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(4);
    let mut full = issued(3);
    full.cause = Some("Größe \"x\" \u{1F511} <&>".into());
    full.add_lease(full.lease.clone().unwrap(), full.updated_at);
    full.unknown.insert("mood".into(), json!({"of a": "newer version"}));
    ledger.write(user, &full, None).await.unwrap();
    assert_eq!(ledger.read(user).await.unwrap().unwrap().0, full);
}

async fn many_records_are_listed_and_few_are_open(ledger: &dyn Ledger) {
    let users: Vec<Uuid> = (100..140).map(Uuid::from_u128).collect();
    for (n, user) in users.iter().enumerate() {
        let record = if n % 10 == 0 { issued(5) } else { issued(-5) };
        ledger.write(*user, &record, None).await.unwrap();
    }
    let listed: Vec<Uuid> = ledger.list().await.unwrap().into_iter().map(|(user, _)| user).collect();
    assert!(users.iter().all(|user| listed.contains(user)), "all pages: {}", listed.len());
    let mut open: Vec<Uuid> =
        ledger.open(time(NOW)).await.unwrap().into_iter().map(|(user, _)| user).collect();
    open.retain(|user| users.contains(user));
    assert_eq!(open, [100, 110, 120, 130].map(Uuid::from_u128));
}

async fn rosters_are_kept_under_the_same_conditions_and_apart(ledger: &dyn Ledger) {
    // An id that is also a user's.
    let group = Uuid::from_u128(4);
    let records = ledger.list().await.unwrap();
    assert_eq!(ledger.membership(group).await, Ok(None));
    let mut membership = MembershipSnapshot::new((0..3_000).map(Uuid::from_u128).collect(), time(NOW));
    let first = ledger.write_membership(group, &membership, None).await.unwrap();
    assert_eq!(ledger.write_membership(group, &membership, None).await, Err(LedgerError::Conflict));
    membership.unknown.insert("mood".into(), json!("good"));
    let second = ledger.write_membership(group, &membership, Some(&first)).await.unwrap();
    assert_eq!(ledger.write_membership(group, &membership, Some(&first)).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.membership(group).await, Ok(Some((membership, second))));
    assert_eq!(ledger.list().await, Ok(records), "a membership is no record");
}

fn record(state: State) -> Record {
    Record::new(state, Purpose::Joiner, time(NOW))
}

/// A record of a pass that was delivered, and is over in so many days.
fn issued(ends_in_days: i64) -> Record {
    let (now, mut record) = (time(NOW), record(State::Issuing));
    let ends_at = now + TimeDelta::days(ends_in_days);
    let opens_at = ends_at - TimeDelta::hours(8);
    let pass = PassRecord { pass_id: "6f1967b7".into(), opens_at, ends_at };
    record.add_lease(
        Lease {
            job_key: "joiner/1".into(),
            purpose: Purpose::Joiner,
            since: now,
            opens_at: Some(opens_at),
            lifetime_minutes: 480,
        },
        now,
    );
    let delivered = Delivered {
        pass,
        at: now,
        purpose: Purpose::Joiner,
        day_one: Some(opens_at.date_naive()),
        reissued: 1,
        language: Some("de".into()),
        recipients: vec!["e…@mail.example".into()],
    };
    record.record_delivery(delivered, true);
    record
}

const CONTAINER: &str = "https://firstpass.blob.core.windows.net/ledger";

fn blob_ledger(service: &Arc<BlobService>) -> BlobLedger {
    let url = format!("{CONTAINER}?sv=2021-12-02&sig=c2VjcmV0").parse().unwrap();
    BlobLedger::new(url, None, service.clone()).unwrap()
}

/// As in Azure: no SAS, but a token.
fn ledger_of_an_identity(service: &Arc<BlobService>) -> BlobLedger {
    let sandbox = World::with_emma().0.sandbox.clone();
    BlobLedger::new(CONTAINER.parse().unwrap(), Some(sandbox.credential()), service.clone()).unwrap()
}

#[tokio::test]
async fn memory_keeps_every_promise() {
    keeps_every_promise(&MemoryLedger::default()).await;
}

#[tokio::test(start_paused = true)]
async fn blob_storage_keeps_every_promise() {
    keeps_every_promise(&blob_ledger(&BlobService::new())).await;
}

#[tokio::test(start_paused = true)]
async fn the_whole_flow_runs_on_blob_storage() {
    let service = BlobService::new();
    let (tenant, emma) = tenant_with_emma();
    let world = World::on(tenant, &[], Arc::new(blob_ledger(&service)));
    assert_eq!(world.sweep().await[0].outcome, "delivered");
    assert_eq!(world.sweep_daily(2).await.iter().filter(|end| end.outcome == "delivered").count(), 0);
    world.assert_newest_mail_opens(emma);
    let document = service.text(&format!("joiners/{emma}.json")).unwrap();
    assert!(document.contains("\"state\": \"delivered\""), "{document}");
    assert!(!document.contains(&world.live_code(emma).unwrap()), "never the code");
    assert!(!document.contains("emma.brooks@mail.example"), "recipients are masked");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_a_conflict_and_stands() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let user = Uuid::from_u128(1);
    ledger.write(Uuid::from_u128(9), &record(State::Failed), None).await.unwrap();
    service.inject("PUT", Fault::LoseAnswer);
    assert_eq!(ledger.write(user, &record(State::Issuing), None).await, Err(LedgerError::Conflict));
    let (written, etag) = ledger.read(user).await.unwrap().unwrap();
    assert_eq!(written, record(State::Issuing));
    service.inject("PUT", Fault::LoseAnswer);
    assert_eq!(ledger.write(user, &record(State::Failed), Some(&etag)).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.read(user).await.unwrap().unwrap().0, record(State::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_busy_or_lost_store_is_asked_again_and_given_up_soon() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let user = Uuid::from_u128(1);
    ledger.write(user, &record(State::Failed), None).await.unwrap();
    for passing in [Fault::Fail(503, "ServerBusy"), Fault::Fail(500, "InternalError"), Fault::Refuse] {
        service.inject("GET", passing.clone());
        service.inject("GET", passing);
        assert!(ledger.read(user).await.unwrap().is_some());
    }
    let clock = World::with_emma().0.sandbox.clone();
    for lasting in [Fault::Fail(503, "ServerBusy"), Fault::Refuse, Fault::Hang] {
        service.always(lasting.clone());
        let (read, took) = seconds(&clock, ledger.read(user)).await;
        assert!(matches!(read, Err(LedgerError::Unavailable(_))), "{lasting:?}: {read:?}");
        assert!(took <= 15, "{lasting:?} took {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_store_is_said_with_what_to_do() {
    let service = BlobService::new();
    let (with_sas, with_token) = (blob_ledger(&service), ledger_of_an_identity(&service));
    for (ledger, code, wanted) in [
        (&with_token, "AuthorizationPermissionMismatch", "role Storage Blob Data Contributor"),
        (&with_token, "AuthorizationFailure", "network rules"),
        (&with_sas, "AuthenticationFailed", "check the SAS in LEDGER_URL"),
        (&with_sas, "AuthorizationPermissionMismatch", "check the SAS in LEDGER_URL"),
    ] {
        service.always(Fault::Fail(403, code));
        let said = ledger.read(Uuid::nil()).await.unwrap_err().to_string();
        assert!(said.contains(wanted), "{said}");
        assert!(said.contains(&format!("403 {code} (request-id 5d1f)")), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_sas_is_in_no_error_and_no_log() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let log = Captured::default();
    let trace = Environment::from_iter([("RUST_LOG", "trace")]);
    let subscriber = telemetry::subscriber(&trace, log.clone());
    let work = async {
        ledger.write(Uuid::nil(), &record(State::Failed), None).await.unwrap();
        service.always(Fault::Refuse);
        let error = ledger.read(Uuid::nil()).await.unwrap_err();
        let said = format!("{ledger:?} {error} {error:?}");
        assert!(said.contains("connection refused") && !said.contains("c2VjcmV0"), "{said}");
    };
    work.with_subscriber(subscriber).await;
    let printed = log.text();
    assert!(printed.contains("firstpass.blob.core.windows.net"), "the library logs its requests: {printed}");
    assert!(!printed.contains("c2VjcmV0"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn an_identity_signs_in_to_storage_with_a_token_of_its_own() {
    let service = BlobService::new();
    keeps_every_promise(&ledger_of_an_identity(&service)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_record_fails_its_user_and_nobody_else() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let (broken, fine) = (Uuid::from_u128(1), Uuid::from_u128(2));
    ledger.write(fine, &issued(5), None).await.unwrap();
    service.put(&format!("joiners/{broken}.json"), "{\"state\": \"elsewhere\"}");
    service.put("joiners/notes.txt", "not ours");
    assert!(matches!(ledger.read(broken).await, Err(LedgerError::Unreadable(_))));
    let users = |listed: Vec<(Uuid, Record)>| listed.into_iter().map(|(user, _)| user).collect::<Vec<_>>();
    assert_eq!(users(ledger.list().await.unwrap()), [fine]);
    assert_eq!(users(ledger.open(time(NOW)).await.unwrap()), [fine]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_reads_only_the_records_that_are_open() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    for n in 0..50 {
        ledger.write(Uuid::from_u128(n), &issued(if n < 3 { 5 } else { -5 }), None).await.unwrap();
    }
    let before = service.count("GET");
    assert_eq!(ledger.open(time(NOW)).await.unwrap().len(), 3);
    let pages = 50_usize.div_ceil(BlobService::PAGE);
    assert_eq!(service.count("GET") - before, pages + 3);
}

#[tokio::test(start_paused = true)]
async fn a_record_without_metadata_is_read_to_be_sure() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    service.put(&format!("joiners/{}.json", Uuid::from_u128(1)), &serde_json::to_string(&issued(5)).unwrap());
    assert_eq!(ledger.open(time(NOW)).await.unwrap().len(), 1, "restored from a backup, say");
}
