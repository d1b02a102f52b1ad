//! Records in memory: for the demo, the sandbox and tests. Never in Azure, where workers share nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use uuid::Uuid;

use super::{ETag, Ledger, LedgerError, Record};

/// A ledger that forgets everything when the process ends.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    records: BTreeMap<Uuid, (Record, u64)>,
    writes: u64,
}

impl MemoryLedger {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn etag(version: u64) -> ETag {
    ETag(format!("\"{version}\""))
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError> {
        let found = self.store().records.get(&user).map(|(record, version)| (record.clone(), etag(*version)));
        // Others get their turn between a read and a write, as with a store that is not in memory.
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        let mut store = self.store();
        let current = store.records.get(&user).map(|(_, version)| etag(*version));
        if current.as_ref() != expected {
            return Err(LedgerError::Conflict);
        }
        store.writes += 1;
        let version = store.writes;
        store.records.insert(user, (record.clone(), version));
        Ok(etag(version))
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        Ok(self.store().records.iter().map(|(user, (record, _))| (*user, record.clone())).collect())
    }
}
