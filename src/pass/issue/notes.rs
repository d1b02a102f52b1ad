//! The notes that follow a delivery: mails without the code to those whom MAIL_CC names.
//!
//! A joiner's code must not wait for them, so they are a message of their own, behind the jobs in the queue. As with a reminder,
//! the record says that a note is sent before it is: it may be lost, and does not come twice. The message names the user only;
//! who is told, and of what, is read again.

use std::{error::Error, ops::ControlFlow};

use tokio::time::Instant;

use super::{
    JobContext,
    inputs::{Inputs, Limits},
    without_pass::write,
};
use crate::{
    address::Address,
    budget,
    graph::{GraphError, OutgoingMail, SnapshotError},
    ledger::{Delivered, DueNotes, ETag, LedgerError, Record, State},
    mail::{Occasion, PassTimes, Rendered, ToldMail},
    pass::{
        Failure, Services, mailbox,
        notes_due::NotesDue,
        person::Person,
        recipients::{Onlooker, fingerprint, onlookers},
        replication::REPLICA_LAG,
    },
};

const SHUT: &str = "the mailbox that sends refuses all mails";

/// What became of the notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotesEnd {
    /// Nobody is to be told any more, in words.
    Done(&'static str),
    /// There was no time for all.
    More,
    /// They stay due, and a later job for the user has them sent, in words.
    Stay(&'static str),
}

/// Sends the notes that are due.
///
/// # Errors
/// When a note was not sent and can be sent later, or what it says cannot be read now.
pub async fn send_notes(services: &Services, due: NotesDue) -> Result<NotesEnd, Failure> {
    let (started, limits, job) = (Instant::now(), Limits::of(None), due.job());
    let mut who = Person::known_as(job.user_id.to_string());
    let inputs = match Inputs::read(services, &job, None, limits, &mut who).await {
        Err(Failure::Ledger(LedgerError::Unreadable(_))) => return Ok(NotesEnd::Done("there is no record")),
        inputs => inputs?,
    };
    if let Err(SnapshotError::Missing) = inputs.snapshot {
        return Ok(NotesEnd::Done("the account does not exist any more"));
    }
    match JobContext::new(services, &job, None, limits, inputs).await? {
        ControlFlow::Continue(context) => context.send_notes(started).await,
        ControlFlow::Break(_) => Ok(NotesEnd::Done("there is nothing to tell")),
    }
}

/// Gives up the notes that are due: they could not be sent in any delivery of their message.
pub async fn give_up_notes(services: &Services, due: NotesDue) -> Result<(), Failure> {
    let Some((mut record, etag)) = services.ledger.read(due.notes_due).await? else { return Ok(()) };
    if end(&mut record) {
        write(services, &due.job(), record, Some(&etag)).await?;
    }
    Ok(())
}

/// Whether an invocation that began at `started` has the time for one mail more.
fn has_time(started: Instant) -> bool {
    started.elapsed() + budget::ONE_NOTE <= budget::NOTES
}

/// Nobody is to be told any more. Returns whether somebody was.
fn end(record: &mut Record) -> bool {
    record.delivered.as_mut().and_then(|delivered| delivered.notes.take()).is_some()
}

impl JobContext<'_> {
    async fn send_notes(&self, started: Instant) -> Result<NotesEnd, Failure> {
        let (Some(record), Some(etag)) = (&self.record, &self.etag) else {
            return Ok(NotesEnd::Done("there is no record"));
        };
        let Some((delivered, due)) = record.delivered.as_ref().zip(record.due_notes()) else {
            return Ok(NotesEnd::Done("everybody was told"));
        };
        // It may have replaced the pass.
        let leased_at = record.lease.as_ref().map(|lease| lease.since);
        if record.state != State::Delivered && leased_at > Some(delivered.at) {
            return Ok(NotesEnd::Stay("a later job for this user has not come to its end"));
        }
        let mut now = (record.clone(), etag.clone());
        if !self.is_current(delivered) {
            end(&mut now.0);
            write(self.services, self.job, now.0, Some(&now.1)).await?;
            return Ok(NotesEnd::Done("the pass is not the one that works any more, or was used"));
        }
        let has_code =
            |address: &Address| delivered.address.as_ref() == Some(&fingerprint(self.job.user_id, address));
        let (user, manager) = (&self.snapshot.user, self.snapshot.manager.as_ref());
        let mut onlookers = onlookers(user, manager, &self.services.settings.mail, &self.known);
        onlookers.retain(|onlooker| {
            !has_code(&onlooker.address)
                && !due.told.contains(&fingerprint(self.job.user_id, &onlooker.address))
        });
        if due.joiner {
            if !self.may_send().await {
                return Ok(NotesEnd::Stay(SHUT));
            }
            now.1 = self.tell_joiner(&mut now.0, &now.1).await?;
        }
        let mut left = onlookers.len();
        for onlooker in &onlookers {
            if !has_time(started) {
                return Ok(NotesEnd::More);
            }
            if !self.may_send().await {
                return Ok(NotesEnd::Stay(SHUT));
            }
            left -= 1;
            now.1 = self.send_note_to(onlooker, &mut now.0, &now.1, left == 0).await?;
        }
        if end(&mut now.0) {
            write(self.services, self.job, now.0, Some(&now.1)).await?;
        }
        Ok(NotesEnd::Done("everybody was told"))
    }

    /// Whether the mailbox takes mails, as far as this process knows, or it is time to try it.
    async fn may_send(&self) -> bool {
        self.services.mailbox.refusal(self.job).is_none()
            || mailbox::may_try(self.services, self.job.user_id).await
    }

    /// Sends the joiner's own mail, without the code that somebody hands over, after the record says so. Returns the version of the
    /// record.
    async fn tell_joiner(&self, record: &mut Record, etag: &ETag) -> Result<ETag, Failure> {
        let before = record.clone();
        let reader = self.recipients.as_ref().ok().and_then(|recipients| recipients.joiner.clone());
        let Some(delivered) = record.delivered.as_mut() else { return Ok(etag.clone()) };
        let Some(notes) = &mut delivered.notes else { return Ok(etag.clone()) };
        notes.joiner = false;
        let occasion = notes.occasion();
        let Some(reader) = reader else { return Ok(etag.clone()) };
        let content = self.welcome(delivered, occasion)?;
        let mut permit = self.permit_for_notes(1).await.ok_or(Failure::MailboxBusy)?;
        if let (Some(told), Ok(recipients)) = (&mut record.announcement, &self.recipients)
            && told.handed_to.is_some()
        {
            (told.to, told.mailbox) = (Some(reader.clone()), recipients.mailbox.clone());
        }
        let claimed = write(self.services, self.job, record.clone(), Some(etag)).await?;
        match self.send_reminder(&reader, &content, &mut permit).await {
            Ok(to) => {
                tracing::info!(
                    event = "joiner.told",
                    to = to.masked(),
                    "The joiner was told how to sign in, without the code that somebody hands over"
                );
                Ok(claimed)
            }
            Err(error) => self.not_sent(&reader, error, before, claimed).await,
        }
    }

    /// A mail that may have been sent, or is refused for good, is not sent again. Otherwise the record says again what it said
    /// `before`, and the message comes back.
    async fn not_sent(
        &self,
        to: &Address,
        error: GraphError,
        before: Record,
        claimed: ETag,
    ) -> Result<ETag, Failure> {
        let error = self.over_or_again(error, &before, &claimed).await?;
        tracing::warn!(
            event = "note.not_sent",
            to = to.masked(),
            error = &error as &dyn Error,
            "A mail without the code that follows a delivery may not have been sent; it is not sent again"
        );
        Ok(claimed)
    }

    /// Whether the delivered pass can still be used, as far as the tenant shows. A replica may not show it yet.
    fn is_current(&self, delivered: &Delivered) -> bool {
        let now = self.services.clock.now();
        let (id, passes) = (&delivered.pass.pass_id, &self.snapshot.passes);
        match passes.iter().find(|pass| pass.id == *id) {
            Some(listed) => listed.can_be_used(now),
            None => {
                let is_replaced = passes.iter().any(|pass| pass.created_date_time > delivered.at);
                !is_replaced && now - delivered.at < REPLICA_LAG && delivered.pass.ends_at > now
            }
        }
    }

    /// Sends the note to one of them, after the record says so. Returns the version of the record.
    async fn send_note_to(
        &self,
        onlooker: &Onlooker,
        record: &mut Record,
        etag: &ETag,
        is_last: bool,
    ) -> Result<ETag, Failure> {
        let before = record.clone();
        let Some(delivered) = record.delivered.as_mut() else { return Ok(etag.clone()) };
        let content = self.note_for(onlooker, delivered)?;
        let mut permit = self.permit_for_notes(1).await.ok_or(Failure::MailboxBusy)?;
        let id = fingerprint(self.job.user_id, &onlooker.address);
        match &mut delivered.notes {
            notes if is_last => *notes = None,
            Some(notes) => notes.told.push(id),
            None => {}
        }
        // They need not hear once more that the joiner is theirs.
        if onlooker.is_manager
            && let Some(basis) = record.announcement.as_mut().and_then(|told| told.basis.as_mut())
        {
            basis.manager.clone_from(&self.basis.manager);
        }
        let claimed = write(self.services, self.job, record.clone(), Some(etag)).await?;
        let message = OutgoingMail { to: vec![onlooker.address.clone()], cc: Vec::new(), content };
        let Err(unsent) = self.send_without_code(&message, &mut permit).await else {
            tracing::info!(
                event = "note.sent",
                to = onlooker.address.masked(),
                "Somebody was told that the joiner was sent a code"
            );
            return Ok(claimed);
        };
        self.not_sent(&onlooker.address, unsent.error, before, claimed).await
    }

    fn note_for(&self, onlooker: &Onlooker, delivered: &Delivered) -> Result<Rendered, Failure> {
        let language = self.language();
        let occasion = delivered.notes.as_ref().map_or(Occasion::First, DueNotes::occasion);
        let manager = self.snapshot.manager.as_ref().filter(|_| onlooker.is_manager);
        Ok(self.services.mailer.told(&ToldMail {
            name: manager.and_then(|manager| manager.display_name.as_deref()),
            joiner: self.snapshot.user.reader(&language),
            times: PassTimes { one_time: delivered.pass.one_time, ..self.times_of(delivered) },
            day_one: delivered.day_one,
            is_new: occasion != Occasion::First,
        })?)
    }
}

impl DueNotes {
    /// Why the pass was made.
    fn occasion(&self) -> Occasion {
        Occasion::of_word(&self.occasion)
    }
}
