//! `firstpass sweep`: says what a sweep would do, and lists and approves the people whom one holds back.

mod dry_run;

use std::sync::Arc;

use chrono::NaiveDate;
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

pub use self::dry_run::dry_run;
use super::{Site, terminal};
use crate::{
    azure::LedgerUrl,
    clock::Clock,
    cloud::Cloud,
    environment::Environment,
    ledger::{HeldKind, HeldList, HeldPerson, Ledger, LedgerError},
    startup,
};

/// The options of `firstpass sweep`.
#[derive(Debug, Args)]
pub struct Options {
    /// Let the people of this list through: the reference is in the alert
    #[arg(long, value_name = "REFERENCE", conflicts_with = "held")]
    approve: Option<String>,
    /// With --approve: only these people, by sign-in name or object id
    #[arg(long, value_name = "USER", requires = "approve", num_args = 1..)]
    only: Vec<String>,
    /// List the people who wait for an approval
    #[arg(long, required_unless_present_any = ["approve", "dry_run"])]
    held: bool,
    /// Say what a sweep would do, person by person; nothing is changed
    #[arg(long, conflicts_with_all = ["approve", "held", "ledger"])]
    dry_run: bool,
    /// With --dry-run: on this day (2026-11-30), if nothing changed until then
    #[arg(long, value_name = "DATE", requires = "dry_run")]
    date: Option<NaiveDate>,
    /// The blob container of the ledger; the default is LEDGER_URL
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// The reason, and what to do.
pub fn run(options: &Options, site: &Site<'_>) -> Result<(), String> {
    let Site { env, .. } = site;
    terminal::run(env, async {
        if options.dry_run {
            let app = site.app().await?;
            let text = dry_run(&app, options.date, options.json, dry_run::show_progress).await?;
            terminal::print(&text);
            return Ok(());
        }
        let ledger = ledger(options.ledger.as_deref(), env)?;
        let text = match &options.approve {
            Some(reference) => {
                approve(&*ledger, reference, &options.only, options.json, &Clock::system()).await?
            }
            None => held(&*ledger, options.json).await?,
        };
        terminal::print(&text);
        Ok(())
    })
}

/// The ledger, for a command that needs nothing else.
///
/// # Errors
/// When it is not known which one, or it cannot be used.
pub(super) fn ledger(url: Option<&str>, env: &Environment) -> Result<Arc<dyn Ledger>, String> {
    let text = url.or_else(|| env.get("LEDGER_URL")).ok_or(
        "the ledger is not known. Name its container with --ledger, or set LEDGER_URL to the function app's value. The \
         identity of `az login` needs the role Storage Blob Data Contributor",
    )?;
    let url =
        LedgerUrl::parse(text, Cloud::of(env)).map_err(|detail| format!("the URL of the ledger {detail}"))?;
    let credential =
        if url.has_sas() { None } else { Some(startup::identity(env).map_err(|report| report.to_string())?) };
    startup::ledger(&url, credential).map_err(|report| report.to_string())
}

/// Marks a list as approved; with `only`, a list of those people.
///
/// # Errors
/// When there is no such list, or `only` has others than its people.
pub async fn approve(
    ledger: &dyn Ledger,
    reference: &str,
    only: &[String],
    as_json: bool,
    clock: &Clock,
) -> Result<String, String> {
    let failed = |error: LedgerError| error.to_string();
    let (mut list, etag) = ledger.held_list(reference).await.map_err(failed)?.ok_or_else(|| {
        format!("there is no list {reference}: `firstpass sweep --held` shows the references")
    })?;
    let is_named = |person: &HeldPerson, name: &str| {
        person.user_id.to_string().eq_ignore_ascii_case(name)
            || person.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let strangers: Vec<&str> = only
        .iter()
        .map(String::as_str)
        .filter(|name| !list.people.iter().any(|person| is_named(person, name)))
        .collect();
    if !strangers.is_empty() {
        return Err(format!(
            "nothing was approved: the list {reference} does not have {}",
            strangers.join(", ")
        ));
    }
    let now = clock.now();
    let (target, etag) = if only.is_empty() {
        (reference.to_owned(), Some(etag))
    } else {
        list.people.retain(|person| only.iter().any(|name| is_named(person, name)));
        list = HeldList { approved_at: None, ..HeldList::new(list.kind, list.people, now) };
        let target = list.reference();
        let known = ledger.held_list(&target).await.map_err(failed)?;
        (target, known.map(|(_, etag)| etag))
    };
    list.approved_at = Some(now);
    ledger.write_held_list(&target, &list, etag.as_ref()).await.map_err(|error| match error {
        LedgerError::Conflict => "another approval came at the same time: run the command again".to_owned(),
        error => error.to_string(),
    })?;
    let count = list.people.len();
    Ok(if as_json {
        json!({"approved": target, "people": count}).to_string()
    } else {
        format!("Approved: {count} people. The next sweep serves them.")
    })
}

/// The lists that wait for an approval.
///
/// # Errors
/// When the ledger fails.
pub async fn held(ledger: &dyn Ledger, as_json: bool) -> Result<String, String> {
    let mut lists = ledger.held_lists().await.map_err(|error| error.to_string())?;
    lists.retain(|(_, list)| list.approved_at.is_none());
    lists.sort_by_key(|(_, list)| list.held_at);
    if as_json {
        let lists: Vec<_> =
            lists.iter().map(|(reference, list)| json!({"reference": reference, "list": list})).collect();
        return Ok(json!({"held": lists}).to_string());
    }
    if lists.is_empty() {
        return Ok("Nobody waits for an approval.".to_owned());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["Reference", "Since", "Would", "Day one", "User"]);
    for (reference, list) in &lists {
        let would = match list.kind {
            HeldKind::Joiners => "get a pass",
            HeldKind::Withdrawals => "lose the pass",
            HeldKind::Additions => "get a pass on demand",
        };
        for person in &list.people {
            table.add_row([
                reference.clone(),
                list.held_at.format("%Y-%m-%d %H:%M UTC").to_string(),
                would.to_owned(),
                person.day_one.to_string(),
                person.name.clone().unwrap_or_else(|| person.user_id.to_string()),
            ]);
        }
    }
    Ok(format!(
        "{table}\nApprove a list: firstpass sweep --approve REFERENCE, with --only USER… some of its people."
    ))
}
