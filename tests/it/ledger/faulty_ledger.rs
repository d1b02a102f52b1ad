//! A ledger in memory with injected faults.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use firstpass::ledger::{
    AlertId, AlertMails, Conditions, ETag, Examination, HeldList, Ledger, LedgerError, MembershipSnapshot,
    PendingAlert, Record, memory::MemoryLedger,
};
use uuid::Uuid;

/// The operations of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    List,
    Membership,
    WriteMembership,
    Conditions,
    WriteConditions,
    PendingAlerts,
    PendingAlert,
    WritePendingAlert,
    DeletePendingAlert,
    AlertMails,
    WriteAlertMails,
}

/// Decides which operations fail.
#[async_trait]
pub trait LedgerFault: fmt::Debug + Send + Sync {
    /// Runs before the operation; an error replaces it.
    async fn before(&self, _: Operation) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Runs after the operation; an error replaces its result.
    fn after(&self, _: Operation, _succeeded: bool) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// Every operation fails.
#[derive(Debug)]
pub struct Unavailable;

#[async_trait]
impl LedgerFault for Unavailable {
    async fn before(&self, _: Operation) -> Result<(), LedgerError> {
        Err(LedgerError::Unavailable("no connection".into()))
    }
}

#[derive(Debug)]
pub struct FaultyLedger<T> {
    inner: MemoryLedger,
    pub fault: T,
}

impl<T: LedgerFault> FaultyLedger<T> {
    pub fn with_fault(fault: T) -> Arc<Self> {
        Arc::new(Self { inner: MemoryLedger::default(), fault })
    }

    async fn call<R>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<R, LedgerError>>,
    ) -> Result<R, LedgerError> {
        self.fault.before(operation).await?;
        let result = work.await;
        self.fault.after(operation, result.is_ok())?;
        result
    }
}

#[async_trait]
impl<T: LedgerFault> Ledger for FaultyLedger<T> {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        self.call(Operation::Read, self.inner.read(user)).await
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        self.call(Operation::Write, self.inner.write(user, record, expected)).await
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        self.call(Operation::List, self.inner.list()).await
    }

    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError> {
        self.call(Operation::Membership, self.inner.membership(group)).await
    }

    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.call(Operation::WriteMembership, self.inner.write_membership(group, membership, expected)).await
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
        self.call(Operation::PendingAlerts, self.inner.pending_alerts()).await
    }

    async fn pending_alert(&self, id: &AlertId) -> Result<Option<PendingAlert>, LedgerError> {
        self.call(Operation::PendingAlert, self.inner.pending_alert(id)).await
    }

    async fn write_pending_alert(&self, id: &AlertId, alert: &PendingAlert) -> Result<(), LedgerError> {
        self.call(Operation::WritePendingAlert, self.inner.write_pending_alert(id, alert)).await
    }

    async fn delete_pending_alert(&self, id: &AlertId) -> Result<(), LedgerError> {
        self.call(Operation::DeletePendingAlert, self.inner.delete_pending_alert(id)).await
    }

    async fn alert_mails(&self) -> Result<Option<(AlertMails, ETag)>, LedgerError> {
        self.call(Operation::AlertMails, self.inner.alert_mails()).await
    }

    async fn write_alert_mails(
        &self,
        mails: &AlertMails,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.call(Operation::WriteAlertMails, self.inner.write_alert_mails(mails, expected)).await
    }

    async fn conditions(&self) -> Result<Option<(Conditions, ETag)>, LedgerError> {
        self.call(Operation::Conditions, self.inner.conditions()).await
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
        self.call(Operation::WriteConditions, self.inner.write_conditions(conditions, expected)).await
    }
}
