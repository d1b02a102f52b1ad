//! The queries for Application Insights find in the lines of the log what they look for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use chrono::TimeDelta;
use firstpass::{host, queue::POISON};
use firstpass_sandbox::{
    functions_host::{self, Storage, encode_base64, local_host::LocalHost},
    tenant::{Fault, Person, samples},
};
use regex_lite::Regex;
use serde_json::json;

use crate::helpers::{NOW, TestApp, fail_with, log_capture::capture_log, source, time};

/// Skips quoted values, which may contain anything.
const SKIP: &str = r#"^(?:[^"]|"(?:[^"\\]|\\.)*")*? "#;
/// A value in quotes, or one without blanks.
const VALUE: &str = r#"=("(?:[^"\\]|\\.)*"|\S+)"#;

/// Each query by name.
fn queries() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/queries");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_stem().unwrap().display().to_string(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The patterns that a query extracts by. In a verbatim string of KQL a quote is doubled.
fn patterns(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, start) in query.match_indices("extract(@\"") {
        let text = query[at + start.len()..].replace("\"\"", "\u{0}");
        found.insert(text.split_once('"').unwrap().0.replace('\u{0}', "\""));
    }
    found
}

/// The events that a query is about.
fn events(query: &str) -> BTreeSet<&str> {
    let conditions = query.split("event ==").skip(1).map(|rest| rest.split(['|', ')']).next().unwrap());
    let lists = query.split("event in (").skip(1).map(|rest| rest.split(')').next().unwrap());
    conditions
        .chain(lists)
        .flat_map(|names| names.split('"').skip(1).step_by(2))
        .filter(|n| n.contains(['.', '_']) || *n == "alert")
        .collect()
}

/// The fields of a line, as [LOGGING.md](../../docs/LOGGING.md) describes it; values as they are written.
fn fields(line: &str) -> BTreeMap<&str, &str> {
    let (_, mut rest) = line.split_once(": ").unwrap();
    let mut fields = BTreeMap::new();
    while let Some((name, after)) = rest.split_once('=')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    {
        let end = match after.strip_prefix('"') {
            None => after.find(' ').unwrap_or(after.len()),
            Some(inner) => {
                let mut escaped = false;
                let closes = |(_, c): &(usize, char)| {
                    let is_end = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    is_end
                };
                inner.char_indices().find(closes).unwrap().0 + 2
            }
        };
        fields.insert(name, &after[..end]);
        rest = after[end..].trim_start();
    }
    fields
}

/// What the product logs in weeks with every kind of account, lost and refused requests, and callers.
async fn captured() -> String {
    let mut log = String::new();
    let faults = [
        ("POST", "", 0, 0),
        ("POST", "sendMail", 400, 300),
        ("POST", "temporaryAccessPassMethods", 500, 300),
        ("GET", "/users", 403, 300),
    ];
    for (method, part, status, times) in faults {
        let mut tenant = samples::samples(time(NOW));
        // Whose alert has the letters that the log splits.
        tenant.add(Person::named("Emma Warner").hire_date(time("2026-11-27T00:00:00Z")).usage_location("GB"));
        let app = TestApp::new(tenant, &[]);
        if times > 0 {
            app.sandbox.inject(Fault::on(method, part, fail_with(status)).times(times));
        }
        let work = async {
            for _ in 0..4 {
                let answer = app.host.fire_timer().await;
                app.host.work(answer.jobs(), |_| {}).await;
                app.advance(TimeDelta::hours(27));
                let now = app.sandbox.now();
                for pass in app.sandbox.passes().iter().filter(|pass| pass.opens_at <= now) {
                    app.sandbox.edit(|tenant| tenant.use_pass(pass.id, now));
                }
            }
            for name in ["Emma", r#"E" user=victim@contoso.example outcome=made opens=1 "#] {
                let call = json!({"UserName": "emma.brooks@contoso.example", "CallerName": name});
                app.host.call("CreateTap", &call.to_string()).await;
            }
        };
        log += &capture_log("info", work).await.1;
    }
    log + &with_poison().await
}

