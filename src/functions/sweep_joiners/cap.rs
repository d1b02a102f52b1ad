//! SWEEP_MAX: a sweep that would serve more people than usual serves none of them before an admin approves.
//!
//! One mistake in an import can give a thousand employees a hire date, or take it from a hundred joiners. Whoever was
//! mailed in the last day counts too, so that hourly sweeps do not let through bit by bit what one would hold back.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use chrono::{DateTime, NaiveDate, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    due::seen,
    search::People,
    standing::{Mailbox, Standing, StandingPass, Standings},
};
use crate::{
    app::App,
    budget,
    graph::users::Candidate,
    ledger::{HeldKind, LedgerError, Purpose, Record, is_same_start},
    pass::{
        Block,
        cap::{COUNTED, Start, approved, held_back, hold},
        decide::CORRECTED_UNTIL,
        known_addresses::KnownAddresses,
        recipients::{mailboxes, private_addresses},
    },
    settings::MailSettings,
};

/// Who would be mailed: joiners without a mail for this day one, or whose private address is another one since. A job that was
/// blocked has mailed nobody.
fn to_be_mailed(
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    candidates: &[Candidate],
    standings: &Standings,
    (settings, known): (&MailSettings, &KnownAddresses),
    now: DateTime<Utc>,
) -> BTreeSet<Start> {
    // Later, a person decides, and whoever was told already waits for one.
    let is_mailed = |standing: &&Standing| {
        let is_early =
            |pass: &StandingPass| pass.purpose == Purpose::Joiner && pass.opens_at - now >= CORRECTED_UNTIL;
        let decided = [Block::AddressRemoved, Block::AddressChanged];
        let is_decided = decided.iter().any(|block| standing.has_cause(block.cause()));
        let is_open = standing.arrived_at.is_none() && !standing.is_blocked && !is_decided;
        is_open && standing.pass.as_ref().is_some_and(is_early)
    };
    let has_other_address = |user: &&Candidate| {
        let standing = standings.get(&user.id).filter(is_mailed);
        let mailbox = standing.and_then(|standing| standing.mailbox);
        let is_named = |mailbox| mailboxes(&user.account).any(|named| Mailbox::read(&named) == mailbox);
        let addresses = private_addresses(user, settings);
        let is_usable = || addresses.iter().any(|address| known.is_usable(address, user, settings));
        mailbox.is_some_and(|mailbox| !is_named(mailbox)) && is_usable()
    };
    let moved: BTreeSet<Uuid> = candidates.iter().filter(has_other_address).map(|user| user.id).collect();
    let is_new = |(day, user): &&(NaiveDate, Uuid)| match standings.get(user) {
        // An earlier sweep has let them through.
        Some(standing) if standing.has_cause(Record::MAILBOX_SHUT) => false,
        Some(Standing { mailed: Some((mailed, _)), .. }) => mailed != day || moved.contains(user),
        Some(standing) => !standing.is_blocked,
        None => true,
    };
    joiners.iter().filter(is_new).map(|(day, user)| (*user, *day)).collect()
}

/// Who was mailed within the last day.
fn just_mailed(standings: &Standings, now: DateTime<Utc>) -> BTreeSet<Start> {
    let recent = |(user, standing): (&Uuid, &Standing)| {
        let (day, at) = standing.mailed?;
        (at > now - COUNTED).then_some((*user, day))
    };
    standings.iter().filter_map(recent).collect()
}

/// Whose pass would be taken back: it can still work, it was mailed for a day that has not passed, and there is no joiner
/// any more.
fn to_be_withdrawn(
    joiners: &BTreeSet<(NaiveDate, Uuid)>,
    candidates: &[Candidate],
    standings: &Standings,
    now: DateTime<Utc>,
) -> BTreeSet<Start> {
    let joiners: BTreeSet<&Uuid> = joiners.iter().map(|(_, user)| user).collect();
    // In the east, day one is over while it goes on in UTC.
    let is_unchanged =
        |user: &&Candidate| standings.get(&user.id).is_some_and(|standing| standing.seen == Some(seen(user)));
    let unchanged: BTreeSet<Uuid> = candidates.iter().filter(is_unchanged).map(|user| user.id).collect();
    let delivered =
        standings.iter().filter(|(user, _)| !joiners.contains(user)).filter_map(|(user, standing)| {
            let pass = standing.pass.as_ref().filter(|p| p.purpose == Purpose::Joiner && p.ends_at > now)?;
            let has_arrived = standing.arrived_at.is_some_and(|at| is_same_start(at, pass.day_one));
            if has_arrived || unchanged.contains(user) {
                return None;
            }
            Some((*user, pass.day_one?))
        });
    delivered.filter(|(_, day)| *day >= now.date_naive()).collect()
}

