//! The Microsoft Graph client. No other module knows a Graph URL.
//!
//! - [`client`]: a request and its answer
//! - [`retry`]: the policy that decides which requests are sent again
//! - [`error`]: failed calls, with advice for admins
//! - [`batch`], [`page`]: several reads in one request; one list in several requests
//! - [`null`]: what a null stands for
//! - a file per resource: [`users`], [`groups`], [`roles`], [`owners`], [`passes`], [`usage`], [`policy`], [`method_policy`],
//!   [`conditional_access`], [`mail`], [`subscriptions`]
//! - [`names`]: the names of many users, in one `$batch`
//! - [`snapshot`]: the data of one joiner, in one `$batch`
//! - [`look`]: a little of many joiners, in one `$batch`

pub mod batch;
pub mod client;
pub(crate) mod conditional_access;
mod domains;
pub mod error;
pub mod groups;
pub mod look;
pub mod mail;
pub(crate) mod method_policy;
mod names;
mod null;
mod owners;
pub mod page;
pub mod passes;
pub mod policy;
pub mod retry;
pub mod roles;
mod server_time;
pub mod snapshot;
pub mod subscriptions;
mod texts;
mod token;
pub mod usage;
pub mod users;
mod word;

pub use self::{
    client::Graph,
    error::{GraphError, GraphErrorKind, SenderRefusal, Unread},
    groups::GroupMembers,
    look::{Look, LookParts},
    mail::{NotSent, OutgoingMail},
    names::Names,
    passes::{NewPass, Pass, Usability},
    policy::PassPolicy,
    roles::PrivilegeSnapshot,
    snapshot::{SnapshotError, TenantSnapshot},
    usage::{Method, UsageParts, UsageSnapshot},
    users::{Manager, User},
};
pub(crate) use self::{
    error::GRANTED_LATE,
    groups::JoinerGroup,
    method_policy::{MethodPolicy, PolicyOf},
    token::Claims,
    users::DeletedUser,
};
pub(crate) use self::{error::within, passes::says_one_exists};
