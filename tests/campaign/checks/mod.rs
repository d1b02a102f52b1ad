//! The seven invariants, each in code of its own. `during` is asked after every run and every event, the rest when
//! two calm sweeps are over.

mod delivery;
pub mod during;
mod leaks;
mod noise;
mod oracle;
mod silence;

use crate::setup::Setup;

/// Judges a story that is over.
pub async fn at_rest(setup: &Setup) {
    if !setup.evidence().violations.is_empty() {
        return;
    }
    delivery::check(setup).await;
    leaks::check(setup);
    noise::check(setup);
    silence::check(setup).await;
}
