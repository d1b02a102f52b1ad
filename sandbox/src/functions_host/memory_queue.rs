//! The product's queues on a [`Storage`].

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use firstpass::queue::{AT_ONCE, JOBS, POISON, Queue, QueueError, QueueMessage, Queues, Received};
use uuid::Uuid;

use crate::functions_host::{Storage, storage};

/// One queue of a [`Storage`].
#[derive(Clone, Debug)]
pub struct MemoryQueue {
    storage: Storage,
    name: String,
}

impl MemoryQueue {
    /// The queue called `name`.
    pub fn new(storage: &Storage, name: &str) -> Self {
        Self { storage: storage.clone(), name: name.to_owned() }
    }
}

/// The product's queues in this storage account.
pub fn queues(storage: &Storage) -> Queues {
    let queue = |name| std::sync::Arc::new(MemoryQueue::new(storage, name));
    Queues { jobs: queue(JOBS), poison: queue(POISON) }
}

fn message(message: storage::StoredMessage) -> QueueMessage {
    QueueMessage {
        id: message.id.to_string(),
        text: message.text,
        inserted: message.inserted,
        expires: Some(message.expires),
        dequeue_count: message.dequeue_count,
    }
}

fn receipt(received: &Received) -> Result<Uuid, QueueError> {
    received.receipt.parse().map_err(|_| QueueError::MessageGone("the receipt is not a UUID".into()))
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        Ok(self.storage.peek(&self.name, AT_ONCE).into_iter().map(message).collect())
    }

    async fn count(&self) -> Result<usize, QueueError> {
        Ok(self.storage.messages(&self.name).len())
    }

    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        let hidden = TimeDelta::from_std(hidden).unwrap_or(TimeDelta::MAX);
        let taken = self.storage.take(&self.name, AT_ONCE, hidden);
        Ok(taken
            .into_iter()
            .map(|taken| Received { receipt: taken.receipt.to_string(), message: message(taken) })
            .collect())
    }

    async fn put_hidden(&self, text: &str, hidden: Duration) -> Result<(), QueueError> {
        let hidden = TimeDelta::from_std(hidden).unwrap_or(TimeDelta::MAX);
        let put = self.storage.put_later(&self.name, text.to_owned(), hidden);
        put.map_err(|why| QueueError::Unavailable(why.into()))
    }

    async fn delete(&self, message: &Received) -> Result<(), QueueError> {
        let receipt = receipt(message)?;
        let held = |m: &storage::StoredMessage| m.receipt == receipt;
        if !self.storage.messages(&self.name).iter().any(held) {
            return Err(QueueError::MessageGone("the message has another receipt".into()));
        }
        self.storage.delete(&self.name, receipt);
        Ok(())
    }

    async fn release(&self, message: &Received) -> Result<(), QueueError> {
        self.storage.release(&self.name, receipt(message)?, TimeDelta::zero());
        Ok(())
    }
}
