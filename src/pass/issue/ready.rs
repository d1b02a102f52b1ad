//! What comes before a pass: the permit to send its mail.

use std::{ops::ControlFlow, time::Duration};

use tokio::time::Instant;

use super::JobContext;
use crate::{
    mail_limiter::{Content, Permit},
    pass::{
        decide::Plan,
        mailbox,
        outcome::{Failure, Step},
    },
};

/// What was read is too old to decide by after this: it is read again before anything is changed.
const CURRENT: Duration = Duration::from_secs(15);

/// The permit to send a mail, and what comes before it.
pub(super) enum Ready {
    /// Nothing: the pass is made.
    Go(Permit),
    /// What was read is too old to decide by.
    ReadAgain(Permit),
}

impl JobContext<'_> {
    /// Waits for the permit to send so many mails, before anything is changed. Then tells a person of what they have to know before.
    pub(super) async fn ready(&self, plan: &Plan, mails: usize, held: Option<Permit>) -> Step<Ready> {
        if mails == 0 {
            // An endpoint delivers the code. Other mails that follow wait for their permit then.
            let permit = self.services.mail_permit_later(&self.services.settings.mail.from);
            self.report_before(plan).await;
            return Ok(ControlFlow::Continue(Ready::Go(permit)));
        }
        if let Some(refusal) = self.refusal().await {
            return Ok(ControlFlow::Break(self.wait_for_mailbox(refusal).await?));
        }
        if let Some(permit) = held {
            // This was read after the wait.
            return Ok(ControlFlow::Continue(Ready::Go(permit)));
        }
        let from = &self.services.settings.mail.from;
        let permit = self.services.mail_permit(from, Content::Code, mails, self.limits.permit_by).await;
        let permit = permit.ok_or(Failure::MailboxBusy)?;
        // Another job may have found it shut during the wait.
        if let Some(refusal) = self.refusal().await {
            return Ok(ControlFlow::Break(self.wait_for_mailbox(refusal).await?));
        }
        self.report_before(plan).await;
        let is_old = self.read_at.elapsed() >= CURRENT && Instant::now() < self.limits.lease_by;
        Ok(ControlFlow::Continue(if is_old { Ready::ReadAgain(permit) } else { Ready::Go(permit) }))
    }

    /// How the mailbox refuses all mails, if it does. A call tries it if it is time: nobody else may, where no joiner waits.
    async fn refusal(&self) -> Option<String> {
        let refusal = self.services.mailbox.refusal(self.job)?;
        let is_tried = self.request.is_some() && mailbox::may_try(self.services, self.job.user_id).await;
        (!is_tried).then_some(refusal)
    }

    /// Tells a person that a pass is made in place of an unused one, or that it is short.
    async fn report_before(&self, plan: &Plan) {
        // The mail of the first pass has promised the second.
        let was_promised = self
            .record
            .as_ref()
            .and_then(|record| record.delivered.as_ref())
            .is_some_and(|delivered| delivered.follows_on.is_some());
        if let Some(unused) = plan.unused.as_ref().filter(|_| !was_promised) {
            self.report_reissue(unused, &plan.window).await;
        }
        self.report_short_pass(plan).await;
    }
}
