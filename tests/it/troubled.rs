//! Ledgers in trouble, around one in memory that is in none.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use firstpass::ledger::{ETag, Ledger, LedgerError, Record, Roster, memory::MemoryLedger};
use uuid::Uuid;

/// What a ledger is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    List,
    Roster,
    WriteRoster,
}

/// What goes wrong.
#[async_trait]
pub trait Trouble: fmt::Debug + Send + Sync {
    /// Instead of what was asked for.
    async fn before(&self, _: Call) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Instead of the answer, whether or not it `is_done`.
    fn after(&self, _: Call, _is_done: bool) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// A ledger that meets with trouble.
#[derive(Debug)]
pub struct Troubled<T> {
    inner: MemoryLedger,
    pub trouble: T,
}

impl<T: Trouble> Troubled<T> {
    pub fn by(trouble: T) -> Arc<Self> {
        Arc::new(Self { inner: MemoryLedger::default(), trouble })
    }

    async fn meet<R>(
        &self,
        call: Call,
        work: impl Future<Output = Result<R, LedgerError>>,
    ) -> Result<R, LedgerError> {
        self.trouble.before(call).await?;
        let result = work.await;
        self.trouble.after(call, result.is_ok())?;
        result
    }
}

#[async_trait]
impl<T: Trouble> Ledger for Troubled<T> {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        self.meet(Call::Read, self.inner.read(user)).await
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        self.meet(Call::Write, self.inner.write(user, record, expected)).await
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        self.meet(Call::List, self.inner.list()).await
    }

    async fn roster(&self, group: Uuid) -> Result<Option<(Roster, ETag)>, LedgerError> {
        self.meet(Call::Roster, self.inner.roster(group)).await
    }

    async fn write_roster(
        &self,
        group: Uuid,
        roster: &Roster,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.meet(Call::WriteRoster, self.inner.write_roster(group, roster, expected)).await
    }
}
