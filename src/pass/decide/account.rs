//! What the use of the account says: whether it is a joiner's, and whether the joiner got in.

use chrono::{DateTime, NaiveDate, Utc};

use super::{Decision, Facts};
use crate::{
    graph::{Pass, Usability},
    ledger::{Purpose, is_same_start},
    pass::{
        account_use::{self, Age, Evidence},
        outcome::{Block, Revoke, Skip},
    },
};

impl Facts<'_> {
    /// Whether the user cannot use a pass of this tenant.
    pub(super) fn is_of_another_tenant(&self) -> bool {
        let why = Skip::of_account(self.snapshot.user.sign_in(), self.pass);
        matches!(why, Some(Skip::Guest | Skip::External))
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        account_use::evidence(&self.snapshot.usage, self.joiner_check)
    }

    /// When the joiner arrived, unless day one is so much later that it is another start.
    pub(super) fn arrived_at(&self) -> Option<DateTime<Utc>> {
        let hire_date = self.snapshot.user.account.employee_hire_date;
        // Others who got a pass have no start at which they could arrive.
        let record = self.record.filter(|r| r.announcement.is_some() || hire_date.is_some())?;
        let was_used = |pass: &Pass| self.is_delivered(pass) && pass.usability(self.now) == Usability::Used;
        let used = || self.snapshot.passes.iter().any(was_used).then_some(self.now);
        let seen =
            || account_use::arrival(&self.evidence(), record.opened_by(self.now)?, self.now).or_else(used);
        let day = self.day_one();
        if self.returned_from().is_some() {
            return None;
        }
        let is_same_start = |at: &DateTime<Utc>| is_same_start(*at, day);
        record.arrived_at.filter(is_same_start).or_else(|| seen().filter(is_same_start))
    }

    /// When the joiner was first seen in the account, if they come back for another start.
    pub(super) fn returned_from(&self) -> Option<DateTime<Utc>> {
        let is_enabled = self.snapshot.user.account.is_enabled();
        let arrived_at = self.record?.arrived_at?;
        account_use::returns(arrived_at, self.day_one(), is_enabled, self.now).then_some(arrived_at)
    }

    /// What shows that the account was in use before the joiner's pass was delivered.
    pub(super) fn older_evidence(&self) -> Option<Evidence> {
        let delivered = self.delivered().filter(|d| d.purpose == Purpose::Joiner)?;
        let is_older = |evidence: &Evidence| evidence.at.is_some_and(|at| at < delivered.at);
        self.evidence().into_iter().find(is_older)
    }

    /// What becomes of a joiner who is late and whose account is in use: somebody else gave them a pass.
    pub(super) fn arrived_by_another_way(&self) -> Option<Decision> {
        if let Some(pass) = self.used_meanwhile() {
            return Some(Decision::RecordDelivery(pass.clone()));
        }
        // An older use is that of an earlier start: a person decides.
        let day = self.day_one();
        let is_of_start = |evidence: &&Evidence| evidence.at.is_none_or(|at| is_same_start(at, day));
        let evidence = self.evidence();
        let evidence: Vec<&Evidence> = evidence.iter().filter(is_of_start).collect();
        if evidence.is_empty() {
            return None;
        }
        if let Some(pass) = self.undelivered(Purpose::Joiner) {
            let why = Revoke::OutOfScope(Skip::Arrived);
            return Some(Decision::Revoke { pass_id: pass.id.clone(), why });
        }
        let at = evidence.iter().filter_map(|evidence| evidence.at).min();
        Some(Decision::RecordArrival(at.unwrap_or(self.now)))
    }

    /// Why the account is not that of a new joiner.
    pub(super) fn not_new(&self, day: NaiveDate) -> Option<Block> {
        let Self { snapshot, joiner_check: check, now, .. } = *self;
        let in_use = || self.evidence().into_iter().next().map(Block::from);
        let too_old =
            || Age::of(&snapshot.user, self.record, day, check.max_age_days?, now).map(Block::TooOld);
        let returns = || Some(Block::TooOld(Age::Returns(self.returned_from()?.date_naive())));
        in_use().or_else(returns).or_else(too_old).or_else(|| {
            account_use::unknown(&snapshot.usage, check, &snapshot.user, now).map(Block::UseUnknown)
        })
    }
}
