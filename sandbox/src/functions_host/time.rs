//! Waiting for something to change or for a time to come, on a clock that may be set.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use tokio::sync::Notify;

/// A clock and a bell. Whoever waits looks again when the bell rings, or when the time comes that they wait for.
#[derive(Clone, Debug)]
pub(super) struct Time {
    clock: Clock,
    bell: Arc<Notify>,
}

impl Time {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, bell: Arc::default() }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Something changed, or the clock was set.
    pub(super) fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// Waits until `look` finds what it looks for. It is asked at once, whenever the bell rings, and at the time
    /// that it names itself.
    pub(super) async fn find<T>(
        &self,
        mut look: impl FnMut(DateTime<Utc>) -> Result<T, Option<DateTime<Utc>>>,
    ) -> T {
        loop {
            let bell = self.bell.notified();
            tokio::pin!(bell);
            // From here on no ring is missed, whatever `look` does.
            bell.as_mut().enable();
            let now = self.now();
            match look(now) {
                Ok(found) => return found,
                Err(None) => bell.await,
                Err(Some(time)) => {
                    // At least a moment: a clock that stands still must not keep the processor busy.
                    let wait = (time - now).max(TimeDelta::milliseconds(1)).to_std().unwrap_or(Duration::MAX);
                    tokio::select! {
                        () = bell => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    pub(super) async fn sleep_until(&self, time: DateTime<Utc>) {
        self.find(|now| if now >= time { Ok(()) } else { Err(Some(time)) }).await;
    }

    pub(super) async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)).await;
    }
}
