//! Notifications that only name the group, and none at all.

use std::sync::Mutex;

use firstpass::ledger::LedgerError;
use firstpass_sandbox::{
    functions_host::{Storage, encode_base64},
    tenant::{Fault, FaultKind, Group},
};

use super::{replays::start, *};
use crate::{
    faulty_ledger::{FaultyLedger, LedgerFault, Operation},
    helpers::seconds,
};

/// A ledger does what it is asked with a membership, and now and then says that it did not.
#[derive(Debug, Default)]
struct Denies(Mutex<Vec<LedgerError>>);

impl LedgerFault for Denies {
    fn after(&self, call: Operation, is_done: bool) -> Result<(), LedgerError> {
        let denied =
            if call == Operation::WriteMembership && is_done { self.0.lock().unwrap().pop() } else { None };
        denied.map_or(Ok(()), Err)
    }
}

/// The answer to a write is lost: the store's library meets its own write, or there is none at all.
#[tokio::test(start_paused = true)]
async fn a_roster_that_was_written_though_nobody_heard_of_it_costs_nobody_their_pass() {
    let away = || LedgerError::Unavailable("no answer".into());
    for with in [vec![LedgerError::Conflict], vec![away()], vec![away(), LedgerError::Conflict]] {
        let ledger = FaultyLedger::by(Denies::default());
        let office = Office::on(3, 1, &[], ledger.clone());
        office.world.sweep().await;
        office.world.later(TimeDelta::hours(1));
        office.add(1);
        office.add(2);
        ledger.fault.0.lock().unwrap().clone_from(&with);
        let storage = Storage::new(office.world.sandbox.clock());
        let _host = start(&office.world, &storage);
        storage.put("pass-jobs", encode_base64(&office.cloud_event(None))).unwrap();
        storage.wait_until_empty("pass-jobs").await;
        assert_eq!(office.sorted_mailed(), [1, 2], "{with:?}");
        office.world.later(TimeDelta::days(1));
        assert_eq!(office.world.sweep().await, [], "{with:?}");
    }
}

fn nobody() -> Vec<usize> {
    vec![]
}