/// Who must wait for an approval.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) joiners: BTreeSet<Start>,
    pub(super) withdrawals: BTreeSet<Start>,
}

/// Whom SWEEP_MAX holds back: those whose day one is near, and apart from them, and counted after them, those who are late. One
/// date for many people must not keep today's joiners from their pass.
fn joiners_held(
    mail: &BTreeSet<Start>,
    late: &BTreeSet<Start>,
    mailed: &BTreeSet<Start>,
    approved: &BTreeSet<Start>,
    max: usize,
) -> BTreeSet<Start> {
    let near: BTreeSet<Start> = mail - late;
    let mut held = held_back(&near, mailed, approved, max);
    let counted = mailed.iter().chain(near.difference(&held)).copied().collect();
    held.extend(held_back(&(mail & late), &counted, approved, max));
    held
}

/// Whom SWEEP_MAX is about.
struct Counted {
    mail: BTreeSet<Start>,
    late: BTreeSet<Start>,
    mailed: BTreeSet<Start>,
    withdraw: BTreeSet<Start>,
}

impl Counted {
    fn of(settings: &MailSettings, people: &People, now: DateTime<Utc>) -> Self {
        let People { joiners, candidates, standings, shared, .. } = people;
        Self {
            mail: to_be_mailed(joiners, candidates, standings, (settings, &shared.known), now),
            late: people.late_due.iter().map(|(day, user)| (*user, *day)).collect(),
            mailed: just_mailed(standings, now),
            withdraw: to_be_withdrawn(joiners, candidates, standings, now),
        }
    }

    /// Who must wait, if these were approved.
    fn held(&self, approved: &BTreeMap<HeldKind, BTreeSet<Start>>, max: usize) -> Held {
        let none = BTreeSet::new();
        let of = |kind: HeldKind| approved.get(&kind).unwrap_or(&none);
        let Self { mail, late, mailed, withdraw } = self;
        Held {
            joiners: joiners_held(mail, late, mailed, of(HeldKind::Joiners), max),
            withdrawals: held_back(withdraw, &none, of(HeldKind::Withdrawals), max),
        }
    }
}

/// Finds who must wait, and tells nobody.
///
/// # Errors
/// When the ledger does not show who was approved.
pub(super) async fn find(app: &App, people: &People, now: DateTime<Utc>) -> Result<Held, LedgerError> {
    let (settings, counted) = (&app.services.settings, Counted::of(&app.services.settings.mail, people, now));
    let held = counted.held(&BTreeMap::new(), settings.sweep_max);
    if held.joiners.is_empty() && held.withdrawals.is_empty() {
        return Ok(held);
    }
    Ok(counted.held(&approved(&app.services).await?, settings.sweep_max))
}

/// Applies SWEEP_MAX. Without an answer of the ledger in time, nobody above it is served.
pub(super) async fn apply(app: &App, people: &People, now: DateTime<Utc>) -> Held {
    let settings = &app.services.settings;
    let mut held = Counted::of(&settings.mail, people, now).held(&BTreeMap::new(), settings.sweep_max);
    let all: BTreeSet<Uuid> = held.joiners.iter().chain(&held.withdrawals).map(|(user, _)| *user).collect();
    let name = |user: &Candidate| Some((user.id, user.user_principal_name.as_deref()?.to_owned()));
    let named = people.candidates.iter().filter(|user| all.contains(&user.id));
    let names = &named.filter_map(name).collect();
    let work = async {
        held = find(app, people, now).await?;
        hold(&app.services, HeldKind::Joiners, &held.joiners, names, now).await?;
        hold(&app.services, HeldKind::Withdrawals, &held.withdrawals, names, now).await
    };
    match timeout(budget::SWEEP_CAP, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log_failure(&error),
        Err(_) => log_failure(&LedgerError::Unavailable("no answer in time".into())),
    }
    held
}

fn log_failure(error: &LedgerError) {
    tracing::error!(
        event = "sweep.held_not_recorded",
        error = error as &dyn Error,
        "The sweep found more people than SWEEP_MAX, and the ledger cannot keep their list; they wait for the next sweep"
    );
}
