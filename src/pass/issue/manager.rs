//! Mails to the manager, without a code. They are sent once and may be lost.

use std::error::Error;

use super::JobContext;
use crate::{
    address::Address,
    graph::TenantSnapshot,
    mail::{MailError, ManagerMail, Rendered},
    mail_limiter::Permit,
    pass::{
        Failure,
        manager::{self, Unfit},
        recipients::Recipients,
    },
};

/// What a manager hears.
#[derive(Clone, Copy)]
pub(super) enum ManagerNews<'a> {
    /// The joiner has not signed in, and was reminded at this address.
    NotSignedIn {
        /// Where; `None` if they have no private address.
        reminded: Option<&'a Address>,
    },
    /// The joiner cannot sign in: the account is disabled.
    Disabled,
    /// The joiner is theirs now, and was sent a code.
    New,
}

impl JobContext<'_> {
    /// The manager's mailbox, or why nothing may go there; `None` without a manager.
    pub(super) fn manager_mailbox(&self) -> Option<Result<Address, Unfit>> {
        let TenantSnapshot { user, manager, .. } = &self.snapshot;
        let settings = &self.services.settings.mail;
        Some(manager::mailbox(manager.as_ref()?, &user.as_candidate(), settings, &self.known))
    }

    /// The mail that tells the manager, and its address; `None` if nothing may go to them, or they have the joiner's mail. Whoever
    /// hands the code over hears all the same that it was not used.
    pub(super) fn manager_note(
        &self,
        news: ManagerNews<'_>,
    ) -> Option<(Address, Result<Rendered, MailError>)> {
        let (user, manager) = (&self.snapshot.user, self.snapshot.manager.as_ref()?);
        let to = self.manager_mailbox()?.ok()?;
        let recipients = self.recipients.as_ref().ok();
        let has = |recipients: &Recipients| recipients.to.as_ref() == Some(&to);
        let gives = recipients.is_some_and(|recipients| recipients.giver.is_some() && has(recipients));
        let has_code = match news {
            ManagerNews::NotSignedIn { reminded } => gives || reminded == Some(&to),
            ManagerNews::Disabled | ManagerNews::New => recipients.is_some_and(has),
        };
        let is_said = match news {
            ManagerNews::NotSignedIn { .. } => gives || !has_code,
            ManagerNews::Disabled => true,
            ManagerNews::New => !has_code,
        };
        if !is_said {
            return None;
        }
        let delivered = self.record.as_ref()?.delivered.as_ref()?;
        let note = self.services.mailer.manager(&ManagerMail {
            manager: manager.display_name.as_deref(),
            usage_location: user.account.usage_location.as_deref(),
            joiner: user.name(),
            opens_at: delivered.told_start(),
            closes_at: delivered.told_end(),
            zone: self.facts().zone(),
            is_disabled: matches!(news, ManagerNews::Disabled),
            is_new: matches!(news, ManagerNews::New),
            has_code,
        });
        Some((to, note))
    }

    /// Tells the manager, if there is something to send, by the permit that is `held` or another one. Returns whether it was sent.
    pub(super) async fn tell_manager(
        &self,
        note: Option<(Address, Result<Rendered, MailError>)>,
        held: Option<Permit>,
    ) -> bool {
        let Some((to, note)) = note else { return false };
        let permit = match held {
            None if self.services.mailbox.is_shut() => None,
            None => self.permit_for_notes(1).await,
            held => held,
        };
        let sent = match permit {
            Some(mut permit) => self.send_note(to, note, &mut permit).await,
            None => Err(Failure::MailboxBusy),
        };
        if let Err(error) = &sent {
            tracing::warn!(
                event = "manager.not_told",
                error = error as &dyn Error,
                "The mail to the manager may not have been sent; it is not sent again"
            );
        }
        sent.is_ok()
    }
}
