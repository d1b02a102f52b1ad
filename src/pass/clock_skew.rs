//! Whether this machine's clock and Graph's agree. Every decision depends on the time, so that a wrong clock would be a wrong
//! decision about each person.

use chrono::TimeDelta;

use super::{alert::Alert, condition, outcome::Failure, services::Services};
use crate::ledger::{ConditionName, Urgency};

/// More than two clocks that are synchronised differ by.
const TOLERATED: TimeDelta = TimeDelta::minutes(2);

/// Compares the clocks by the last answer of Graph.
///
/// # Errors
/// [`Failure::Clock`]: a later try may succeed.
pub(crate) fn compare(services: &Services) -> Result<(), Failure> {
    let Some(graph) = services.graph.now() else { return Ok(()) };
    let skew = services.clock.now() - graph;
    if skew.abs() > TOLERATED { Err(Failure::Clock(skew)) } else { Ok(()) }
}

/// The same, and alerts once for all if they differ.
///
/// # Errors
/// As there.
pub(crate) async fn check(services: &Services) -> Result<(), Failure> {
    let Err(failure) = compare(services) else { return Ok(()) };
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
