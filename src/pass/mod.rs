//! The domain: who gets a pass, when it works, and the one flow that makes and delivers it.
//!
//! The rules are pure and take `now`: [`day_one`], [`window`], [`guard`], [`recipients`], [`mod@decide`], [`order`],
//! [`job`], [`mod@message`].
//! [`issue`] is the flow around them; [`patience`] waits for replicas, [`claim`] keeps its promises to the ledger,
//! [`alert`] tells people. [`newcomers`] is who is new in the on-demand group.

pub mod alert;
pub mod claim;
pub mod day_one;
pub mod decide;
#[cfg(test)]
mod fixtures;
pub mod guard;
pub mod issue;
pub mod job;
pub mod message;
pub mod newcomers;
pub mod order;
pub mod outcome;
pub mod patience;
pub mod recipients;
pub mod window;

pub use self::{
    decide::{Decision, Facts, Plan, decide},
    job::{Job, Reason},
    message::{Message, News},
    newcomers::{Event, GroupRead, Newcomers},
    order::{NotIssued, Order, Refusal},
    outcome::{Block, Failure, Mailed, Outcome, Revoke, Skip},
    window::Window,
};
