//! What is known about a story while it is played: every run of the flow with what it read, every pass with its
//! maker and its end, and every word that was written anywhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use chrono::{DateTime, NaiveDate, Utc};
use firstpass::ledger::{Purpose, Record};
use firstpass_sandbox::tenant::{Pass, PassEvent, Sandbox};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::plan::{Call, Crash};

tokio::task_local! {
    /// Which run of the flow the current task is: an index into [`Evidence::runs`].
    pub static RUN: usize;
}

/// One run of the flow: a delivery of a message, or a call.
#[derive(Debug)]
pub struct Run {
    pub key: String,
    pub user: Uuid,
    /// `joiner`, `group-add`, `recheck` or `http`.
    pub reason: String,
    /// The parts of the last batch that it was answered, by path: the flow's own reading.
    pub reading: BTreeMap<String, (u16, Value)>,
    pub read_at: DateTime<Utc>,
    /// The record that it decided on, and when it read that in the order of things.
    pub record: Option<Record>,
    pub record_read: u64,
    pub crash: Option<Crash>,
    pub calls: Vec<Call>,
    pub die: Arc<Notify>,
    /// When it last leased the user, or tried to.
    pub leaseed_at: Option<DateTime<Utc>>,
    /// When in the order of things it last began to POST a pass.
    pub posted: u64,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Open,
    /// The worker died.
    Died,
    /// `mailed`, `skipped`, ..., or the status of a call, and the reason in words.
    Ended(String, String),
}

/// A pass, whoever made it.
#[derive(Clone, Debug)]
pub struct Known {
    pub pass: Pass,
    pub maker: Maker,
    /// Who replaced or deleted it, if somebody did.
    pub gone: Option<Maker>,
    /// Whether a caller of CreateTap was handed its code.
    pub handed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    Run(usize),
    Person,
}

/// A delivery that the ledger has accepted.
#[derive(Clone, Debug)]
pub struct Completed {
    pub pass_id: String,
    pub purpose: Purpose,
    pub day_one: Option<NaiveDate>,
    pub order: u64,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1 to 7, as in docs/CAMPAIGN.md.
    pub invariant: u8,
    pub what: String,
}

#[derive(Debug, Default)]
pub struct Evidence {
    pub runs: Vec<Run>,
    pub passes: Vec<Known>,
    pub settled: Vec<Completed>,
    pub violations: Vec<Violation>,
    /// Everything that was written anywhere but into the mails of joiners and the answers to callers.
    pub written: String,
    pub story: Vec<String>,
    /// Who was added to the on-demand group, when first, and whether a message said so.
    pub joined: BTreeMap<Uuid, (DateTime<Utc>, bool)>,
    /// When a sweep first saw who was there.
    pub first_roster: Option<DateTime<Utc>>,
    /// Sweeps that nobody will run again.
    pub sweeps_given_up: usize,
    /// Jobs that were given up: key, and whether the last worker lived to say so.
    pub poison: Vec<(String, bool)>,
    events_seen: usize,
    order: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Mutex<Evidence>>);

impl Watch {
    pub fn lock(&self) -> MutexGuard<'_, Evidence> {
        self.0.lock().unwrap()
    }

    pub fn this_run() -> Option<usize> {
        RUN.try_with(|run| *run).ok()
    }

    /// Whether the worker of this run dies here. Notes the call first, if it is about to be made.
    pub async fn crash_point(&self, call: Call, done: bool) {
        let Some(run) = Self::this_run() else { return };
        let dies = {
            let mut evidence = self.lock();
            let order = evidence.next_order();
            let run = &mut evidence.runs[run];
            if call == Call::Make && !done {
                run.posted = order;
            }
            if !done {
                run.calls.push(call);
            }
            let seen = run.calls.iter().filter(|c| **c == call).count();
            match run.crash {
                Some(Crash::At { call: at, nth, done: after }) if at == call && after == done => {
                    usize::try_from(nth).unwrap() == seen
                }
                _ => false,
            }
            .then(|| run.die.clone())
        };
        if let Some(die) = dies {
            die.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl Evidence {
    pub fn next_order(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    pub fn violated(&mut self, invariant: u8, what: String) {
        self.violations.push(Violation { invariant, what });
    }

    /// Takes in what requests have done to passes since it was last asked, and hands it back with who did it.
    pub fn take_in(&mut self, sandbox: &Sandbox) -> Vec<(Maker, PassEvent)> {
        let mut news = Vec::new();
        for event in sandbox.pass_events().into_iter().skip(self.events_seen) {
            self.events_seen += 1;
            let by = event.by.as_deref().and_then(|run| run.parse().ok()).map_or(Maker::Person, Maker::Run);
            if let Some(gone) = &event.gone {
                self.end_pass(gone.id, by);
            }
            if let Some(pass) = event.made.clone() {
                self.passes.push(Known { pass, maker: by, gone: None, handed: false });
            }
            news.push((by, event));
        }
        news
    }

    pub fn end_pass(&mut self, id: Uuid, by: Maker) {
        if let Some(known) = self.passes.iter_mut().find(|known| known.pass.id == id) {
            known.gone.get_or_insert(by);
        }
    }

    pub fn known(&self, id: Uuid) -> Option<&Known> {
        self.passes.iter().find(|known| known.pass.id == id)
    }

    pub fn settled_for(&self, pass: Uuid) -> Option<&Completed> {
        let id = pass.to_string();
        self.settled.iter().find(|settled| settled.pass_id == id)
    }
}

/// As minijinja escapes it in a mail.
pub fn escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}
