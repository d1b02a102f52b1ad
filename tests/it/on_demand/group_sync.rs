//! Notifications that name only the group, and changes without a notification.

use std::sync::Mutex;

use firstpass::ledger::LedgerError;
use firstpass_sandbox::{
    functions_host::{Storage, encode_base64},
    tenant::{Fault, FaultKind, Group},
};

use super::{redelivery::start, *};
use crate::{
    helpers::{emma, fail_with, timed},
    ledger::faulty_ledger::{FaultyLedger, LedgerFault, Operation},
};

/// Writes of membership snapshots take effect, but return these errors.
#[derive(Debug, Default)]
struct SnapshotWriteErrors(Mutex<Vec<LedgerError>>);

impl LedgerFault for SnapshotWriteErrors {
    fn after(&self, operation: Operation, succeeded: bool) -> Result<(), LedgerError> {
        let is_affected = operation == Operation::WriteMembership && succeeded;
        let error = if is_affected { self.0.lock().unwrap().pop() } else { None };
        error.map_or(Ok(()), Err)
    }
}

/// The client library retries a write whose answer is lost and finds a conflict, or gets no answer at all.
#[tokio::test(start_paused = true)]
async fn a_snapshot_write_with_a_lost_answer_loses_no_member() {
    let unavailable = || LedgerError::Unavailable("no answer".into());
    for errors in
        [vec![LedgerError::Conflict], vec![unavailable()], vec![unavailable(), LedgerError::Conflict]]
    {
        let ledger = FaultyLedger::with_fault(SnapshotWriteErrors::default());
        let setup = GroupSetup::with_ledger(3, 1, &[], ledger.clone());
        setup.app.sweep().await;
        setup.app.advance(TimeDelta::hours(1));
        setup.add(1);
        setup.add(2);
        ledger.fault.0.lock().unwrap().clone_from(&errors);
        let storage = Storage::new(setup.app.sandbox.clock());
        let _host = start(&setup.app, &storage);
        storage.put("pass-jobs", encode_base64(&setup.cloud_event(None))).unwrap();
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(setup.sorted_mailed(), [1, 2], "{errors:?}");
        setup.app.advance(TimeDelta::days(1));
        assert_eq!(setup.app.sweep().await, [], "{errors:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_new_members_get_a_pass() {
    for format in ["webhook", "Event Grid"] {
        let setup = GroupSetup::new(16, 12);
        assert_eq!(setup.app.sweep().await, [], "the first sweep only takes a snapshot");
        let notify = async || {
            let message = if format == "webhook" { setup.webhook(None) } else { setup.cloud_event(None) };
            setup.process(&message).await
        };
        setup.add(12);
        assert_eq!(notify().await.outcomes, ["delivered"], "{format}");
        setup.app.advance(TimeDelta::hours(3));
        setup.add(13);
        setup.add(14);
        setup.remove(3);
        assert_eq!(notify().await.outcomes, ["delivered", "delivered"], "{format}");
        let processed = notify().await;
        assert!(processed.log.contains("has no new members"), "{processed:?}");
        assert_eq!(setup.mailed(), [12, 13, 14], "{format}");
        setup.app.advance(TimeDelta::days(1));
        assert_eq!(setup.app.sweep().await, [], "the sweep finds no other member");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_snapshot_members_without_a_pass_count_as_new() {
    let setup = GroupSetup::new(3, 3);
    let event = setup.cloud_event(None);
    setup.process(&setup.people[1].to_string()).await;
    let processed = setup.process(&event).await;
    assert_eq!((processed.outcomes.len(), setup.sorted_mailed()), (2, vec![0, 1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_leaves_and_returns_counts_as_new() {
    let setup = GroupSetup::new(1, 1);
    setup.app.sweep().await;
    setup.remove(0);
    assert_eq!(setup.process(&setup.cloud_event(None)).await.outcomes, [] as [&str; 0]);
    setup.app.advance(TimeDelta::minutes(5));
    setup.add(0);
    assert_eq!(setup.process(&setup.cloud_event(None)).await.outcomes, ["delivered"]);
}

/// Only sweeps see that the member joins, leaves and returns.
#[tokio::test(start_paused = true)]
async fn a_member_who_returns_without_a_notification_gets_another_pass() {
    let setup = GroupSetup::new(1, 0);
    setup.app.sweep().await;
    setup.add(0);
    setup.app.sweep_daily(1).await;
    setup.sign_in(0);
    setup.remove(0);
    setup.app.sweep_daily(1).await;
    setup.add(0);
    let ends = setup.app.sweep_daily(1).await;
    assert_eq!(setup.mailed(), [0, 0], "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn the_sweep_finds_members_without_a_notification() {
    let setup = GroupSetup::new(3, 1);
    setup.app.sweep().await;
    setup.app.advance(TimeDelta::hours(2));
    setup.add(1);
    setup.add(2);
    // One of them has a notification, and is served once.
    setup.process(&json!({"id": setup.people[2]}).to_string()).await;
    setup.sign_in(2);
    setup.app.advance(TimeDelta::hours(22));
    let ends = setup.app.sweep().await;
    assert_eq!(setup.mailed(), [2, 1], "{ends:?}");
    setup.app.advance(TimeDelta::days(1));
    assert_eq!(setup.app.sweep().await, []);
}

/// The host dies after the handler's answer and before it writes the jobs to the queue.
#[tokio::test(start_paused = true)]
async fn jobs_lost_before_the_queue_are_created_again() {
    for lost in ["all", "all but the first", "the last"] {
        let setup = GroupSetup::new(3, 0);
        setup.app.sweep().await;
        (0..3).for_each(|person| setup.add(person));
        let event = setup.cloud_event(None);
        let mut jobs = setup.app.host.deliver(&event, 1).await.jobs();
        assert_eq!(jobs.len(), 4, "a job for each member, and the one that ends the group sync");
        jobs.truncate(match lost {
            "all" => 0,
            "all but the first" => 1,
            _ => 3,
        });
        setup.run_jobs(jobs, &mut Processed::default()).await;
        // Either the event is repeated after ten minutes, or the next sweep follows.
        setup.app.advance(TimeDelta::minutes(11));
        if lost == "all but the first" {
            setup.app.advance(TimeDelta::days(1));
            setup.app.sweep().await;
        } else {
            setup.process(&event).await;
        }
        assert_eq!(setup.sorted_mailed(), [0, 1, 2], "{lost}");
        setup.app.advance(TimeDelta::days(1));
        assert_eq!(setup.app.sweep().await, [], "{lost}: the snapshot is complete");
        assert_eq!(setup.mailed().len(), 3, "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_concurrent_notifications_lead_to_one_pass_each() {
    let setup = GroupSetup::new(4, 1);
    setup.app.sandbox.edit(|tenant| tenant.latency = std::time::Duration::from_millis(100));
    setup.app.sweep().await;
    setup.add(1);
    let first = setup.cloud_event(None);
    setup.add(2);
    let second = setup.cloud_event(None);
    let other = setup.app.another_instance();
    let (one, two) = tokio::join!(setup.app.host.deliver(&first, 1), other.host.deliver(&second, 1));
    assert!(one.is_success() && two.is_success(), "{} {}", one.log(), two.log());
    let jobs = [one.jobs(), two.jobs()].concat();
    setup.run_jobs(jobs, &mut Processed::default()).await;
    assert_eq!(setup.sorted_mailed(), [1, 2]);
    setup.app.advance(TimeDelta::days(1));
    assert_eq!(setup.app.sweep().await, []);
}

#[tokio::test(start_paused = true)]
async fn devices_and_groups_in_the_on_demand_group_are_ignored() {
    let setup = GroupSetup::new(2, 0);
    setup.app.sweep().await;
    setup.app.sandbox.edit(|tenant| {
        let device = tenant.add_device("Kiosk");
        let nested = tenant.add_group(Group::named("Nested").members([setup.people[1]]));
        tenant.add_member(setup.group, device);
        tenant.add_member(setup.group, nested);
    });
    setup.add(0);
    setup.process(&setup.cloud_event(None)).await;
    assert_eq!((setup.mailed(), setup.app.alerts().len()), (vec![0], 0));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_group_is_retried_then_alerted() {
    let setup = GroupSetup::new(1, 1);
    setup.app.sandbox.inject(Fault::on("GET", "/members", fail_with(403)).times(10));
    let mut ends = Vec::new();
    let event = setup.cloud_event(None);
    setup.app.host.work(vec![event], |completed| ends.push(completed)).await;
    assert_eq!((ends[0].deliveries, ends[0].answer.is_success(), setup.mailed()), (10, false, vec![]));
    let alerts = setup.app.alerts();
    assert_eq!(alerts.len(), 1);
    let alert = alerts[0].to_string();
    for words in [
        "A message failed 10 times and goes to the poison queue",
        &setup.group.to_string(),
        "request-id",
        "PERMISSIONS.md",
    ] {
        assert!(alert.contains(words), "{words}: {alert}");
    }
    assert_eq!(setup.app.sweep().await, [], "the first sweep only takes a snapshot");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_with_an_unreadable_group_serves_joiners_and_sends_an_alert() {
    let setup = GroupSetup::new(2, 1);
    setup.app.sweep().await;
    setup.add(1);
    let emma = setup.app.sandbox.edit(|tenant| tenant.add(emma(setup.people[0])));
    setup.app.advance(TimeDelta::days(1));
    let fault =
        Fault::on("GET", "/members", fail_with(404)).times(9).lasting(std::time::Duration::from_secs(3_600));
    setup.app.sandbox.inject(fault);
    assert_eq!(setup.app.sweep().await[0].outcome, "delivered");
    setup.app.assert_newest_mail_has_live_code(emma);
    assert!(setup.app.alerts()[0].to_string().contains("could not read the on-demand group"));
    setup.app.sandbox.clear_faults();
    setup.app.advance(TimeDelta::days(1));
    assert!(
        setup.app.sweep().await.iter().any(|end| end.outcome == "delivered"),
        "the next sweep finds the member"
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_missing_from_a_lagging_replica_is_retried() {
    for (format, stale) in [("names the member", "transitiveMemberOf"), ("names the group", "/members")] {
        let setup = GroupSetup::new(2, 1);
        setup.app.sweep().await;
        setup.app.sandbox.inject(Fault::on("GET", stale, FaultKind::Stale).times(2));
        setup.add(1);
        let delta = (format == "names the member").then(|| json!([{"id": setup.people[1]}]));
        let processed = setup.process(&setup.cloud_event(delta)).await;
        assert_eq!((processed.outcomes, setup.mailed()), (vec!["delivered".to_owned()], vec![1]), "{format}");
    }
}

/// After an outage, old notifications must not delay a host.
#[tokio::test(start_paused = true)]
async fn replication_retries_stop_two_minutes_after_the_event() {
    for (names_member, age, expected) in
        [(true, 0, 30), (true, 119, 2), (true, 120, 0), (false, 0, 6), (false, 119, 6), (false, 120, 0)]
    {
        let setup = GroupSetup::new(2, 1);
        setup.app.sweep().await;
        let event = setup.cloud_event(names_member.then(|| json!([{"id": setup.people[1]}])));
        setup.app.advance(TimeDelta::seconds(age));
        let (_, took) = timed(&setup.app.sandbox, setup.process(&event)).await;
        assert_eq!(
            (took, setup.mailed()),
            (expected, vec![]),
            "names the member: {names_member}, {age} s old"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_found_already_is_not_retried() {
    let setup = GroupSetup::new(2, 1);
    setup.app.sweep().await;
    setup.add(1);
    let event = setup.cloud_event(None);
    setup.app.advance(TimeDelta::seconds(1));
    assert_eq!(setup.process(&event).await.outcomes, ["delivered"]);
    let (processed, took) = timed(&setup.app.sandbox, setup.process(&event)).await;
    assert!(processed.log.contains("has no new members") && took == 0, "{processed:?} after {took} s");
}
