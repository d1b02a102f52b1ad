//! The clock: the only module that reads the operating system's time.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

/// The system's clock, or a simulated one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The operating system's clock.
    #[expect(clippy::disallowed_methods, reason = "the only place that reads it")]
    pub fn system() -> Self {
        Self::from_fn(Utc::now)
    }

    /// A clock whose time is `now()`.
    pub fn from_fn(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
