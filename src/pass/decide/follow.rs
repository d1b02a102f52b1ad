//! What is done for a joiner who was sent a pass and is not in yet.

use chrono::NaiveDate;

use super::{Decision, Facts, MAX_CODES, Plan};
use crate::{
    graph::{Pass, Usability},
    ledger::{Delivered, Purpose, State},
    mail::Occasion,
    pass::{
        account_use::{self, Evidence},
        day_one::{Distance, distance},
        follow_up::{self, NotArrived, REISSUED_WITHIN},
        outcome::Block,
        replication::REPLICA_LAG,
        window::{Window, opening},
    },
    settings::{PassSettings, PassStart},
    zone::Tz,
};

impl Facts<'_> {
    /// What is done when the delivered pass has ended, and nothing shows that the joiner got in.
    pub(super) fn not_arrived(&self, zone: Tz) -> Option<Decision> {
        let Self { snapshot, record, now, .. } = *self;
        // A replica may not show yet that the pass was used.
        let has_ended = |d: &&Delivered| now - d.pass.ends_at >= REPLICA_LAG;
        let delivered = self.delivered().filter(|d| d.purpose == Purpose::Joiner).filter(has_ended)?;
        let is_reported = record.is_some_and(|r| r.is_reported(delivered));
        let day = self.day_one();
        // Another first day that is still to come gets another pass, and so does this one after a job that did not finish.
        let is_final = match day {
            None => true,
            Some(day) => {
                let is_over = distance(day, zone, self.lead_days, now) == Distance::Past;
                let has_delivered = record.is_some_and(|r| r.state == State::Delivered);
                is_over || ((has_delivered || is_reported) && delivered.day_one == Some(day))
            }
        };
        // A pass of a person, or of a job that did not finish, may have got them in, or may yet.
        let is_reissue =
            |pass: &Pass| self.undelivered(Purpose::Joiner).is_some_and(|made| made.id == pass.id);
        let may_help = |pass: &Pass| {
            (pass.can_be_used(now) && !(is_reported && is_reissue(pass)))
                || pass.usability(now) == Usability::Used
        };
        if !is_final || self.is_of_another_tenant() || snapshot.passes.iter().any(may_help) {
            return None;
        }
        // The start is cancelled, and a pass that is not listed yet has to be revoked first.
        if self.day_one_in_scope(zone).is_err() && self.revocable().is_some() {
            return None;
        }
        if let Some(unread) = account_use::unreadable(&snapshot.usage).filter(|_| !is_reported) {
            return unread.is_permission.then_some(Decision::Block(Block::UseUnknown(unread)));
        }
        // Someone used the account since the mail, with or without the pass.
        let is_newer = |evidence: &Evidence| evidence.at.is_none_or(|at| at >= delivered.at);
        if self.evidence().iter().any(is_newer) {
            return None;
        }
        let is_replaced =
            is_reported && record.is_some_and(|r| r.is_unfinished_since(delivered.pass.ends_at));
        if !is_reported && follow_up::is_unknown(snapshot, delivered, now) {
            return Some(Decision::RecordUnknownArrival);
        }
        let not_arrived = NotArrived::of(snapshot, delivered, is_replaced, self.evidence().is_empty(), now)?;
        // Another job that did not finish may have had its mail delivered all the same.
        let reissue =
            || self.reissue(&not_arrived, delivered, day?, zone).filter(|_| self.used_meanwhile().is_none());
        // This pass was to be replaced, which the joiner or a person was told, and then the first day moved into the past; or it
        // cannot be replaced any more, and only the joiner was told.
        let is_replaced_in_vain = is_replaced
            && (delivered.follows_on.is_some() || day.is_some_and(|day| delivered.day_one != Some(day)))
            && record.is_some_and(|r| r.cause.as_deref() != Some(Block::NotArrived(not_arrived).cause()))
            && self.used_meanwhile().is_none();
        let report = || {
            (!is_reported || is_replaced_in_vain).then_some(Decision::Block(Block::NotArrived(not_arrived)))
        };
        reissue().map(Decision::Issue).or_else(report)
    }

    /// A pass for the next working morning, in place of `delivered`, which nobody can have used.
    fn reissue(&self, unused: &NotArrived, delivered: &Delivered, day: NaiveDate, zone: Tz) -> Option<Plan> {
        let Self { snapshot, pass: settings, now, .. } = *self;
        let is_wanted = self.follow_up.reissue_unused && self.day_one_in_scope(zone) == Ok(day);
        // A pass for another day one, or another mailbox, is not the same pass once more.
        let is_same = delivered.day_one == Some(day) && self.is_address_of(delivered);
        if !is_wanted || !is_same || !unused.is_certain() || self.codes_for(day) >= MAX_CODES {
            return None;
        }
        if self.block().is_some() || self.not_new(day).is_some() {
            return None;
        }
        let joiner_zone = self.joiner_zone();
        let morning =
            |day: &NaiveDate| Window::opening_for_joiner(*day, joiner_zone, settings, &snapshot.policy);
        let days = day.succ_opt().map(|next| settings.working_days.from(next, self.usage_location()));
        let mut mornings = days.into_iter().flatten().take(REISSUED_WITHIN);
        // A pass for that morning may have been mailed, if its job could not record it.
        let made = self.undelivered(Purpose::Joiner).map(|pass| self.told_start(pass));
        let next = mornings.find(|day| morning(day) > now || made == Some(morning(day)))?;
        let from_morning = PassSettings { start: PassStart::DayOne, ..settings.clone() };
        Some(Plan {
            window: self.joiner_window(next, &from_morning),
            purpose: Purpose::Joiner,
            day_one: Some(day),
            occasion: Occasion::Again,
            unused: Some(*unused),
            is_late: false,
        })
    }

    /// What is done while the joiner can use the delivered pass for `day`.
    pub(super) fn while_open(&self, day: NaiveDate, zone: Tz) -> Option<Decision> {
        let Self { snapshot, now, .. } = *self;
        let delivered =
            self.delivered().filter(|d| d.purpose == Purpose::Joiner && d.day_one == Some(day))?;
        let listed = snapshot.passes.iter().find(|pass| self.is_delivered(pass) && pass.can_be_used(now))?;
        let start = delivered.told_start().max(opening(day.and_time(self.pass.day_one_time), zone));
        if let Some(decision) = self.changed(delivered, day).filter(|_| !self.was_just_delivered()) {
            return Some(decision);
        }
        if let Some(since) = follow_up::disabled_since(&snapshot.user, start, now) {
            return Some(Decision::Block(Block::StillDisabled(since)));
        }
        let is_new = self.evidence().is_empty() && self.refused().is_none();
        let is_reminded = self.record.is_some_and(|r| r.reminded_pass.as_ref() == Some(&listed.id));
        let is_due = follow_up::is_reminder_due(snapshot, listed, start, self.follow_up.nudge_after?, now);
        (is_new && is_due && !is_reminded && self.is_address_of(delivered)).then_some(Decision::Remind)
    }

    /// Whether the mail with `delivered` went to the address that one would go to now.
    fn is_address_of(&self, delivered: &Delivered) -> bool {
        self.basis.address.is_some() && delivered.address == self.basis.address
    }
}
