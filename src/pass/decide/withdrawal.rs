//! What the withdrawal of a start means for passes that were not made for it.

use chrono::NaiveDate;

use super::{Decision, Facts};
use crate::{
    ledger::{Purpose, Record, SAME_START, State, is_move},
    pass::{
        day_one::{Distance, day_one, distance},
        guard,
        outcome::{Block, Revoke, Skip},
    },
};

impl Facts<'_> {
    /// Whether the start that the joiner was told of was withdrawn.
    pub(in crate::pass) fn is_withdrawn(&self) -> bool {
        // The snapshot may be older than the withdrawal.
        if self.record.is_some_and(was_withdrawn) {
            return true;
        }
        self.announcement().is_some() && self.day_one_in_scope(self.zone()).is_err_and(is_withdrawal)
    }

    /// What becomes of our passes on demand when the start is withdrawn: those from before are revoked. A member of the
    /// on-demand group keeps theirs, for a person decides who is a member.
    pub(super) fn withdrawn(&self, why: Skip) -> Option<Decision> {
        let record = self.record.filter(|record| record.start_is_followed_until() > Some(self.now))?;
        // A request for the pass may have come before the withdrawal and be answered now.
        if !is_withdrawal(why) || self.was_just_delivered() {
            return None;
        }
        let delivered = self.delivered().filter(|d| d.purpose != Purpose::Joiner);
        let (pass_id, purpose) = match self.snapshot.passes.first() {
            Some(pass) => {
                let usable = self.purpose_of(pass).filter(|_| pass.can_be_used(self.now))?;
                (&pass.id, usable)
            }
            // A replica may not list it yet.
            None => delivered
                .filter(|d| record.state == State::Delivered && d.pass.ends_at > self.now)
                .map(|d| (&d.pass.pass_id, d.purpose))?,
        };
        if delivered.is_some_and(|d| d.pass.pass_id == *pass_id && d.after_withdrawal) {
            return None;
        }
        let is_member =
            self.on_demand_group.is_some_and(|group| self.snapshot.privileges.groups.contains(&group));
        Some(if purpose == Purpose::OnDemand && is_member {
            Decision::Block(Block::StaysOnDemand(why))
        } else if let Some(unknown) = guard::unreadable(&self.snapshot.privileges)
            && purpose == Purpose::OnDemand
        {
            // Nor is it known whether the user is a member.
            Decision::Block(Block::Privileged(unknown))
        } else {
            Decision::Revoke { pass_id: pass_id.clone(), why: Revoke::OutOfScope(why) }
        })
    }
}

impl Facts<'_> {
    /// The last day, if it says that the start on `day` is cancelled: it is on that day or shortly before, or was moved to a day before
    /// it since the joiner's mail. An older one is that of the last employment.
    pub(super) fn rescinded(&self, day: NaiveDate) -> Option<Skip> {
        let leave = self.snapshot.leave_date.as_ref().ok().copied().flatten()?;
        let last_day = day_one(leave, self.pass.hire_date_zone, self.joiner_zone());
        let is_changed = || {
            let told = self.announcement().filter(|told| is_move(told.day_one, day));
            let basis = told.and_then(|told| told.basis.as_ref()).filter(|basis| basis.is_comparable());
            basis.is_some_and(|basis| basis.leave_date.is_some() && basis.leave_date != self.basis.leave_date)
        };
        let is_cancelled = last_day <= day && (day - last_day <= SAME_START || is_changed());
        is_cancelled.then_some(Skip::Rescinded(last_day, day))
    }

    /// What becomes of a start that is cancelled by the last day when there is no pass to revoke: a person is told, once.
    pub(super) fn not_served(&self, why: Skip) -> Decision {
        let Skip::Rescinded(_, day) = why else { return Decision::Skip(why) };
        let zone = self.zone();
        let is_past = distance(day, zone, self.lead_days, self.now) == Distance::Past;
        let is_served = !is_past || self.is_late(day, zone);
        // The revocation has told them.
        let is_told = self.record.is_some_and(|record| {
            record.state == State::Revoked && record.cause.as_deref() == Some(why.cause())
        });
        if is_served && !is_told { Decision::Block(Block::Rescinded(why)) } else { Decision::Skip(why) }
    }
}

/// Whether a pass was revoked because the start is withdrawn.
fn was_withdrawn(record: &Record) -> bool {
    let out_of_scope = [Skip::NoHireDate, Skip::Rescinded(NaiveDate::MIN, NaiveDate::MIN)];
    let is_such = |cause: &str| out_of_scope.iter().any(|why| Revoke::OutOfScope(*why).cause() == cause);
    record.state == State::Revoked && record.cause.as_deref().is_some_and(is_such)
}

/// Whether the start is withdrawn, and not moved.
fn is_withdrawal(why: Skip) -> bool {
    matches!(why, Skip::NoHireDate | Skip::Disabled | Skip::Guest | Skip::External | Skip::Rescinded(..))
}
