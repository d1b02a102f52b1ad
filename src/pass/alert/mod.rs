//! Alerts: what a person must act on.
//!
//! An alert is sent before the record says so: a worker that dies between the two sends it twice; one that dies before
//! both is followed by another worker. No case sends none.

pub(crate) mod card;
pub(crate) mod collected;

use std::{error::Error, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    follow_up::NotArrived,
    job::Job,
    outcome::{Block, Failure, Outcome, Revoke},
    person::Person,
    services::Services,
    window::Window,
};
use crate::{
    address::Address,
    budget,
    graph::{GraphErrorKind, OutgoingMail},
    mail::{AlertMail, Rendered},
    mail_limiter::Content,
    webhook::WebhookError,
};

/// Something that a person must act on.
#[derive(Clone, Debug)]
pub struct Alert {
    /// A fixed word: alerts of one kind are collected.
    pub kind: &'static str,
    /// The subject, in a few words.
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

impl Alert {
    /// Writes one ERROR line.
    pub(crate) fn log(&self) {
        let Self { headline, who, what_happened, what_to_do, reference, .. } = self;
        tracing::error!(
            event = "alert",
            headline,
            who,
            what_happened,
            what_to_do,
            reference,
            "An administrator must act"
        );
    }
}

impl Services {
    /// Logs the alert, and sends it, or keeps it for the next summary, where ALERT_TO or ALERT_WEBHOOK_URL is set. The line stays
    /// when it cannot be sent. Returns whether a person is told: only then it may be recorded.
    pub async fn alert(&self, alert: &Alert) -> bool {
        alert.log();
        !self.sends_alerts() || self.send_or_keep(alert).await
    }

    /// Logs the alert, and tries to send it by mail although the mailbox has refused others. It is not kept: it comes again.
    pub(crate) async fn alert_by_probe(&self, alert: &Alert) {
        alert.log();
        self.send_alert(alert, true, Instant::now() + budget::ALERT).await;
    }

    /// Whether alerts go anywhere but into the log.
    pub(crate) fn sends_alerts(&self) -> bool {
        self.mails_alerts() || self.alert_webhook.is_some()
    }

    /// Whether they go by mail.
    pub(crate) fn mails_alerts(&self) -> bool {
        !self.settings.mail.alert_to.is_empty()
    }

    /// Sends the alert by mail, if it is `to_mail`, and to the webhook, wherever it goes. It counts as sent if one of the two has it.
    async fn send_alert(&self, alert: &Alert, to_mail: bool, deadline: Instant) -> Sent {
        let mail = async {
            match self.mails_alerts() && to_mail {
                true => self.mail_alert(alert, deadline).await,
                false => Sent::No,
            }
        };
        let (mail, post) = tokio::join!(mail, self.post_alert(alert, deadline));
        mail.max(post)
    }

    /// Sends the alert to the webhook. If the endpoint did nothing, once more.
    pub(crate) async fn post_alert(&self, alert: &Alert, deadline: Instant) -> Sent {
        /// Teams refuses more than four requests a second.
        const WAIT: Duration = Duration::from_secs(2);
        let Some(webhook) = &self.alert_webhook else { return Sent::No };
        let body = card::message(alert, self.clock.now());
        let mut result = webhook.post(body.clone(), deadline).await;
        let wait = match &result {
            Err(WebhookError::Busy { retry_after, .. }) => Some(retry_after.unwrap_or(WAIT)),
            Err(WebhookError::NotSent { .. }) => Some(WAIT),
            _ => None,
        };
        if let Some(wait) = wait
            && Instant::now() + wait + budget::GRAPH_CHANGE_MIN < deadline
        {
            sleep(wait).await;
            result = webhook.post(body, deadline).await;
        }
        let Err(error) = result else { return Sent::Yes };
        let (to_do, reference) = (error.advice("ALERT_WEBHOOK_URL"), &alert.reference);
        tracing::error!(
            event = "alert.webhook_failed",
            reference,
            error = &error as &dyn Error,
            to_do,
            "The alert did not reach ALERT_WEBHOOK_URL for certain; the log has its line"
        );
        if let WebhookError::Unclear { .. } = error { Sent::Maybe } else { Sent::No }
    }

