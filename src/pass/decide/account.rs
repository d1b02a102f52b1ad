//! What the use of the account says: whether it is a joiner's, and whether the joiner got in.

use chrono::{DateTime, NaiveDate, Utc};

use super::Facts;
use crate::{
    graph::{Pass, Usability},
    ledger::{Delivered, Purpose, State},
    pass::{
        account_use::{self, Age, Evidence},
        day_one::{Distance, day_one, distance},
        follow_up::NotArrived,
        outcome::Block,
        replication::REPLICA_LAG,
    },
    zone::Tz,
};

impl Facts<'_> {
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        account_use::evidence(&self.snapshot.usage, self.joiner_check)
    }

    /// When the joiner arrived, unless day one is so much later that it is another start.
    pub(super) fn arrived_at(&self, zone: Tz) -> Option<DateTime<Utc>> {
        let hire_date = self.snapshot.user.employee_hire_date;
        // Others who got a pass have no start at which they could arrive.
        let record = self.record.filter(|r| r.announcement.is_some() || hire_date.is_some())?;
        let was_used = |pass: &Pass| self.is_delivered(pass) && pass.usability(self.now) == Usability::Used;
        let used = || self.snapshot.passes.iter().any(was_used).then_some(self.now);
        let seen =
            || account_use::arrival(&self.evidence(), record.opened_by(self.now)?, self.now).or_else(used);
        let day = hire_date.map(|stamp| day_one(stamp, zone));
        let is_same_start = |at: &DateTime<Utc>| account_use::is_same_start(*at, day);
        record.arrived_at.filter(is_same_start).or_else(|| seen().filter(is_same_start))
    }

    /// That the delivered pass has ended, and that nothing shows that the joiner got in.
    pub(super) fn not_arrived(&self, zone: Tz) -> Option<Block> {
        let Self { snapshot, record, now, .. } = *self;
        // A replica may not show yet that the pass was used.
        let has_ended = |d: &&Delivered| now - d.pass.ends_at >= REPLICA_LAG;
        let delivered = self.delivered().filter(|d| d.purpose == Purpose::Joiner).filter(has_ended)?;
        if record.is_some_and(|r| r.is_reported(delivered)) {
            return None;
        }
        let day = snapshot.user.employee_hire_date.map(|stamp| day_one(stamp, zone));
        // Another first day that is still to come gets another pass, and so does this one after a job that did not finish.
        let is_final = match day {
            None => true,
            Some(day) => {
                let is_over = distance(day, zone, self.lead_days, now) == Distance::Past;
                let has_delivered = record.is_some_and(|r| r.state == State::Delivered);
                is_over || (has_delivered && delivered.day_one == Some(day))
            }
        };
        // A pass of a person, or of a job that did not finish, may have got them in, or may yet.
        let may_help = |pass: &Pass| pass.can_be_used(now) || pass.usability(now) == Usability::Used;
        if !is_final || snapshot.user.is_guest() || snapshot.passes.iter().any(may_help) {
            return None;
        }
        // The start is cancelled, and a pass that is not listed yet has to be revoked first.
        if self.day_one_in_scope(zone).is_err() && self.revocable().is_some() {
            return None;
        }
        if let Some(unread) = account_use::unreadable(&snapshot.usage) {
            return unread.is_permission.then_some(Block::UseUnknown(unread));
        }
        // Someone used the account since the mail, with or without the pass.
        let is_newer = |evidence: &Evidence| evidence.at.is_none_or(|at| at >= delivered.at);
        if self.evidence().iter().any(is_newer) {
            return None;
        }
        NotArrived::of(snapshot, delivered, now).map(Block::NotArrived)
    }

    /// What shows that the account was in use before the joiner's pass was delivered.
    pub(super) fn older_evidence(&self) -> Option<Evidence> {
        let delivered = self.delivered().filter(|d| d.purpose == Purpose::Joiner)?;
        let is_older = |evidence: &Evidence| evidence.at.is_some_and(|at| at < delivered.at);
        self.evidence().into_iter().find(is_older)
    }

    /// Why the account is not that of a new joiner.
    pub(super) fn not_new(&self, day: NaiveDate) -> Option<Block> {
        let Self { snapshot, joiner_check: check, now, .. } = *self;
        let in_use = || self.evidence().into_iter().next().map(Block::from);
        let too_old =
            || Age::of(&snapshot.user, self.record, day, check.max_age_days?, now).map(Block::TooOld);
        in_use().or_else(too_old).or_else(|| {
            account_use::unknown(&snapshot.usage, check, &snapshot.user, now).map(Block::UseUnknown)
        })
    }
}