#[tokio::test(start_paused = true)]
async fn only_who_is_new_gets_a_pass() {
    for form in ["webhook", "Event Grid"] {
        let office = Office::of(16, 12);
        assert_eq!(office.world.sweep().await, [], "whoever was there before is no news");
        let tell = async || {
            let message = if form == "webhook" { office.webhook(None) } else { office.cloud_event(None) };
            office.tell(&message).await
        };
        office.add(12);
        assert_eq!(tell().await.outcomes, ["delivered"], "{form}");
        office.world.later(TimeDelta::hours(3));
        office.add(13);
        office.add(14);
        office.remove(3);
        assert_eq!(tell().await.outcomes, ["delivered", "delivered"], "{form}");
        let course = tell().await;
        assert!(course.said.contains("has no new members"), "{course:?}");
        assert_eq!(office.mailed(), [12, 13, 14], "{form}");
        office.world.later(TimeDelta::days(1));
        assert_eq!(office.world.sweep().await, [], "and the sweep knows them all");
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_first_sweep_every_member_without_a_pass_on_demand_may_be_new() {
    let office = Office::of(3, 3);
    let event = office.cloud_event(None);
    office.tell(&office.people[1].to_string()).await;
    let course = office.tell(&event).await;
    assert_eq!((course.outcomes.len(), office.sorted_mailed()), (2, vec![0, 1, 2]));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_and_comes_back_is_new() {
    let office = Office::of(1, 1);
    office.world.sweep().await;
    office.remove(0);
    assert_eq!(office.tell(&office.cloud_event(None)).await.outcomes, [] as [&str; 0]);
    office.world.later(TimeDelta::minutes(5));
    office.add(0);
    assert_eq!(office.tell(&office.cloud_event(None)).await.outcomes, ["delivered"]);
}

/// Sweeps alone see them come, leave and come back.
#[tokio::test(start_paused = true)]
async fn whoever_comes_back_without_a_notification_gets_another_pass() {
    let office = Office::of(1, 0);
    office.world.sweep().await;
    office.add(0);
    office.world.sweep_daily(1).await;
    office.signs_in(0);
    office.remove(0);
    office.world.sweep_daily(1).await;
    office.add(0);
    let ends = office.world.sweep_daily(1).await;
    assert_eq!(office.mailed(), [0, 0], "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn the_sweep_finds_whom_no_notification_told_of() {
    let office = Office::of(3, 1);
    office.world.sweep().await;
    office.world.later(TimeDelta::hours(2));
    office.add(1);
    office.add(2);
    // One of them was told of; they are served, and not twice.
    office.tell(&json!({"id": office.people[2]}).to_string()).await;
    office.signs_in(2);
    office.world.later(TimeDelta::hours(22));
    let ends = office.world.sweep().await;
    assert_eq!(office.mailed(), [2, 1], "{ends:?}");
    office.world.later(TimeDelta::days(1));
    assert_eq!(office.world.sweep().await, []);
}

/// The host dies between the handler's answer and the queue: jobs are gone, and the ledger knows that they may be.
#[tokio::test(start_paused = true)]
async fn jobs_that_never_reached_the_queue_are_made_again() {
    for lost in ["all of them", "all but the first", "only the last word"] {
        let office = Office::of(3, 0);
        office.world.sweep().await;
        (0..3).for_each(|person| office.add(person));
        let event = office.cloud_event(None);
        let mut jobs = office.world.host.deliver(&event, 1).await.jobs();
        assert_eq!(jobs.len(), 4, "a job each, and a last word");
        jobs.truncate(match lost {
            "all of them" => 0,
            "all but the first" => 1,
            _ => 3,
        });
        office.work(jobs, &mut Course::default()).await;
        // The same event again, ten minutes later; or, where that is lost too, the next sweep.
        office.world.later(TimeDelta::minutes(11));
        if lost == "all but the first" {
            office.world.later(TimeDelta::days(1));
            office.world.sweep().await;
        } else {
            office.tell(&event).await;
        }
        assert_eq!(office.sorted_mailed(), [0, 1, 2], "{lost}");
        office.world.later(TimeDelta::days(1));
        assert_eq!(office.world.sweep().await, [], "{lost}: now they are known");
        assert_eq!(office.mailed().len(), 3, "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_notifications_at_once_lead_to_one_pass_each() {
    let office = Office::of(4, 1);
    office.world.sandbox.edit(|tenant| tenant.latency = std::time::Duration::from_millis(100));
    office.world.sweep().await;
    office.add(1);
    let first = office.cloud_event(None);
    office.add(2);
    let second = office.cloud_event(None);
    let other = office.world.another_instance();
    let (one, two) = tokio::join!(office.world.host.deliver(&first, 1), other.host.deliver(&second, 1));
    assert!(one.is_success() && two.is_success(), "{} {}", one.log(), two.log());
    let jobs = [one.jobs(), two.jobs()].concat();
    office.work(jobs, &mut Course::default()).await;
    assert_eq!(office.sorted_mailed(), [1, 2]);
    office.world.later(TimeDelta::days(1));
    assert_eq!(office.world.sweep().await, []);
}

#[tokio::test(start_paused = true)]
async fn devices_and_groups_in_the_group_are_nobody() {
    let office = Office::of(2, 0);
    office.world.sweep().await;
    office.world.sandbox.edit(|tenant| {
        let device = tenant.add_device("Kiosk");
        let nested = tenant.add_group(Group::named("Nested").members([office.people[1]]));
        tenant.add_member(office.group, device);
        tenant.add_member(office.group, nested);
    });
    office.add(0);
    office.tell(&office.cloud_event(None)).await;
    assert_eq!((office.mailed(), office.world.alerts().len()), (vec![0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cannot_be_read_is_tried_again_and_then_a_person_is_told() {
    let office = Office::of(1, 1);
    office.world.sandbox.inject(Fault::on("GET", "/members", crate::helpers::refuse(403)).times(5));
    let mut ends = Vec::new();
    let event = office.cloud_event(None);
    office.world.host.work(vec![event], |completed| ends.push(completed)).await;
    assert_eq!((ends[0].deliveries, ends[0].answer.is_success(), office.mailed()), (5, false, nobody()));
    let alerts = office.world.alerts();
    assert_eq!(alerts.len(), 1);
    let told = alerts[0].to_string();
    for words in [
        "A job failed 5 times and is in the poison queue",
        &office.group.to_string(),
        "request-id",
        "PERMISSIONS.md",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(office.world.sweep().await, [], "a first sweep only looks");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_cannot_read_the_group_still_serves_joiners_and_says_so() {
    let office = Office::of(2, 1);
    office.world.sweep().await;
    office.add(1);
    let emma = office.world.sandbox.edit(|tenant| tenant.add(crate::helpers::emma(office.people[0])));
    office.world.later(TimeDelta::days(1));
    let fault = Fault::on("GET", "/members", crate::helpers::refuse(404))
        .times(9)
        .lasting(std::time::Duration::from_secs(3_600));
    office.world.sandbox.inject(fault);
    assert_eq!(office.world.sweep().await[0].outcome, "delivered");
    office.world.assert_newest_mail_opens(emma);
    assert!(office.world.alerts()[0].to_string().contains("could not read the on-demand group"));
    office.world.sandbox.clear_faults();
    office.world.later(TimeDelta::days(1));
    assert!(
        office.world.sweep().await.iter().any(|end| end.outcome == "delivered"),
        "made up for a day later"
    );
}

/// The notification was faster than the replicas.
#[tokio::test(start_paused = true)]
async fn a_member_whom_a_replica_does_not_show_yet_is_waited_for() {
    for (form, stale) in [("names them", "transitiveMemberOf"), ("names the group", "/members")] {
        let office = Office::of(2, 1);
        office.world.sweep().await;
        office.world.sandbox.inject(Fault::on("GET", stale, FaultKind::Stale).times(2));
        office.add(1);
        let delta = (form == "names them").then(|| json!([{"id": office.people[1]}]));
        let course = office.tell(&office.cloud_event(delta)).await;
        assert_eq!((course.outcomes, office.mailed()), (vec!["delivered".to_owned()], vec![1]), "{form}");
    }
}

/// However many old notifications come back after an outage: none of them holds up a host.
#[tokio::test(start_paused = true)]
async fn replicas_are_waited_for_until_two_minutes_after_the_event() {
    for (names, age, waited) in
        [(true, 0, 30), (true, 119, 2), (true, 120, 0), (false, 0, 6), (false, 119, 6), (false, 120, 0)]
    {
        let office = Office::of(2, 1);
        office.world.sweep().await;
        let event = office.cloud_event(names.then(|| json!([{"id": office.people[1]}])));
        office.world.later(TimeDelta::seconds(age));
        let (_, took) = seconds(&office.world.sandbox, office.tell(&event)).await;
        assert_eq!((took, office.mailed()), (waited, nobody()), "names them: {names}, {age} s old");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_change_that_was_found_already() {
    let office = Office::of(2, 1);
    office.world.sweep().await;
    office.add(1);
    let event = office.cloud_event(None);
    office.world.later(TimeDelta::seconds(1));
    assert_eq!(office.tell(&event).await.outcomes, ["delivered"]);
    let (course, took) = seconds(&office.world.sandbox, office.tell(&event)).await;
    assert!(course.said.contains("has no new members") && took == 0, "{course:?} after {took} s");
}
