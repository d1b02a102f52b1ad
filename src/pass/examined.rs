//! When the app is examined: daily, and after a start with other settings or another version. Whatever reads the conditions finds
//! out; a message starts it.

use super::{
    condition,
    known_examination::{Due, due},
    services::Services,
};
use crate::{
    hash::sha256,
    ledger::{Conditions, Examined},
};

/// Identifies the settings and the version.
pub(crate) fn mark(services: &Services) -> String {
    sha256(&format!("{} {}", env!("CARGO_PKG_VERSION"), services.settings.fingerprint))[..16].to_owned()
}

/// Notes whether an examination is due, by what the ledger says.
pub(crate) fn note_read(services: &Services, conditions: Option<&Conditions>) {
    services.examination.set(why_due(services, conditions));
}

/// Whether this process has to ask for one now. Then it has.
pub(crate) fn take_wake_up(services: &Services) -> bool {
    services.examination.take_wake_up(services.clock.now())
}

/// The message could not be put.
pub(crate) fn give_wake_up_back(services: &Services) {
    services.examination.give_wake_up_back();
}

/// Whether one is due now: another process, or another message, may have made it meanwhile.
pub(crate) async fn is_due_now(services: &Services) -> bool {
    why_due(services, condition::of_sweeps(services).await.as_ref()).is_some()
}

fn why_due(services: &Services, conditions: Option<&Conditions>) -> Option<Due> {
    let examined = conditions.and_then(|conditions| conditions.examined.as_ref());
    due(examined, &mark(services), services.clock.now())
}

/// Notes that the app was examined.
pub(crate) async fn note(services: &Services, examined: Examined) {
    services.examination.set(None);
    condition::end_examination(services, examined).await;
}
