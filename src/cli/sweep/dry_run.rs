//! `firstpass sweep --dry-run`: who would get what, when, where, and why not.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal, Write},
};

use chrono::{DateTime, NaiveDate, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use crate::{
    app::App,
    functions::sweep_joiners::{self, DryRun},
    pass::{
        Failure, Outcome, Skip,
        forecast::{Forecast, Would},
    },
    settings::Mode,
};

/// What a sweep would do now or, with `date`, on that day at this time of day. `progress` hears how many people were looked at, of how
/// many.
///
/// # Errors
/// When the tenant or the ledger cannot be read, or the day is past.
pub async fn dry_run(
    app: &App,
    date: Option<NaiveDate>,
    as_json: bool,
    progress: impl Fn(usize, usize),
) -> Result<String, String> {
    let now = app.services.clock.now();
    let as_of = match date {
        Some(date) if date < now.date_naive() => {
            return Err(format!("{date} is past: what the tenant was like then is not known"));
        }
        Some(date) => date.and_time(now.time()).and_utc(),
        None => now,
    };
    let failed = |failure: Failure| format!("{failure}. {}", failure.advice());
    let found = sweep_joiners::dry_run(app, as_of, progress).await.map_err(failed)?;
    let mode = app.services.settings.mode;
    Ok(if as_json { json(&found, mode) } else { text(&found, mode) })
}

/// Shows the progress on a terminal.
pub(super) fn show_progress(done: usize, total: usize) {
    let mut screen = std::io::stderr();
    if screen.is_terminal() {
        let end = if done == total { "\r\x1b[K" } else { "" };
        // A closed terminal is not an error of the command.
        let _ = write!(screen, "\rLooking at {done} of {total} people{end}");
        let _ = screen.flush();
    }
}

fn json(found: &DryRun, mode: Mode) -> String {
    let failed = |(user, failure): &(String, Failure)| json!({"user": user, "would": "failed", "cause": failure.cause(), "why": failure.to_string(), "advice": failure.advice()});
    let people = found.people.iter().map(Forecast::to_json).chain(found.failed.iter().map(failed));
    json!({
        "asOf": found.as_of,
        "people": people.collect::<Vec<_>>(),
        "summary": counts(found),
        "listed": found.seen,
        "near": found.near,
        "malformed": found.malformed,
        "firstSweep": found.is_first,
        "reportOnly": mode == Mode::ReportOnly,
        "paused": mode == Mode::Paused,
    })
    .to_string()
}

fn counts(found: &DryRun) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let failed = found.failed.iter().map(|_| "failed");
    for name in found.people.iter().map(|forecast| forecast.would.name()).chain(failed) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn text(found: &DryRun, mode: Mode) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["First day", "User", "Would", "When", "Where, or why"]);
    let shown = found.people.iter().filter(|forecast| is_shown(&forecast.would));
    for Forecast { who, day_one, would, .. } in shown {
        let day = day_one.map(|day| day.to_string()).unwrap_or_default();
        table.add_row([day, who.name.clone(), words(would).to_owned(), when(would), where_or_why(would)]);
    }
    for (user, failure) in &found.failed {
        table.add_row(["", user, "fail, and be tried again", "", &failure.to_string()]);
    }
    let mut lines = Vec::new();
    if table.row_count() > 0 {
        lines.push(table.to_string());
    }
    lines.push(summary(found));
    let not_asked: BTreeSet<&str> = found.people.iter().flat_map(|f| f.not_asked.iter().copied()).collect();
    if !not_asked.is_empty() {
        let not_asked: Vec<&str> = not_asked.into_iter().collect();
        lines.push(format!(
            "Not asked, because this command's identity may not do it, and the app's own may: {}. The table takes what was not asked \
             for no obstacle.",
            not_asked.join(", ")
        ));
    }
    if found.is_first {
        lines.push("No sweep has run yet: the first one serves nobody who has started before it.".into());
    }
    match mode {
        Mode::Live => {}
        Mode::ReportOnly => lines.push(
            "REPORT_ONLY is set: sweeps only log this. The first one after it is switched off does it."
                .into(),
        ),
        Mode::Paused => {
            lines.push(
                "PAUSED is set: sweeps do none of this. The first one after it is switched off does it."
                    .into(),
            );
        }
    }
    lines.join("\n")
}

/// Whether the table has the person: whoever was served and is not to be changed is only counted.
fn is_shown(would: &Would) -> bool {
    !matches!(
        would,
        Would::End(Outcome::Skipped(
            Skip::JustDelivered
                | Skip::AlreadyServed
                | Skip::ServedSince
                | Skip::WasUsed
                | Skip::Arrived
                | Skip::ArrivalUnknown
                | Skip::NothingOpen
        ))
    )
}

fn words(would: &Would) -> &'static str {
    match would {
        Would::Issue(pass) if pass.is_late => "get a pass, late",
        Would::Issue(_) => "get a pass",
        Would::Mail(_) => "get a mail without a code",
        Would::End(Outcome::Revoked(_)) => "lose the pass",
        Would::End(_) | Would::LeaveOut(_) => "get no pass",
        Would::Held(_) => "wait for an approval",
        Would::NotAsked => "not known",
    }
}

fn when(would: &Would) -> String {
    match would {
        Would::Issue(pass) => pass.window.to_string(),
        _ => String::new(),
    }
}

fn where_or_why(would: &Would) -> String {
    match would {
        Would::Issue(pass) => {
            let others = [("copy", &pass.cc), ("note", &pass.told)].into_iter();
            let others = others.filter(|(_, others)| !others.is_empty());
            let others = others.map(|(what, others)| format!(", {what} to {}", others.join(" and ")));
            std::iter::once(pass.to.clone()).chain(others).collect()
        }
        would => would.to_string(),
    }
}

fn summary(found: &DryRun) -> String {
    let counts = counts(found);
    let count = |name: &str| counts.get(name).copied().unwrap_or_default();
    let is_late =
        |forecast: &&Forecast| forecast.would.is_late() && matches!(forecast.would, Would::Issue(_));
    let mut parts = vec![format!("mail {} passes", count("issue"))];
    let late = found.people.iter().filter(is_late).count();
    if late > 0 {
        parts.push(format!("{late} of them late"));
    }
    for (name, what) in [
        ("mail", "send {} mails without a code"),
        ("revoked", "take {} passes back"),
        ("held", "hold {} people back (SWEEP_MAX)"),
        ("blocked", "alert about {} people who get none"),
        ("left-out", "leave {} people out"),
        ("skipped", "find nothing to do for {} people"),
        ("not-asked", "do what is not known for {} people"),
        ("failed", "fail for {} people, and try again"),
    ] {
        if count(name) > 0 {
            parts.push(what.replace("{}", &count(name).to_string()));
        }
    }
    let unknown = match found.malformed {
        0 => String::new(),
        malformed => format!(" {malformed} entries of the tenant's listing have an unknown form."),
    };
    format!(
        "{}: a sweep would {}. The tenant lists {} users; {} first days are near or late. Nothing was changed.{unknown}",
        at(found.as_of),
        parts.join(", "),
        found.seen,
        found.near
    )
}

fn at(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
