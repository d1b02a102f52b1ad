//! The services that the domain runs on.

use std::sync::Arc;

use crate::{clock::Clock, graph::Graph, ledger::Ledger, mail::Mailer, settings::Settings};

/// The services that the flow runs on, and the settings that it follows.
#[derive(Debug)]
pub struct Services {
    /// What the admin set.
    pub settings: Settings,
    /// The tenant.
    pub graph: Graph,
    /// The records.
    pub ledger: Arc<dyn Ledger>,
    /// Renders the mails.
    pub mailer: Mailer,
    /// The time.
    pub clock: Clock,
}
