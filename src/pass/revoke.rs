//! Passes that an admin revokes by hand.
//!
//! The tenant is read before the record, a live lease is respected, and every write is conditional, as in the flow. The record says
//! what follows before anything is deleted. After a crash, a sweep completes the revocation of a joiner's pass that is held back; a pass
//! that is renewed counts as one that was not delivered, and a sweep replaces it. In every case the command can be run again.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    clock_skew, ledger_tenant,
    outcome::Failure,
    ownership::{pass_record, purpose_of},
    services::Services,
};
use crate::{
    graph::GraphErrorKind,
    ledger::{ETag, LedgerError, PassRecord, Purpose, Record, Standing, State},
};

/// Which passes of a user are revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of ours that can still work.
    All,
    /// Those whose code may be in a mail: not what a call of CreateTap answered.
    Mailed,
}

/// Whether another pass follows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next sweep makes one for whoever still needs one.
    Renew,
    /// None for the same start, and none for an earlier addition to the on-demand group.
    Hold,
}

/// A pass of ours that can still work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPass {
    /// The pass.
    pub pass: PassRecord,
    /// Why it was made.
    pub purpose: Purpose,
    /// The recipients of its mail, masked.
    pub to: Vec<String>,
    /// Whether it was delivered, as far as the record says.
    pub is_delivered: bool,
}

/// What a user has.
#[derive(Debug, Default)]
pub struct Open {
    /// The passes that are revoked, or would be.
    pub passes: Vec<OpenPass>,
    /// Whether a pass works that stays: somebody else made it, or its code is not in a mail.
    pub has_other: bool,
}

/// How long before now a lease can have begun whose pass still works: the horizon and the longest validity.
const LEASED_WITHIN: TimeDelta = TimeDelta::days(60);
/// The last write may have been in the way itself, if its answer was lost.
const ATTEMPTS: usize = 3;

/// The users of whom the ledger does not exclude that a pass of ours works, by their standing.
///
/// # Errors
/// When the ledger cannot be listed.
pub async fn candidates(services: &Services) -> Result<Vec<Uuid>, Failure> {
    ledger_tenant::check(services).await?;
    let (now, mut users) = (services.clock.now(), Vec::new());
    let may_have = |standing: &Standing| {
        standing.is_unreadable
            || standing.is_open(now)
            || standing.pass.as_ref().is_some_and(|pass| pass.ends_at > now)
            || standing.leased_at.is_some_and(|at| at > now - LEASED_WITHIN)
    };
    services
        .ledger
        .standings(&mut |user, standing| {
            if may_have(&standing) {
                users.push(user);
            }
        })
        .await?;
    Ok(users)
}

/// The passes of `user` that [`revoke`] would revoke.
///
/// # Errors
/// When a job works on the user, or the tenant or the record cannot be read.
pub async fn open(services: &Services, user: Uuid, which: Which) -> Result<Open, Failure> {
    read(services, user, which).await.map(|(open, _)| open)
}

/// They and the record.
async fn read(
    services: &Services,
    user: Uuid,
    which: Which,
) -> Result<(Open, Option<(Record, ETag)>), Failure> {
    ledger_tenant::check(services).await?;
    let listed = match services.graph.list_passes(user).await {
        Ok(listed) => listed,
        // The passes are gone with the account, unless it is a replica that does not know it.
        Err(error) if error.kind == GraphErrorKind::NotFound && !services.graph.has_user(user).await? => {
            return Ok((Open::default(), None));
        }
        Err(error) => return Err(error.into()),
    };
    clock_skew::check(services).await?;
    let now = services.clock.now();
    let Some((record, etag)) = services.ledger.read(user).await? else {
        let has_other = listed.iter().any(|pass| pass.can_be_used(now));
        return Ok((Open { passes: Vec::new(), has_other }, None));
    };
    let record = record.seen_at(now);
    if let Some(until) = record.leased_until(now) {
        return Err(Failure::Busy(Some(until)));
    }
    let usable = listed.iter().filter(|pass| pass.can_be_used(now));
    let mut working: Vec<_> = usable.map(|pass| (pass_record(pass), purpose_of(&record, pass))).collect();
    if listed.is_empty() {
        working.extend(unlisted(&record, now).map(|(pass, purpose)| (pass, Some(purpose))));
    }
    let (mut passes, mut has_other) = (Vec::new(), false);
    for (pass, purpose) in working {
        let delivered = record.delivered.as_ref().filter(|d| d.pass.pass_id == pass.pass_id);
        let to = delivered.map(|delivered| delivered.recipients.clone()).unwrap_or_default();
        let is_answer = purpose == Some(Purpose::Http) && delivered.is_some() && to.is_empty();
        match purpose.filter(|_| which == Which::All || !is_answer) {
            Some(purpose) => {
                passes.push(OpenPass { pass, purpose, to, is_delivered: delivered.is_some() });
            }
            None => has_other = true,
        }
    }
    Ok((Open { passes, has_other }, Some((record, etag))))
}

