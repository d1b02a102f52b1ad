//! What a sweep holds of a ledger that keeps its records for more than a year.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::ledger::{
    Announcement, Delivered, Ledger, PassRecord, Purpose, Record, State, memory::MemoryLedger,
};
use serde_json::Map;
use uuid::Uuid;

use crate::{
    helpers::{NOW, TestApp, log_capture::capture_log, tenant_with_emma, time},
    ledger::{blob_ledger, blob_service::BlobService},
};

const CLOSED: u128 = 1_000;

/// A joiner who was mailed a pass at this time, for eight hours a week later, and got in with it.
fn arrived(mailed_at: DateTime<Utc>) -> Record {
    let mut record = Record::new(State::Delivered, Purpose::Joiner, mailed_at);
    let opens_at = mailed_at + TimeDelta::days(7);
    let ends_at = opens_at + TimeDelta::hours(8);
    let pass =
        PassRecord { pass_id: "6f1967b7".into(), opens_at, ends_at, one_time: true, unknown: Map::new() };
    record.delivered = Some(Delivered {
        pass,
        at: mailed_at,
        purpose: Purpose::Joiner,
        day_one: Some(opens_at.date_naive()),
        after_withdrawal: false,
        language: None,
        recipients: Vec::new(),
        address: None,
        follows_on: None,
        told_at: None,
        notes: None,
    });
    let mail = Announcement::new(opens_at.date_naive(), true, Some(mailed_at));
    record.announcement = Some(Announcement { mailbox: Some("1:0123456789abcdef".into()), ..mail });
    record.arrived_at = Some(opens_at);
    record
}

/// Of those who are in since long, the tenant's listing has one: HR entered another hire date for her.
#[tokio::test(start_paused = true)]
async fn of_closed_records_a_sweep_keeps_those_that_a_rule_reads() {
    let service = BlobService::new();
    let ledgers: [Arc<dyn Ledger>; 2] = [Arc::new(MemoryLedger::default()), Arc::new(blob_ledger(&service))];
    for ledger in ledgers {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::with_ledger(tenant, &[("MAIL_CC", "none")], ledger.clone());
        let long_ago = time(NOW) - TimeDelta::days(300);
        for user in (0..CLOSED).map(Uuid::from_u128).chain([emma]) {
            ledger.write(user, &arrived(long_ago), None).await.unwrap();
        }
        let recent = Uuid::from_u128(CLOSED);
        ledger.write(recent, &arrived(time(NOW) - TimeDelta::days(50)), None).await.unwrap();
        let is_open = Uuid::from_u128(CLOSED + 1);
        let waits = Record { arrived_at: None, ..arrived(time(NOW) - TimeDelta::days(10)) };
        ledger.write(is_open, &waits, None).await.unwrap();
        let (answer, log) = capture_log("info", app.host.fire_timer()).await;
        assert!(log.contains(&format!("records={} kept=3", CLOSED + 3)), "{log}");
        let users: BTreeSet<Uuid> = answer
            .jobs()
            .iter()
            .filter_map(|job| {
                serde_json::from_str::<serde_json::Value>(job).unwrap()["userId"].as_str()?.parse().ok()
            })
            .collect();
        // The open one has no account any more.
        assert_eq!(users, [emma, is_open].into());
    }
}
