//! Whether this machine's clock and Graph's agree. Every decision depends on the time, so that a wrong clock would be a wrong
//! decision about each person.

use chrono::TimeDelta;

use super::{alert::Alert, condition, outcome::Failure, services::Services};
use crate::ledger::{ConditionName, Urgency};

/// More than two clocks that are synchronised differ by.
const TOLERATED: TimeDelta = TimeDelta::minutes(2);

/// By how much this machine's clock is ahead of Graph's, if that is too much; by the last answer of Graph.
pub(crate) fn skew(services: &Services) -> Option<TimeDelta> {
    let skew = services.clock.now() - services.graph.now()?;
    (skew.abs() > TOLERATED).then_some(skew)
}

/// Alerts once for all if the clocks differ.
///
/// # Errors
/// [`Failure::Clock`]: a later try may succeed.
pub(crate) async fn check(services: &Services) -> Result<(), Failure> {
    let Some(skew) = skew(services) else { return Ok(()) };
    let failure = Failure::Clock(skew);
    let alert = Alert {
        kind: "clock-wrong",
        headline: "The clock is wrong, and nobody gets a pass".into(),
        who: "everybody".into(),
        what_happened: failure.to_string(),
        what_to_do: failure.advice(),
        reference: format!("{:.0}", services.clock.now()),
    };
    condition::report(services, ConditionName::ClockWrong, Urgency::Now, &alert).await;
    Err(failure)
}
