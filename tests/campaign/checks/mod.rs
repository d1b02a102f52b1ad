//! The eight invariants. [`immediate`] checks each change of a pass and each finished invocation while the scenario
//! runs; the other modules check the state after the calm days.

mod final_state;
pub mod immediate;
mod leaks;
mod mail_count;
mod notes;
pub mod oracle;
mod reporting;

use crate::simulation::Simulation;

/// Checks the final state, unless the scenario has failed already.
pub async fn check_final_state(sim: &Simulation) {
    if !sim.trace().violations.is_empty() {
        return;
    }
    final_state::check(sim).await;
    leaks::check(sim);
    mail_count::check(sim);
    notes::check(sim);
    reporting::check(sim).await;
}
