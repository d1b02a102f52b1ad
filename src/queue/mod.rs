//! The app's own queues, as far as the host leaves them to us: `pass-jobs-poison`, where it puts what it gave up.
//!
//! The host reads `pass-jobs` and writes to both; nobody but people ever takes a message out of the second. What a
//! message says is for [`message`] to find out; a store is anything that keeps what [`Queue`] promises, such as [`azure`].

pub mod azure;
pub mod message;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::message::QueueMessage;

/// The queue that OnGroupAdd is triggered by.
pub const JOBS: &str = "pass-jobs";
/// Where the host puts what it has tried often enough.
pub const POISON: &str = "pass-jobs-poison";
/// How many messages the service shows or hands out at once, at most.
pub const AT_ONCE: usize = 32;
/// How long a message that a command works on is hidden from others.
const HIDDEN: Duration = Duration::from_secs(5 * 60);

/// A queue. One that does not exist is empty.
#[async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// The messages at the front, at most [`AT_ONCE`]; they stay where they are.
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError>;

    /// How many messages there are, hidden ones included; the service may say too much, never too little.
    async fn count(&self) -> Result<usize, QueueError>;

    /// Takes messages, at most [`AT_ONCE`], and hides them from others for a while.
    async fn receive(&self, hidden: Duration) -> Result<Vec<Received>, QueueError>;

    /// Puts a text as it is; the queue is made if it is missing.
    async fn put(&self, text: &str) -> Result<(), QueueError>;

    /// Takes a received message away for good.
    async fn delete(&self, message: &Received) -> Result<(), QueueError>;

    /// Shows a received message to others again.
    async fn release(&self, message: &Received) -> Result<(), QueueError>;
}

/// A message that nobody else sees for now.
#[derive(Clone, Debug)]
pub struct Received {
    /// What it is.
    pub message: QueueMessage,
    /// Without it the message can be neither deleted nor shown again.
    pub receipt: String,
}

/// Why a queue did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueError(pub String);

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the queue cannot be used: {}", self.0)
    }
}

impl std::error::Error for QueueError {}

/// The queue of jobs, and the one of those that were given up.
#[derive(Clone, Debug)]
pub struct Queues {
    /// `pass-jobs`.
    pub jobs: Arc<dyn Queue>,
    /// `pass-jobs-poison`.
    pub poison: Arc<dyn Queue>,
}

/// What lies in the poison queue.
#[derive(Clone, Debug)]
pub struct PoisonMessages {
    /// The first of them.
    pub messages: Vec<QueueMessage>,
    /// How many there are in all, about.
    pub total: usize,
}

/// What is to become of a message that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonAction {
    /// It goes back onto the queue of jobs.
    Requeue,
    /// It goes.
    Delete,
}

/// What a command did.
#[derive(Debug)]
pub struct Resolved {
    /// The messages that had their action, the oldest first.
    pub done: Vec<QueueMessage>,
    /// What kept it from going on.
    pub error: Option<QueueError>,
}

impl Queues {
    /// Looks at what was given up, and leaves it where it is.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn poison_messages(&self) -> Result<PoisonMessages, QueueError> {
        let messages = self.poison.peek().await?;
        let counted = if messages.len() < AT_ONCE { 0 } else { self.poison.count().await? };
        Ok(PoisonMessages { total: counted.max(messages.len()), messages })
    }

    /// Settles the messages that are `wanted`; the others are there again afterwards.
    pub async fn resolve(
        &self,
        wanted: impl Fn(&QueueMessage) -> bool + Send + Sync,
        action: PoisonAction,
    ) -> Resolved {
        let (mut done, mut others) = (Vec::new(), Vec::new());
        let error = self.resolve_all(wanted, action, &mut done, &mut others).await.err();
        for message in &others {
            // What cannot be shown again now shows by itself, a few minutes later.
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
            // Those that come again were hidden for too short a time: once round is enough.
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

    /// Puts first and deletes then: who dies in between leaves two, and the second finds its work done. The other
    /// order could lose one.
    async fn resolve_one(&self, received: &Received, action: PoisonAction) -> Result<(), QueueError> {
        if action == PoisonAction::Requeue {
            self.jobs.put(&received.message.encoded()).await?;
        }
        self.poison.delete(received).await
    }
}
