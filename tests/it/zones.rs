//! The joiner's own morning, under the rules that hold on that day.

use crate::helpers::{World, tenant_with_emma, time};

/// Each of these countries changed its clocks' rules in 2026.
#[tokio::test(start_paused = true)]
async fn a_pass_opens_at_seven_by_the_clocks_of_2026() {
    for (country, default_zone, opens_at) in [
        ("CA", "America/Vancouver", "2026-12-01T14:00:00Z"),
        ("CA", "America/Edmonton", "2026-12-01T13:00:00Z"),
        ("CA", "America/Winnipeg", "2026-12-01T12:00:00Z"),
        ("MA", "UTC", "2026-12-01T07:00:00Z"),
        ("EH", "UTC", "2026-12-01T07:00:00Z"),
        ("US", "US/Pacific", "2026-12-01T15:00:00Z"),
    ] {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.change(emma, |p| {
            p.hire_date = Some(time("2026-12-01T00:00:00Z"));
            p.usage_location = Some(country.into());
        });
        let world = World::new(tenant, &[("TIME_ZONE", default_zone), ("LEAD_DAYS", "14")]);
        world.sweep().await;
        let pass = world.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_at, time(opens_at), "{country}, {default_zone}");
    }
}
