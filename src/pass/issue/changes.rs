//! Mails without a code about what changed since the mail with the code: the private address, the sign-in name, the manager.
//!
//! As with reminders, the record says that a mail is sent before it is.

use std::{error::Error, ops::ControlFlow};

use tokio::time::timeout;

use super::{JobContext, manager::ManagerNews};
use crate::{
    address::Address,
    budget,
    graph::OutgoingMail,
    ledger::{Announcement, Basis, Delivered, Record},
    mail::{MailError, PassTimes, ReminderMail, Rendered},
    mail_limiter::Permit,
    pass::{Failure, Outcome, Skip, recipients::fingerprint},
};

impl JobContext<'_> {
    /// Tells the joiner the new sign-in name, at the address that has the code.
    pub(super) async fn tell_sign_in_name(&self) -> Result<Outcome, Failure> {
        let (Some(before), Some((told, delivered))) = (&self.record, self.told()) else {
            return Ok(Outcome::Skipped(Skip::AlreadyServed));
        };
        let Some(to) = told.to.clone() else { return Ok(Outcome::Skipped(Skip::AlreadyServed)) };
        let language = self.language();
        let content = self.services.mailer.renamed(&ReminderMail {
            reader: self.snapshot.user.reader(&language),
            times: self.times_of(delivered),
            steps: self.steps(),
            code: self.code_place(),
        })?;
        let mut permit = match self.note_permit(1).await? {
            ControlFlow::Continue(permit) => permit,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        let mut record = before.clone();
        self.set_basis(&mut record, |told, basis| {
            told.names_told += 1;
            basis.sign_in_name.clone_from(&self.basis.sign_in_name);
        });
        let etag = self.write(record).await?;
        let message = OutgoingMail { to: vec![to], cc: Vec::new(), content };
        if let Err(unsent) = self.send_without_code(&message, &mut permit).await {
            return self.not_reminded(unsent.error, before, &etag).await;
        }
        tracing::info!(event = "joiner.renamed", "The sign-in name has changed, and the joiner was told");
        Ok(Outcome::Skipped(Skip::ToldOfChange))
    }

    /// Tells the manager, who is new, that the joiner was sent a code. If nothing may go to them, that is settled too.
    pub(super) async fn tell_new_manager(&self) -> Result<Outcome, Failure> {
        let Some(mut record) = self.record.clone() else {
            return Ok(Outcome::Skipped(Skip::AlreadyServed));
        };
        let note = self.manager_note(ManagerNews::New);
        let permit = match &note {
            None => None,
            Some(_) => match self.note_permit(1).await? {
                ControlFlow::Continue(permit) => Some(permit),
                ControlFlow::Break(outcome) => return Ok(outcome),
            },
        };
        self.set_basis(&mut record, |told, basis| {
            told.managers_told += u32::from(note.is_some());
            basis.manager.clone_from(&self.basis.manager);
        });
        // A note that is due would say the same.
        let notes = record.delivered.as_mut().and_then(|delivered| delivered.notes.as_mut());
        if let Some((notes, (to, _))) = notes.zip(note.as_ref()) {
            notes.told.push(fingerprint(self.job.user_id, to));
        }
        self.write(record).await?;
        if !self.tell_manager(note, permit).await {
            return Ok(Outcome::Skipped(Skip::AlreadyServed));
        }
        tracing::info!(event = "manager.changed", "The joiner has another manager, who was told of the mail");
        Ok(Outcome::Skipped(Skip::ToldOfChange))
    }

    /// Tells whoever has the address of the mail before that mails go elsewhere now. The pass in that mail is replaced.
    pub(super) async fn tell_old_address(&self, now_to: Option<&Address>, permit: &mut Permit) {
        let told = self.record.as_ref().and_then(|record| record.announcement.as_ref());
        let had = told.and_then(|told| told.handed_to.clone().or_else(|| told.to.clone()));
        let Some(to) = had.filter(|to| Some(to) != now_to) else { return };
        let country = self.snapshot.user.account.usage_location.as_deref();
        let note = self.services.mailer.address_changed(&self.language(), country);
        let sending = self.send_note(to, note, permit);
        match timeout(budget::OLD_ADDRESS, sending).await.unwrap_or(Err(Failure::MailboxBusy)) {
            Ok(()) => tracing::info!(
                event = "joiner.address_corrected",
                "The private address was corrected: a new pass went to the new one, a note without code to the old one"
            ),
            Err(error) => tracing::warn!(
                event = "joiner.old_address_not_told",
                error = &error as &dyn Error,
                "The private address was corrected; the note to the old one may not have been sent, and is not sent again"
            ),
        }
    }

    /// Sends a mail without a code that is sent once and may be lost.
    pub(super) async fn send_note(
        &self,
        to: Address,
        note: Result<Rendered, MailError>,
        permit: &mut Permit,
    ) -> Result<(), Failure> {
        let message = OutgoingMail { to: vec![to], cc: Vec::new(), content: note? };
        Ok(self.send_without_code(&message, permit).await.map_err(|unsent| unsent.error)?)
    }

    /// The last mail for a start, and its pass.
    fn told(&self) -> Option<(&Announcement, &Delivered)> {
        let record = self.record.as_ref()?;
        record.announcement.as_ref().zip(record.delivered.as_ref())
    }

    /// When the delivered pass works, for mails without its code.
    pub(super) fn times_of(&self, delivered: &Delivered) -> PassTimes {
        let now = self.services.clock.now();
        PassTimes {
            opens_at: delivered.told_start(),
            opens_now: delivered.pass.opens_at <= now,
            closes_at: delivered.told_end(),
            zone: self.facts().zone(),
            one_time: true,
            made_at: delivered.at,
        }
    }

    /// Changes what the last mail rests on, after the joiner or the manager was told of it.
    fn set_basis(&self, record: &mut Record, change: impl FnOnce(&mut Announcement, &mut Basis)) {
        if let Some(told) = &mut record.announcement {
            let mut basis = told.basis.take().unwrap_or_else(|| self.basis.clone());
            change(told, &mut basis);
            told.basis = Some(basis);
            told.told_at = Some(self.services.clock.now());
        }
    }

    /// What the last mail rests on, if it has to be written down anew: a record of an earlier version has none, and what nobody
    /// has to be told of is no change.
    pub(super) fn settled_announcement(&self) -> Option<Announcement> {
        let (told, delivered) = self.told()?;
        let is_read = self.snapshot.manager_refused.is_none() && self.basis.address.is_some();
        if !is_read || self.facts().was_just_told() || self.record.as_ref()?.arrived_at.is_some() {
            return None;
        }
        let mut basis = self.basis.clone();
        // A window that should move and could not yet is no settled matter.
        if let Some(before) = told.basis.as_ref().filter(|before| before.is_comparable())
            && before.zone != basis.zone
        {
            basis.place.clone_from(&before.place);
            basis.zone.clone_from(&before.zone);
        }
        let mut settled = Announcement { basis: Some(basis), removal_told: false, ..told.clone() };
        // Where the mail went is only known if it still would go there.
        let is_unknown = told.to.is_none() && told.mailbox.is_none() && told.handed_to.is_none();
        if let Some(recipients) = self.recipients.as_ref().ok().filter(|_| is_unknown)
            && delivered.address == self.basis.address
        {
            recipients.record(&mut settled);
        }
        (settled != *told).then_some(settled)
    }
}
