//! `firstpass issue`: makes a pass for one user and mails it, by the flow of the functions.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::{
    Site,
    people::{self, People},
    terminal,
};
use crate::{
    app::App,
    pass::{Outcome, Skip, by_hand::issue_by_hand},
};

/// The options of `firstpass issue`.
#[derive(Debug, Args)]
pub struct Options {
    /// The user, by sign-in name or object id
    #[arg(value_name = "USER")]
    user: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command. It succeeds if a pass was mailed.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<ExitCode, String> {
    terminal::run(&site.env, async {
        let app = site.app().await?;
        let services = &app.services;
        let user = people::find(Some(&services.graph), &options.user).await?;
        if !options.yes {
            let person = People::read(&services.graph, &[user]).await.line(user);
            confirm(&format!("Make a pass for {person}, and mail it?"))?;
        }
        let (text, is_delivered) = issue(&app, user, options.json).await;
        terminal::print(&text);
        Ok(if is_delivered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Asks on the terminal.
///
/// # Errors
/// When the answer is no, or there is nobody to ask.
fn confirm(question: &str) -> Result<(), String> {
    if !stdin().is_terminal() {
        return Err("nothing was done: nobody can be asked here, and --yes was not given".to_owned());
    }
    // A closed pipe is answered with no.
    let _ = write!(stdout(), "{question} [y/N] ").and_then(|()| stdout().flush());
    let mut answer = String::new();
    let is_read = stdin().read_line(&mut answer).is_ok();
    match is_read && ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        true => Ok(()),
        false => Err("nothing was done".to_owned()),
    }
}

/// Runs the flow for `user`. Returns what happened, and whether a pass was mailed.
pub async fn issue(app: &App, user: Uuid, as_json: bool) -> (String, bool) {
    let result = issue_by_hand(&app.services, user).await;
    app.queue_notes(result.notes).await;
    let outcome = &result.outcome;
    let to_do = match outcome {
        Outcome::Skipped(skip) => advice(*skip).map(str::to_owned),
        outcome => outcome.advice(),
    };
    let is_delivered = matches!(outcome, Outcome::Delivered(_));
    let text = if as_json {
        json!({
            "userId": user,
            "user": result.who.name,
            "outcome": outcome.name(),
            "cause": outcome.cause(),
            "why": outcome.to_string(),
            "toDo": to_do,
        })
        .to_string()
    } else {
        let what = match outcome {
            Outcome::Delivered(_) => "a pass was mailed",
            Outcome::Revoked(_) => "a pass was revoked, and none was mailed",
            Outcome::Skipped(_) | Outcome::Blocked(_) => "no pass was mailed",
            Outcome::Failed(_) => "no pass was mailed, and the command can be repeated",
        };
        let to_do = to_do.map(|to_do| format!("\nTo do: {to_do}")).unwrap_or_default();
        format!("{}: {what}.\n{}{to_do}", result.who.description, sentence(&outcome.to_string()))
    };
    (text, is_delivered)
}

/// The text with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// What an admin can do who wants a pass all the same.
fn advice(skip: Skip) -> Option<&'static str> {
    match skip {
        Skip::AlreadyServed | Skip::JustDelivered | Skip::ServedSince | Skip::HasWorkingPass(Some(_)) => {
            Some(
                "To mail another one in its place, run `firstpass revoke` for this user, and then this command again.",
            )
        }
        Skip::HasWorkingPass(None) => Some(
            "If that pass is not wanted, delete it in the Entra admin center, and run this command again.",
        ),
        Skip::NoHireDate
        | Skip::BeyondHorizon(_)
        | Skip::DayOnePast(_)
        | Skip::Arrived
        | Skip::NotInGroup => Some(
            "To give this person a pass now, add the account to the on-demand group (ON_DEMAND_GROUP_ID) and run this \
             command again, or call CreateTap.",
        ),
        Skip::Paused => {
            Some("Remove PAUSED, or set it to false, when the reason is gone, and run this command again.")
        }
        Skip::ReportOnly => Some("Set REPORT_ONLY to false, and run this command again."),
        Skip::Disabled => Some("Enable the account, and run this command again."),
        Skip::Rescinded(..) => {
            Some("If this person still starts, correct or remove the leave date of the account.")
        }
        _ => None,
    }
}
