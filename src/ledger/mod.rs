//! What we did for whom: one small record per user, never the code; and who is in the on-demand group.
//!
//! Every write is conditional, so that two workers with the same user cannot both believe that they made the
//! pass. A store is anything that keeps the conditions of [`Ledger`]: [`blob`] storage, or [`memory`].

pub mod blob;
mod membership;
pub mod memory;
mod record;

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    membership::{MembershipSnapshot, PendingMember},
    record::{
        Announcement, CallResult, Delivered, Fingerprint, IdempotencyEntry, Lease, PassRecord, Purpose,
        Record, State,
    },
};

/// The version of a record, as the store names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// A place to keep records.
#[async_trait]
pub trait Ledger: fmt::Debug + Send + Sync {
    /// The record of `user`, with its version.
    async fn read(&self, user: Uuid) -> Result<Option<(Record, ETag)>, LedgerError>;

    /// Writes the record of `user` if its version is still `expected` (`None`: if there is none yet).
    ///
    /// # Errors
    /// [`LedgerError::Conflict`] when someone else wrote meanwhile, or when the answer to our own write was lost
    /// and the store sees it twice: the flow treats both alike.
    async fn write(&self, user: Uuid, record: &Record, expected: Option<&ETag>) -> Result<ETag, LedgerError>;

    /// All records.
    async fn list(&self) -> Result<Vec<(Uuid, Record)>, LedgerError>;

    /// The records that are open at `now` ([`Record::open_until`]): few, however many there are.
    async fn open(&self, now: DateTime<Utc>) -> Result<Vec<(Uuid, Record)>, LedgerError> {
        Ok(self.list().await?.into_iter().filter(|(_, record)| record.is_open(now)).collect())
    }

    /// The membership of `group`, with its version.
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

/// Why the ledger did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// The record is not in the expected version any more.
    Conflict,
    /// The store could not be reached, or refused.
    Unavailable(String),
    /// What the store has of the user is no record.
    Unreadable(String),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("another job changed the user's record meanwhile"),
            Self::Unavailable(why) => write!(f, "the ledger cannot be used: {why}"),
            Self::Unreadable(why) => write!(f, "the ledger holds something that is no record: {why}"),
        }
    }
}

impl std::error::Error for LedgerError {}
