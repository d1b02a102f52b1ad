//! What a sweep would do, person by person: a dry run, and what REPORT_ONLY logs.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::{
    TIMER_TOLERANCE, cap,
    found::Found,
    late::Late,
    part::DueJob,
    search::{self, People, candidate, candidates},
};
use crate::{
    app::App,
    budget,
    graph::{GroupMembers, within},
    ledger::HeldKind,
    pass::{
        Failure, Job, Person, clock_skew, condition,
        forecast::{Forecast, LeaveOut, Would, forecast},
        group_sync::{self, Additions},
        ledger_tenant,
        mailbox::note_read,
    },
};

/// The people who are looked at at the same time.
const AT_ONCE: usize = 4;

/// What a sweep would do at some time.
#[derive(Debug)]
pub struct DryRun {
    /// When.
    pub as_of: DateTime<Utc>,
    /// Of whom it would have a job, or would have one but for a reason that only a sweep knows; the nearest first day first.
    pub people: Vec<Forecast>,
    /// Who could not be looked at, and why.
    pub failed: Vec<(String, Failure)>,
    /// How many users the tenant has listed.
    pub seen: usize,
    /// How many first days are near.
    pub near: usize,
    /// How many entries of that listing have an unknown form.
    pub malformed: usize,
    /// Whether no sweep has run.
    pub is_first: bool,
}

/// Finds what a sweep would do at `as_of`, if the tenant and the ledger were as they are now. Nothing is changed, and nobody is told.
/// `progress` hears how many people were looked at, of how many.
///
/// # Errors
/// When the tenant or the ledger cannot be read.
pub async fn dry_run(
    app: &App,
    as_of: DateTime<Utc>,
    progress: impl Fn(usize, usize),
) -> Result<DryRun, Failure> {
    let now = as_of.max(app.services.clock.now()) + TIMER_TOLERANCE;
    ledger_tenant::look(&app.services).await?;
    let last = condition::of_sweeps(&app.services).await;
    if let Some(last) = &last {
        note_read(&app.services, last);
    }
    let search = candidates(app, last.as_ref(), now);
    let GroupMembers { users, malformed, .. } =
        within(budget::SWEEP_SEARCH, "searching for joiners", search).await?;
    clock_skew::compare(&app.services)?;
    let standings = search::standings(app, &users, now).await?;
    let people = People::find(app, users, Some(standings), last.as_ref(), None, now).await;
    let held = cap::find(app, &people, now).await?;
    let is_today = |at: DateTime<Utc>| at.date_naive() == now.date_naive();
    let is_daily = !last.and_then(|last| last.looked_at).is_some_and(is_today);
    let found = Found { people: &people, held };
    let (jobs, _) = found.jobs(app, is_daily, None, now).await;
    let added = match app.services.settings.on_demand_group {
        Some(group) => group_sync::look(&app.services, group).await?,
        None => Additions::default(),
    };
    let jobs = all_jobs(&jobs, &added, now);
    let mut left_out = found.left_out(&jobs);
    let (mut foreseen, mut failed) = (Vec::new(), Vec::new());
    let total = jobs.len();
    let mut looks = stream::iter(jobs).map(|job| look(app, &people, job, now)).buffered(AT_ONCE);
    while let Some((name, looked)) = looks.next().await {
        match looked {
            Ok(forecast) => foreseen.push(forecast),
            Err(failure) => failed.push((name, failure)),
        }
        progress(foreseen.len() + failed.len(), total);
    }
    drop(looks);
    foreseen.append(&mut left_out);
    foreseen.extend(held_additions(&added));
    // Whoever starts before a day in the future is served by the sweeps until then.
    let until_then = app.services.clock.now().date_naive()..now.date_naive();
    foreseen.retain(|forecast| {
        !(forecast.would.is_late() && forecast.day_one.is_some_and(|day| until_then.contains(&day)))
    });
    foreseen.sort_by_key(|forecast| (forecast.day_one.is_none(), forecast.day_one));
    Ok(DryRun {
        as_of: now,
        people: foreseen,
        failed,
        seen: people.candidates.len(),
        near: people.joiners.len(),
        malformed: malformed.len(),
        is_first: people.late.as_ref().is_some_and(Late::is_first),
    })
}

/// Looks at those of `jobs`, in their order, for whom there is time until `deadline`.
pub(super) async fn look_at(
    app: &App,
    people: &People,
    jobs: Vec<Job>,
    deadline: Instant,
    now: DateTime<Utc>,
) -> Vec<(String, Result<Forecast, Failure>)> {
    let looks = stream::iter(jobs).map(|job| look(app, people, job, now)).buffered(AT_ONCE);
    looks.take_until(sleep_until(deadline)).collect().await
}

async fn look(
    app: &App,
    people: &People,
    job: Job,
    now: DateTime<Utc>,
) -> (String, Result<Forecast, Failure>) {
    (name(people, job.user_id), forecast(&app.services, &job, now).await)
}

/// The jobs of a sweep, those of the on-demand group last.
pub(super) fn all_jobs(due: &[DueJob], added: &Additions, now: DateTime<Utc>) -> Vec<Job> {
    due.iter().map(|job| job.to_job(now)).chain(added.jobs.iter().cloned()).collect()
}

/// Who waits for an approval of additions to the on-demand group.
pub(super) fn held_additions(added: &Additions) -> impl Iterator<Item = Forecast> {
    let person = |user: &Uuid| Person::known_as(user.to_string());
    added.held.iter().map(move |user| Forecast::of(person(user), Would::Held(HeldKind::Additions)))
}

impl Found<'_> {
    /// Of whom a sweep has no job although they start, or had a pass for their start.
    pub(super) fn left_out(&self, jobs: &[Job]) -> Vec<Forecast> {
        let People { late, unserved, share_address, .. } = self.people;
        let has_job: BTreeSet<Uuid> = jobs.iter().map(|job| job.user_id).collect();
        let of = |day: NaiveDate, user: Uuid, would: Would| Forecast {
            day_one: Some(day),
            ..Forecast::of(Person::known_as(name(self.people, user)), would)
        };
        let (joiners, withdrawals) = (self.held.joiners.iter(), self.held.withdrawals.iter());
        let joiners = joiners.map(|(user, day)| of(*day, *user, Would::Held(HeldKind::Joiners)));
        let withdrawals = withdrawals.map(|(user, day)| of(*day, *user, Would::Held(HeldKind::Withdrawals)));
        let why = |why: LeaveOut| move |(day, user): &(NaiveDate, Uuid)| (*day, *user, why);
        let too_late = late.iter().flat_map(|late| &late.too_late).map(why(LeaveOut::TooLate));
        let before = late.iter().flat_map(|late| &late.before_first).map(why(LeaveOut::BeforeFirst));
        let shared = share_address.iter().map(why(LeaveOut::AddressShared));
        let accounts = unserved.iter().filter(|(_, user, _)| !has_job.contains(user));
        let accounts = accounts.map(|(day, user, skip)| (*day, *user, LeaveOut::Account(*skip)));
        let left_out = too_late.chain(before).chain(shared).chain(accounts);
        let left_out = left_out.map(|(day, user, why)| of(day, user, Would::LeaveOut(why)));
        joiners.chain(withdrawals).chain(left_out).collect()
    }
}

/// The sign-in name, or the object id of whoever the tenant does not list.
fn name(people: &People, user: Uuid) -> String {
    candidate(&people.candidates, user).map_or_else(|| user.to_string(), |user| user.name())
}
