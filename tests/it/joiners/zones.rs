//! Passes open at seven in the joiner's time zone, by the zone's rules on that day.

use crate::helpers::{TestApp, tenant_with_emma, time};

/// The zone rules of each of these countries changed in 2026.
#[tokio::test(start_paused = true)]
async fn a_pass_opens_at_seven_by_the_zone_rules_of_2026() {
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
        let app = TestApp::new(tenant, &[("TIME_ZONE", default_zone), ("LEAD_DAYS", "14")]);
        app.sweep().await;
        let pass = app.sandbox.passes().pop().unwrap();
        assert_eq!(pass.opens_at, time(opens_at), "{country}, {default_zone}");
    }
}
