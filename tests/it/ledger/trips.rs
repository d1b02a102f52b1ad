//! The requests to storage, and how many of them follow each other.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use firstpass_sandbox::{functions_host::handler_response::HandlerResponse, tenant::Person};
use tokio::time::Instant;

use super::{blob_ledger, blob_service::BlobService};
use crate::helpers::{TestApp, tenant_with_emma, time};

/// The latency of storage. That of Graph is ten times longer, so that what is read beside the tenant takes no time of its own.
const TRIP: Duration = Duration::from_millis(100);

/// What some work asked of storage, with short names, and how many of these requests followed each other.
struct Trips {
    requests: Vec<String>,
    serial: u128,
}

async fn trips<T>(service: &BlobService, work: impl Future<Output = T>) -> (T, Trips) {
    service.take_requests();
    let started = Instant::now();
    let done = work.await;
    let serial = started.elapsed().as_millis() % (10 * TRIP.as_millis()) / TRIP.as_millis();
    let short = |request: String| request.split_inclusive('/').next().unwrap_or_default().to_owned();
    (done, Trips { requests: service.take_requests().into_iter().map(short).collect(), serial })
}

/// An app that has swept, with its jobs, and another process that works on them.
async fn with_jobs() -> (Arc<BlobService>, TestApp, TestApp, Vec<String>) {
    let service = BlobService::new();
    let (mut tenant, _) = tenant_with_emma();
    tenant.latency = TRIP * 10;
    for n in 0..3 {
        let joiner = Person::named(&format!("Joiner{n} Smith")).usage_location("GB");
        let joiner = joiner.private_mail(&format!("joiner{n}@mail.example"));
        tenant.add(joiner.hire_date(time("2026-11-27T00:00:00Z")));
    }
    service.set_latency(TRIP);
    let timer = TestApp::with_ledger(tenant, &[], Arc::new(blob_ledger(&service)));
    let mut jobs = timer.host.fire_timer().await.jobs();
    jobs.retain(|message| !message.contains("dailyLook"));
    assert_eq!(jobs.len(), 4);
    let queue = timer.another_instance();
    (service, timer, queue, jobs)
}

fn is(answer: &HandlerResponse, outcome: &str) -> bool {
    answer.log().contains(&format!(": {outcome}: "))
}

/// Record, lease and delivery: one after the other, since each depends on the one before. What concerns everybody costs no time.
#[tokio::test(start_paused = true)]
async fn a_fresh_job_waits_for_storage_three_times() {
    const JOB: [&str; 3] = ["GET joiners/", "PUT joiners/", "PUT joiners/"];
    let (service, _timer, queue, jobs) = with_jobs().await;
    let (answer, first) = trips(&service, queue.host.deliver(&jobs[0], 1)).await;
    assert!(is(&answer, "delivered"), "{}", answer.log());
    // Once in a process: whether the mailbox is shut, before the tenant is asked; whose ledger it is, beside that; and every ten
    // minutes whether a summary of alerts is due.
    let expected = [&["GET conditions.json"; 3], &JOB[..], &["GET alerts/"]].concat();
    assert_eq!((first.requests, first.serial), (expected.iter().map(ToString::to_string).collect(), 5));
    let (answer, next) = trips(&service, queue.host.deliver(&jobs[1], 1)).await;
    assert!(is(&answer, "delivered"), "{}", answer.log());
    // What sweeps have left, and whether the mailbox is shut.
    let expected = [&["GET conditions.json"], &JOB[..]].concat();
    assert_eq!((next.requests, next.serial), (expected.iter().map(ToString::to_string).collect(), 3));
}

#[tokio::test(start_paused = true)]
async fn a_second_message_for_somebody_served_waits_for_the_record_only() {
    let (service, _timer, queue, jobs) = with_jobs().await;
    for after in [TimeDelta::zero(), TimeDelta::minutes(1), TimeDelta::hours(1)] {
        queue.advance(after);
        let (answer, again) = trips(&service, queue.host.deliver(&jobs[0], 1)).await;
        let is_first = after.is_zero();
        assert!(is(&answer, if is_first { "delivered" } else { "skipped" }), "{}", answer.log());
        if !is_first {
            let alerts = again.requests.iter().filter(|request| *request == "GET alerts/").count();
            assert_eq!(again.serial, 1 + alerts as u128, "{after}: {:?}", again.requests);
            let of_user = |request: &&String| request.ends_with("joiners/");
            assert_eq!(again.requests.iter().filter(of_user).count(), 1, "{after}: {:?}", again.requests);
        }
    }
}

/// However many there are: one listing, what sweeps leave for each other, and the alerts.
#[tokio::test(start_paused = true)]
async fn a_sweep_without_news_asks_storage_five_times() {
    let (service, timer, queue, jobs) = with_jobs().await;
    queue.host.work(jobs, |_| {}).await;
    for _ in 0..3 {
        timer.advance(TimeDelta::hours(1));
        let (answer, sweep) = trips(&service, timer.host.fire_timer()).await;
        assert!(answer.is_success());
        let expected = [
            "GET conditions.json",
            "GET joiners/",
            "GET conditions.json",
            "PUT conditions.json",
            "GET alerts/",
        ];
        assert_eq!((sweep.requests, sweep.serial), (expected.map(str::to_owned).into(), 5));
    }
}
