//! A ledger that injects faults and records what each invocation reads and writes.

use std::sync::Mutex;

use async_trait::async_trait;
use firstpass::ledger::{
    AlertId, AlertMails, Conditions, ETag, Examination, HeldList, Ledger, LedgerError, MembershipSnapshot,
    PendingAlert, Record, State,
};
use firstpass_sandbox::tenant::Sandbox;
use uuid::Uuid;

use crate::{
    scenario::{LedgerFault, Operation},
    trace::{RecordedDelivery, SharedTrace},
};

#[derive(Debug)]
pub struct FaultyLedger<L> {
    pub inner: L,
    pub trace: SharedTrace,
    pub sandbox: Sandbox,
    pub armed: Mutex<Vec<ArmedFault>>,
    /// Whether each call adds a line to the trace.
    pub verbose: bool,
}

#[derive(Debug)]
pub struct ArmedFault {
    pub user: Uuid,
    pub fault: LedgerFault,
    pub calls: u32,
}

impl<L> FaultyLedger<L> {
    pub fn arm(&self, user: Uuid, fault: LedgerFault) {
        self.armed.lock().unwrap().push(ArmedFault { user, fault, calls: 0 });
    }

    pub fn clear_faults(&self) {
        self.armed.lock().unwrap().clear();
    }

    /// Counts this call, and removes and returns the fault that applies to it.
    fn next_fault(&self, user: Option<Uuid>, is_write: bool) -> Option<LedgerFault> {
        let mut armed = self.armed.lock().unwrap();
        let mut due = None;
        for (i, armed) in armed.iter_mut().enumerate() {
            let nth = match (armed.fault, is_write) {
                (LedgerFault::ListFails, false) if user.is_none() => 1,
                (LedgerFault::ReadFails(nth), false) if user == Some(armed.user) => nth,
                (
                    LedgerFault::WriteFails(nth)
                    | LedgerFault::WriteAnswerLost(nth)
                    | LedgerFault::WriteConflicts(nth),
                    true,
                ) if user == Some(armed.user) => nth,
                _ => continue,
            };
            armed.calls += 1;
            if armed.calls == nth && due.is_none() {
                due = Some(i);
            }
        }
        due.map(|i| armed.remove(i).fault)
    }

    fn add_line(&self, line: &str) {
        if self.verbose {
            self.trace.lock().add_line(&self.sandbox, line);
        }
    }
}

fn unavailable() -> LedgerError {
    LedgerError::Unavailable("injected".into())
}

#[async_trait]
impl<L: Ledger> Ledger for FaultyLedger<L> {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        if self.next_fault(Some(user), false).is_some() {
            self.add_line("ledger read: unavailable");
            return Err(unavailable());
        }
        let read = self.inner.read(user).await;
        if let Some(id) = SharedTrace::current_invocation() {
            let mut trace = self.trace.lock();
            let sequence = trace.next_sequence();
            let invocation = &mut trace.invocations[id];
            // A read after the lease only checks whether the invocation's own write succeeded.
            if invocation.leased_at.is_some() {
                return read;
            }
            invocation.record =
                read.as_ref().ok().and_then(|read| read.as_ref().map(|(record, _)| record.clone()));
            invocation.record_read = sequence;
        }
        read
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        self.trace.crash_point(Operation::WriteRecord, false).await;
        if let Some(id) = SharedTrace::current_invocation().filter(|_| record.state == State::Issuing) {
            self.trace.lock().invocations[id].leased_at = Some(self.sandbox.now());
        }
        let fault = self.next_fault(Some(user), true);
        let written = match fault {
            Some(LedgerFault::WriteFails(_)) => Err(unavailable()),
            Some(LedgerFault::WriteConflicts(_)) => Err(LedgerError::Conflict),
            _ => self.inner.write(user, record, expected).await,
        };
        self.add_line(&format!(
            "ledger write {:?}, fault {fault:?}: {:?}",
            record.state,
            written.as_ref().err()
        ));
        {
            let mut trace = self.trace.lock();
            // A refused write counts too: its text was sent.
            trace.output += &serde_json::to_string(record).unwrap();
            trace.output.push('\n');
            let is_new = |id: &str| !trace.deliveries.iter().any(|delivery| delivery.pass_id == id);
            if let Some(delivered) =
                record.delivered.as_ref().filter(|d| written.is_ok() && is_new(&d.pass.pass_id))
            {
                let sequence = trace.next_sequence();
                trace.deliveries.push(RecordedDelivery {
                    pass_id: delivered.pass.pass_id.clone(),
                    purpose: delivered.purpose,
                    day_one: delivered.day_one,
                    at: self.sandbox.now(),
                    sequence,
                });
            }
        }
        self.trace.crash_point(Operation::WriteRecord, true).await;
        match fault {
            Some(LedgerFault::WriteAnswerLost(_)) => written.and_then(|_| Err(unavailable())),
            _ => written,
        }
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        match self.next_fault(None, false) {
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
            self.trace.lock().first_group_sync.get_or_insert(self.sandbox.now());
        }
        written
    }

    async fn held_list(&self, reference: &str) -> Result<Option<(HeldList, ETag)>, LedgerError> {
        self.inner.held_list(reference).await
    }

    async fn write_held_list(
        &self,
        reference: &str,
        list: &HeldList,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.inner.write_held_list(reference, list, expected).await
    }

    async fn held_lists(&self) -> Result<Vec<(String, HeldList)>, LedgerError> {
        self.inner.held_lists().await
    }

    async fn pending_alerts(&self) -> Result<Vec<AlertId>, LedgerError> {
        self.inner.pending_alerts().await
    }

    async fn pending_alert(&self, id: &AlertId) -> Result<Option<PendingAlert>, LedgerError> {
        self.inner.pending_alert(id).await
    }

    async fn write_pending_alert(&self, id: &AlertId, alert: &PendingAlert) -> Result<(), LedgerError> {
        self.inner.write_pending_alert(id, alert).await
    }

    async fn delete_pending_alert(&self, id: &AlertId) -> Result<(), LedgerError> {
        self.inner.delete_pending_alert(id).await
    }

    async fn alert_mails(&self) -> Result<Option<(AlertMails, ETag)>, LedgerError> {
        self.inner.alert_mails().await
    }

    async fn write_alert_mails(
        &self,
        mails: &AlertMails,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.inner.write_alert_mails(mails, expected).await
    }

    async fn conditions(&self) -> Result<Option<(Conditions, ETag)>, LedgerError> {
        self.inner.conditions().await
    }

    async fn examination(&self) -> Result<Option<(Examination, ETag)>, LedgerError> {
        self.inner.examination().await
    }

    async fn write_examination(
        &self,
        examination: &Examination,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.inner.write_examination(examination, expected).await
    }

    async fn write_conditions(
        &self,
        conditions: &Conditions,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.inner.write_conditions(conditions, expected).await
    }
}
