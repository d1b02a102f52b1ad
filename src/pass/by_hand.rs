//! A pass that an admin asks for by hand: the same flow, with the same checks.

use super::{
    issue::{JobResult, issue},
    job::Job,
    ledger_tenant,
    outcome::{Block, Failure, Outcome, Skip},
    person::Person,
    services::Services,
};
use uuid::Uuid;

/// Runs the flow for `user`: as for a joiner, and if the account is none's, or none's any more, as for an addition to the
/// on-demand group. A pass that an admin held back before is held back no longer.
pub async fn issue_by_hand(services: &Services, user: Uuid) -> JobResult {
    let now = services.clock.now();
    if let Err(failure) = end_hold(services, user).await {
        return JobResult { outcome: Outcome::Failed(failure), who: Person::known_as(user.to_string()) };
    }
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
async fn end_hold(services: &Services, user: Uuid) -> Result<(), Failure> {
    ledger_tenant::check(services).await?;
    let Some((mut record, etag)) = services.ledger.read(user).await? else { return Ok(()) };
    let now = services.clock.now();
    if let Some(until) = record.leased_until(now) {
        return Err(Failure::Busy(Some(until)));
    }
    if record.end_hold() {
        record.updated_at = now;
        services.ledger.write(user, &record, Some(&etag)).await?;
    }
    Ok(())
}
