//! What happened: every invocation, and every line that the handler's process printed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::handler_response::{Completed, HandlerResponse};

/// A function that ran, or was to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, which the handler sees too.
    pub id: Uuid,
    /// The function.
    pub function: String,
    /// What set it off.
    pub cause: Cause,
    /// 1 for the first time, more for repetitions of a failed timer or message.
    pub attempt: u32,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// The handler's answer, if there was one.
    pub answer: Option<HandlerResponse>,
    /// Whether it succeeded.
    pub result: Result<(), Failure>,
    /// The handler's own words, which the host only keeps of a success.
    pub logs: Vec<String>,
}

/// What set a function off.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The time had come.
    Timer {
        /// Or had come while no host was there.
        is_past_due: bool,
    },
    /// A message, in plain text.
    Queue {
        /// The queue.
        queue: String,
        /// The message's id.
        message: Uuid,
        /// The message.
        text: String,
        /// What became of it.
        disposition: Disposition,
    },
    /// A request to its route.
    Http,
    /// `POST /admin/functions/…`, or [`FunctionsHost::run`](super::FunctionsHost::run).
    Admin,
}

/// What became of a message after an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is deleted.
    Done,
    /// It comes back after the `visibilityTimeout`.
    Back,
    /// It was tried often enough, and is in the poison queue.
    Poison,
}

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handler said so.
    Status(StatusCode),
    /// The handler was gone, or went while it worked.
    Lost(String),
    /// It took longer than `functionTimeout`, and the handler was killed.
    TimedOut,
    /// The handler did not get ready in two minutes, or the host had given it up.
    NotReady,
    /// The host cannot read the answer.
    Unreadable(String),
    /// An output could not be written; those before it were.
    Output(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the handler answered {status}"),
            Self::Lost(reason) => write!(f, "the handler was lost: {reason}"),
            Self::TimedOut => f.write_str("functionTimeout: the handler was killed"),
            Self::NotReady => f.write_str("the handler did not get ready"),
            Self::Unreadable(reason) => write!(f, "the handler's answer cannot be read: {reason}"),
            Self::Output(reason) => write!(f, "an output cannot be written: {reason}"),
        }
    }
}

impl Invocation {
    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.result.is_ok()
    }

    /// How a message left its queue, if it did, and the handler answered.
    pub fn completed(&self) -> Option<Completed> {
        match &self.cause {
            Cause::Queue { text, disposition: Disposition::Done | Disposition::Poison, .. } => {
                let answer = self
                    .answer
                    .clone()
                    .unwrap_or(HandlerResponse { status: StatusCode::BAD_GATEWAY, body: Value::Null });
                Some(Completed { message: text.clone(), answer, deliveries: self.attempt })
            }
            _ => None,
        }
    }
}

/// How loud a printed line is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// On stdout.
    Information,
    /// On stderr, with "warn" in it.
    Warning,
    /// On stderr.
    Error,
}

/// A line that the handler's process printed, or the host's own word on the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How loud it is.
    pub level: Level,
    /// The line.
    pub text: String,
}

type Observer = Box<dyn Fn(&Invocation) + Send>;

/// The log of a host. Cheap to clone: clones share it.
#[derive(Clone, Default)]
pub struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    entries: Mutex<Entries>,
    observers: Mutex<Vec<Observer>>,
    changed: Notify,
}

#[derive(Default)]
struct Entries {
    invocations: Vec<Invocation>,
    lines: Vec<Line>,
}

impl Log {
    /// Every invocation that ended, in the order in which they did.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.with_entries(|entries| entries.invocations.clone())
    }

    /// Everything that was printed.
    pub fn lines(&self) -> Vec<Line> {
        self.with_entries(|entries| entries.lines.clone())
    }

    /// Waits until an invocation ends of which `is_it` is true; one that has ended already counts.
    pub async fn invocation(&self, is_it: impl Fn(&Invocation) -> bool) -> Invocation {
        self.find(|entries| entries.invocations.iter().find(|invocation| is_it(invocation)).cloned()).await
    }

    /// Waits until a line is printed that contains `words`.
    pub async fn line(&self, words: &str) -> Line {
        self.find(|entries| entries.lines.iter().find(|line| line.text.contains(words)).cloned()).await
    }

    /// Calls `observer` with every invocation that ends from now on, before anything follows from it.
    pub fn observe(&self, observer: impl Fn(&Invocation) + Send + 'static) {
        self.0.observers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(observer));
    }

    pub(super) fn write(&self, invocation: Invocation) {
        for observer in &*self.0.observers.lock().unwrap_or_else(PoisonError::into_inner) {
            observer(&invocation);
        }
        self.with_entries(|entries| entries.invocations.push(invocation));
        self.0.changed.notify_waiters();
    }

    /// Writes a line down, as a process's output; for [`Worker`](super::Worker)s.
    pub fn print(&self, level: Level, text: impl Into<String>) {
        let line = Line { level, text: text.into() };
        self.with_entries(|entries| entries.lines.push(line));
        self.0.changed.notify_waiters();
    }

    async fn find<T>(&self, look: impl Fn(&Entries) -> Option<T>) -> T {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.with_entries(|entries| look(entries)) {
                return found;
            }
            changed.await;
        }
    }

    fn with_entries<T>(&self, look: impl FnOnce(&mut Entries) -> T) -> T {
        look(&mut self.0.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_entries(|entries| {
            write!(f, "Log({} invocations, {} lines)", entries.invocations.len(), entries.lines.len())
        })
    }
}
