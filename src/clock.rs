//! What time it is. The only place that may ask the operating system.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

/// The App's clock: the system's, or a simulated one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The operating system's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks")]
    pub fn system() -> Self {
        Self::from_fn(Utc::now)
    }

    /// A clock that shows whatever `now` returns.
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
