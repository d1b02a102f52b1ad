//! The tenant's clock.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Shows the epoch, plus the time elapsed on tokio's clock, plus the time skipped.
///
/// It is not behind the tenant's lock, so that an edit of the tenant can read it.
pub(super) struct TenantClock {
    epoch: DateTime<Utc>,
    origin: Instant,
    skipped_micros: AtomicI64,
}

impl TenantClock {
    pub(super) fn starting_at(epoch: DateTime<Utc>) -> Self {
        Self { epoch, origin: Instant::now(), skipped_micros: AtomicI64::new(0) }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.origin.elapsed()).unwrap_or(TimeDelta::MAX);
        let skipped = TimeDelta::microseconds(self.skipped_micros.load(Ordering::SeqCst));
        self.epoch + elapsed + skipped
    }

    pub(super) fn advance(&self, by: TimeDelta) {
        let micros = by.num_microseconds().unwrap_or(0);
        self.skipped_micros.fetch_add(micros, Ordering::SeqCst);
    }
}
