//! Ledgers in fault, around one in memory that is in none.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use firstpass::ledger::{ETag, Ledger, LedgerError, MembershipSnapshot, Record, memory::MemoryLedger};
use uuid::Uuid;

/// What a ledger is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    List,
    Membership,
    WriteMembership,
}

/// What goes wrong.
#[async_trait]
pub trait LedgerFault: fmt::Debug + Send + Sync {
    /// Instead of what was asked for.
    async fn before(&self, _: Operation) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Instead of the answer, whether or not it `is_done`.
    fn after(&self, _: Operation, _is_done: bool) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// A ledger that meets with trouble.
#[derive(Debug)]
pub struct FaultyLedger<T> {
    inner: MemoryLedger,
    pub fault: T,
}

impl<T: LedgerFault> FaultyLedger<T> {
    pub fn by(fault: T) -> Arc<Self> {
        Arc::new(Self { inner: MemoryLedger::default(), fault })
    }

    async fn meet<R>(
        &self,
        call: Operation,
        work: impl Future<Output = Result<R, LedgerError>>,
    ) -> Result<R, LedgerError> {
        self.fault.before(call).await?;
        let result = work.await;
        self.fault.after(call, result.is_ok())?;
        result
    }
}

#[async_trait]
impl<T: LedgerFault> Ledger for FaultyLedger<T> {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        self.meet(Operation::Read, self.inner.read(user)).await
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        self.meet(Operation::Write, self.inner.write(user, record, expected)).await
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        self.meet(Operation::List, self.inner.list()).await
    }

    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError> {
        self.meet(Operation::Membership, self.inner.membership(group)).await
    }

    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.meet(Operation::WriteMembership, self.inner.write_membership(group, membership, expected)).await
    }
}
