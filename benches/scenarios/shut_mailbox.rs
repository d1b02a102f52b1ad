//! A mailbox that refuses every mail, for a week of hourly sweeps.

use chrono::TimeDelta;
use firstpass_sandbox::tenant::SendDenial;

use crate::{
    figures::Row,
    world::{Setup, World, tenant},
};

/// The alerts are sent by the same mailbox, so they are refused too: what is counted is what was tried.
pub async fn run(joiners: usize, days: i64) -> Row {
    let (mut tenant, _) = tenant(joiners, "2026-12-03");
    tenant.send_denied = Some(SendDenial::AccessPolicy);
    let mut setup = Setup::new(tenant);
    // So that day one comes after the week.
    setup.settings.push(("LEAD_DAYS", "14".to_owned()));
    let world = World::start(setup);
    world.wait_until(TimeDelta::days(days), |_| false).await;
    let (counts, tally) = (world.traffic.counts(), world.tally());
    let made = world.sandbox.pass_events().iter().filter(|event| event.made.is_some()).count();
    Row::new("shut mailbox")
        .parameter("joiners", joiners as f64)
        .parameter("days", days as f64)
        .count("passes made", made)
        .count("passes left", world.sandbox.passes().len())
        .count("alert lines", world.alert_lines.count())
        .count("alert mails", counts.alert_mails)
        .count("webhooks", counts.webhooks)
        .count("mails", world.sandbox.mails().len())
        .count("deliveries", tally.deliveries)
        .count("failed deliveries", tally.failed)
        .count("in the queue", world.queue_length())
        .count("poison", world.poison_length())
        .count("requests", counts.graph)
}
