//! Everything that the functions share, built once.

use std::sync::Arc;

use azure_core::{credentials::TokenCredential, http::HttpClient};

use crate::{
    clock::Clock,
    graph::Graph,
    ledger::Ledger,
    mail::{MailError, MailOptions, Mailer},
    pass::Services,
    queue::Queues,
    rate_limiter::RateLimiter,
    settings::Settings,
};

/// Everything that the functions share. `main` and every test build the same.
#[derive(Debug)]
pub struct App {
    /// What the domain runs on.
    pub services: Services,
    /// The queue of jobs and its poison queue; `None` where their address is not known.
    pub queues: Option<Queues>,
    /// How often each caller of CreateTap called this instance.
    pub rate_limiter: RateLimiter,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When there are no mails in the language that is set.
    pub fn new(
        settings: Settings,
        transport: Arc<dyn HttpClient>,
        credential: Arc<dyn TokenCredential>,
        ledger: Arc<dyn Ledger>,
        clock: Clock,
    ) -> Result<Self, MailError> {
        let mailer = Mailer::new(MailOptions {
            company: settings.mail.company.clone(),
            default_language: settings.mail.language.clone(),
            service_desk: settings.mail.service_desk.clone(),
        })?;
        let graph = Graph::new(transport, credential);
        let services = Services { settings, graph, ledger, mailer, clock };
        Ok(Self { services, queues: None, rate_limiter: RateLimiter::default() })
    }

    /// The same, with queues.
    #[must_use]
    pub fn with_queues(self, queues: Queues) -> Self {
        Self { queues: Some(queues), ..self }
    }
}
