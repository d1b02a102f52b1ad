//! docs/TROUBLESHOOTING.md has a row for every word that the product prints when no pass is delivered.

use std::collections::BTreeSet;

use firstpass::{
    ledger::Record,
    pass::{Outcome, Revoke, Skip},
};

use crate::helpers::source;

/// The types with a cause, and the outcome that prints it.
const CAUSES: [(&str, &str); 4] =
    [("Skip", "skipped"), ("Block", "blocked"), ("Revoke", "revoked"), ("Failure", "failed")];

/// The block that follows `start` in `code`, without its braces. No literal in it may hold a brace alone.
fn block<'c>(code: &'c str, start: &str) -> Option<&'c str> {
    let (_, rest) = code.split_once(start)?;
    let (_, rest) = rest.split_once('{')?;
    let mut depth = 1;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&rest[..at]);
        }
    }
    panic!("{start}: the block does not end")
}

/// The string literals in `code`. None of them may hold a quote.
fn literals(code: &str) -> Vec<&str> {
    assert!(!code.contains("\\\""), "a literal holds a quote: {code}");
    code.split('"').skip(1).step_by(2).collect()
}

/// Every outcome with a cause, as `fn cause` of the four types prints it.
fn causes() -> BTreeSet<(String, String)> {
    let code = source::code("src/pass/outcome/mod.rs");
    let all = code.matches("fn cause(").count();
    assert_eq!(all, CAUSES.len() + 1, "Outcome delegates to the four types; is there another one?");
    let mut causes = BTreeSet::new();
    for (name, outcome) in CAUSES {
        let implementation = block(&code, &format!("\nimpl {name} ")).unwrap();
        let body = block(implementation, "fn cause(").unwrap();
        let words = literals(body);
        assert_eq!(words.len(), body.matches("=>").count(), "{name}: each variant has a literal of its own");
        for word in words {
            assert!(causes.insert((outcome.to_owned(), word.to_owned())), "{name}: {word} occurs twice");
        }
    }
    causes
}

/// The rows of the table with the header `header`.
fn rows<'p>(page: &'p str, header: &str) -> Vec<Vec<&'p str>> {
    let columns = header.split(" | ").count();
    let (_, table) = page.split_once(&format!("\n| {header} |\n")).unwrap_or_else(|| panic!("{header}"));
    let lines = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> = lines.map(|line| cells(line, columns)).collect();
    assert!(!rows.is_empty(), "{header}");
    rows
}

fn cells(line: &str, columns: usize) -> Vec<&str> {
    let line = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap();
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    assert_eq!(cells.len(), columns, "{line}");
    assert!(cells.last().is_some_and(|cell| !cell.is_empty()), "{line}");
    cells
}

fn page() -> String {
    source::read("docs/TROUBLESHOOTING.md")
}

#[test]
fn the_causes_table_has_exactly_the_causes_of_the_code() {
    let causes = causes();
    for (outcome, cause) in [
        (Outcome::Skipped(Skip::Guest), "guest"),
        (Outcome::Revoked(Revoke::Deleted), Record::DELETED),
        (Outcome::Revoked(Revoke::OutOfScope(Skip::Guest)), "out-of-scope"),
    ] {
        assert_eq!(outcome.cause(), Some(cause));
        assert!(causes.contains(&(outcome.name().to_owned(), cause.to_owned())), "{causes:?}");
    }
    let page = page();
    let rows = rows(&page, "outcome | cause | meaning | what to do");
    let word = |cell: &str| cell.trim_matches('`').to_owned();
    let documented: BTreeSet<_> = rows.iter().map(|row| (word(row[0]), word(row[1]))).collect();
    assert_eq!(documented.len(), rows.len(), "a row occurs twice");
    assert_eq!(documented, causes);
}

#[test]
fn the_outcomes_table_has_every_outcome() {
    let code = source::code("src/pass/outcome/mod.rs");
    let names = block(block(&code, "\nimpl Outcome ").unwrap(), "fn name(").unwrap().to_owned();
    let page = page();
    let documented: Vec<&str> =
        rows(&page, "outcome | meaning | next job").iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(documented, literals(&names));
}

