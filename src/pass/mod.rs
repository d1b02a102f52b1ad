//! The domain: who gets a pass, when it works, and the one flow that makes and delivers it.
//!
//! The rules are pure and take `now`: [`day_one`], [`window`], [`guard`], [`account_use`], [`follow_up`], [`recipients`], [`mod@decide`],
//! [`request`], [`job`], [`mod@message`], [`ownership`].
//!
//! [`issue`] is the flow around them: [`replication`] retries what is not replicated yet, [`lease`] excludes other jobs,
//! [`alert`] sends alerts about a [`person`], [`condition`] one for what affects everybody. [`cap`] and [`additions`] hold
//! back too many people. [`group_sync`] finds the new members of the on-demand group, [`named_members`] has it
//! find those of a message, [`continuation`] queues many jobs in parts, [`nested`] tells of groups among them, [`malformed`] of joiners who cannot be read, and [`broken_templates`] of mails that cannot be used. [`by_hand`] and [`revoke`] are what an admin does from the command line. [`ledger_tenant`] and [`clock_skew`] stop everything that would go wrong. [`digest_due`] says when a digest is sent, [`sign_in_strength`] with what somebody signs in, [`words`] what a cause means. All of it runs on [`services`].

pub mod account_use;
pub mod additions;
pub mod alert;
pub mod basis;
pub mod broken_templates;
pub mod by_hand;
pub mod cap;
pub mod clock_skew;
pub mod condition;
pub mod continuation;
pub mod day_one;
pub mod decide;
pub(crate) mod digest_due;
pub mod domains;
mod eligibility;
pub mod examined;
#[cfg(test)]
mod fixtures;
pub mod follow_up;
pub mod forecast;
pub mod group_sync;
pub mod guard;
pub mod issue;
pub mod job;
pub mod known_addresses;
pub mod known_alerts;
pub mod known_examination;
pub mod known_mailbox;
pub mod lease;
pub mod ledger_tenant;
pub mod mailbox;
pub mod malformed;
mod manager;
pub mod message;
pub mod named_members;
pub mod nested;
pub mod notes_due;
pub mod outcome;
pub mod ownership;
pub mod person;
pub mod recipients;
pub mod replication;
pub mod request;
pub mod revoke;
pub mod sample_mail;
pub mod services;
pub(crate) mod sign_in_strength;
pub mod subject;
pub mod window;
pub(crate) mod words;

pub use self::{
    continuation::{Position, SweepContinues, SyncContinues},
    decide::{Decision, Facts, Plan, decide},
    group_sync::{DailyLook, GroupSync, MembershipEvent, SyncCompleted},
    job::{Job, Reason},
    message::{ChangeNotification, ParsedMessage},
    notes_due::NotesDue,
    outcome::{Block, DeliveredPass, Failure, Outcome, Revoke, Skip},
    person::Person,
    request::{NotIssued, PassRequest, Refusal},
    services::Services,
    subject::Subject,
    window::Window,
};
