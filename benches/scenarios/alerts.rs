//! Counts the lines of the log that tell an admin to act.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

/// Counts the alerts of this thread until it is dropped.
#[derive(Debug)]
pub struct Lines {
    count: Arc<AtomicUsize>,
    _guard: DefaultGuard,
}

impl Default for Lines {
    fn default() -> Self {
        let count = Arc::<AtomicUsize>::default();
        let _guard = tracing::subscriber::set_default(Counter(count.clone()));
        Self { count, _guard }
    }
}

impl Lines {
    /// The alerts so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut IsAlert(&self.0));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct IsAlert<'a>(&'a AtomicUsize);

impl Visit for IsAlert<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" && value == "alert" {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
