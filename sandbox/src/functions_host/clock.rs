//! Waiting for a change or for a time, on a clock that can be set.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use tokio::sync::Notify;

/// A clock, and a notification for changes: of the state that a task waits for, or of the clock itself.
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

    /// Wakes every waiting task, which then checks again.
    pub(super) fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until `check` returns `Ok`. It is called at once, after each notification, and at the time that it returns
    /// as `Err`.
    pub(super) async fn wait_for<T>(
        &self,
        mut check: impl FnMut(DateTime<Utc>) -> Result<T, Option<DateTime<Utc>>>,
    ) -> T {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            // Notifications from here on are not missed.
            notified.as_mut().enable();
            let now = self.now();
            match check(now) {
                Ok(found) => return found,
                Err(None) => notified.await,
                Err(Some(time)) => {
                    // At least a millisecond, so that a stopped clock does not cause a busy loop.
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
