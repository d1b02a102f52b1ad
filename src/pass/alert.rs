//! What a person is told, and when.
//!
//! An alert goes out before the record that says so is written: a worker that dies between the two tells twice, one
//! that dies before both is followed by another. Silence is not among the cases.

use std::{error::Error, time::Duration};

use tokio::time::Instant;

use super::{job::Job, outcome::Outcome, services::Services};
use crate::{graph::OutgoingMail, mail::AlertMail};

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

impl Services {
    /// Tells a person: one ERROR line, and a mail where ALERT_TO is set. Never fails; a mail that cannot be sent
    /// leaves the line.
    pub async fn alert(&self, alert: &Alert) {
        let Alert { headline, who, what_happened, what_to_do, reference } = alert;
        tracing::error!(
            event = "alert",
            headline,
            who,
            what_happened,
            what_to_do,
            reference,
            "An administrator must act"
        );
        let to = &self.settings.mail.alert_to;
        if to.is_empty() {
            return;
        }
        let at = self.clock.now();
        let mail = AlertMail { headline, who, what_happened, what_to_do, reference, at };
        let sent: Result<(), Box<dyn Error + Send>> = match self.mailer.alert(&mail) {
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
            tracing::error!(
                event = "alert.mail_failed",
                reference,
                error = &*error,
                "The alert could not be sent by mail; the log has its line"
            );
        }
    }
}

/// Tells a person that `job`, for `who`, ended in `outcome`.
pub async fn send_outcome(services: &Services, job: &Job, who: &str, outcome: &Outcome) {
    let headline = match outcome {
        Outcome::Revoked(_) => "A joiner's pass was taken back",
        _ => "Someone gets no pass",
    };
    send_about(services, &job.key, who, outcome, headline.to_owned()).await;
}

/// Tells a person that nobody will try again before the next sweep. `reference` is what to search the log for.
pub async fn send_poisoned(
    services: &Services,
    reference: &str,
    who: &str,
    outcome: &Outcome,
    deliveries: u32,
) {
    send_about(services, reference, who, outcome, format!("Given up after {deliveries} tries")).await;
}

async fn send_about(services: &Services, reference: &str, who: &str, outcome: &Outcome, headline: String) {
    services
        .alert(&Alert {
            headline,
            who: who.to_owned(),
            what_happened: outcome.to_string(),
            what_to_do: outcome.advice().unwrap_or_default(),
            reference: reference.to_owned(),
        })
        .await;
}
