//! What a person should know of a pass and need not act on: notices in the record, and lines in the log.

use std::error::Error;

use super::JobContext;
use crate::{
    ledger::Notice,
    mail::Occasion,
    pass::{day_one::fits, decide::Plan, lease::HeldLease, manager::Unfit, recipients::Recipients},
};

impl JobContext<'_> {
    /// Notes what a person should know of this pass.
    pub(super) fn note_circumstances(&self, plan: &Plan, lease: &mut HeldLease<'_>) {
        if plan.window.too_short.is_some() {
            lease.note(Notice::SHORT_WINDOW);
        }
        let settings = &self.services.settings.pass;
        let zone = settings.zone(self.snapshot.user.account.place());
        let is_odd = |stamp| !fits(stamp, settings.hire_date_zone, zone);
        if plan.day_one.is_some() && self.snapshot.user.account.employee_hire_date.is_some_and(is_odd) {
            lease.note(Notice::ODD_HIRE_DATE);
        }
        if plan.occasion == Occasion::Corrected {
            lease.note(Notice::ADDRESS_CORRECTED);
        }
        if plan.is_late {
            lease.note(Notice::LATE);
        }
        let is_untold = |recipients: &Recipients| recipients.giver.is_some() && recipients.joiner.is_none();
        if self.recipients.as_ref().is_ok_and(is_untold) {
            lease.note(Notice::JOINER_NOT_TOLD);
            tracing::warn!(
                event = "joiner.not_told",
                "The code goes to whoever hands it over, and the joiner has no private address to be told at"
            );
        }
        if self.snapshot.manager_left {
            lease.note(Notice::MANAGER_LEFT);
            tracing::warn!(
                event = "manager.left",
                "The manager's account is disabled; the mail goes without them"
            );
        }
        let mail = &self.services.settings.mail;
        let is_wanted = mail.tells_manager() || mail.names_manager_as_recipient();
        if let Some(Err(why)) = self.manager_mailbox().filter(|_| is_wanted)
            && why != Unfit::NoMailbox
        {
            lease.note(Notice::MANAGER_UNFIT);
            tracing::warn!(
                event = "manager.unfit",
                why = %why,
                "The manager may get no mail about the joiner; the mail goes without them"
            );
        }
        if let Some(error) = &self.snapshot.manager_refused {
            lease.note(Notice::MANAGER_REFUSED);
            tracing::warn!(
                event = "manager.not_read",
                error = error as &dyn Error,
                "Graph does not show the manager; the mail goes without them"
            );
        }
    }
}
