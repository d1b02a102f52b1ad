//! A ledger that fails on demand, around one that does not.

use std::sync::Mutex;

use async_trait::async_trait;
use firstpass::ledger::{ETag, Ledger, LedgerError, MembershipSnapshot, Record, State};
use firstpass_sandbox::tenant::Sandbox;
use uuid::Uuid;

use crate::{
    evidence::{Completed, Watch},
    plan::{Call, LedgerFault},
    wire::say,
};

/// Wraps any ledger. Notes what each run reads and writes; is one of the places where workers die.
#[derive(Debug)]
pub struct FaultyLedger<L> {
    pub inner: L,
    pub watch: Watch,
    pub sandbox: Sandbox,
    pub armed: Mutex<Vec<Armed>>,
    pub tells: bool,
}

#[derive(Debug)]
pub struct Armed {
    pub user: Uuid,
    pub fault: LedgerFault,
    pub seen: u32,
}

impl<L> FaultyLedger<L> {
    pub fn arm(&self, user: Uuid, fault: LedgerFault) {
        self.armed.lock().unwrap().push(Armed { user, fault, seen: 0 });
    }

    pub fn clear(&self) {
        self.armed.lock().unwrap().clear();
    }

    /// The fault that goes off now, if any: each does so once.
    fn draw(&self, user: Option<Uuid>, is_write: bool) -> Option<LedgerFault> {
        let mut armed = self.armed.lock().unwrap();
        let mut drawn = None;
        for (i, armed) in armed.iter_mut().enumerate() {
            let nth = match (armed.fault, is_write) {
                (LedgerFault::NoList, false) if user.is_none() => 1,
                (LedgerFault::NoRead(nth), false) if user == Some(armed.user) => nth,
                (
                    LedgerFault::NoWrite(nth) | LedgerFault::LostWrite(nth) | LedgerFault::Conflict(nth),
                    true,
                ) if user == Some(armed.user) => nth,
                _ => continue,
            };
            armed.seen += 1;
            if armed.seen == nth && drawn.is_none() {
                drawn = Some(i);
            }
        }
        drawn.map(|i| armed.remove(i).fault)
    }

    fn tell(&self, line: &str) {
        if self.tells {
            say(&mut self.watch.lock(), &self.sandbox, line);
        }
    }
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("not today".into())
}

#[async_trait]
impl<L: Ledger> Ledger for FaultyLedger<L> {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        if self.draw(Some(user), false).is_some() {
            self.tell("ledger read: unavailable");
            return Err(unavailable());
        }
        let read = self.inner.read(user).await;
        if let Some(run) = Watch::this_run() {
            let mut evidence = self.watch.lock();
            let order = evidence.next_order();
            let run = &mut evidence.runs[run];
            // Once it has leased, it only looks whether a write of its own was done: nothing to decide on.
            if run.leaseed_at.is_some() {
                return read;
            }
            run.record = read.as_ref().ok().and_then(|read| read.as_ref().map(|(record, _)| record.clone()));
            run.record_read = order;
        }
        read
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        self.watch.crash_point(Call::Write, false).await;
        if let Some(run) = Watch::this_run().filter(|_| record.state == State::Issuing) {
            self.watch.lock().runs[run].leaseed_at = Some(self.sandbox.now());
        }
        let fault = self.draw(Some(user), true);
        let done = match fault {
            Some(LedgerFault::NoWrite(_)) => Err(unavailable()),
            Some(LedgerFault::Conflict(_)) => Err(LedgerError::Conflict),
            _ => self.inner.write(user, record, expected).await,
        };
        self.tell(&format!("ledger write {:?}, fault {fault:?}: {:?}", record.state, done.as_ref().err()));
        {
            let mut evidence = self.watch.lock();
            // Attempts count as well: what is refused was sent all the same.
            evidence.written += &serde_json::to_string(record).unwrap();
            evidence.written.push('\n');
            let is_news = |id: &str| !evidence.settled.iter().any(|settled| settled.pass_id == id);
            if let Some(delivered) =
                record.delivered.as_ref().filter(|d| done.is_ok() && is_news(&d.pass.pass_id))
            {
                let order = evidence.next_order();
                evidence.settled.push(Completed {
                    pass_id: delivered.pass.pass_id.clone(),
                    purpose: delivered.purpose,
                    day_one: delivered.day_one,
                    order,
                });
            }
        }
        self.watch.crash_point(Call::Write, true).await;
        match fault {
            Some(LedgerFault::LostWrite(_)) => done.and_then(|_| Err(unavailable())),
            _ => done,
        }
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        match self.draw(None, false) {
            Some(_) => Err(unavailable()),
            None => self.inner.list().await,
        }
    }

    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError> {
        self.inner.membership(group).await
    }

    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        let written = self.inner.write_membership(group, membership, expected).await;
        if written.is_ok() {
            self.watch.lock().first_roster.get_or_insert(self.sandbox.now());
        }
        written
    }
}
