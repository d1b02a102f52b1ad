//! `firstpass doctor`: shows what the app found when it examined itself.

use std::{fs, path::PathBuf, process::ExitCode};

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::{Site, sweep::ledger, terminal};
use crate::{
    app::App,
    clock::Clock,
    doctor,
    ledger::{Examination, Finding, Level},
    pass::alert::send_test,
};

/// The options of `firstpass doctor`.
#[derive(Debug, Args)]
pub struct Options {
    /// Examine now, with the identity of this process; what its token may not read is not asked. Nothing is written
    #[arg(long, conflicts_with = "file")]
    now: bool,
    /// Show the examination in this file instead of the ledger's
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Send a test mail from MAIL_FROM to ALERT_TO, with the identity of this process
    #[arg(long, conflicts_with_all = ["now", "file"])]
    send_test_mail: bool,
    /// The blob container of the ledger; the default is LEDGER_URL
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// After this an examination does not say how the app is today.
const OLD: TimeDelta = TimeDelta::hours(26);
/// The width of the table: it has sentences.
const WIDTH: u16 = 120;
/// The exit code if something fails.
const FAILS: u8 = 3;

/// Runs the command. The exit code is 3 if the examination has something that stops passes, or is old.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<ExitCode, String> {
    let mut code = ExitCode::SUCCESS;
    terminal::run(&site.env, async {
        if options.send_test_mail {
            terminal::print(&send_test_mail(&*site.app().await?, options.json).await?);
            return Ok(());
        }
        let (examination, now) = if options.now {
            let app = site.app().await?;
            (doctor::examine(&app).await, app.services.clock.now())
        } else {
            (stored(options, site).await?, Clock::system().now())
        };
        let is_old = (now - examination.at).abs() > OLD;
        if is_old || examination.of(Level::Fail).next().is_some() {
            code = ExitCode::from(FAILS);
        }
        terminal::print(&if options.json {
            json!({"isOld": is_old, "examination": examination}).to_string()
        } else {
            text(&examination, now)
        });
        Ok(())
    })?;
    Ok(code)
}

async fn stored(options: &Options, site: &Site<'_>) -> Result<Examination, String> {
    if let Some(path) = &options.file {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("--file {shown}: {error}"))?;
        return serde_json::from_str(&text)
            .map_err(|_| format!("--file {shown}: it is no examination.json of a ledger"));
    }
    let ledger = ledger(options.ledger.as_deref(), &site.env)?;
    let found = ledger.examination().await.map_err(|error| error.to_string())?;
    found.map(|(examination, _)| examination).ok_or_else(|| {
        "the ledger has no examination yet. The app examines itself with the first sweep after its start: run SweepJoiners \
         by hand (docs/DEPLOY.md), wait three minutes, and run this command again"
            .to_owned()
    })
}

/// Sends a test mail to ALERT_TO. Returns what to tell.
///
/// # Errors
/// Why it was not sent, and what to do.
pub async fn send_test_mail(app: &App, as_json: bool) -> Result<String, String> {
    let sent = send_test(&app.services).await?;
    Ok(if as_json {
        json!({"sent": true, "recipients": sent}).to_string()
    } else {
        format!("Exchange accepted the test mail for {}. Whether it arrives, look there.", sent.join(", "))
    })
}

/// The examination in words, what has to be done first.
pub fn text(examination: &Examination, now: DateTime<Utc>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(["", "Check", "Found", "To do"]);
    let levels = [Level::Fail, Level::Warn, Level::NotAsked, Level::Ok];
    for level in levels {
        for Finding { check, user, what, to_do, .. } in examination.of(level) {
            let what = user.as_ref().map_or_else(|| what.clone(), |user| format!("{user} {what}"));
            table.add_row([sign(level).to_owned(), check.clone(), what, to_do.clone().unwrap_or_default()]);
        }
    }
    let counts: Vec<String> = levels
        .into_iter()
        .filter_map(|level| match examination.of(level).count() {
            0 => None,
            count => Some(format!("{count} {}", level.name())),
        })
        .collect();
    let at = examination.at.format("%Y-%m-%d %H:%M UTC");
    let old = match now - examination.at {
        age if age.abs() > OLD => {
            format!(
                "\nThis is {} hours old: the app runs no sweeps, or cannot write. See its log.",
                age.num_hours()
            )
        }
        _ => String::new(),
    };
    format!("{table}\nfirstpass {} at {at}: {}.{old}", examination.version, counts.join(", "))
}

fn sign(level: Level) -> &'static str {
    match level {
        Level::Ok => "✓",
        Level::NotAsked => "?",
        Level::Warn => "!",
        Level::Fail => "✗",
    }
}
