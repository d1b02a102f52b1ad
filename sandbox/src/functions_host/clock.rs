//! Waiting for something to change or for a time to come, on a clock that may be set.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use tokio::sync::Notify;

/// A clock and a notified. Whoever waits looks again when the notified rings, or when the time comes that they wait for.
#[derive(Clone, Debug)]
pub(super) struct NotifiableClock {
    clock: Clock,
    changed: Arc<Notify>,
}

impl NotifiableClock {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, changed: Arc::default() }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Something changed, or the clock was set.
    pub(super) fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until `check` finds what it looks for. It is asked at once, whenever the notified rings, and at the time
    /// that it names itself.
    pub(super) async fn wait_for<T>(
        &self,
        mut check: impl FnMut(DateTime<Utc>) -> Result<T, Option<DateTime<Utc>>>,
    ) -> T {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            // From here on no ring is missed, whatever `check` does.
            notified.as_mut().enable();
            let now = self.now();
            match check(now) {
                Ok(found) => return found,
                Err(None) => notified.await,
                Err(Some(time)) => {
                    // At least a moment: a clock that stands still must not keep the processor busy.
                    let wait = (time - now).max(TimeDelta::milliseconds(1)).to_std().unwrap_or(Duration::MAX);
                    tokio::select! {
                        () = notified => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    pub(super) async fn sleep_until(&self, time: DateTime<Utc>) {
        self.wait_for(|now| if now >= time { Ok(()) } else { Err(Some(time)) }).await;
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)).await;
    }
}
