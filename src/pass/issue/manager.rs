//! Mails to the manager, without a code. They are sent once and may be lost.

use std::error::Error;

use super::JobContext;
use crate::{
    address::Address,
    graph::TenantSnapshot,
    mail::ManagerMail,
    pass::manager::{self, Unfit},
};

/// What a manager hears.
#[derive(Clone, Copy)]
pub(super) enum ManagerNews<'a> {
    /// The joiner has not signed in, and was reminded at this address.
    NotSignedIn {
        /// Where.
        reminded: &'a Address,
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

    /// Tells the manager, if the reminder did not go to them.
    pub(super) async fn tell_manager(&self, news: ManagerNews<'_>) {
        let (user, Some(manager)) = (&self.snapshot.user, &self.snapshot.manager) else { return };
        let Some(Ok(to)) = self.manager_mailbox() else { return };
        let has_code = match news {
            ManagerNews::NotSignedIn { reminded } => *reminded == to,
            ManagerNews::Disabled | ManagerNews::New => {
                self.recipients.as_ref().is_ok_and(|recipients| recipients.to == to)
            }
        };
        if has_code && !matches!(news, ManagerNews::Disabled) {
            return;
        }
        let Some(delivered) = self.record.as_ref().and_then(|record| record.delivered.as_ref()) else {
            return;
        };
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
        if let Err(error) = self.send_note(to, note).await {
            tracing::warn!(
                event = "manager.not_told",
                error = &error as &dyn Error,
                "The mail to the manager may not have been sent; it is not sent again"
            );
        }
    }
}