/// A sweep that finds a message in the poison queue.
async fn with_poison() -> String {
    let (app, _) = TestApp::with_emma();
    let storage = Storage::new(app.sandbox.clock());
    storage.put(POISON, encode_base64("not a job")).unwrap();
    let product = app.product(app.sandbox.credential()).with_queues(functions_host::queues(&storage));
    let host = LocalHost::new(host::router(Ok(Arc::new(product))), app.sandbox.clock());
    capture_log("info", host.fire_timer()).await.1
}

/// That a pattern for a part of a value finds one in each: the event of every line, or the window in the `why` of every delivery.
fn assert_finds_a_part(regex: &Regex, lines: &[String]) {
    let is_event = regex.as_str().ends_with("event=(\\S+)");
    let of_delivery = |line: &&String| is_event || line.contains(" outcome=delivered ");
    let mut found = 0;
    for line in lines.iter().filter(of_delivery) {
        let value = if is_event { line } else { fields(line)["why"].trim_matches('"') };
        let part = regex.captures(value).unwrap_or_else(|| panic!("{regex} finds nothing in {value}"));
        if is_event {
            assert_eq!(&part[1], fields(line)["event"], "{line}");
        } else {
            assert!(value.split(", open ").nth(1).unwrap().contains(&part[1]), "{line}");
        }
        found += 1;
    }
    assert!(found > 3, "{regex}");
}

#[tokio::test(start_paused = true)]
async fn every_pattern_finds_the_field_that_it_names_and_nothing_else() {
    let log = captured().await;
    let together = Regex::new("(?i)(wa)·(rn)").unwrap();
    let own = log.lines().filter(|line| line.contains(" firstpass::"));
    let all: Vec<String> = own.map(|line| together.replace_all(line, "$1$2").into_owned()).collect();
    assert!(log.contains('·') && all.len() > 200, "{} lines", all.len());
    // Some of each event are enough.
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    let lines: Vec<String> = all
        .into_iter()
        .filter(|line| {
            let count = kept.entry(fields(line)["event"].to_owned()).or_default();
            *count += 1;
            *count <= 60
        })
        .collect();
    let seen: BTreeSet<&str> = lines.iter().filter_map(|line| fields(line).get("event").copied()).collect();
    let is_forged =
        |line: &&String| line.contains(" user=victim") && !fields(line)["user"].contains("victim");
    assert!(lines.iter().any(|line| is_forged(&line)), "a caller writes what looks like a field");
    let page = source::read("docs/LOGGING.md");
    for (file, query) in queries() {
        assert!(
            query.contains(r#"replace_regex(message, @"(?i)(wa)·(rn)", @"\1\2")"#)
                || file == "alert-failures"
        );
        let events = events(&query);
        for event in &events {
            assert!(page.contains(&format!("\n| `{event}` |")), "{file}: {event} is no event");
        }
        for pattern in patterns(&query) {
            let regex = Regex::new(&pattern).unwrap();
            let Some(rest) = pattern.strip_prefix(SKIP) else {
                let is_field = pattern.contains('=') && !pattern.contains("event=");
                assert!(!is_field, "{file}: {pattern} does not skip quoted values");
                assert_finds_a_part(&regex, &lines);
                continue;
            };
            let (name, shape) = rest.split_at(rest.find('=').unwrap());
            let mut found = 0;
            let of_query = |line: &&String| {
                let event = fields(line).get("event").copied();
                events.is_empty() || event.is_some_and(|event| events.contains(event))
            };
            for line in lines.iter().filter(of_query) {
                let value = regex.captures(line).map(|captures| captures.get(1).unwrap().as_str().to_owned());
                let written = fields(line).get(name).copied();
                if shape == VALUE {
                    assert_eq!(value.as_deref(), written, "{file}: {name}: {line}");
                } else if let Some(value) = &value {
                    assert!(written.is_some_and(|written| written.contains(value)), "{file}: {name}: {line}");
                }
                found += usize::from(value.is_some());
            }
            assert!(found > 0, "{file}: no line has {name}");
        }
    }
    for event in [
        "alert",
        "job.done",
        "sweep.done",
        "sweep.failed",
        "joiner.arrived",
        "create_tap.audit",
        "poison.found",
    ] {
        assert!(seen.contains(event), "{event}: {seen:?}");
    }
}
