//! The seven invariants, each in code of its own. `during` is asked after every run and every event, the rest when
//! two calm sweeps are over.

mod delivery;
pub mod during;
mod leaks;
mod noise;
mod oracle;
mod silence;

use crate::stage::Stage;

/// Judges a story that is over.
pub async fn at_rest(stage: &Stage) {
    if !stage.evidence().violations.is_empty() {
        return;
    }
    delivery::check(stage).await;
    leaks::check(stage);
    noise::check(stage);
    silence::check(stage).await;
}
