//! The application: what the functions share.

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

/// What the functions share, built once per process. `main` and the tests build the same.
#[derive(Debug)]
pub struct App {
    /// The services of the domain.
    pub services: Services,
    /// The queue of jobs and its poison queue. `None` if `AzureWebJobsStorage` does not say where they are.
    pub queues: Option<Queues>,
    /// The calls of CreateTap on this instance.
    pub rate_limiter: RateLimiter,
}

impl App {
    /// Builds the app, without queues.
    ///
    /// # Errors
    /// When LANGUAGE has no mail templates.
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
            cloud: settings.cloud,
        })?;
        let graph = Graph::new(transport, credential, settings.cloud);
        let services = Services::new(settings, graph, ledger, mailer, clock);
        Ok(Self { services, queues: None, rate_limiter: RateLimiter::default() })
    }

    /// Adds the queues.
    #[must_use]
    pub fn with_queues(self, queues: Queues) -> Self {
        Self { queues: Some(queues), ..self }
    }
}