/// The delivered pass, or the one that a command before was about, if it can still work: a replica may not list it yet.
fn unlisted(record: &Record, now: DateTime<Utc>) -> Option<(PassRecord, Purpose)> {
    let delivered = record.delivered.as_ref().filter(|_| record.state == State::Delivered);
    let is_left = record.state == State::Failed && record.cause.as_deref() == Some(Record::BY_ADMIN);
    let left = record.pass.clone().filter(|_| is_left).map(|pass| (pass, record.purpose));
    let pass = delivered.map(|delivered| (delivered.pass.clone(), delivered.purpose)).or(left);
    pass.filter(|(pass, _)| pass.ends_at > now)
}

/// Revokes them and records it. Run again, it does what is left.
///
/// # Errors
/// As [`open`]; then a pass may be deleted that the record does not show as revoked.
pub async fn revoke(services: &Services, user: Uuid, which: Which, then: Then) -> Result<Open, Failure> {
    let mut done = Open::default();
    for _ in 1..ATTEMPTS {
        match attempt(services, user, (which, then), &mut done).await {
            Err(Failure::Busy(None)) => {}
            result => return result.map(|()| done),
        }
    }
    attempt(services, user, (which, then), &mut done).await.map(|()| done)
}

async fn attempt(
    services: &Services,
    user: Uuid,
    (which, then): (Which, Then),
    done: &mut Open,
) -> Result<(), Failure> {
    let (Open { passes, has_other }, record) = read(services, user, which).await?;
    done.has_other = has_other;
    let Some((mut record, mut etag)) = record.filter(|_| !passes.is_empty()) else { return Ok(()) };
    let is_renewed = then == Then::Renew && record.purpose != Purpose::Http;
    match then {
        Then::Hold => record.hold(services.clock.now()),
        Then::Renew => renew(&mut record, &passes),
    }
    etag = write(services, user, &mut record, &etag).await?;
    for open in passes {
        services.graph.delete_pass(user, &open.pass.pass_id).await?;
        record.record_revocation(&open.pass.pass_id, Record::BY_ADMIN);
        if !done.passes.iter().any(|known| known.pass.pass_id == open.pass.pass_id) {
            done.passes.push(open);
        }
    }
    if is_renewed {
        record.state = State::Failed;
    }
    write(services, user, &mut record, &etag).await?;
    Ok(())
}

/// As after a job that failed and did not deliver `passes`, with a job in the next sweep. A caller without one calls again.
fn renew(record: &mut Record, passes: &[OpenPass]) {
    let began = record.lease.as_ref().map(|lease| lease.since);
    // What an admin held back before, for another reason, stays so.
    if passes.iter().any(|open| open.purpose == Purpose::Joiner) || record.is_held_since(began) {
        record.end_hold();
    }
    record.seen = None;
    if record.purpose != Purpose::Http {
        record.state = State::Failed;
        record.cause = Some(Record::BY_ADMIN.to_owned());
        record
            .delivered
            .take_if(|delivered| passes.iter().any(|open| open.pass.pass_id == delivered.pass.pass_id));
    }
}

async fn write(
    services: &Services,
    user: Uuid,
    record: &mut Record,
    etag: &ETag,
) -> Result<ETag, LedgerError> {
    record.updated_at = services.clock.now();
    services.ledger.write(user, record, Some(etag)).await
}
