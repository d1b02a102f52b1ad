//! What the withdrawal of a start means for passes that were not made for it.

use super::{Decision, Facts};
use crate::{
    ledger::{Purpose, Record, State},
    pass::{
        guard,
        outcome::{Block, Revoke, Skip},
    },
};

impl Facts<'_> {
    /// Whether the start that the joiner was told of was withdrawn.
    pub(in crate::pass) fn is_withdrawn(&self) -> bool {
        let out_of_scope = Revoke::OutOfScope(Skip::NoHireDate).cause();
        let was_revoked =
            |record: &Record| record.state == State::Revoked && record.cause.as_deref() == Some(out_of_scope);
        // The snapshot may be older than the withdrawal.
        if self.record.is_some_and(was_revoked) {
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

/// Whether the start is withdrawn, and not moved.
fn is_withdrawal(why: Skip) -> bool {
    matches!(why, Skip::NoHireDate | Skip::Disabled | Skip::Guest | Skip::External)
}
