//! The one Microsoft Graph client. Nothing else in the crate knows a Graph URL.
//!
//! - [`client`]: one request, its answer
//! - [`retry`]: the one policy that decides what is sent again
//! - [`error`]: what can go wrong, in words an admin can act on
//! - [`batch`], [`page`]: many reads in one request; one list in many requests
//! - a file per resource: [`users`], [`groups`], [`roles`], [`passes`], [`policy`], [`mail`],
//!   [`subscriptions`]
//! - [`snapshot`]: all that is read of one joiner, in one `$batch`

pub mod batch;
pub mod client;
pub mod error;
pub mod groups;
pub mod mail;
pub mod page;
pub mod passes;
pub mod policy;
pub mod retry;
pub mod roles;
pub mod snapshot;
pub mod subscriptions;
pub mod users;

pub use self::{
    client::Graph,
    error::{GraphError, GraphErrorKind},
    mail::OutgoingMail,
    passes::{NewPass, Pass, Usability},
    policy::PassPolicy,
    roles::PrivilegeSnapshot,
    snapshot::{SnapshotError, TenantSnapshot},
    users::{Manager, User},
};
