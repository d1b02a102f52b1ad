//! What is done when the tenant changes what a joiner's mail rests on, until the pass is used.
//!
//! Only the tenant's values count. What our settings, tables or releases read in another way applies to passes that are not
//! made yet.

use chrono::{NaiveDate, TimeDelta};

use super::{Decision, Facts, MAX_CODES};
use crate::{
    graph::Pass,
    ledger::{Announcement, Basis, Delivered, Purpose, is_move},
    mail::Occasion,
    pass::{
        basis::of_mailbox,
        outcome::{Block, Revoke, Skip},
        recipients::{mailbox, mailboxes},
        replication::REPLICA_LAG,
    },
};

/// An address that changes later than this before the pass opens is for a person to check.
pub(crate) const CORRECTED_UNTIL: TimeDelta = TimeDelta::hours(24);
/// How many mails without a code about changes of one kind are sent for one start. Two systems that overwrite each other's
/// values could go on for ever.
const NOTES_MAX: u32 = 3;

impl Facts<'_> {
    /// The last mail for the start on `day`, with what it rested on.
    fn told(&self, day: NaiveDate) -> Option<(&Announcement, &Basis)> {
        let told = self.announcement().filter(|told| is_move(told.day_one, day))?;
        let basis = told.basis.as_ref().filter(|basis| basis.is_comparable())?;
        (!self.was_just_told()).then_some((told, basis))
    }

    /// Whether something was told so recently that the snapshot may be older.
    pub(in crate::pass) fn was_just_told(&self) -> bool {
        let told_at = self.announcement().and_then(|told| told.told_at);
        told_at.is_some_and(|at| self.now - at < REPLICA_LAG)
    }

    /// What is done when the private address is another than the one that the mail for this start went to. `is_over` says that no
    /// more passes are made for `day`.
    pub(super) fn address_changed(&self, day: NaiveDate, is_over: bool) -> Option<Decision> {
        let is_of_start = |of: &NaiveDate| is_move(*of, day);
        let record = self.record?;
        // A pass that a person has made stays, and ours is gone with it.
        let is_foreign = |pass: &&Pass| pass.can_be_used(self.now) && self.is_foreign(pass);
        let foreign = self.snapshot.passes.iter().find(is_foreign);
        let pass_id = self.revocable();
        let hold_for = |why: Revoke, pass_id: Option<String>| match (pass_id, foreign) {
            (_, Some(pass)) => Some(Decision::Skip(Skip::HasWorkingPass(self.delivered_for(pass)))),
            (Some(pass_id), None) => Some(Decision::Revoke { pass_id, why }),
            (None, None) if why == Revoke::ByAdmin => {
                (!is_over).then_some(Decision::Skip(Skip::RevokedByAdmin))
            }
            (None, None) => (!is_over).then_some(Decision::Block(Block::AddressChanged)),
        };
        let hold = |pass_id| hold_for(Revoke::AddressChanged, pass_id);
        if record.held_for.as_ref().is_some_and(is_of_start) {
            return match record.held_at {
                Some(_) => hold_for(Revoke::ByAdmin, pass_id),
                None => hold(pass_id),
            };
        }
        let (told, basis) = self.told(day)?;
        if self.has_address(told, basis) {
            return None;
        }
        if self.basis.address.is_none() {
            // Once told, it keeps nobody from hearing of other changes. A pass that nobody was sent is another matter.
            let is_unread = self.snapshot.manager_refused.is_some();
            let works = pass_id.is_some() && self.listed_undelivered().is_none();
            return (works && !told.removal_told && !is_unread)
                .then_some(Decision::Block(Block::AddressRemoved));
        }
        let plan = self.joiner_plan(day, Occasion::Corrected);
        let delivered = self.delivered().filter(|delivered| delivered.purpose == Purpose::Joiner);
        let opens_at = delivered.map_or(plan.window.opens_at, |d| d.pass.opens_at.min(plan.window.opens_at));
        let is_first = !record.corrected_for.as_ref().is_some_and(is_of_start);
        let is_early = opens_at - self.now >= CORRECTED_UNTIL;
        if is_first && is_early && foreign.is_none() && self.may_make_another(day) {
            return Some(match self.waits_for_mailbox(day, &plan.window) {
                true => Decision::Skip(Skip::MailUnclear),
                false => Decision::Issue(plan),
            });
        }
        hold(pass_id)
    }

    /// What is done about the other changes while the `delivered` pass for `day` can be used.
    pub(super) fn changed(&self, delivered: &Delivered, day: NaiveDate) -> Option<Decision> {
        let (told, basis) = self.told(day)?;
        // Nor does a guess at the name, which Graph hides, tell anybody anything.
        if self.refused().is_some() {
            return None;
        }
        let is_elsewhere = !basis.has_same_place(self.basis) && basis.zone != self.basis.zone;
        // A pass for the morning after an unused one stays where it is.
        let is_first = self.record.is_some_and(|record| record.opened_at.is_none());
        if is_elsewhere && is_first && self.now < delivered.pass.opens_at && self.may_make_another(day) {
            let plan = self.joiner_plan(day, Occasion::Retimed);
            let moved_by = (plan.window.opens_at - delivered.told_start()).abs();
            if moved_by >= TimeDelta::minutes(1) {
                return Some(Decision::Issue(plan));
            }
        }
        let has_new_address =
            told.handed_to.is_some() && self.told_at.is_some_and(|at| Some(at) != told.mailbox.as_deref());
        if has_new_address && told.addresses_told < NOTES_MAX {
            return Some(Decision::TellAddress);
        }
        let is_renamed = basis.sign_in_name != self.basis.sign_in_name && told.to.is_some();
        if is_renamed && told.names_told < NOTES_MAX {
            return Some(Decision::TellSignInName);
        }
        let has_new_manager = self.basis.manager.is_some() && basis.manager != self.basis.manager;
        let may_tell = self.tells_manager && told.managers_told < NOTES_MAX;
        (may_tell && has_new_manager).then_some(Decision::TellNewManager)
    }

    /// Whether the account still has the address that the mail went to, in whatever place; or the manager, if it went to them.
    fn has_address(&self, told: &Announcement, basis: &Basis) -> bool {
        let user = &self.snapshot.user;
        let is_named = |mailbox: &str| mailboxes(&user.account).any(|named| named == mailbox);
        // The code is with somebody else, whatever becomes of the private address.
        if let Some(holder) = &told.handed_to {
            return basis.manager.as_ref() != Some(&of_mailbox(user.id, holder))
                || self.snapshot.manager_refused.is_some()
                || basis.manager == self.basis.manager;
        }
        match (&told.mailbox, &told.to) {
            (Some(mailbox), _) => is_named(mailbox),
            (None, Some(to)) if basis.manager.as_ref() == Some(&of_mailbox(user.id, to)) => {
                self.snapshot.manager_refused.is_some() || basis.manager == self.basis.manager
            }
            (None, Some(to)) => is_named(&mailbox(to)),
            (None, None) => true,
        }
    }

    /// Whether a pass may replace the one for `day` that was mailed.
    fn may_make_another(&self, day: NaiveDate) -> bool {
        self.codes_for(day) < MAX_CODES && self.block().is_none() && self.not_new(day).is_none()
    }
}
