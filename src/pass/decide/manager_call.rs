//! Whether a manager may have a pass for an account: it is that of a joiner who reports to them, by the rule for joiners.
//!
//! A manager is any employee to whom somebody reports. So unlike a helpdesk, they get no pass that lets them into an account
//! that somebody uses or has used, and every check must succeed, whatever `JOINER_CHECK` leaves out.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::Facts;
use crate::{
    graph::{Pass, Usability},
    ledger::Notice,
    pass::{day_one::days_since, manager::colleague, outcome::Skip},
    settings::JoinerSource,
    zone::Tz,
};

impl Facts<'_> {
    /// Why `manager` gets no pass for the account, for the audit line.
    pub(in crate::pass) fn refused_to_manager(&self, manager: Uuid, joiners: JoinerSource) -> Option<String> {
        self.not_their_report(manager).or_else(|| self.not_a_joiner(joiners))
    }

    fn not_their_report(&self, caller: Uuid) -> Option<String> {
        let snapshot = self.snapshot;
        let manager = snapshot.manager.as_ref().filter(|manager| manager.id == Some(caller));
        match (manager, &snapshot.manager_refused) {
            _ if snapshot.user.id == caller => Some("the account is their own".to_owned()),
            (None, Some(error)) => Some(format!("the manager of the account cannot be read: {error}")),
            (None, None) => Some("is not the enabled manager of this account".to_owned()),
            (Some(manager), _) => colleague(manager).err().map(|unfit| unfit.to_string()),
        }
    }

    fn not_a_joiner(&self, joiners: JoinerSource) -> Option<String> {
        if let JoinerSource::Group(group) = joiners
            && !self.snapshot.privileges.groups.contains(&group)
        {
            return Some("the account is not in the joiner group".to_owned());
        }
        let zone = self.zone();
        let is_recent = |day: &NaiveDate| days_since(*day, zone, self.now) <= self.late_days.into();
        let in_scope = self.day_one_in_scope(zone);
        let day = match in_scope.and_then(|day| Some(day).filter(is_recent).ok_or(Skip::DayOnePast(day))) {
            Ok(day) => day,
            Err(why) => return Some(why.to_string()),
        };
        self.refused()
            .or_else(|| self.not_new(day))
            .map(|block| block.to_string())
            .or_else(|| self.somebody_was_in())
            .or_else(|| self.others_pass())
            .or_else(|| self.opens_too_late(day, zone))
    }

    /// That somebody has signed in with a pass, though nothing else shows it yet.
    fn somebody_was_in(&self) -> Option<String> {
        let arrived = self.record.and_then(|record| record.arrived_at);
        let is_used = |pass: &Pass| pass.usability(self.now) == Usability::Used;
        let used = || self.snapshot.passes.iter().any(is_used).then(|| "its pass was used".to_owned());
        arrived.map(|at| format!("somebody was in the account on {}", at.date_naive())).or_else(used)
    }

    /// That a pass can be used that somebody else had made, on whom the joiner may rely: a helpdesk, or the group. A joiner's pass of
    /// ours, and that of an earlier call of the manager, are replaced.
    fn others_pass(&self) -> Option<String> {
        let is_call = |notice: &Notice| notice.kind == Notice::MANAGER_CALL;
        let by_manager = self.record.is_some_and(|record| record.notices.iter().any(is_call));
        let mut usable = self.snapshot.passes.iter().filter(|pass| pass.can_be_used(self.now));
        usable
            .any(|pass| self.is_foreign(pass) && !(by_manager && self.is_delivered(pass)))
            .then(|| "a pass that others had made can be used".to_owned())
    }

    /// That the pass would open when the joiner is long in, so that it would let the manager in too.
    fn opens_too_late(&self, day: NaiveDate, zone: Tz) -> Option<String> {
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
        let opens = local(self.request?.opens_at?);
        (opens > day.max(local(self.now)))
            .then(|| format!("the pass would open after the first day, on {opens}"))
    }
}
