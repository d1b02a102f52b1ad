//! Records in memory, for the demo, the sandbox and tests. In Azure, workers share no memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    AlertId, AlertMails, Conditions, ETag, Examination, HeldList, Ledger, LedgerError, MembershipSnapshot,
    PendingAlert, Record, Standing, log_membership_write, log_write,
};

/// A ledger that lasts as long as the process.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    records: Documents<Record>,
    memberships: Documents<MembershipSnapshot>,
    conditions: Documents<Conditions>,
    examination: Documents<Examination>,
    held_lists: Documents<HeldList>,
    alerts: BTreeMap<AlertId, PendingAlert>,
    alert_mails: Documents<AlertMails>,
}

/// Documents and their versions.
#[derive(Debug)]
struct Documents<T>(BTreeMap<String, (T, u64)>);

impl<T> Default for Documents<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> Documents<T> {
    fn read(&self, id: impl ToString) -> Option<(T, ETag)> {
        self.0.get(&id.to_string()).map(|(document, version)| (document.clone(), etag(*version)))
    }

    fn write(
        &mut self,
        id: impl ToString,
        document: &T,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        let id = id.to_string();
        let version = self.0.get(&id).map_or(0, |(_, version)| *version);
        let current = (version > 0).then(|| etag(version));
        if current.as_ref() != expected {
            return Err(LedgerError::Conflict);
        }
        self.0.insert(id, (document.clone(), version + 1));
        Ok(etag(version + 1))
    }
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
        let found = self.store().records.read(user);
        // Other tasks run between a read and a write, as with a remote store.
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError> {
        let etag = self.store().records.write(user, record, expected)?;
        log_write(user, record);
        Ok(etag)
    }

    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        let records = &self.store().records.0;
        Ok(records
            .iter()
            .filter_map(|(user, (record, _))| Some((user.parse().ok()?, record.clone())))
            .collect())
    }

    async fn standings(&self, keep: &mut (dyn FnMut(Uuid, Standing) + Send)) -> Result<(), LedgerError> {
        for (user, (record, _)) in &self.store().records.0 {
            if let Ok(user) = user.parse() {
                keep(user, record.into());
            }
        }
        Ok(())
    }

    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError> {
        let found = self.store().memberships.read(group);
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        let etag = self.store().memberships.write(group, membership, expected)?;
        log_membership_write(group);
        Ok(etag)
    }

    async fn held_list(&self, reference: &str) -> Result<Option<(HeldList, ETag)>, LedgerError> {
        Ok(self.store().held_lists.read(reference))
    }

    async fn write_held_list(
        &self,
        reference: &str,
        list: &HeldList,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.store().held_lists.write(reference, list, expected)
    }

    async fn held_lists(&self) -> Result<Vec<(String, HeldList)>, LedgerError> {
        let lists = &self.store().held_lists.0;
        Ok(lists.iter().map(|(reference, (list, _))| (reference.clone(), list.clone())).collect())
    }

    async fn pending_alerts(&self) -> Result<Vec<AlertId>, LedgerError> {
        Ok(self.store().alerts.keys().cloned().collect())
    }

    async fn pending_alert(&self, id: &AlertId) -> Result<Option<PendingAlert>, LedgerError> {
        Ok(self.store().alerts.get(id).cloned())
    }

    async fn write_pending_alert(&self, id: &AlertId, alert: &PendingAlert) -> Result<(), LedgerError> {
        self.store().alerts.insert(id.clone(), alert.clone());
        Ok(())
    }

    async fn delete_pending_alert(&self, id: &AlertId) -> Result<(), LedgerError> {
        self.store().alerts.remove(id);
        Ok(())
    }

    async fn alert_mails(&self) -> Result<Option<(AlertMails, ETag)>, LedgerError> {
        Ok(self.store().alert_mails.read(Uuid::nil()))
    }

    async fn write_alert_mails(
        &self,
        mails: &AlertMails,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.store().alert_mails.write(Uuid::nil(), mails, expected)
    }

    async fn examination(&self) -> Result<Option<(Examination, ETag)>, LedgerError> {
        Ok(self.store().examination.read(Uuid::nil()))
    }

    async fn write_examination(
        &self,
        examination: &Examination,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.store().examination.write(Uuid::nil(), examination, expected)
    }

    async fn conditions(&self) -> Result<Option<(Conditions, ETag)>, LedgerError> {
        Ok(self.store().conditions.read(Uuid::nil()))
    }

    async fn write_conditions(
        &self,
        conditions: &Conditions,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError> {
        self.store().conditions.write(Uuid::nil(), conditions, expected)
    }
}
