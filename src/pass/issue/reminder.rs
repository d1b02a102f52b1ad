//! A mail without a code: the joiner is reminded of the pass, and the manager hears of it.
//!
//! The record says that a mail is sent before it is, by a conditional write. So it may be lost, and is never sent twice.

use std::error::Error;

use tokio::time::Instant;

use super::{JobContext, manager::ManagerNews, without_pass::write};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, GraphErrorKind, NotSent, OutgoingMail},
    ledger::{Delivered, ETag, Record},
    mail::{ReminderMail, Rendered},
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
        self.tell_manager(self.manager_note(ManagerNews::NotSignedIn { reminded: &to })).await;
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
    pub(super) async fn not_reminded(
        &self,
        error: GraphError,
        before: &Record,
        etag: &ETag,
    ) -> Result<Outcome, Failure> {
        if matches!(error.kind, GraphErrorKind::Ambiguous | GraphErrorKind::Refused) {
            tracing::warn!(
                event = "joiner.not_reminded",
                error = &error as &dyn Error,
                "The reminder, or the mail with the new sign-in name, may not have been sent; it is not sent again"
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
            times: self.times_of(delivered),
        })?)
    }

    pub(super) async fn send_without_code(&self, message: &OutgoingMail) -> Result<(), NotSent> {
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
