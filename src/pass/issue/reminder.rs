//! Mails without a code: the joiner is reminded of the pass, the manager hears what keeps them from signing in.
//!
//! The record says that a mail is sent before it is, by a conditional write. So it may be lost, and is never sent twice.

use std::error::Error;

use tokio::time::Instant;

use super::{JobContext, without_pass::write};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, GraphErrorKind, NotSent, OutgoingMail},
    ledger::{Delivered, ETag, Record},
    mail::{ManagerMail, PassTimes, ReminderMail, Rendered},
    pass::{
        Failure, Outcome, Skip, Window,
        alert::{self},
        follow_up::NotArrived,
        recipients::Recipients,
    },
};

impl JobContext<'_> {
    /// Reminds the joiner, and tells the manager. The record says so first: these mails may be lost, but no reader gets them
    /// twice.
    pub(super) async fn remind(&self) -> Result<Outcome, Failure> {
        let (Some(before), Ok(recipients)) = (&self.record, &self.recipients) else {
            return Ok(Outcome::Skipped(Skip::AlreadyServed));
        };
        let Some(delivered) = &before.delivered else { return Ok(Outcome::Skipped(Skip::AlreadyServed)) };
        let content = self.reminder(delivered)?;
        let mut record = before.clone();
        record.reminded_pass = Some(delivered.pass.pass_id.clone());
        let etag = self.write(record).await?;
        let to = match self.send_reminder(recipients, &content).await {
            Ok(to) => to,
            Err(error) => return self.not_reminded(error, before, &etag).await,
        };
        tracing::info!(event = "joiner.reminded", "The joiner has not used the pass and was reminded of it");
        self.tell_manager(Some(&to), false).await;
        Ok(Outcome::Skipped(Skip::Reminded))
    }

    /// Sends the reminder to the first address that Exchange does not refuse, as the mail with the code, and returns it.
    async fn send_reminder(
        &self,
        recipients: &Recipients,
        content: &Rendered,
    ) -> Result<Address, GraphError> {
        let (mut to, mut refused) = (recipients.to.clone(), Vec::new());
        loop {
            let message = OutgoingMail { to: vec![to.clone()], cc: Vec::new(), content: content.clone() };
            let Err(unsent) = self.send_without_code(&message).await else { return Ok(to) };
            let is_refused = !unsent.refused.is_empty();
            refused.extend(unsent.refused);
            let next = self.recipients_without(&refused);
            let (Ok(next), true) = (next, is_refused) else { return Err(unsent.error) };
            to = next.to;
        }
    }

    /// A mail that may have been sent, or is refused for good, is not sent again. Otherwise the job runs again.
    async fn not_reminded(
        &self,
        error: GraphError,
        before: &Record,
        etag: &ETag,
    ) -> Result<Outcome, Failure> {
        if matches!(error.kind, GraphErrorKind::Ambiguous | GraphErrorKind::Refused) {
            tracing::warn!(
                event = "joiner.not_reminded",
                error = &error as &dyn Error,
                "The reminder may not have been sent; it is not sent again"
            );
            return Ok(Outcome::Skipped(Skip::AlreadyServed));
        }
        write(self.services, self.job, before.clone(), Some(etag)).await?;
        Err(error.into())
    }

    fn reminder(&self, delivered: &Delivered) -> Result<Rendered, Failure> {
        let language = self.language();
        Ok(self.services.mailer.reminder(&ReminderMail {
            reader: self.snapshot.user.reader(&language),
            times: PassTimes {
                opens_at: delivered.told_start(),
                opens_now: true,
                closes_at: delivered.told_end(),
                zone: self.facts().zone(),
                one_time: true,
                made_at: delivered.at,
            },
        })?)
    }

    /// Tells the manager what keeps the joiner from signing in, if the reminder did not go to them.
    pub(super) async fn tell_manager(&self, reminded: Option<&Address>, is_disabled: bool) {
        let (user, Some(manager)) = (&self.snapshot.user, &self.snapshot.manager) else { return };
        let address = manager.mail.as_deref().and_then(|mail| Address::parse(mail).ok());
        let Some(to) = address else { return };
        let has_code = match reminded {
            Some(reminded) => *reminded == to,
            None => self.recipients.as_ref().is_ok_and(|recipients| recipients.to == to),
        };
        // The reminder went to them.
        if has_code && !is_disabled {
            return;
        }
        let Some(delivered) = self.record.as_ref().and_then(|record| record.delivered.as_ref()) else {
            return;
        };
        let content = self.services.mailer.manager(&ManagerMail {
            manager: manager.display_name.as_deref(),
            usage_location: user.account.usage_location.as_deref(),
            joiner: user.name(),
            closes_at: delivered.told_end(),
            zone: self.facts().zone(),
            is_disabled,
            has_code,
        });
        let sent: Result<(), Failure> = match content {
            Ok(content) => {
                let message = OutgoingMail { to: vec![to], cc: Vec::new(), content };
                self.send_without_code(&message).await.map_err(|unsent| unsent.error.into())
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = sent {
            tracing::warn!(
                event = "manager.not_told",
                error = &error as &dyn Error,
                "The mail to the manager may not have been sent; it is not sent again"
            );
        }
    }

    async fn send_without_code(&self, message: &OutgoingMail) -> Result<(), NotSent> {
        let deadline = Instant::now() + budget::NOTE;
        self.services.graph.send_mail(&self.services.settings.mail.from, message, deadline).await
    }

    /// Tells an admin that a pass ended unused and is replaced. The lease records that they were told.
    pub(super) async fn report_reissue(&self, unused: &NotArrived, window: &Window) {
        let is_reported = |record: &Record| record.delivered.as_ref().is_some_and(|d| record.is_reported(d));
        if !self.record.as_ref().is_some_and(is_reported) {
            alert::send_reissue(self.services, self.job, &self.who(), unused, window).await;
        }
    }
}
