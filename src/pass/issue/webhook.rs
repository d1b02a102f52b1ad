//! A code that the endpoint of another system delivers (DELIVERY=webhook): by SMS, for example.
//!
//! The request is the delivery, as a mail is: refused, the pass is deleted; unclear, the *same* request is sent again, with the same
//! id, at most as often as a mail. The mailbox has no part in it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{JobContext, delivery::Unsent};
use crate::{
    budget,
    code::Code,
    graph::{Pass, TenantSnapshot},
    mail::{Draft, plain_text},
    pass::{decide::Plan, lease::HeldLease, recipients::Recipients},
    webhook::{Webhook, WebhookError},
};

/// The version of the JSON.
const SCHEMA: u32 = 1;
/// The waits before a request is sent again that was not sent, or had no effect, if the endpoint asks for none.
const WAITS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

impl JobContext<'_> {
    /// How many of these mails with a code are sent: none if an endpoint delivers codes.
    pub(super) fn mails(&self, wanted: usize) -> usize {
        if self.services.endpoint().is_some() { 0 } else { wanted }
    }

    /// Has the endpoint deliver the code.
    pub(super) async fn post(
        &self,
        endpoint: &Webhook,
        lease: &HeldLease<'_>,
        plan: &Plan,
        (pass, code): (&Pass, &Code),
        (draft, recipients): &(Draft, Recipients),
    ) -> Result<(), Unsent> {
        let body = self.request(plan, (pass, code), draft, recipients).to_string();
        let (mut waits, mut unclear) = (WAITS.iter(), 0);
        loop {
            let Err(error) = endpoint.post(body.clone(), lease.deadline).await else { return Ok(()) };
            let wait = match &error {
                WebhookError::Refused { .. } => None,
                WebhookError::Unclear { .. } => {
                    unclear += 1;
                    (unclear < budget::MAIL_SENDS).then_some(Duration::ZERO)
                }
                WebhookError::Busy { retry_after: Some(wait), .. } => Some(*wait),
                WebhookError::Busy { .. } | WebhookError::NotSent { .. } => waits.next().copied(),
            };
            // Later there would be no time for it.
            let at = wait.map(|wait| Instant::now() + wait);
            match at.filter(|at| *at + budget::GRAPH_CHANGE_MIN <= lease.deadline) {
                Some(at) => sleep_until(at).await,
                None => return Err(Unsent::by_endpoint(error, unclear > 0)),
            }
        }
    }

    /// What the endpoint gets; docs/WEBHOOK.md describes it. It holds the code.
    fn request(
        &self,
        plan: &Plan,
        (pass, code): (&Pass, &Code),
        draft: &Draft,
        recipients: &Recipients,
    ) -> Value {
        let TenantSnapshot { user, manager, .. } = &self.snapshot;
        let mailbox = self.manager_mailbox().and_then(Result::ok);
        let manager = mailbox.map(|mailbox| {
            let name = manager.as_ref().and_then(|manager| manager.display_name.as_deref());
            json!({"name": name, "mail": mailbox.to_string()})
        });
        let mail = draft.with_code(code);
        json!({
            "schemaVersion": SCHEMA,
            // The same for the same pass, however often it comes.
            "id": pass.id,
            "event": "passIssued",
            "user": {
                "id": user.id,
                "userPrincipalName": user.user_principal_name,
                "displayName": user.name(),
                "givenName": user.given_name,
                "language": draft.language(),
            },
            "to": recipients.joiner.as_ref().map(ToString::to_string),
            "manager": manager,
            "pass": {
                "id": pass.id,
                "code": code.reveal(),
                "startDateTime": plan.window.opens_at,
                "endDateTime": plan.window.ends_at(),
                "isUsableOnce": pass.is_usable_once,
            },
            "dayOne": plan.day_one,
            "occasion": plan.occasion.word(),
            "mail": {"subject": mail.subject, "html": mail.html, "text": plain_text(&mail.html)},
        })
    }
}
