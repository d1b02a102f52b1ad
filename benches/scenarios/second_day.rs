//! What sweeps cost when everybody has been served.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use firstpass::ledger::blob::BlobLedger;
use tokio::time::sleep;

use crate::{
    blob_service::BlobService,
    figures::{Kind, Row},
    traffic::{LATENCY, Store, Traffic},
    world::{Setup, World, tenant},
};

/// Azure lists so many blobs on a page.
const BLOBS_PER_PAGE: usize = 5_000;
const MIB: f64 = 1024.0 * 1024.0;

/// Serves the joiners, and then sweeps as the first time of the next day, an hour later, and on the morning of day one.
pub async fn run(joiners: usize) -> Vec<Row> {
    let (tenant, _) = tenant(joiners, "2026-11-27");
    let (service, traffic) = (BlobService::new(), Traffic::default());
    service.set_page_size(BLOBS_PER_PAGE);
    let store = Arc::new(Store { service, traffic: traffic.clone() });
    let url = "https://firstpass.blob.core.windows.net/ledger?sv=2021-12-02&sig=c2VjcmV0".parse().unwrap();
    let ledger = Arc::new(BlobLedger::new(url, None, store).unwrap());
    let never = "0 0 0 1 1 *";
    let setup = Setup {
        ledger,
        traffic,
        schedule: never,
        mail_takes: LATENCY,
        ..Setup::new(tenant).without_limits()
    };
    let world = World::start(setup);
    world.sweep().await;
    settle(&world).await;
    // Each joiner's mail, and the note to the manager.
    assert_eq!(world.sandbox.mails().len(), 2 * joiners, "everybody has been served");
    let mut rows = Vec::new();
    for (name, hours) in [
        ("served: first sweep of a day", 24),
        ("served: an hourly sweep", 1),
        ("served: opening", 4 * 24 + 3),
    ] {
        sleep(Duration::from_secs(hours * 3_600)).await;
        rows.push(sweep(name, &world, joiners).await);
    }
    rows
}

async fn settle(world: &World) {
    world.wait_until(TimeDelta::hours(12), |world| world.queue_length() == 0).await;
}

async fn sweep(name: &'static str, world: &World, joiners: usize) -> Row {
    world.traffic.take();
    world.meter.reset();
    let before = world.tally();
    world.sweep().await;
    settle(world).await;
    let (counts, usage) = (world.traffic.counts(), world.meter.usage());
    Row::new(name)
        .parameter("served", joiners as f64)
        .count("requests", counts.graph)
        .count("listings", counts.listings)
        .count("downloads", counts.downloads)
        .count("writes", counts.writes)
        .count("messages", world.tally().deliveries - before.deliveries)
        .with("allocations", usage.allocations as f64, Kind::NearlyFixed)
        .with("cpu ms", usage.cpu().as_secs_f64() * 1000.0, Kind::Time)
        .with("peak MiB", usage.peak_bytes as f64 / MIB, Kind::NearlyFixed)
}
