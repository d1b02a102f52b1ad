//! The log of a host: every invocation, and every line that the handler printed.

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

/// An invocation that ended.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Its id, which the handler receives too.
    pub id: Uuid,
    /// The function's name.
    pub function: String,
    /// What triggered it.
    pub cause: Cause,
    /// 1 for the first attempt; more for retries of a timer and redeliveries of a message.
    pub attempt: u32,
    /// When it started.
    pub started: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// The handler's response, if there was one.
    pub answer: Option<HandlerResponse>,
    /// Whether it succeeded.
    pub result: Result<(), Failure>,
    /// The handler's log lines. As in the host, those of a failed invocation are dropped.
    pub logs: Vec<String>,
}

/// What triggered an invocation.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The schedule.
    Timer {
        /// Whether the occurrence was missed while no host ran.
        is_past_due: bool,
    },
    /// A queue message.
    Queue {
        /// The queue's name.
        queue: String,
        /// The message's id.
        message: Uuid,
        /// The message's text, decoded.
        text: String,
        /// What happened to the message.
        disposition: Disposition,
    },
    /// An HTTP request.
    Http,
    /// `POST /admin/functions/…`, or [`FunctionsHost::run`](super::FunctionsHost::run).
    Admin,
}

/// What happens to a message after an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is deleted.
    Done,
    /// It is delivered again after the `visibilityTimeout`.
    Back,
    /// It reached the maximum number of deliveries and moves to the poison queue.
    Poison,
}

/// Why an invocation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handler returned a status other than 2xx.
    Status {
        /// The status.
        status: StatusCode,
        /// The reason phrase, which is all that the host shows of the response.
        reason: String,
    },
    /// The connection to the handler failed.
    Lost(String),
    /// `functionTimeout` expired, and the handler was killed.
    TimedOut,
    /// The handler was not ready in time, or the host had stopped.
    NotReady,
    /// The host cannot read the message, and did not call the handler.
    Input(String),
    /// The host cannot read the response.
    Unreadable(String),
    /// An output could not be written; earlier outputs were.
    Output(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The words of the host's exception.
            Self::Status { status, reason } => {
                write!(f, "Response status code does not indicate success: {} ({reason}).", status.as_u16())
            }
            Self::Lost(reason) => write!(f, "the handler was lost: {reason}"),
            Self::TimedOut => f.write_str("functionTimeout: the handler was killed"),
            Self::NotReady => f.write_str("the handler did not get ready"),
            Self::Input(reason) => write!(f, "the message cannot be read: {reason}"),
            Self::Unreadable(reason) => write!(f, "the handler's response cannot be read: {reason}"),
            Self::Output(reason) => write!(f, "an output cannot be written: {reason}"),
        }
    }
}

impl Invocation {
    /// Whether it succeeded.
    pub fn is_success(&self) -> bool {
        self.result.is_ok()
    }

    /// The message that left its queue, if one did.
    pub fn completed(&self) -> Option<Completed> {
        match &self.cause {
            Cause::Queue { text, disposition: Disposition::Done | Disposition::Poison, .. } => {
                let answer = self.answer.clone().unwrap_or(HandlerResponse {
                    status: StatusCode::BAD_GATEWAY,
                    reason: String::new(),
                    body: Value::Null,
                });
                Some(Completed { message: text.clone(), answer, deliveries: self.attempt })
            }
            _ => None,
        }
    }
}

/// The level that the host gives to a printed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A line on stdout.
    Information,
    /// A line on stderr that contains "warn".
    Warning,
    /// Another line on stderr.
    Error,
}

/// A line that the handler's process printed, or a message of the host about the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its level.
    pub level: Level,
    /// Its text.
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
    /// Every invocation that ended, in the order of their ends.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.with_entries(|entries| entries.invocations.clone())
    }

    /// Every line.
    pub fn lines(&self) -> Vec<Line> {
        self.with_entries(|entries| entries.lines.clone())
    }

    /// Waits for an ended invocation that `is_it` accepts, past or future.
    pub async fn invocation(&self, is_it: impl Fn(&Invocation) -> bool) -> Invocation {
        self.find(|entries| entries.invocations.iter().find(|invocation| is_it(invocation)).cloned()).await
    }

    /// Waits for a line that contains `words`, past or future.
    pub async fn line(&self, words: &str) -> Line {
        self.find(|entries| entries.lines.iter().find(|line| line.text.contains(words)).cloned()).await
    }

    /// Registers a callback for every invocation that ends. It runs before the host acts on the result.
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

    /// Appends a line; for implementations of [`Worker`](super::Worker).
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
