//! The app's queues: `pass-jobs`, and `pass-jobs-poison`, to which the host moves jobs that it no longer delivers.
//!
//! The host reads `pass-jobs` and writes to both; only `firstpass jobs` takes messages out of the second. [`message`]
//! decodes them; [`azure`] implements [`Queue`].

pub mod azure;
pub mod message;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::message::QueueMessage;
use crate::errors::Cause;

/// The queue that triggers OnGroupAdd.
pub const JOBS: &str = "pass-jobs";
/// The queue to which the host moves a message after `maxDequeueCount` deliveries (host.json).
pub const POISON: &str = "pass-jobs-poison";
/// The service's limit of messages per request.
pub const AT_ONCE: usize = 32;
/// How long a message is hidden from other clients while a command works on it.
const HIDDEN: Duration = Duration::from_secs(5 * 60);

/// A queue. One that does not exist is empty.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// The first messages, at most [`AT_ONCE`], without receiving them.
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError>;

    /// The number of messages, hidden ones included. The service's count may be too high, never too low.
    async fn count(&self) -> Result<usize, QueueError>;

    /// Receives messages, at most [`AT_ONCE`], and hides them from other clients for the time `hidden`.
    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError>;

    /// Puts `text` without encoding it; makes the queue if it is missing.
    async fn put(&self, text: &str) -> Result<(), QueueError> {
        self.put_hidden(text, Duration::ZERO).await
    }

    /// The same, for nobody to receive before the time `hidden` has passed.
    async fn put_hidden(&self, text: &str, hidden: Duration) -> Result<(), QueueError>;

    /// Deletes a received message.
    ///
    /// # Errors
    /// [`QueueError::MessageGone`] when another client received or deleted it.
    async fn delete(&self, message: &Received) -> Result<(), QueueError>;

    /// Makes a received message visible to other clients again.
    async fn release(&self, message: &Received) -> Result<(), QueueError>;
}

/// A received message, which is hidden from other clients.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: QueueMessage,
    /// The pop receipt, which deleting and releasing need.
    pub receipt: String,
}

/// Why a call to a queue failed. No message holds a key, a signature or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The receipt is no longer valid. List the messages again.
    #[error("another client received or deleted the message: list the messages again")]
    MessageGone(#[source] Cause),
    /// The service refused the request. A retry does not help; an admin has to act.
    #[error("the queue cannot be used: {0}")]
    Refused(#[source] Cause),
    /// The service was not reached, did not answer, or the sign-in failed. A later call may succeed.
    #[error("the queue cannot be used: {0}")]
    Unavailable(#[source] Cause),
}

/// The queue of jobs and its poison queue.
#[derive(Clone, Debug)]
pub struct Queues {
    /// `pass-jobs`.
    pub jobs: Arc<dyn Queue>,
    /// `pass-jobs-poison`.
    pub poison: Arc<dyn Queue>,
}

/// The messages in the poison queue.
#[derive(Clone, Debug)]
pub struct PoisonMessages {
    /// The first messages, at most [`AT_ONCE`].
    pub messages: Vec<QueueMessage>,
    /// The approximate number of all messages.
    pub total: usize,
}

/// What to do with a poison message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonAction {
    /// Put it back onto `pass-jobs`.
    Requeue,
    /// Delete it.
    Delete,
}

/// The result of [`Queues::resolve`].
#[derive(Debug)]
pub struct Resolved {
    /// The messages that were requeued or deleted, the oldest first.
    pub done: Vec<QueueMessage>,
    /// The error that ended it early.
    pub error: Option<QueueError>,
}

impl Queues {
    /// Reads the poison messages without receiving them.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn poison_messages(&self) -> Result<PoisonMessages, QueueError> {
        let messages = self.poison.peek().await?;
        let counted = if messages.len() < AT_ONCE { 0 } else { self.poison.count().await? };
        Ok(PoisonMessages { total: counted.max(messages.len()), messages })
    }

    /// Requeues or deletes the `wanted` messages and releases the others.
    pub async fn resolve(
        &self,
        wanted: impl Fn(&QueueMessage) -> bool + Send + Sync,
        action: PoisonAction,
    ) -> Resolved {
        let (mut done, mut others) = (Vec::new(), Vec::new());
        let error = self.resolve_all(wanted, action, &mut done, &mut others).await.err();
        for message in &others {
            // A message that cannot be released becomes visible after `HIDDEN`.
            drop(self.poison.release(message).await);
        }
        Resolved { done, error }
    }

    async fn resolve_all(
        &self,
        wanted: impl Fn(&QueueMessage) -> bool + Send + Sync,
        action: PoisonAction,
        done: &mut Vec<QueueMessage>,
        others: &mut Vec<Received>,
    ) -> Result<(), QueueError> {
        let mut seen = BTreeSet::new();
        loop {
            let mut batch = self.poison.receive(HIDDEN).await?;
            // A message is received again when `HIDDEN` has passed: each is handled once.
            batch.retain(|received| seen.insert(received.message.id.clone()));
            if batch.is_empty() {
                return Ok(());
            }
            let (chosen, left): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|received| wanted(&received.message));
            others.extend(left);
            let mut chosen = chosen.into_iter();
            while let Some(received) = chosen.next() {
                if let Err(error) = self.resolve_one(&received, action).await {
                    others.push(received);
                    others.extend(chosen);
                    return Err(error);
                }
                done.push(received.message);
            }
        }
    }

    /// Puts before it deletes: a crash in between leaves two messages, of which the second has no effect. The other order
    /// could lose the message.
    async fn resolve_one(&self, received: &Received, action: PoisonAction) -> Result<(), QueueError> {
        if action == PoisonAction::Requeue {
            self.jobs.put(&received.message.encoded()).await?;
        }
        self.poison.delete(received).await
    }
}
