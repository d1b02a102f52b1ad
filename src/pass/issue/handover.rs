//! A code that somebody hands over: the mail with it, and the joiner's own without it.
//!
//! The mail with the code is the delivery, with everything that holds for one. The joiner's own mail follows like a note
//! (`notes.rs`), before the notes to others.

use std::ops::ControlFlow;

use super::JobContext;
use crate::{
    graph::OutgoingMail,
    ledger::Delivered,
    mail::{CodePlace, Draft, HandoverMail, JoinerMail, Occasion, PassTimes, Rendered},
    pass::{Failure, Outcome, Skip, decide::Plan, recipients::Giver},
};

impl JobContext<'_> {
    /// The mail with the code for whoever hands it over.
    pub(super) fn handover(
        &self,
        plan: &Plan,
        giver: &Giver,
        joiner_is_told: bool,
    ) -> Result<Draft, Failure> {
        let language = self.language();
        Ok(self.services.mailer.handover(&HandoverMail {
            name: giver.name.as_deref(),
            joiner: self.snapshot.user.reader(&language),
            times: self.times(plan),
            day_one: plan.day_one,
            is_new: plan.occasion != Occasion::First,
            joiner_is_told,
            letters: self.snapshot.policy.default_length,
        })?)
    }

    /// The joiner's own mail about the delivered pass, without its code. The address and the giver can change without a new code:
    /// then it is as the first one.
    pub(super) fn welcome(&self, delivered: &Delivered, occasion: Occasion) -> Result<Rendered, Failure> {
        let language = self.language();
        Ok(self.services.mailer.welcome(&JoinerMail {
            reader: self.snapshot.user.reader(&language),
            times: PassTimes { one_time: delivered.pass.one_time, ..self.times_of(delivered) },
            manager: None,
            day_one: delivered.day_one,
            occasion: if occasion == Occasion::Corrected { Occasion::First } else { occasion },
            follows_on: delivered.follows_on,
            steps: self.steps(),
            code: self.code_place_of(delivered),
        })?)
    }

    /// Where the joiner gets the code of `delivered` that somebody hands over.
    fn code_place_of(&self, delivered: &Delivered) -> CodePlace<'_> {
        let recipients = self.recipients.as_ref().ok();
        let giver = recipients.filter(|to| delivered.address == to.fingerprint(self.job.user_id));
        CodePlace::From(giver.and_then(|to| to.giver.as_ref()?.name.as_deref()))
    }

    /// Where the joiner has the code that was delivered, for mails without it.
    pub(super) fn code_place(&self) -> CodePlace<'_> {
        let record = self.record.as_ref();
        let told = record.and_then(|record| record.announcement.as_ref());
        match record.and_then(|record| record.delivered.as_ref()) {
            Some(delivered) if told.is_some_and(|told| told.handed_to.is_some()) => {
                self.code_place_of(delivered)
            }
            _ => CodePlace::Mail { letters: self.snapshot.policy.default_length },
        }
    }

    /// Tells the joiner at another private address how to sign in. The code stays with whoever hands it over.
    pub(super) async fn tell_address(&self) -> Result<Outcome, Failure> {
        let done = Ok(Outcome::Skipped(Skip::AlreadyServed));
        let (Some(before), Ok(recipients)) = (&self.record, &self.recipients) else { return done };
        let (Some(delivered), Some(to)) = (&before.delivered, &recipients.joiner) else { return done };
        let content = self.welcome(delivered, Occasion::First)?;
        let mut permit = match self.note_permit(1).await? {
            ControlFlow::Continue(permit) => permit,
            ControlFlow::Break(outcome) => return Ok(outcome),
        };
        let mut record = before.clone();
        if let Some(told) = &mut record.announcement {
            (told.to, told.mailbox) = (Some(to.clone()), recipients.mailbox.clone());
            told.addresses_told += 1;
            told.told_at = Some(self.services.clock.now());
        }
        // The one that is due would say the same.
        if let Some(notes) = record.delivered.as_mut().and_then(|delivered| delivered.notes.as_mut()) {
            notes.joiner = false;
        }
        let etag = self.write(record).await?;
        let message = OutgoingMail { to: vec![to.clone()], cc: Vec::new(), content };
        if let Err(unsent) = self.send_without_code(&message, &mut permit).await {
            return self.not_reminded(unsent.error, before, &etag).await;
        }
        tracing::info!(
            event = "joiner.told_elsewhere",
            "The private address has changed, and the joiner was told there how to sign in"
        );
        Ok(Outcome::Skipped(Skip::ToldOfChange))
    }
}
