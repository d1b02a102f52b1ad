//! The application: what the functions share.

use std::{error::Error, sync::Arc, time::Duration};

use azure_core::{base64, credentials::TokenCredential, http::HttpClient};
use tokio::time::Instant;

use crate::{
    budget,
    clock::Clock,
    graph::Graph,
    ledger::Ledger,
    mail::{MailError, MailOptions, Mailer},
    pass::{
        NotesDue, Services,
        alert::collected,
        digest_due, examined, ledger_tenant, mailbox,
        message::{ALERTS_DUE, DIGEST_DUE, EXAMINATION_DUE, SWEEP_DUE},
    },
    queue::Queues,
    rate_limiter::RateLimiter,
    settings::{Settings, WebhookSettings},
    webhook::Webhook,
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

/// When an invocation looks whether a summary of alerts is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Look {
    Now,
    /// If this process has not looked within the last minutes.
    Sometimes,
}

/// How long an examination waits, so that jobs of the same invocation go first.
const BEHIND_JOBS: Duration = Duration::from_secs(60);
/// How long a digest waits, so that it tells of the jobs of the sweep that asked for it: those of most mornings are done then.
const AFTER_JOBS: Duration = Duration::from_secs(600);

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
        let mailer = Mailer::new(MailOptions::of(&settings))?;
        for problem in mailer.problems() {
            tracing::error!(
                event = "template.rejected",
                file = problem.file,
                line = problem.line,
                what = problem.what,
                "A template of the mails is broken, and its language is not used"
            );
        }
        let webhook = |settings: &Option<WebhookSettings>| {
            let settings = settings.clone()?;
            Some(Webhook::new(transport.clone(), credential.clone(), settings, clock.clone()))
        };
        let delivery_webhook = webhook(&settings.delivery_webhook);
        let alert_webhook = webhook(&settings.alert_webhook);
        let graph = Graph::new(transport, credential, settings.cloud);
        let mut services = Services::new(settings, graph, ledger, mailer, clock);
        services.delivery_webhook = delivery_webhook;
        services.alert_webhook = alert_webhook;
        Ok(Self { services, queues: None, rate_limiter: RateLimiter::default() })
    }

    /// At the end of an invocation that began at `started`: sends the summary of alerts, if it is due and there is time.
    pub(crate) async fn care_for_alerts(&self, started: Instant, look: Look) {
        let has_time = |needed: Duration| started.elapsed() + needed <= budget::FUNCTION_TIMEOUT;
        // The check of the ledger's tenant may alert.
        let needed = budget::LEDGER_TENANT + budget::ALERT + budget::SUMMARY + budget::QUEUE_CALL;
        if has_time(needed + budget::OUTPUT) {
            self.send_summary(look).await;
        }
        if has_time(budget::WAKE_UPS + budget::OUTPUT) {
            self.wake(matches!(look, Look::Sometimes)).await;
        }
    }

    /// Sends the summary of alerts, if it is due. The alerts of another tenant are for its own admins.
    pub(crate) async fn send_summary(&self, look: Look) {
        if ledger_tenant::check(&self.services).await.is_err() {
            return;
        }
        match look {
            Look::Now => collected::send(&self.services).await,
            Look::Sometimes => collected::send_if_due(&self.services).await,
        }
    }

    /// Has the app woken if alerts wait for a summary, people for the mailbox that sends, or an examination or a digest is due: until the
    /// next sweep, nothing else may run. `is_for_jobs` says that jobs run in this process.
    pub(crate) async fn wake(&self, is_for_jobs: bool) {
        let Some(queues) = self.queues.as_ref() else { return };
        if let Some(hidden) = collected::take_wake_up(&self.services).await
            && !self.put_wake_up(queues, ALERTS_DUE, hidden).await
        {
            collected::give_wake_up_back(&self.services).await;
        }
        if let Some(hidden) = mailbox::take_wake_up(&self.services, is_for_jobs)
            && !self.put_wake_up(queues, SWEEP_DUE, hidden).await
        {
            mailbox::give_wake_up_back(&self.services, hidden);
        }
        if examined::take_wake_up(&self.services)
            && !self.put_wake_up(queues, EXAMINATION_DUE, BEHIND_JOBS).await
        {
            examined::give_wake_up_back(&self.services);
        }
        if digest_due::take_wake_up(&self.services) && !self.put_wake_up(queues, DIGEST_DUE, AFTER_JOBS).await
        {
            digest_due::give_wake_up_back(&self.services);
        }
    }

    /// Puts the message `name` into the queue, `hidden` for so long. Returns whether it is there.
    async fn put_wake_up(&self, queues: &Queues, name: &'static str, hidden: Duration) -> bool {
        let message = format!(r#"{{"{name}":"{}"}}"#, self.services.clock.now().to_rfc3339());
        let put = queues.jobs.put_hidden(&base64::encode(message), hidden).await;
        if let Err(error) = &put {
            tracing::warn!(
                event = "app.not_woken",
                message = name,
                error = error as &dyn Error,
                "The app has no message that wakes it; its next invocation puts another one, and the next sweep does what is due"
            );
        }
        put.is_ok()
    }

    /// Puts the message into the queue that others are to be told of what a user was sent. Without it the next sweep has them told.
    pub(crate) async fn queue_notes(&self, notes: Option<NotesDue>) {
        let Some((queues, notes)) = self.queues.as_ref().zip(notes) else { return };
        if let Err(error) = queues.jobs.put(&base64::encode(notes.to_message())).await {
            tracing::warn!(
                event = "notes.not_queued",
                user = %notes.notes_due,
                error = &error as &dyn Error,
                "There is no message that has others told of what this user was sent; the next sweep has them told"
            );
        }
    }

    /// Adds the queues.
    #[must_use]
    pub fn with_queues(self, queues: Queues) -> Self {
        Self { queues: Some(queues), ..self }
    }
}
