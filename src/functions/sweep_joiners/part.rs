//! The jobs of a sweep that go into one answer. The rest follows by a message behind them: see [`continuation`].
//!
//! [`continuation`]: crate::pass::continuation

use chrono::{DateTime, Utc};
use serde_json::Map;

use crate::{
    budget,
    pass::{DailyLook, GroupSync, Job, Position, SweepContinues},
};

/// A job that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueJob {
    /// Of whom, with the day one that is near.
    pub(super) at: Position,
    /// Whether the record decides, although a day one is near.
    pub(super) is_recheck: bool,
    /// Whether it sends a mail, as far as the listings show.
    pub(super) mail: Mail,
}

/// Whether a job sends a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mail {
    /// It does, or it does nothing.
    Likely,
    /// The one before was blocked for a reason of its own.
    Unlikely,
    /// It may do something else, but its record says that it waits for the mailbox.
    Also,
    /// It may do something else.
    Not,
}

impl DueJob {
    pub(super) fn to_job(self, now: DateTime<Utc>) -> Job {
        match self.at.day.filter(|_| !self.is_recheck) {
            Some(day) => Job::joiner(self.at.user, day),
            None => Job::recheck(self.at.user, now.date_naive()),
        }
    }
}

/// The first jobs, and the message behind them.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) jobs: Vec<Job>,
    /// If there are more.
    continuation: Option<SweepContinues>,
    /// Otherwise, if everyone was looked at for this day.
    daily_look: Option<DailyLook>,
}

impl Part {
    /// Of `due`, which is sorted. `continued` is the message that asked for it; `is_complete` says that there was time to look at
    /// everyone.
    pub(super) fn new(
        due: &[DueJob],
        continued: Option<&SweepContinues>,
        is_daily: bool,
        is_complete: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let began = continued.map_or(now, |continued| continued.sweep_continues.min(now));
        let is_complete = is_complete && continued.is_none_or(|continued| continued.is_complete);
        let (part, rest) = due.split_at(due.len().min(budget::SWEEP_PART));
        let last = part.last().filter(|_| !rest.is_empty());
        let continuation = last.map(|last| SweepContinues {
            sweep_continues: began,
            after_day: last.at.day,
            after_user: last.at.user,
            is_first_of_day: is_daily,
            is_complete,
            unknown: continued.map_or_else(Map::new, |continued| continued.unknown.clone()),
        });
        let is_looked = is_daily && is_complete && rest.is_empty();
        Self {
            jobs: part.iter().map(|job| job.to_job(now)).collect(),
            continuation,
            daily_look: is_looked.then_some(DailyLook { daily_look: began }),
        }
    }

    /// As messages, before what was found of the on-demand group.
    pub(super) fn with(self, added: GroupSync) -> GroupSync {
        let jobs = self.jobs.into_iter().chain(added.jobs).collect();
        GroupSync { jobs, daily_look: self.daily_look, sweep_continuation: self.continuation, ..added }
    }
}
