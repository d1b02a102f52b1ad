//! What a person is told, and when.
//!
//! An alert goes out before the record that says so is written: a worker that dies between the two tells twice, one
//! that dies before both is followed by another. Silence is not among the cases.

use super::{job::Job, outcome::Outcome};
use crate::app::{Alert, App};

/// Tells a person that `job`, for `who`, ended in `outcome`.
pub async fn send_outcome(app: &App, job: &Job, who: &str, outcome: &Outcome) {
    let headline = match outcome {
        Outcome::Revoked(_) => "A joiner's pass was taken back",
        _ => "Someone gets no pass",
    };
    send(app, &job.key, who, outcome, headline.to_owned()).await;
}

/// Tells a person that nobody will try again before the next sweep. `reference` is what to search the log for.
pub async fn send_poisoned(app: &App, reference: &str, who: &str, outcome: &Outcome, deliveries: u32) {
    send(app, reference, who, outcome, format!("Given up after {deliveries} tries")).await;
}

async fn send(app: &App, reference: &str, who: &str, outcome: &Outcome, headline: String) {
    app.alert(&Alert {
        headline,
        who: who.to_owned(),
        what_happened: outcome.to_string(),
        what_to_do: outcome.advice().unwrap_or_default(),
        reference: reference.to_owned(),
    })
    .await;
}
