//! A queue with injected faults.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use firstpass::queue::{Queue, QueueError, QueueMessage, Received};

/// Runs before each operation with its name; an error replaces the operation.
type QueueFault = dyn Fn(&str) -> Result<(), QueueError> + Send + Sync;

pub struct FaultyQueue {
    inner: Arc<dyn Queue>,
    fault: Box<QueueFault>,
}

impl FaultyQueue {
    pub fn with_fault(
        inner: Arc<dyn Queue>,
        fault: impl Fn(&str) -> Result<(), QueueError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner, fault: Box::new(fault) })
    }
}

impl fmt::Debug for FaultyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Queue for FaultyQueue {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        (self.fault)("peek")?;
        self.inner.peek().await
    }
    async fn count(&self) -> Result<usize, QueueError> {
        (self.fault)("count")?;
        self.inner.count().await
    }
    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        (self.fault)("receive")?;
        self.inner.receive(hidden).await
    }
    async fn put_hidden(&self, text: &str, hidden: Duration) -> Result<(), QueueError> {
        (self.fault)("put")?;
        self.inner.put_hidden(text, hidden).await
    }
    async fn delete(&self, message: &Received) -> Result<(), QueueError> {
        (self.fault)("delete")?;
        self.inner.delete(message).await
    }
    async fn release(&self, message: &Received) -> Result<(), QueueError> {
        (self.fault)("release")?;
        self.inner.release(message).await
    }
}
