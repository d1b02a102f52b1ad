//! A mail without a code: the joiner is reminded of the pass, and the manager hears of it.
//!
//! The record says that a mail is sent before it is, by a conditional write. So it may be lost, and is never sent twice.

use std::{error::Error, ops::ControlFlow};

use tokio::time::Instant;

use super::{JobContext, manager::ManagerNews, without_pass::write};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, GraphErrorKind, NotSent, OutgoingMail},
    ledger::{Delivered, ETag, Record},
    mail::{ReminderMail, Rendered},
    mail_limiter::{Content, Permit},
    pass::{
        Block, Failure, Outcome, Skip, Window,
        alert::{self},
        follow_up::NotArrived,
        outcome::Step,
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
        // The manager hears of it too.
        let mut permit = match self.note_permit(2).await? {
            ControlFlow::Continue(permit) => permit,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        let mut record = before.clone();
        record.reminded_pass = Some(delivered.pass.pass_id.clone());
        let etag = self.write(record).await?;
        let to = match recipients.reader() {
            None => None,
            Some(reader) => match self.send_reminder(reader, &content, &mut permit).await {
                Ok(to) => Some(to),
                Err(error) => return self.not_reminded(error, before, &etag).await,
            },
        };
        tracing::info!(event = "joiner.reminded", "The joiner has not used the pass and was reminded of it");
        let note = self.manager_note(ManagerNews::NotSignedIn { reminded: to.as_ref() });
        self.tell_manager(note, Some(permit)).await;
        Ok(Outcome::Skipped(Skip::Reminded))
    }

    /// Sends the reminder to the first address that Exchange does not refuse, as the mail with the code, and returns it.
    pub(super) async fn send_reminder(
        &self,
        reader: &Address,
        content: &Rendered,
        permit: &mut Permit,
    ) -> Result<Address, GraphError> {
        let (mut to, mut refused) = (reader.clone(), Vec::new());
        loop {
            let message = OutgoingMail { to: vec![to.clone()], cc: Vec::new(), content: content.clone() };
            let Err(unsent) = self.send_without_code(&message, permit).await else { return Ok(to) };
            let is_refused = !unsent.refused.is_empty();
            refused.extend(unsent.refused);
            let next = self.recipients_without(&refused);
            let next = next.ok().and_then(|next| next.reader().cloned());
            let (Some(next), true) = (next, is_refused) else { return Err(unsent.error) };
            to = next;
        }
    }

    /// A mail that may have been sent, or is refused for good, is not sent again. Otherwise the job runs again.
    pub(super) async fn not_reminded(
        &self,
        error: GraphError,
        before: &Record,
        etag: &ETag,
    ) -> Result<Outcome, Failure> {
        let error = self.over_or_again(error, before, etag).await?;
        tracing::warn!(
            event = "joiner.not_reminded",
            error = &error as &dyn Error,
            "The reminder, or the mail with the new sign-in name, may not have been sent; it is not sent again"
        );
        Ok(Outcome::Skipped(Skip::AlreadyServed))
    }

    /// The error, if the mail without a code may have been sent or is refused for good. Otherwise the record says again what it said
    /// `before`.
    ///
    /// # Errors
    /// When the mail is to be sent again, or the record cannot be written.
    pub(super) async fn over_or_again(
        &self,
        error: GraphError,
        before: &Record,
        etag: &ETag,
    ) -> Result<GraphError, Failure> {
        let is_over = matches!(error.kind, GraphErrorKind::Ambiguous | GraphErrorKind::Refused);
        if is_over && self.services.mailbox.refusal(self.job).is_none() {
            return Ok(error);
        }
        write(self.services, self.job, before.clone(), Some(etag)).await?;
        Err(error.into())
    }

    fn reminder(&self, delivered: &Delivered) -> Result<Rendered, Failure> {
        let language = self.language();
        Ok(self.services.mailer.reminder(&ReminderMail {
            reader: self.snapshot.user.reader(&language),
            times: self.times_of(delivered),
            steps: self.steps(),
            code: self.code_place(),
        })?)
    }

    /// The permit for so many mails without a code, before the record says that they are sent. If the mailbox refuses all mails, the job
    /// ends.
    pub(super) async fn note_permit(&self, mails: usize) -> Step<Permit> {
        if let Some(refusal) = self.services.mailbox.refusal(self.job) {
            return Ok(ControlFlow::Break(self.note_later(refusal).await?));
        }
        Ok(ControlFlow::Continue(self.permit_for_notes(mails).await.ok_or(Failure::MailboxBusy)?))
    }

    /// The permit for so many mails without a code, if the mailbox gives it in time.
    pub(super) async fn permit_for_notes(&self, mails: usize) -> Option<Permit> {
        let (from, deadline) = (&self.services.settings.mail.from, Instant::now() + budget::NOTE_PERMIT);
        self.services.mail_permit(from, Content::Note, mails, deadline).await
    }

    /// The record says that a mail without a code waits for the mailbox. The pass stays as it is.
    async fn note_later(&self, refusal: String) -> Result<Outcome, Failure> {
        if let Some(record) = self.record.clone().filter(|record| !record.waits_for_mailbox()) {
            self.write(Record { cause: Some(Record::MAILBOX_SHUT.to_owned()), ..record }).await?;
        }
        Ok(Outcome::Blocked(Block::MailboxShut(refusal)))
    }

    pub(super) async fn send_without_code(
        &self,
        message: &OutgoingMail,
        permit: &mut Permit,
    ) -> Result<(), NotSent> {
        // A further mail than the permit is for waits like the first.
        permit.renew(Instant::now() + budget::NOTE_PERMIT).await;
        let deadline = Instant::now() + budget::NOTE;
        self.services.send_mail(permit, &self.services.settings.mail.from, message, deadline).await
    }

    /// Tells an admin that a pass ended unused and is replaced. The lease records that they were told.
    pub(super) async fn report_reissue(&self, unused: &NotArrived, window: &Window) {
        let is_reported = |record: &Record| record.delivered.as_ref().is_some_and(|d| record.is_reported(d));
        if !self.record.as_ref().is_some_and(is_reported) {
            alert::send_reissue(self.services, self.job, &self.who(), unused, window).await;
        }
    }
}
