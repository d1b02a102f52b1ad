//! What is recorded while a scenario is played: each invocation and what it read, each pass and who created and ended
//! it, and all text that the product wrote.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use chrono::{DateTime, NaiveDate, Utc};
use firstpass::ledger::{Purpose, Record};
use firstpass_sandbox::tenant::{Pass, PassEvent, Sandbox};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    personas::START_TIME,
    scenario::{Crash, Operation, format_time},
};

tokio::task_local! {
    /// The invocation that the current task belongs to: an index into [`Trace::invocations`].
    pub static INVOCATION: usize;
}

/// The reason of an invocation that tells others of a delivery.
pub const NOTES: &str = "notes";

/// One delivery of a job to the flow, or one call of CreateTap.
#[derive(Debug)]
pub struct Invocation {
    pub job_key: String,
    pub user: Uuid,
    /// `joiner`, `group-add`, `recheck`, `http` or [`NOTES`].
    pub reason: String,
    /// The answers of the last batch, by path: status and body. The user's own path is shortened to `me`.
    pub responses: BTreeMap<String, (u16, Value)>,
    pub read_at: DateTime<Utc>,
    /// The record that the decision was based on.
    pub record: Option<Record>,
    /// The sequence number of that read.
    pub record_read: u64,
    pub crash: Option<Crash>,
    pub operations: Vec<Operation>,
    pub crash_signal: Arc<Notify>,
    /// When it last tried to take the lease.
    pub leased_at: Option<DateTime<Utc>>,
    /// The sequence number of its last POST of a pass.
    pub post_started: u64,
    pub result: InvocationResult,
}

#[derive(Clone, Debug, PartialEq)]
pub enum InvocationResult {
    Running,
    WorkerCrashed,
    /// The outcome (`delivered`, `skipped`, ...) or the status of a call, and the reason in words.
    Finished(String, String),
}

/// A pass that existed at some time.
#[derive(Clone, Debug)]
pub struct TrackedPass {
    pub pass: Pass,
    pub created_by: Initiator,
    /// Who replaced or deleted it.
    pub ended_by: Option<Initiator>,
    /// When.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether CreateTap returned its code to a caller.
    pub returned_to_caller: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    Invocation(usize),
    Person,
}

/// A delivery that the ledger has accepted.
#[derive(Clone, Debug)]
pub struct RecordedDelivery {
    pub pass_id: String,
    pub purpose: Purpose,
    pub day_one: Option<NaiveDate>,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The sequence number of the write.
    pub sequence: u64,
}

/// A job that failed at every delivery.
#[derive(Debug)]
pub struct PoisonedJob {
    pub key: String,
    /// Whether the worker crashed at the last delivery.
    pub worker_crashed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1 to 8, as in docs/CAMPAIGN.md; 0 for a failure of the campaign itself.
    pub invariant: u8,
    pub message: String,
}

#[derive(Debug, Default)]
pub struct Trace {
    pub invocations: Vec<Invocation>,
    pub passes: Vec<TrackedPass>,
    pub deliveries: Vec<RecordedDelivery>,
    pub violations: Vec<Violation>,
    /// All text that the product wrote, except the mails to joiners and the answers to callers.
    pub output: String,
    /// The lines that are printed for a failing or replayed scenario.
    pub lines: Vec<String>,
    /// Users who were added to the on-demand group: when first, and whether a notification was sent.
    pub added_to_group: BTreeMap<Uuid, (DateTime<Utc>, bool)>,
    pub first_group_sync: Option<DateTime<Utc>>,
    /// When a sweep first succeeded.
    pub first_sweep: Option<DateTime<Utc>>,
    /// Who had started when a sweep first ended well.
    pub started_before: Option<BTreeSet<Uuid>>,
    /// The number of sweeps that failed at every retry.
    pub failed_sweeps: usize,
    pub poisoned_jobs: Vec<PoisonedJob>,
    events_seen: usize,
    sequence: u64,
}

/// The trace, shared by the components that write to it.
#[derive(Clone, Debug, Default)]
pub struct SharedTrace(Arc<Mutex<Trace>>);

impl SharedTrace {
    pub fn lock(&self) -> MutexGuard<'_, Trace> {
        self.0.lock().unwrap()
    }

    pub fn current_invocation() -> Option<usize> {
        INVOCATION.try_with(|invocation| *invocation).ok()
    }

    /// Records an operation when it starts, and stops the invocation here if its worker is to crash.
    pub async fn crash_point(&self, operation: Operation, is_done: bool) {
        let Some(invocation) = Self::current_invocation() else { return };
        let crash = {
            let mut trace = self.lock();
            let sequence = trace.next_sequence();
            let invocation = &mut trace.invocations[invocation];
            if operation == Operation::CreatePass && !is_done {
                invocation.post_started = sequence;
            }
            if !is_done {
                invocation.operations.push(operation);
            }
            let count = invocation.operations.iter().filter(|o| **o == operation).count();
            match invocation.crash {
                Some(Crash::At { operation: at, nth, when_done })
                    if at == operation && when_done == is_done =>
                {
                    usize::try_from(nth).unwrap() == count
                }
                _ => false,
            }
            .then(|| invocation.crash_signal.clone())
        };
        if let Some(crash) = crash {
            crash.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Trace {
    pub fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub fn violated(&mut self, invariant: u8, message: String) {
        self.violations.push(Violation { invariant, message });
    }

    pub fn add_line(&mut self, sandbox: &Sandbox, line: &str) {
        let invocation = SharedTrace::current_invocation().map(|id| format!("[{id}] ")).unwrap_or_default();
        let elapsed = sandbox.now() - START_TIME.parse::<DateTime<Utc>>().unwrap();
        let at = format_time(elapsed.to_std().unwrap_or_default());
        self.lines.push(format!("{at} {invocation}{line}"));
    }

    /// Updates the passes with the tenant's events since the last call, and returns these events with their initiators.
    pub fn update_passes(&mut self, sandbox: &Sandbox) -> Vec<(Initiator, PassEvent)> {
        let mut events = Vec::new();
        for event in sandbox.pass_events().into_iter().skip(self.events_seen) {
            self.events_seen += 1;
            let id = event.by.as_deref().and_then(|id| id.parse().ok());
            let by = id.map_or(Initiator::Person, Initiator::Invocation);
            if let Some(gone) = &event.gone {
                self.end_pass(gone.id, by, event.at);
            }
            if let Some(pass) = event.made.clone() {
                self.passes.push(TrackedPass {
                    pass,
                    created_by: by,
                    ended_by: None,
                    ended_at: None,
                    returned_to_caller: false,
                });
            }
            events.push((by, event));
        }
        events
    }

    pub fn end_pass(&mut self, id: Uuid, by: Initiator, at: DateTime<Utc>) {
        if let Some(tracked) = self.passes.iter_mut().find(|tracked| tracked.pass.id == id) {
            tracked.ended_by.get_or_insert(by);
            tracked.ended_at.get_or_insert(at);
        }
    }

    pub fn pass(&self, id: Uuid) -> Option<&TrackedPass> {
        self.passes.iter().find(|tracked| tracked.pass.id == id)
    }

    pub fn delivery_of(&self, pass: Uuid) -> Option<&RecordedDelivery> {
        let id = pass.to_string();
        self.deliveries.iter().find(|delivery| delivery.pass_id == id)
    }
}

/// The form that a code has in an HTML mail.
pub fn html_escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}
