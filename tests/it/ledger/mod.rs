//! The contract of the ledger, checked for every store, and tests of the store in blob storage.

mod azurite;
pub mod blob_service;
pub mod faulty_ledger;
mod leases;
mod trips;

pub use azurite::new_container;

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use firstpass::ledger::{
    AlertId, AlertMails, Announcement, Condition, Conditions, Delivered, HeldList, HeldPerson, Lease, Ledger,
    LedgerError, MembershipSnapshot, PassRecord, PendingAlert, Purpose, Record, Standing, State,
    blob::BlobLedger, memory::MemoryLedger,
};
use futures::future::join_all;
use serde_json::{Map, json};
use uuid::Uuid;

use self::blob_service::{BlobService, Fault};
use crate::helpers::{NOW, TestApp, log_capture::capture_log, tenant_with_emma, time, timed};

/// Checks the whole contract. `ledger` is empty, and its container does not exist yet.
pub async fn check_ledger_contract(ledger: &dyn Ledger) {
    a_new_ledger_is_empty(ledger).await;
    a_write_needs_the_current_version(ledger).await;
    one_of_many_concurrent_writes_succeeds(ledger).await;
    a_record_is_read_as_written(ledger).await;
    all_records_are_listed_and_open_ones_are_found(ledger).await;
    membership_snapshots_are_versioned_and_kept_apart_from_records(ledger).await;
    conditions_are_versioned_and_kept_apart_from_records(ledger).await;
    held_lists_are_versioned_and_listed(ledger).await;
    pending_alerts_are_listed_replaced_and_removed(ledger).await;
    a_listing_shows_the_standing_of_all_records(ledger).await;
}

async fn a_new_ledger_is_empty(ledger: &dyn Ledger) {
    assert_eq!(ledger.read(Uuid::from_u128(1)).await, Ok(None));
    assert_eq!(ledger.list().await, Ok(vec![]));
    assert_eq!(standings(ledger).await, Ok(BTreeMap::new()));
}

async fn a_write_needs_the_current_version(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(1);
    let mut record = record(State::Failed);
    let first = ledger.write(user, &record, None).await.unwrap();
    assert_eq!(ledger.write(user, &record, None).await, Err(LedgerError::Conflict), "the record exists");
    record.state = State::Issuing;
    let second = ledger.write(user, &record, Some(&first)).await.unwrap();
    assert_eq!(ledger.write(user, &record, Some(&first)).await, Err(LedgerError::Conflict), "an old version");
    assert_eq!(ledger.read(user).await, Ok(Some((record.clone(), second.clone()))));
    assert_eq!(
        ledger.write(Uuid::from_u128(2), &record, Some(&second)).await,
        Err(LedgerError::Conflict),
        "the user has no record"
    );
    assert_eq!(ledger.list().await, Ok(vec![(user, record)]));
}

async fn one_of_many_concurrent_writes_succeeds(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(3);
    let records: Vec<Record> =
        (0..8).map(|n| Record { cause: Some(format!("writer {n}")), ..record(State::Issuing) }).collect();
    let first = join_all(records.iter().map(|record| ledger.write(user, record, None))).await;
    let etag = assert_one_write_succeeded(&first, &records, ledger, user).await;
    let second = join_all(records.iter().map(|record| ledger.write(user, record, Some(&etag)))).await;
    assert_one_write_succeeded(&second, &records, ledger, user).await;
}

