//! The ledger: one small record per user, without codes, the known members of the on-demand group, and what
//! affects everybody.
//!
//! Every write is conditional, so that of two workers with the same user only one makes a pass. [`blob`] storage and
//! [`memory`] implement [`Ledger`].

mod alerts;
mod basis;
pub mod blob;
mod conditions;
mod due_notes;
mod examination;
mod held_list;
mod membership;
pub mod memory;
mod record;
mod shut_mailbox;
mod standing;

use std::fmt;

use async_trait::async_trait;
use uuid::Uuid;

use crate::errors::Cause;

pub use self::{
    alerts::{AlertId, AlertMails, PendingAlert, PendingState},
    basis::Basis,
    conditions::{Condition, Conditions, LastSweep},
    due_notes::DueNotes,
    examination::{Examination, Examined, Finding, Level},
    held_list::{HeldKind, HeldList, HeldPerson},
    membership::{MembershipSnapshot, PendingMember},
    record::{
        Announcement, Arrival, CallResult, Delivered, Fingerprint, IdempotencyEntry, Lease, Notice,
        PassRecord, Purpose, Record, State,
    },
    shut_mailbox::ShutMailbox,
    standing::{Standing, StandingPass},
};
pub(crate) use self::{
    conditions::{ConditionName, Urgency},
    record::{Hold, SAME_START, is_move, is_same_start},
};

/// The version of a record, assigned by the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// A store of records.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The record of `user` and its version.
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError>;

    /// Writes the record of `user` if its version is `expected` (`None`: if there is no record).
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when the version differs: another job wrote, or the answer to this write was lost and
    /// the store received it twice.
    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError>;

    /// All records.
    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError>;

    /// Passes what a listing shows of each record to `keep`, so that they are not in memory at the same time.
    async fn standings(&self, keep: &mut (dyn FnMut(Uuid, Standing) + Send)) -> Result<(), LedgerError> {
        self.list().await?.iter().for_each(|(user, record)| keep(*user, record.into()));
        Ok(())
    }

    /// The membership of `group` and its version.
    async fn membership(&self, group: Uuid) -> Result<Option<(MembershipSnapshot, ETag)>, LedgerError>;

    /// Writes the membership of `group` under the conditions of [`Self::write`].
    ///
    /// # Errors
    /// As there.
    async fn write_membership(
        &self,
        group: Uuid,
        membership: &MembershipSnapshot,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError>;

    /// The list with this reference, and its version.
    async fn held_list(&self, reference: &str) -> Result<Option<(HeldList, ETag)>, LedgerError>;

    /// Writes the list with this reference under the conditions of [`Self::write`].
    ///
    /// # Errors
    /// As there.
    async fn write_held_list(
        &self,
        reference: &str,
        list: &HeldList,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError>;

    /// All lists, by reference.
    async fn held_lists(&self) -> Result<Vec<(String, HeldList)>, LedgerError>;

    /// The alerts that wait for the next summary.
    async fn pending_alerts(&self) -> Result<Vec<AlertId>, LedgerError>;

    /// One of them; `None` if it is not there any more.
    async fn pending_alert(&self, id: &AlertId) -> Result<Option<PendingAlert>, LedgerError>;

    /// Adds it, or replaces it.
    async fn write_pending_alert(&self, id: &AlertId, alert: &PendingAlert) -> Result<(), LedgerError>;

    /// Removes it, if it is there.
    async fn delete_pending_alert(&self, id: &AlertId) -> Result<(), LedgerError>;

    /// When alerts were sent by mail, and the version.
    async fn alert_mails(&self) -> Result<Option<(AlertMails, ETag)>, LedgerError>;

    /// Writes when alerts were sent by mail, under the conditions of [`Self::write`].
    ///
    /// # Errors
    /// As there.
    async fn write_alert_mails(
        &self,
        mails: &AlertMails,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError>;

    /// The last examination, and its version.
    async fn examination(&self) -> Result<Option<(Examination, ETag)>, LedgerError>;

    /// Replaces it under the conditions of [`Self::write`].
    ///
    /// # Errors
    /// As there.
    async fn write_examination(
        &self,
        examination: &Examination,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError>;

    /// What affects everybody, and its version.
    async fn conditions(&self) -> Result<Option<(Conditions, ETag)>, LedgerError>;

    /// Writes what affects everybody under the conditions of [`Self::write`].
    ///
    /// # Errors
    /// As there.
    async fn write_conditions(
        &self,
        conditions: &Conditions,
        expected: Option<&ETag>,
    ) -> Result<ETag, LedgerError>;
}

/// What every store logs when it has accepted a record.
fn log_write(user: Uuid, record: &Record) {
    tracing::debug!(event = "ledger.written", %user, state = ?record.state, "The ledger accepted the record");
}

/// What every store logs when it has accepted the membership of a group.
fn log_membership_write(group: Uuid) {
    tracing::debug!(
        event = "ledger.membership_written",
        %group,
        "The ledger accepted the list of members of the on-demand group"
    );
}

/// Why a call to the ledger failed. No message holds a SAS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The record does not have the expected version. `pass` makes `busy` of it: the queue delivers the job again, a call of
    /// CreateTap answers 409.
    #[error("another job changed the same document")]
    Conflict,
    /// The store was not reached, or refused the request.
    #[error("the ledger cannot be used: {0}")]
    Unavailable(#[source] Cause),
    /// The ledger is that of this tenant.
    #[error("the ledger belongs to the tenant {0}, which is not this app's")]
    OtherTenant(Uuid),
    /// A document in the store is not a record.
    #[error("a document in the ledger is not a record: {0}")]
    Unreadable(#[source] Cause),
}