/// The headlines of all alerts, as the code writes them, with `{…}` for what differs.
fn headlines() -> Vec<String> {
    let mut found = Vec::new();
    for path in source::files("src") {
        let code = source::code(&path);
        for (at, field) in code.match_indices("headline: ") {
            let value = &code[at + field.len()..];
            if value.starts_with('"') || value.starts_with("format!(") {
                found.push(literals(value.split_inclusive('\n').next().unwrap())[0].to_owned());
            } else {
                assert!(value.starts_with("String") || value.starts_with("&'a str"), "{path}: {value:.60}");
            }
        }
    }
    // Its headline depends on the outcome.
    let code = source::code("src/pass/alert.rs");
    found.extend(literals(block(&code, "fn of_outcome(").unwrap()).into_iter().map(str::to_owned));
    found
}

/// Whether `text` is the `template` with something in place of each `{…}`.
fn fits(template: &str, text: &str) -> bool {
    let fixed: Vec<&str> = template
        .split('{')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.split_once('}').unwrap().1 })
        .collect();
    let ([first, middle @ .., last], true) = (fixed.as_slice(), fixed.len() > 1) else {
        return template == text;
    };
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    middle.iter().all(|part| {
        let found = rest.split_once(part);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

#[test]
fn the_alerts_table_has_exactly_the_headlines_of_the_code() {
    let (page, headlines) = (page(), headlines());
    assert!(headlines.len() >= 10, "{headlines:?}");
    let rows = rows(&page, "headline | reason | what to do");
    for headline in &headlines {
        assert!(rows.iter().any(|row| fits(headline, row[0])), "there is no row for the alert: {headline}");
    }
    for row in &rows {
        assert!(headlines.iter().any(|headline| fits(headline, row[0])), "there is no alert: {}", row[0]);
    }
}

#[test]
fn every_log_event_that_needs_action_has_a_row() {
    let (page, logging) = (page(), source::read("docs/LOGGING.md"));
    let documented: BTreeSet<&str> = rows(&page, "event | reason | what to do")
        .iter()
        .map(|row| row[0].split('`').nth(1).unwrap())
        .collect();
    let events = rows(&logging, "event | level | fields | meaning | a person must act");
    let names: BTreeSet<&str> = events.iter().map(|row| row[0].trim_matches('`')).collect();
    assert!(documented.is_subset(&names), "{:?}", documented.difference(&names));
    for event in events {
        let needs_action = event[4] != "no" && !event[4].starts_with("no:");
        if needs_action && (event[1].contains("WARN") || event[1].contains("ERROR")) {
            assert!(documented.contains(event[0].trim_matches('`')), "there is no row for {}", event[0]);
        }
    }
}

/// Every status with a problem type that the code of CreateTap has.
fn problem_types() -> BTreeSet<(String, String)> {
    let code = source::code("src/functions/create_tap/reply.rs");
    let mut types = BTreeSet::new();
    for start in ["new(", "of("] {
        for (at, _) in code.match_indices(start) {
            let mut arguments = code[at + start.len()..].splitn(3, ", ");
            let (status, word) = (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
            if status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()) {
                types.insert((status.to_owned(), literals(word)[0].to_owned()));
            }
        }
    }
    types
}

#[test]
fn both_pages_have_exactly_the_problem_types_of_create_tap() {
    let types = problem_types();
    assert!(types.len() >= 20, "{types:?}");
    for (path, header) in [
        ("docs/TROUBLESHOOTING.md", "status | `urn:firstpass:` | reason | what to do"),
        ("docs/CREATE-TAP.md", "status | `urn:firstpass:` | meaning"),
    ] {
        let page = source::read(path);
        let documented: BTreeSet<_> = rows(&page, header)
            .iter()
            .filter(|row| !row[1].is_empty())
            .map(|row| (row[0].to_owned(), row[1].trim_matches('`').to_owned()))
            .collect();
        assert_eq!(documented, types, "{path}");
    }
}
