//! A pass that an admin asks for by hand: the same flow, with the same checks.

use super::{
    issue::{JobResult, issue},
    job::Job,
    ledger_tenant,
    outcome::{Block, Failure, Outcome, Skip},
    person::Person,
    services::Services,
};
use crate::ledger::{Hold, LedgerError};
use uuid::Uuid;

/// How often the last write is tried, if others write the same record.
const ATTEMPTS: usize = 3;

/// Runs the flow for `user`: as for a joiner, and if the account is none's, or none's any more, as for an addition to the
/// on-demand group. With a pass that is mailed, one that an admin held back before is held back no longer.
pub async fn issue_by_hand(services: &Services, user: Uuid) -> JobResult {
    let ended = |outcome| JobResult { outcome, who: Person::known_as(user.to_string()), notes: None };
    if let Some(skip) = Skip::of_mode(services.settings.mode) {
        return ended(Outcome::Skipped(skip));
    }
    let held = match end_hold(services, user).await {
        Ok(held) => held,
        Err(failure) => return ended(Outcome::Failed(failure)),
    };
    let result = run(services, user).await;
    match held {
        Some(held) if !matches!(result.outcome, Outcome::Delivered(_) | Outcome::Failed(_)) => {
            match hold_again(services, user, held).await {
                Ok(()) => result,
                Err(failure) => JobResult { outcome: Outcome::Failed(failure), ..result },
            }
        }
        _ => result,
    }
}

async fn run(services: &Services, user: Uuid) -> JobResult {
    let now = services.clock.now();
    let key = format!("by-hand/{user}/{}", now.timestamp());
    let joiner = issue(services, &Job { key, ..Job::joiner(user, now.date_naive()) }).await;
    if services.settings.on_demand_group.is_none() || !may_be_on_demand(&joiner.outcome) {
        return joiner;
    }
    let on_demand = issue(services, &Job::group_add(user, now, "by-hand")).await;
    match (&joiner.outcome, &on_demand.outcome) {
        // Why the account is no joiner's says more.
        (Outcome::Blocked(_), Outcome::Skipped(Skip::NotInGroup)) => joiner,
        _ => on_demand,
    }
}

/// Whether the account is no joiner's now, and may get a pass for another reason.
fn may_be_on_demand(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Skipped(skip) => {
            matches!(skip, Skip::NoHireDate | Skip::BeyondHorizon(_) | Skip::DayOnePast(_) | Skip::Arrived)
        }
        Outcome::Blocked(block) => {
            matches!(block, Block::AlreadyHasMethods(_) | Block::AlreadySignedIn(_) | Block::TooOld(_))
        }
        Outcome::Delivered(_) | Outcome::Revoked(_) | Outcome::Failed(_) => false,
    }
}

/// Written before the flow runs: if it does not get to an end, the next sweep makes the pass.
async fn end_hold(services: &Services, user: Uuid) -> Result<Option<Hold>, Failure> {
    ledger_tenant::check(services).await?;
    let Some((mut record, etag)) = services.ledger.read(user).await? else { return Ok(None) };
    let now = services.clock.now();
    if let Some(until) = record.leased_until(now) {
        return Err(Failure::Busy(Some(until)));
    }
    let held = record.end_hold();
    if held.is_some() {
        record.updated_at = now;
        services.ledger.write(user, &record, Some(&etag)).await?;
    }
    Ok(held)
}

/// No pass was mailed: nothing is different from before.
async fn hold_again(services: &Services, user: Uuid, held: Hold) -> Result<(), Failure> {
    for _ in 0..ATTEMPTS {
        let Some((mut record, etag)) = services.ledger.read(user).await? else { return Ok(()) };
        record.hold_again(held);
        record.updated_at = services.clock.now();
        match services.ledger.write(user, &record, Some(&etag)).await {
            Err(LedgerError::Conflict) => {}
            written => return Ok(written.map(drop)?),
        }
    }
    Err(Failure::Busy(None))
}
