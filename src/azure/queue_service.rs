//! The queue service of a storage account.

use azure_core::{
    credentials::{Secret, SecretBytes},
    http::Url,
};
use uuid::Uuid;

/// The queue service of a storage account, and how to sign in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueService {
    /// Its URL, without a queue's name.
    pub url: Url,
    /// How to sign in.
    pub access: QueueAccess,
}

/// How to sign in to the queue service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueAccess {
    /// With the app's identity (or `az login`).
    Identity {
        /// The user-assigned identity's client id; `None` for the system-assigned one.
        client_id: Option<Uuid>,
    },
    /// With a shared access signature, as the query of a URL.
    Sas(Secret),
    /// With the account's key.
    Key {
        /// The account's name.
        account: String,
        /// Its key.
        key: SecretBytes,
    },
}
