//! A queue of the local host's storage account: for tests, the demo and the sandbox.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use uuid::Uuid;

use super::{AT_ONCE, JOBS, Message, POISON, Queue, QueueError, Queues, Received};
use crate::sandbox::functions_host::{Storage, storage};

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

impl Queues {
    /// The app's queues in a storage account in memory.
    pub fn in_memory(storage: &Storage) -> Self {
        let queue = |name| std::sync::Arc::new(MemoryQueue::new(storage, name));
        Self { jobs: queue(JOBS), poison: queue(POISON) }
    }
}

impl From<storage::Message> for Message {
    fn from(message: storage::Message) -> Self {
        Self {
            id: message.id.to_string(),
            text: message.text,
            inserted: message.inserted,
            expires: Some(message.expires),
            dequeue_count: message.dequeue_count,
        }
    }
}

fn receipt(received: &Received) -> Result<Uuid, QueueError> {
    received.receipt.parse().map_err(|_| QueueError("that is no receipt".to_owned()))
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn peek(&self) -> Result<Vec<Message>, QueueError> {
        Ok(self.storage.peek(&self.name, AT_ONCE).into_iter().map(Message::from).collect())
    }

    async fn count(&self) -> Result<usize, QueueError> {
        Ok(self.storage.messages(&self.name).len())
    }

    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        let hidden = TimeDelta::from_std(hidden).unwrap_or(TimeDelta::MAX);
        let taken = self.storage.take(&self.name, AT_ONCE, hidden);
        Ok(taken
            .into_iter()
            .map(|message| Received { receipt: message.receipt.to_string(), message: message.into() })
            .collect())
    }

    async fn put(&self, text: &str) -> Result<(), QueueError> {
        self.storage.put(&self.name, text.to_owned()).map_err(QueueError)
    }

    async fn delete(&self, message: &Received) -> Result<(), QueueError> {
        let receipt = receipt(message)?;
        let held = |m: &storage::Message| m.receipt == receipt;
        if !self.storage.messages(&self.name).iter().any(held) {
            return Err(QueueError("somebody else took the message meanwhile".to_owned()));
        }
        self.storage.delete(&self.name, receipt);
        Ok(())
    }

    async fn release(&self, message: &Received) -> Result<(), QueueError> {
        self.storage.release(&self.name, receipt(message)?, TimeDelta::zero());
        Ok(())
    }
}