    /// Sends the alert by mail.
    async fn mail_alert(&self, alert: &Alert, deadline: Instant) -> Sent {
        let Alert { headline, who, what_happened, what_to_do, reference, .. } = alert;
        let (at, to) = (self.clock.now(), &self.settings.mail.alert_to);
        let mail = AlertMail { headline, who, what_happened, what_to_do, reference, at };
        let permit_by = deadline - budget::GRAPH_CHANGE_MIN;
        let permit = self.mail_permit(&self.settings.mail.from, Content::Note, 1, permit_by).await;
        let (sent, error): (Sent, Box<dyn Error + Send>) = match (self.mailer.alert(&mail), permit) {
            (Ok(_), None) => (Sent::No, Box::new(Failure::MailboxBusy)),
            (Ok(content), Some(mut permit)) => {
                let message = OutgoingMail { to: to.clone(), cc: Vec::new(), content };
                match self.send_mail_to_valid(&mut permit, message, deadline).await {
                    Ok(refused) => {
                        report_refused(&refused, reference);
                        return Sent::Yes;
                    }
                    Err(error) if error.kind == GraphErrorKind::Ambiguous => (Sent::Maybe, Box::new(error)),
                    Err(error) => (Sent::No, Box::new(error)),
                }
            }
            (Err(error), _) => (Sent::No, Box::new(error)),
        };
        tracing::error!(
            event = "alert.mail_failed",
            reference,
            error = &*error,
            "The alert could not be sent by mail; the log has its line"
        );
        sent
    }
}

/// Sends a mail to the recipients of alerts that is none, and returns them, masked.
///
/// # Errors
/// Why it was not sent, and what to do.
pub(crate) async fn send_test(services: &Services) -> Result<Vec<String>, String> {
    let to = &services.settings.mail.alert_to;
    if to.is_empty() {
        return Err("ALERT_TO is not set: a test mail goes nowhere else".to_owned());
    }
    let mail = AlertMail {
        headline: "Test: firstpass can send mail",
        who: "nobody",
        what_happened: "`firstpass doctor --send-test-mail` sent this mail from the mailbox of MAIL_FROM.",
        what_to_do: "Nothing.",
        reference: "test mail",
        at: services.clock.now(),
    };
    let content = services.mailer.alert(&mail).map_err(|error| error.to_string())?;
    send_by_hand(services, "the test mail", to, content).await
}

/// Sends a mail for an admin who waits for it, from MAIL_FROM, and returns who gets it, masked. `what` names it.
///
/// # Errors
/// Why it was not sent, and what to do.
pub(crate) async fn send_by_hand(
    services: &Services,
    what: &str,
    to: &[Address],
    content: Rendered,
) -> Result<Vec<String>, String> {
    let (from, deadline) = (&services.settings.mail.from, Instant::now() + budget::ALERT);
    let permit = services.mail_permit(from, Content::Note, 1, deadline - budget::GRAPH_CHANGE_MIN).await;
    let mut permit = permit.ok_or_else(|| Failure::MailboxBusy.to_string())?;
    let message = OutgoingMail { to: to.to_vec(), cc: Vec::new(), content };
    match services.send_mail_to_valid(&mut permit, message, deadline).await {
        Ok(refused) => {
            let accepted = to.iter().filter(|address| !refused.contains(address));
            Ok(accepted.map(Address::masked).collect())
        }
        Err(error) => Err(format!("Exchange did not accept {what}: {error}. To do: {}", error.advice())),
    }
}

/// Whether an alert was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sent {
    No,
    /// The answer was lost.
    Maybe,
    Yes,
}

fn report_refused(refused: &[Address], reference: &str) {
    for address in refused {
        tracing::warn!(
            event = "alert.recipient_refused",
            reference,
            address = address.masked(),
            "Exchange refused a recipient of the alert; correct ALERT_TO"
        );
    }
}

/// Alerts that `job`, for `who`, ended in `outcome`.
pub(crate) async fn send_outcome(services: &Services, job: &Job, who: &Person, outcome: &Outcome) -> bool {
    services.alert(&of_outcome(job, who, outcome)).await
}

/// The alert that `job`, for `who`, ended in `outcome`.
pub(super) fn of_outcome(job: &Job, who: &Person, outcome: &Outcome) -> Alert {
    let headline = match outcome {
        Outcome::Blocked(Block::StillDisabled(_)) => "A joiner cannot sign in: the account is disabled",
        Outcome::Blocked(Block::StaysOnDemand(_)) => "A start is withdrawn, and a pass on demand still works",
        Outcome::Blocked(Block::AddressRemoved) => "A joiner's private address was removed",
        Outcome::Blocked(Block::AddressChanged) | Outcome::Revoked(Revoke::AddressChanged) => {
            "A joiner's private address changed, and a person must decide"
        }
        Outcome::Blocked(Block::WebhookRefused(_)) => "The endpoint that delivers codes refuses them",
        Outcome::Blocked(Block::MailUnclear(_)) => "A mail with a code may not have arrived",
        Outcome::Blocked(Block::NotArrived(_)) => "A joiner's pass ended, and they are not in",
        Outcome::Revoked(_) => "A pass was revoked",
        _ => "A user gets no pass",
    };
    Alert {
        kind: outcome.cause().unwrap_or(outcome.name()),
        headline: String::from(headline),
        who: who.description.clone(),
        what_happened: outcome.to_string(),
        what_to_do: outcome.advice().unwrap_or_default(),
        reference: job.key.clone(),
    }
}

/// Alerts that a pass ended unused, and that another one is made, which works in `window`.
pub(crate) async fn send_reissue(
    services: &Services,
    job: &Job,
    who: &Person,
    unused: &NotArrived,
    window: &Window,
) {
    services
        .alert(&Alert {
            kind: "reissue",
            headline: "A joiner's pass ended unused, and they get a new one".into(),
            who: who.description.clone(),
            what_happened: unused.to_string(),
            what_to_do: format!(
                "Ask the manager whether this person has started. firstpass mails a new pass, which works {window}. If they \
                 do not start, remove the hire date: the next sweep revokes it."
            ),
            reference: job.key.clone(),
        })
        .await;
}

/// Alerts that the host moves a message to the poison queue, so that no job runs before the next sweep. `reference` is
/// what to search the log for.
pub(crate) async fn send_poisoned(
    services: &Services,
    reference: &str,
    who: &Person,
    outcome: &Outcome,
    deliveries: u32,
) {
    let advice = outcome.advice().unwrap_or_default();
    services
        .alert(&Alert {
            kind: "message-failed",
            headline: format!("A message failed {deliveries} times and goes to the poison queue"),
            who: who.description.clone(),
            what_happened: outcome.to_string(),
            // A sweep may come too late for a joiner, and never makes a job for others.
            what_to_do: format!(
                "{advice} This message is not tried again by itself. When the reason is gone, put it back into the queue: \
                 `firstpass jobs requeue`; if it is not needed any more, `firstpass jobs delete`. Joiners get a job from a \
                 later sweep too, which may be too late for them."
            ),
            reference: reference.to_owned(),
        })
        .await;
}
