//! Everything that the functions share, built once.

use std::{fmt, sync::Arc, time::Duration};

use azure_core::{credentials::TokenCredential, http::HttpClient};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    graph::{Graph, OutgoingMail},
    ledger::Ledger,
    mail::{AlertMail, MailError, MailOptions, Mailer},
    queue::Queues,
    rate_limiter::RateLimiter,
    settings::Settings,
};

/// Everything that the functions share. `main` and every test build the same.
#[derive(Debug)]
pub struct App {
    /// What the admin set.
    pub settings: Settings,
    /// The tenant.
    pub graph: Graph,
    /// What we did for whom.
    pub ledger: Arc<dyn Ledger>,
    /// Where the host puts what it gave up, if we know.
    pub queues: Option<Queues>,
    /// Writes the mails.
    pub mailer: Mailer,
    /// The time.
    pub clock: Clock,
    /// How often each caller of CreateTap called this instance.
    pub rate_limiter: RateLimiter,
}

/// Something that a person must see to.
#[derive(Clone, Debug)]
pub struct Alert {
    /// A few words.
    pub headline: String,
    /// Whom it is about.
    pub who: String,
    /// What happened.
    pub what_happened: String,
    /// What to do next.
    pub what_to_do: String,
    /// What to search the log for.
    pub reference: String,
}

/// How long sending an alert may take: the job behind it is done, and the host is waiting.
const ALERT_TIME: Duration = Duration::from_secs(60);

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When the mails cannot be written in the language that is set.
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
        let rate_limiter = RateLimiter::default();
        Ok(Self { settings, graph, ledger, queues: None, mailer, clock, rate_limiter })
    }

    /// The same, looking at what the host gave up.
    pub fn with_queues(self, queues: Queues) -> Self {
        Self { queues: Some(queues), ..self }
    }

    /// Tells a person: one ERROR line, and a mail where ALERT_TO is set. Never fails; a mail that cannot be sent
    /// leaves the line.
    pub async fn alert(&self, alert: &Alert) {
        let Alert { headline, who, what_happened, what_to_do, reference } = alert;
        tracing::error!(event = "alert", headline, who, what_happened, what_to_do, reference);
        let to = &self.settings.mail.alert_to;
        if to.is_empty() {
            return;
        }
        let at = self.clock.now();
        let mail = AlertMail { headline, who, what_happened, what_to_do, reference, at };
        let sent: Result<(), Box<dyn fmt::Display + Send>> = match self.mailer.alert(&mail) {
            Ok(content) => {
                let message = OutgoingMail { to: to.clone(), cc: Vec::new(), content };
                let deadline = Instant::now() + ALERT_TIME;
                self.graph
                    .send_mail(&self.settings.mail.from, &message, deadline)
                    .await
                    .map_err(|e| Box::new(e) as _)
            }
            Err(error) => Err(Box::new(error) as _),
        };
        if let Err(error) = sent {
            tracing::error!(event = "alert.mail_failed", reference, error = %error);
        }
    }
}
