//! OnGroupAdd: one queue message, one user, one run of the issue flow.

use serde_json::Value;

use crate::{
    app::{Alert, App},
    pass::{
        Job, Outcome,
        alert::tell_given_up,
        issue::{Ended, issue},
    },
};

/// How often the host delivers a message before it gives it up; `maxDequeueCount` in host.json.
pub const MAX_DELIVERIES: u32 = 5;

/// What became of a message.
#[derive(Debug)]
pub enum Handled {
    /// The job ran.
    Ran(Job, Box<Ended>),
    /// The message is none of ours; these are its problems. Delivering it again would not help.
    Unreadable(Vec<String>),
}

/// Handles the message that is being delivered for the `delivery`th time.
pub async fn on_group_add(app: &App, message: &Value, delivery: u32) -> Handled {
    let job = match Job::parse(message) {
        Ok(job) => job,
        Err(problems) => {
            app.alert(&unreadable(message, &problems)).await;
            return Handled::Unreadable(problems);
        }
    };
    let ended = issue(app, &job).await;
    let Ended { outcome, who } = &ended;
    tracing::info!(event = "job.done", job = job.key, user = who, outcome = outcome.name(), delivery, why = %outcome);
    if matches!(outcome, Outcome::Failed(_)) && delivery >= MAX_DELIVERIES {
        tell_given_up(app, &job, who, outcome, MAX_DELIVERIES).await;
    }
    Handled::Ran(job, Box::new(ended))
}

/// The message itself stays out of it: who knows what it holds.
fn unreadable(message: &Value, problems: &[String]) -> Alert {
    Alert {
        headline: "A message on the queue pass-jobs cannot be understood".into(),
        who: "nobody: the message names no user that we can read".into(),
        what_happened: format!("{} ({} characters)", problems.join("; "), message.to_string().len()),
        what_to_do: "Find out who writes to the queue; the message was removed and will not come back."
            .into(),
        reference: "OnGroupAdd".into(),
    }
}
