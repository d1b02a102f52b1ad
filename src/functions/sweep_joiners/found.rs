//! What a sweep has found, and the jobs that follow.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Timelike, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    cap::Held,
    due::{Due, Known, due, needs_job},
    mailbox,
    part::DueJob,
    search::{People, candidate},
};
use crate::{
    app::App,
    budget,
    graph::{Look, users::Candidate},
    ledger::Purpose,
    pass::{
        self, Position,
        cap::NAMES_IN_ALERT,
        day_one::{OddStamps, day_one, odd_stamps, stamps},
    },
    settings::{PassSettings, Settings},
};

/// How many users were looked at.
pub(super) struct Looks {
    pub(super) looked: usize,
    /// Whether there was time for all.
    pub(super) is_complete: bool,
}

/// What a sweep has found in the tenant and in the ledger.
pub(super) struct Found<'a> {
    pub(super) people: &'a People,
    pub(super) held: Held,
}

impl Found<'_> {
    /// The jobs of those users who come `after` the last one that is in the queue, in their order. `is_daily` says that no sweep looked at everyone today.
    pub(super) async fn jobs(
        &self,
        app: &App,
        is_daily: bool,
        after: Option<Position>,
        now: DateTime<Utc>,
    ) -> (Vec<DueJob>, Looks) {
        let settings = &app.services.settings;
        let (mut jobs, mut looks) = (Vec::new(), Vec::new());
        let mut users = self.users();
        users.retain(|known| after.is_none_or(|after| known.position() > after));
        // While the mailbox refuses all mails, one note may try it.
        let mut notes_left = if pass::mailbox::is_shut(&app.services) { 1 } else { usize::MAX };
        for known in &users {
            let has_notes = notes_left > 0 && known.standing.is_some_and(|standing| standing.has_notes);
            match due(settings, *known, is_daily, now) {
                Due::Job => jobs.push(job(known, now)),
                // The job has others told of the pass.
                _ if has_notes => {
                    notes_left -= 1;
                    jobs.push(job(known, now));
                }
                Due::Look(parts) => looks.push((known.id, parts)),
                Due::Nothing => {}
            }
        }
        // If there is no time for all: open passes first, and of the others not always the same.
        let salt = u128::from(now.hour()) << 96 | 1;
        looks.sort_by_key(|(user, _)| {
            let opens_at = self.people.standings.get(user).and_then(|s| Some(s.pass.as_ref()?.opens_at));
            (opens_at > Some(now), user.as_u128().wrapping_mul(salt) ^ salt)
        });
        let wanted = looks.len();
        // At once, because what was read of all would be much.
        let decide = |user: Uuid, look: &Look| {
            let known = &users[users.binary_search_by_key(&user, |known| known.id).ok()?];
            needs_job(settings, *known, look, is_daily, now).then(|| job(known, now))
        };
        let looked = app.services.graph.look(looks, Instant::now() + budget::SWEEP_LOOK, decide).await;
        jobs.extend(looked.iter().flatten());
        if looked.len() < wanted {
            tracing::warn!(
                event = "sweep.not_all_looked_at",
                wanted,
                looked = looked.len(),
                "The sweep could not look at everyone who was sent a pass; the next one does"
            );
        }
        // Without the ledger, nobody was looked at.
        let is_complete = looked.len() == wanted && self.people.standings.records() > 0;
        jobs.sort_by_key(|job| job.at);
        (jobs, Looks { looked: looked.len(), is_complete })
    }

    /// Says if hire dates look as if HIRE_DATE_ZONE read some of them a day off.
    pub(super) fn report_odd_stamps(&self, app: &App, now: DateTime<Utc>) {
        let settings = &app.services.settings.pass;
        let PassSettings { time_zone, hire_date_zone, .. } = *settings;
        let (from, to) = stamps(0, app.services.settings.lead_days, hire_date_zone, now);
        let stamps = self.people.candidates.iter().filter_map(|user| {
            let stamp = user.account.employee_hire_date.filter(|stamp| (from..=to).contains(stamp))?;
            Some((stamp, settings.zone(user.account.place())))
        });
        let Some(OddStamps { odd, total, better }) = odd_stamps(stamps, hire_date_zone, time_zone) else {
            return;
        };
        tracing::warn!(
            event = "hire_dates.odd",
            odd,
            total,
            read_as = %hire_date_zone,
            better = better.map(|(rule, _)| rule.to_string()),
            fitting = better.map(|(_, count)| count),
            "Hire dates are no midnight as HIRE_DATE_ZONE reads them: some first days may be a day off"
        );
    }

    /// Everyone near day one or with a record, by id, without those who wait for an approval.
    fn users(&self) -> Vec<Known<'_>> {
        let known = |id: &Uuid, day: Option<NaiveDate>| Known {
            id: *id,
            candidate: candidate(&self.people.candidates, *id),
            day,
            standing: self.people.standings.get(id),
        };
        let near = self.people.joiners.iter().map(|(day, user)| known(user, Some(*day)));
        let mut users: Vec<Known<'_>> =
            near.chain(self.people.standings.iter().map(|(user, _)| known(user, None))).collect();
        // Of two entries of a user the one with the day is first.
        users.sort_unstable_by_key(|known| (known.id, known.day.is_none()));
        users.dedup_by_key(|known| known.id);
        users.retain(|known| match known.day {
            Some(day) => !self.held.joiners.contains(&(known.id, day)),
            None => !self.held.withdrawals.iter().any(|(held, _)| *held == known.id),
        });
        users
    }
}

/// The job for a user. A recheck of a pass on demand that is due includes the joiner's job.
fn job(known: &Known<'_>, now: DateTime<Utc>) -> DueJob {
    let is_due_on_demand = known.standing.is_some_and(|standing| {
        let is_open = standing.is_unfinished || (standing.is_blocked && standing.may_appear);
        standing.purpose == Purpose::OnDemand && is_open
    });
    DueJob { at: known.position(), is_recheck: is_due_on_demand, mail: mailbox::mail_of(known, now) }
}

/// Says if the settings, or a release, read the first days or zones of joiners who were sent a pass in another way than the mail
/// says.
pub(super) fn report_changed_reading(settings: &Settings, found: &Found<'_>) {
    let is_read_anew = |user: &&Candidate| {
        let standing = found.people.standings.get(&user.id);
        let told = standing.and_then(|standing| Some((standing.told_day()?, standing.told?)));
        told.zip(user.account.employee_hire_date).is_some_and(|((told_day, told), stamp)| {
            let zone = settings.pass.zone(user.account.place());
            let day = day_one(stamp, settings.pass.hire_date_zone, zone);
            day != told_day || !told.has_same_zone
        })
    };
    let near: BTreeSet<Uuid> = found.people.joiners.iter().map(|(_, user)| *user).collect();
    let candidates = found.people.candidates.iter().filter(|user| near.contains(&user.id));
    let users: Vec<String> = candidates.filter(is_read_anew).map(|user| user.id.to_string()).collect();
    if !users.is_empty() {
        tracing::warn!(
            event = "sweep.read_anew",
            count = users.len(),
            users = users.iter().take(NAMES_IN_ALERT).map(String::as_str).collect::<Vec<_>>().join(" "),
            "Changed settings, or another version, read first days or zones in another way than mails that were sent say; \
             these mails stay as they are"
        );
    }
}