async fn assert_one_write_succeeded(
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

async fn a_record_is_read_as_written(ledger: &dyn Ledger) {
    let user = Uuid::from_u128(4);
    let mut full = delivered_record(3);
    full.cause = Some("Größe \"x\" \u{1F511} <&>".into());
    full.add_lease(full.lease.clone().unwrap(), full.updated_at);
    full.unknown.insert("future".into(), json!({"of a": "newer version"}));
    ledger.write(user, &full, None).await.unwrap();
    assert_eq!(ledger.read(user).await.unwrap().unwrap().0, full);
}

async fn all_records_are_listed_and_open_ones_are_found(ledger: &dyn Ledger) {
    let users: Vec<Uuid> = (100..140).map(Uuid::from_u128).collect();
    for (n, user) in users.iter().enumerate() {
        let record = if n % 10 == 0 { delivered_record(5) } else { delivered_record(-11) };
        ledger.write(*user, &record, None).await.unwrap();
    }
    let listed: Vec<Uuid> = ledger.list().await.unwrap().into_iter().map(|(user, _)| user).collect();
    assert!(users.iter().all(|user| listed.contains(user)), "only {}", listed.len());
    let mut open = open_users(ledger).await;
    open.retain(|user| users.contains(user));
    assert_eq!(open, [100, 110, 120, 130].map(Uuid::from_u128));
}

async fn membership_snapshots_are_versioned_and_kept_apart_from_records(ledger: &dyn Ledger) {
    // A user has the same id.
    let group = Uuid::from_u128(4);
    let records = ledger.list().await.unwrap();
    assert_eq!(ledger.membership(group).await, Ok(None));
    let mut membership = MembershipSnapshot::new((0..3_000).map(Uuid::from_u128).collect(), time(NOW));
    let first = ledger.write_membership(group, &membership, None).await.unwrap();
    assert_eq!(ledger.write_membership(group, &membership, None).await, Err(LedgerError::Conflict));
    membership.unknown.insert("future".into(), json!("field"));
    let second = ledger.write_membership(group, &membership, Some(&first)).await.unwrap();
    assert_eq!(ledger.write_membership(group, &membership, Some(&first)).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.membership(group).await, Ok(Some((membership, second))));
    assert_eq!(ledger.list().await, Ok(records), "a snapshot is not a record");
}

async fn conditions_are_versioned_and_kept_apart_from_records(ledger: &dyn Ledger) {
    let records = ledger.list().await.unwrap();
    assert_eq!(ledger.conditions().await, Ok(None));
    let condition = Condition { since: time(NOW), alerted_at: None, unknown: Default::default() };
    let failing =
        Conditions { conditions: [("sweep-fails".to_owned(), condition)].into(), ..Conditions::default() };
    let first = ledger.write_conditions(&failing, None).await.unwrap();
    assert_eq!(ledger.write_conditions(&failing, None).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.conditions().await, Ok(Some((failing, first.clone()))));
    let ended = Conditions::default();
    let second = ledger.write_conditions(&ended, Some(&first)).await.unwrap();
    assert_eq!(ledger.write_conditions(&ended, Some(&first)).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.conditions().await, Ok(Some((ended, second))));
    assert_eq!(ledger.list().await.unwrap(), records, "it is no record");
}

async fn pending_alerts_are_listed_replaced_and_removed(ledger: &dyn Ledger) {
    let alert = |count: u32| -> PendingAlert {
        let fields = json!({"schema": 1, "at": NOW, "count": count, "headline": "A", "who": "Ümit", "whatHappened": "b",
            "whatToDo": "c", "more": [1]});
        serde_json::from_value(fields).unwrap()
    };
    let ids: Vec<AlertId> = [("no-address", 1), ("no-address", 2), ("panic", 1)]
        .map(|(kind, id)| AlertId { kind: kind.into(), id: Uuid::from_u128(id) })
        .into();
    assert_eq!(ledger.pending_alerts().await, Ok(vec![]));
    assert_eq!(ledger.delete_pending_alert(&ids[0]).await, Ok(()));
    for (count, id) in (1..).zip(&ids) {
        assert_eq!(ledger.write_pending_alert(id, &alert(count)).await, Ok(()));
    }
    assert_eq!(ledger.write_pending_alert(&ids[1], &alert(7)).await, Ok(()));
    assert_eq!(ledger.pending_alerts().await, Ok(ids.clone()));
    assert_eq!(ledger.pending_alert(&ids[1]).await, Ok(Some(alert(7))));
    assert_eq!(ledger.delete_pending_alert(&ids[1]).await, Ok(()));
    assert_eq!(ledger.pending_alert(&ids[1]).await, Ok(None));
    assert_eq!(ledger.pending_alerts().await, Ok(vec![ids[0].clone(), ids[2].clone()]));
    assert_eq!(ledger.alert_mails().await, Ok(None));
    let mails = AlertMails { sent_at: [("panic".to_owned(), time(NOW))].into(), ..AlertMails::default() };
    let first = ledger.write_alert_mails(&mails, None).await.unwrap();
    assert_eq!(ledger.write_alert_mails(&mails, None).await, Err(LedgerError::Conflict));
    assert_eq!(ledger.alert_mails().await, Ok(Some((mails, first))));
}

async fn held_lists_are_versioned_and_listed(ledger: &dyn Ledger) {
    assert_eq!(ledger.held_lists().await, Ok(vec![]));
    assert_eq!(ledger.held_list("0a1b2c3d").await, Ok(None));
    let person = HeldPerson {
        day_one: "2026-11-27".parse().unwrap(),
        user_id: Uuid::from_u128(1),
        name: None,
        unknown: Map::new(),
    };
    let mut list: HeldList = serde_json::from_value(json!({
        "schema": 1, "kind": "joiners", "heldAt": NOW, "people": [person], "future": "field",
    }))
    .unwrap();
    let first = ledger.write_held_list("0a1b2c3d", &list, None).await.unwrap();
    assert_eq!(ledger.write_held_list("0a1b2c3d", &list, None).await, Err(LedgerError::Conflict));
    list.approved_at = Some(time(NOW));
    let second = ledger.write_held_list("0a1b2c3d", &list, Some(&first)).await.unwrap();
    assert_eq!(ledger.held_list("0a1b2c3d").await, Ok(Some((list.clone(), second))));
    assert_eq!(ledger.held_lists().await, Ok(vec![("0a1b2c3d".to_owned(), list)]));
}

async fn a_listing_shows_the_standing_of_all_records(ledger: &dyn Ledger) {
    let (mailed, blocked) = (Uuid::from_u128(201), Uuid::from_u128(202));
    let mut closed = delivered_record(-30);
    let day = "2026-11-27".parse().unwrap();
    closed.announcement = Some(Announcement::new(day, true, Some(time(NOW))));
    (closed.seen, closed.arrived_at) = (Some("1:ü\u{1F511}\"\\".into()), Some(time(NOW)));
    (closed.cause, closed.reminded_pass) = (Some("still-disabled".into()), Some("6f1967b7".into()));
    ledger.write(mailed, &closed, None).await.unwrap();
    ledger.write(blocked, &record(State::Blocked), None).await.unwrap();
    let standings = standings(ledger).await.unwrap();
    assert_eq!(standings[&mailed], Standing::from(&closed));
    assert_eq!(standings[&mailed].mailed, Some((day, time(NOW))));
    assert!(standings[&mailed].is_reminded && standings[&blocked].is_blocked);
    assert!(
        !open_users(ledger).await.iter().any(|user| [mailed, blocked].contains(user)),
        "not open any more"
    );
}

/// What a listing shows of all records.
pub async fn standings(ledger: &dyn Ledger) -> Result<BTreeMap<Uuid, Standing>, LedgerError> {
    let mut standings = BTreeMap::new();
    ledger.standings(&mut |user, standing| drop(standings.insert(user, standing))).await?;
    Ok(standings)
}

/// Whom a sweep has to look at, by a listing.
async fn open_users(ledger: &dyn Ledger) -> Vec<Uuid> {
    let standings = standings(ledger).await.unwrap();
    standings.into_iter().filter(|(_, standing)| standing.is_open(time(NOW))).map(|(user, _)| user).collect()
}

fn record(state: State) -> Record {
    Record::new(state, Purpose::Joiner, time(NOW))
}

/// A record of a delivered pass that ends in `ends_in_days`.
fn delivered_record(ends_in_days: i64) -> Record {
    let (now, mut record) = (time(NOW), record(State::Issuing));
    let ends_at = now + TimeDelta::days(ends_in_days);
    let opens_at = ends_at - TimeDelta::hours(8);
    let pass =
        PassRecord { pass_id: "6f1967b7".into(), opens_at, ends_at, one_time: true, unknown: Map::new() };
    record.add_lease(
        Lease {
            job_key: "joiner/1".into(),
            purpose: Purpose::Joiner,
            since: now,
            opens_at: Some(opens_at),
            told_at: None,
            lifetime_minutes: 480,
            unknown: Map::new(),
        },
        now,
    );
    let delivered = Delivered {
        pass,
        at: now,
        purpose: Purpose::Joiner,
        day_one: Some(opens_at.date_naive()),
        after_withdrawal: false,
        address: Some("1:0f".into()),
        follows_on: None,
        told_at: None,
        language: Some("de".into()),
        recipients: vec!["e…@mail.example".into()],
        notes: None,
    };
    record.record_delivery(delivered, true);
    record
}

const CONTAINER: &str = "https://firstpass.blob.core.windows.net/ledger";

pub fn blob_ledger(service: &Arc<BlobService>) -> BlobLedger {
    let url = format!("{CONTAINER}?sv=2021-12-02&sig=c2VjcmV0").parse().unwrap();
    BlobLedger::new(url, None, service.clone()).unwrap()
}

/// A ledger that authenticates with a token instead of a SAS.
fn blob_ledger_with_identity(service: &Arc<BlobService>) -> BlobLedger {
    let sandbox = TestApp::with_emma().0.sandbox.clone();
    BlobLedger::new(CONTAINER.parse().unwrap(), Some(sandbox.credential()), service.clone()).unwrap()
}

#[tokio::test]
async fn memory_passes_the_ledger_contract() {
    check_ledger_contract(&MemoryLedger::default()).await;
}

#[tokio::test(start_paused = true)]
async fn blob_storage_passes_the_ledger_contract() {
    check_ledger_contract(&blob_ledger(&BlobService::new())).await;
}

#[tokio::test(start_paused = true)]
async fn a_joiner_is_served_with_a_ledger_on_blob_storage() {
    let service = BlobService::new();
    let (tenant, emma) = tenant_with_emma();
    let app = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
    assert_eq!(app.sweep().await[0].outcome, "delivered");
    assert_eq!(app.sweep_daily(2).await.iter().filter(|end| end.outcome == "delivered").count(), 0);
    app.assert_newest_mail_has_live_code(emma);
    let document = service.text(&format!("joiners/{emma}.json")).unwrap();
    assert!(document.contains("\"state\": \"delivered\""), "{document}");
    assert!(!document.contains(&app.live_code(emma).unwrap()), "the record contains the code");
    // Whoever has the address is told when mails go elsewhere.
    assert_eq!(document.matches("emma.brooks@mail.example").count(), 1, "{document}");
    assert!(document.contains("\"to\": \"emma.brooks@mail.example\""), "{document}");
    app.advance(time("2026-11-27T09:00:00Z") - app.sandbox.now());
    let (now, pass) = (app.sandbox.now(), app.sandbox.passes().pop().unwrap());
    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
    app.sweep().await;
    let document = service.text(&format!("joiners/{emma}.json")).unwrap();
    assert!(document.contains("arrivedAt"), "{document}");
    assert!(!document.contains("emma.brooks@mail.example"), "recipients must be masked");
}

#[tokio::test(start_paused = true)]
async fn a_write_with_a_lost_answer_is_a_conflict_but_persists() {
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
async fn an_unavailable_store_is_retried_for_at_most_15_seconds() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let user = Uuid::from_u128(1);
    ledger.write(user, &record(State::Failed), None).await.unwrap();
    for transient in [Fault::Fail(503, "ServerBusy"), Fault::Fail(500, "InternalError"), Fault::Refuse] {
        service.inject("GET", transient.clone());
        service.inject("GET", transient);
        assert!(ledger.read(user).await.unwrap().is_some());
    }
    let sandbox = TestApp::with_emma().0.sandbox.clone();
    for permanent in [Fault::Fail(503, "ServerBusy"), Fault::Refuse, Fault::Hang] {
        service.always(permanent.clone());
        let (read, took) = timed(&sandbox, ledger.read(user)).await;
        assert!(matches!(read, Err(LedgerError::Unavailable(_))), "{permanent:?}: {read:?}");
        assert!(took <= 15, "{permanent:?} took {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn store_errors_name_the_remedy() {
    let service = BlobService::new();
    let (with_sas, with_token) = (blob_ledger(&service), blob_ledger_with_identity(&service));
    for (ledger, code, wanted) in [
        (&with_token, "AuthorizationPermissionMismatch", "role Storage Blob Data Contributor"),
        (&with_token, "AuthorizationFailure", "network rules"),
        (&with_sas, "AuthenticationFailed", "check the SAS in LEDGER_URL"),
        (&with_sas, "AuthorizationPermissionMismatch", "check the SAS in LEDGER_URL"),
    ] {
        service.always(Fault::Fail(403, code));
        let error = ledger.read(Uuid::nil()).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(error.contains(&format!("403 {code} (request-id 5d1f)")), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_errors_nor_logs_contain_the_sas() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let work = async {
        ledger.write(Uuid::nil(), &record(State::Failed), None).await.unwrap();
        service.always(Fault::Refuse);
        let error = ledger.read(Uuid::nil()).await.unwrap_err();
        let error = format!("{ledger:?} {error} {error:?}");
        assert!(error.contains("connection refused") && !error.contains("c2VjcmV0"), "{error}");
    };
    let ((), log) = capture_log("trace", work).await;
    assert!(log.contains("firstpass.blob.core.windows.net"), "the client library logs its requests: {log}");
    assert!(!log.contains("c2VjcmV0"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn blob_storage_with_an_identity_passes_the_ledger_contract() {
    let service = BlobService::new();
    check_ledger_contract(&blob_ledger_with_identity(&service)).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_affects_only_its_user() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let (unreadable, readable) = (Uuid::from_u128(1), Uuid::from_u128(2));
    ledger.write(readable, &delivered_record(5), None).await.unwrap();
    service.put(&format!("joiners/{unreadable}.json"), "{\"state\": \"elsewhere\"}");
    service.put("joiners/notes.txt", "not ours");
    assert!(matches!(ledger.read(unreadable).await, Err(LedgerError::Unreadable(_))));
    let users = |listed: Vec<(Uuid, Record)>| listed.into_iter().map(|(user, _)| user).collect::<Vec<_>>();
    assert_eq!(users(ledger.list().await.unwrap()), [readable]);
    assert_eq!(open_users(&ledger).await, [readable]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_reads_no_record() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    for n in 0..50 {
        ledger.write(Uuid::from_u128(n), &delivered_record(if n < 3 { 5 } else { -11 }), None).await.unwrap();
    }
    let before = service.count_requests("GET");
    assert_eq!(open_users(&ledger).await.len(), 3);
    assert_eq!(service.count_requests("GET") - before, 50_usize.div_ceil(BlobService::PAGE_SIZE));
}

#[tokio::test(start_paused = true)]
async fn a_record_without_metadata_is_read() {
    let service = BlobService::new();
    let ledger = blob_ledger(&service);
    let record = delivered_record(5);
    service.put(&format!("joiners/{}.json", Uuid::from_u128(1)), &serde_json::to_string(&record).unwrap());
    let standings = standings(&ledger).await.unwrap();
    assert_eq!(
        standings,
        [(Uuid::from_u128(1), Standing::from(&record))].into(),
        "it may come from a backup"
    );
}
