//! `firstpass status`: what was done for everybody, or for one user, by the ledger.

mod entry;
mod history;
mod page;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::{entry::Entry, page::html};
use super::{
    Site,
    people::{self, People},
    sweep, terminal,
};
use crate::{
    clock::Clock,
    environment::Environment,
    graph::Graph,
    ledger::{Ledger, LedgerError},
};

/// The records that are read at the same time.
const AT_ONCE: usize = 16;

/// The options of `firstpass status`.
#[derive(Debug, Args)]
pub struct Options {
    /// One user, by object id or sign-in name: everything that the record tells
    #[arg(value_name = "USER")]
    user: Option<String>,
    /// Everybody with a record, and not only those who matter now
    #[arg(long, conflicts_with = "user")]
    all: bool,
    /// The blob container of the ledger; the default is LEDGER_URL
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Write a page with a picture of the weeks into this file
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<(), String> {
    terminal::run(&site.env, async {
        let ledger = sweep::ledger(options.ledger.as_deref(), &site.env)?;
        let graph = graph(site, options.ledger.as_deref()).await;
        let now = Clock::system().now();
        let mut entries = match &options.user {
            Some(user) => vec![one(&*ledger, people::find(graph.as_ref(), user).await?).await?],
            None => list(&*ledger, options.all, now).await?,
        };
        let is_named = name(graph.as_ref(), &mut entries).await;
        if let Some(path) = &options.html {
            let page = html(&entries, options.user.is_some(), now)?;
            std::fs::write(path, page).map_err(|error| format!("--html {}: {error}", path.display()))?;
            terminal::print(&format!("Written: {}", path.display()));
            return Ok(());
        }
        terminal::print(&match (&options.user, options.json) {
            (_, true) => to_json(&entries, options.user.is_some(), now).to_string(),
            (Some(_), false) => entries.iter().map(|entry| person(entry, now)).collect(),
            (None, false) => table(&entries, is_named, now),
        });
        Ok(())
    })
}

/// Graph, for the names. Nothing is mailed here, so MAIL_FROM is not needed; with other settings that are wrong there are no names.
async fn graph(site: &Site<'_>, ledger: Option<&str>) -> Option<Graph> {
    let given: Environment = ledger.map(|url| ("LEDGER_URL", url)).into_iter().collect();
    let set: Vec<(&str, &str)> =
        site.env.names().filter_map(|name| Some((name, site.env.get(name)?))).collect();
    let env = given.or(set).or([("MAIL_FROM", "nobody@firstpass.invalid")]);
    (site.build)(env).await.ok().map(|app| app.services.graph.clone())
}

/// The user's entry.
///
/// # Errors
/// When there is no record, or the ledger fails.
pub async fn one(ledger: &dyn Ledger, user: Uuid) -> Result<Entry, String> {
    read(ledger, user).await.map_err(|error| error.to_string())?.ok_or_else(|| {
        format!(
            "the ledger has no record of {user}: firstpass has not made a pass for this user, nor refused one"
        )
    })
}

/// The entries of everybody, or of those who matter now, the soonest first day first.
///
/// # Errors
/// When the ledger fails.
pub async fn list(ledger: &dyn Ledger, is_all: bool, now: DateTime<Utc>) -> Result<Vec<Entry>, String> {
    let mut users = Vec::new();
    let mut keep = |user, standing| {
        if is_all || entry::matters(&standing, now) {
            users.push(user);
        }
    };
    ledger.standings(&mut keep).await.map_err(|error| error.to_string())?;
    let mut reads = stream::iter(users).map(|user| read(ledger, user)).buffered(AT_ONCE);
    let mut entries = Vec::new();
    while let Some(read) = reads.next().await {
        entries.extend(read.map_err(|error| error.to_string())?);
    }
    Ok(entries)
}

async fn read(ledger: &dyn Ledger, user: Uuid) -> Result<Option<Entry>, LedgerError> {
    let record = match ledger.read(user).await {
        Ok(None) => return Ok(None),
        Ok(Some((record, _))) => Ok(record),
        Err(LedgerError::Unreadable(cause)) => Err(cause.to_string()),
        Err(error) => return Err(error),
    };
    Ok(Some(Entry { user, names: Default::default(), record }))
}

/// Puts the names in, as far as Graph says them, and the entries into their order. Returns whether it says any.
pub async fn name(graph: Option<&Graph>, entries: &mut [Entry]) -> bool {
    let users: Vec<Uuid> = entries.iter().map(|entry| entry.user).collect();
    let people = match graph {
        Some(graph) => People::read(graph, &users).await,
        None => People::default(),
    };
    entries.iter_mut().for_each(|entry| entry.names = people.names(entry.user));
    entries.sort_by_cached_key(Entry::order);
    !people.is_empty()
}

/// The table of everybody.
pub fn table(entries: &[Entry], is_named: bool, now: DateTime<Utc>) -> String {
    if entries.is_empty() {
        return "Nobody has a record that matters now; --all shows the others.".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "First day",
        "User",
        "State (times in UTC)",
        "Pass mailed to",
        "Works (UTC)",
        "Waits for a person",
    ]);
    for entry in entries {
        let delivered = entry.delivered();
        let to = delivered.map(|delivered| match delivered.recipients.is_empty() {
            true => "–".to_owned(),
            false => format!("{}, {}", delivered.recipients.join(", "), entry::moment(delivered.at)),
        });
        table.add_row([
            entry.day_one().map_or_else(|| "–".to_owned(), entry::day),
            entry.name(),
            entry.state(now),
            to.unwrap_or_else(|| "–".to_owned()),
            delivered.map_or_else(|| "–".to_owned(), |d| entry::span(d.told_start(), d.told_end())),
            entry.waits().unwrap_or_else(|| "–".to_owned()),
        ]);
    }
    let waiting = entries.iter().filter(|entry| entry.waits().is_some()).count();
    let names = if is_named {
        ""
    } else {
        "\nNames are missing: Graph did not answer to the identity of this command."
    };
    format!(
        "{table}\n{} with a record that matters now; {waiting} wait for a person. One of them: firstpass status USER{names}",
        entries.len()
    )
}

/// Everything about one user.
pub fn person(entry: &Entry, now: DateTime<Utc>) -> String {
    let mut lines = vec![format!("{} ({})", entry.name(), entry.user)];
    if let Some(first) = entry.day_one() {
        lines.push(format!("First day: {}", entry::day(first)));
    }
    lines.push(format!("State: {}", entry.state(now)));
    if let Some(waits) = entry.waits() {
        lines.push(format!("Waits for a person: {waits}"));
    }
    if let Ok(record) = &entry.record {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["When (UTC)", "What"]);
        for event in history::events(record, now) {
            table.add_row([event.when(), event.text]);
        }
        lines.push(table.to_string());
        lines.extend(history::facts(record));
    }
    lines.join("\n")
}

/// One object; of one user with the history.
pub fn to_json(entries: &[Entry], is_one: bool, now: DateTime<Utc>) -> Value {
    let users: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut user = entry.to_json(now);
            if let (true, Ok(record)) = (is_one, &entry.record) {
                let events = history::events(record, now);
                let event = |event: &history::Event| json!({"at": event.at, "what": event.text});
                user["history"] = events.iter().map(event).collect();
                user["facts"] = json!(history::facts(record));
            }
            user
        })
        .collect();
    json!({"at": now, "users": users})
}
