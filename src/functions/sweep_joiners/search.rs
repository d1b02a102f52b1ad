//! Whom a sweep may have something to do for: what it has read of the tenant and the ledger, before anybody is told or queued.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::{
    late::{self, Late},
    shared::{self, Shared},
    standing::Standings,
};
use crate::{
    app::App,
    graph::{GraphError, GroupMembers, page::Readable, users::Candidate},
    ledger::{ConditionName, Conditions, LedgerError},
    pass::{
        Position, Skip,
        day_one::{Distance, day_one, distance, stamps},
        known_addresses::KnownAddresses,
    },
    settings::{JoinerSource, Settings},
    zone::Tz,
};

/// What a sweep has read, and what follows of it.
#[derive(Debug)]
pub(super) struct People {
    /// As the tenant lists them, by id.
    pub(super) candidates: Vec<Candidate>,
    /// As the ledger lists them.
    pub(super) standings: Standings,
    /// Whose day one is near, or who is late, and who is to be looked at.
    pub(super) joiners: BTreeSet<(NaiveDate, Uuid)>,
    /// Those who are late.
    pub(super) late_due: BTreeSet<(NaiveDate, Uuid)>,
    /// What a sweep does about people who are late; `None` without the ledger.
    pub(super) late: Option<Late>,
    /// The addresses of several people.
    pub(super) shared: Shared,
    /// Whose day one is near and who gets no pass for any reason: guests, accounts of other tenants, disabled ones where they are not
    /// served. Nothing else tells of them.
    pub(super) unserved: Vec<(NaiveDate, Uuid, Skip)>,
    /// Whose only address is one of several people.
    pub(super) share_address: Vec<(NaiveDate, Uuid)>,
}

impl People {
    /// `standings` are `None` if the ledger could not be listed. Of the rest of a sweep, those `after` the last user who was queued.
    pub(super) async fn find(
        app: &App,
        candidates: Vec<Candidate>,
        standings: Option<Standings>,
        last: Option<&Conditions>,
        after: Option<Position>,
        now: DateTime<Utc>,
    ) -> Self {
        let settings = &app.services.settings;
        let days = days_one(settings, &candidates, standings.as_ref());
        let why_unserved = |user: &Candidate| Skip::of_account(user.sign_in(), &settings.pass);
        let is_near =
            |day: NaiveDate, zone: Tz| distance(day, zone, settings.lead_days, now) == Distance::Near;
        let near = || days.iter().filter(|(_, day, zone)| is_near(*day, *zone));
        let mut joiners: BTreeSet<(NaiveDate, Uuid)> = near().map(|(user, day, _)| (*day, user.id)).collect();
        let unserved =
            near().filter_map(|(user, day, _)| Some((*day, user.id, why_unserved(user)?))).collect();
        let late = match (&standings, last) {
            (Some(standings), Some(last)) => Some(late::find(app, &days, standings, last, after, now).await),
            // Without the ledger it is not known who was served.
            _ => None,
        };
        drop(days);
        let mut late_due = late.as_ref().map(|late| late.due.clone()).unwrap_or_default();
        joiners.extend(&late_due);
        let known = KnownAddresses::of(settings, last.and_then(|last| last.last_sweep.as_ref()));
        let standings = standings.unwrap_or_default();
        let mut shared = shared::find(&settings.mail, known, &candidates, &joiners, &standings, now);
        shared.was_told = last.is_some_and(|last| last.has(ConditionName::AddressesShared));
        // Without the ledger nobody can be told of them; their jobs decide.
        if late.is_none() {
            shared.unserved.clear();
        }
        let shares_address = |(_, user): &(NaiveDate, Uuid)| shared.unserved.contains(user);
        let share_address = joiners.iter().filter(|start| shares_address(start)).copied().collect();
        joiners.retain(|start| !shares_address(start));
        late_due.retain(|start| !shares_address(start));
        Self { candidates, standings, joiners, late_due, late, shared, unserved, share_address }
    }
}

/// How the tenant lists those who may be joiners, by id.
///
/// # Errors
/// When the search fails.
pub(super) async fn candidates(
    app: &App,
    last: Option<&Conditions>,
    now: DateTime<Utc>,
) -> Result<GroupMembers<Vec<Candidate>>, GraphError> {
    let settings = &app.services.settings;
    let mut found = match settings.joiners {
        JoinerSource::Group(group) => app.services.graph.members(group).await?,
        JoinerSource::HireDate => {
            let look_back = late::look_back(settings, last, now);
            let (from, to) = stamps(look_back, settings.lead_days, settings.pass.hire_date_zone, now);
            let Readable { items: users, malformed } = app.services.graph.hired_between(from, to).await?;
            GroupMembers { users, groups: 0, malformed }
        }
    };
    found.users.sort_unstable_by_key(|user| user.id);
    Ok(found)
}

/// What the records say.
///
/// # Errors
/// When the ledger cannot be listed.
pub(super) async fn standings(
    app: &App,
    candidates: &[Candidate],
    now: DateTime<Utc>,
) -> Result<Standings, LedgerError> {
    let settings = &app.services.settings.pass;
    let mut standings = Standings::default();
    let mut keep = |user: Uuid, standing| {
        standings.add((user, standing), candidate(candidates, user), settings, now);
    };
    app.services.ledger.standings(&mut keep).await?;
    Ok(standings.sorted())
}

/// The first days of those who have a hire date, each in its zone. Who was told of a day keeps it as long as the tenant's values
/// are the same, whatever the settings make of them now.
fn days_one<'a>(
    settings: &Settings,
    candidates: &'a [Candidate],
    standings: Option<&Standings>,
) -> Vec<(&'a Candidate, NaiveDate, Tz)> {
    let day = |user: &'a Candidate| {
        let stamp = user.account.employee_hire_date?;
        let zone = settings.pass.zone(user.account.place());
        let told = standings.and_then(|standings| standings.get(&user.id)?.told_day());
        let day = told.unwrap_or_else(|| day_one(stamp, settings.pass.hire_date_zone, zone));
        Some((user, day, zone.zone))
    };
    candidates.iter().filter_map(day).collect()
}

/// The one with this id, of those who are sorted by it.
pub(super) fn candidate(candidates: &[Candidate], user: Uuid) -> Option<&Candidate> {
    let at = candidates.binary_search_by_key(&user, |candidate| candidate.id).ok()?;
    candidates.get(at)
}
