//! The dependencies between the modules point one way, as `docs/ARCHITECTURE.md` says.
//!
//! Read from the `use` lines. Paths in expressions are not seen: the product writes `use` lines instead.

use std::collections::{BTreeMap, BTreeSet};

use crate::helpers::source;

/// From the top to the bottom. A module may use the layers below its own, and itself.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["startup", "host"],
    &["functions"],
    &["digest"],
    &["doctor"],
    &["app"],
    &["pass"],
    &["graph"],
    &["ledger", "mail", "queue", "webhook"],
    &["settings"],
    &["mail_limiter", "rate_limiter", "telemetry", "templates"],
    &["azure", "working_days", "zone"],
    &["cloud", "foreign", "transport"],
    &[
        "address",
        "brand",
        "budget",
        "clock",
        "code",
        "environment",
        "errors",
        "hash",
        "language",
        "memory",
        "range",
    ],
    &["text"],
];

/// The files of a crate by module path (`pass/issue`), with the module paths that each of them uses.
fn uses(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<String, String> =
        source::files(folder).iter().map(|file| (module(folder, file), source::code(file))).collect();
    let resolve = |from: &str, path: &str| {
        let mut segments: Vec<&str> = path.split("::").collect();
        let mut place: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
        match segments.remove(0) {
            "crate" => place.clear(),
            "self" => {}
            "super" => {
                place.pop();
                while segments.first() == Some(&"super") {
                    segments.remove(0);
                    place.pop();
                }
            }
            _ => return None,
        }
        place.extend(segments);
        // The longest beginning that is a module; the rest names an item in it.
        let length =
            (1..=place.len()).rev().find(|length| files.contains_key(&place[..*length].join("/")))?;
        Some(place[..length].join("/"))
    };
    let of = |from: &str, code: &str| {
        use_paths(code).iter().filter_map(|path| resolve(from, path)).filter(|to| to != from).collect()
    };
    files.iter().map(|(from, code)| (from.clone(), of(from, code))).collect()
}

fn module(source: &str, file: &str) -> String {
    let path = file.strip_prefix(source).unwrap().trim_matches('/').trim_end_matches(".rs");
    path.strip_suffix("/mod").unwrap_or(path).to_owned()
}

/// The paths in all `use` declarations: `use a::{b, c::d};` is `a::b` and `a::c::d`.
fn use_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let is_start = rest[..at].chars().rev().find(|c| *c != ' ').is_none_or(|c| c == '\n' || c == ')');
        let is_pub = rest[..at].trim_end().ends_with("pub");
        rest = &rest[at + 4..];
        if is_start || is_pub {
            let declaration: String =
                rest[..rest.find(';').unwrap_or(0)].split_whitespace().collect::<Vec<_>>().join(" ");
            expand("", &declaration, &mut paths);
        }
    }
    paths
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None if tree.is_empty() => {}
        None => paths.push(format!("{prefix}{}", tree.split(" as ").next().unwrap_or_default())),
        Some((start, inner)) => {
            let prefix = format!("{prefix}{start}");
            let inner = inner.strip_suffix('}').unwrap_or(inner);
            let (mut depth, mut begin) = (0, 0);
            for (at, c) in inner.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        expand(&prefix, &inner[begin..at], paths);
                        begin = at + 1;
                    }
                    _ => {}
                }
            }
            expand(&prefix, &inner[begin..], paths);
        }
    }
}

/// A module and its own parts may use each other.
fn is_own_part(one: &str, other: &str) -> bool {
    let is_in = |part: &str, whole: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('/'));
    is_in(one, other) || is_in(other, one)
}

/// Modules that reach themselves through others.
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<&str>> {
    let mut circles = Vec::new();
    for start in uses.keys() {
        let mut from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut open: Vec<&str> = vec![start];
        while let Some(module) = open.pop() {
            for next in uses.get(module).into_iter().flatten().filter(|next| !is_own_part(module, next)) {
                if next == start {
                    let mut circle = vec![start.as_str(), module];
                    while let Some(before) = from.get(circle[circle.len() - 1]) {
                        circle.push(before);
                    }
                    circles.push(circle);
                    break;
                }
                if next != start && !from.contains_key(next.as_str()) {
                    from.insert(next, module);
                    open.push(next);
                }
            }
        }
    }
    circles
}

#[test]
fn the_product_uses_only_lower_layers() {
    let layer = |module: &str| {
        let top = module.split('/').next().unwrap();
        LAYERS
            .iter()
            .position(|layer| layer.contains(&top))
            .unwrap_or_else(|| panic!("{top} has no layer in LAYERS"))
    };
    let top = |module: &str| module.split('/').next().unwrap().to_owned();
    let uses = uses("src");
    // Their `mod tests;` precedes their `use` lines.
    assert!(uses["mail"].contains("settings") && uses["telemetry"].contains("environment"));
    let mut wrong = Vec::new();
    for (from, targets) in &uses {
        if from == "lib" {
            continue;
        }
        for to in targets {
            if top(from) != top(to) && layer(to) <= layer(from) {
                wrong.push(format!("src/{from} uses {to}, which is not below it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for folder in ["src", "sandbox/src"] {
        let uses = uses(folder);
        let circles = circles(&uses);
        assert!(circles.is_empty(), "{folder}: {circles:#?}");
    }
}

#[test]
fn the_simulated_tenant_and_the_simulated_host_do_not_know_each_other() {
    let uses = uses("sandbox/src");
    let mut wrong = Vec::new();
    for (from, targets) in &uses {
        let room = from.split('/').next().unwrap();
        let is_room = ["tenant", "functions_host"].contains(&room);
        for to in targets.iter().filter(|to| is_room && to.split('/').next() != Some(room)) {
            wrong.push(format!("sandbox/src/{from} uses {to}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn use_declarations_are_read_whole() {
    let code = "use a::{b, c::{d, e as f}};\npub(crate) use self::g;\n    pub use super::h::{self, i};\nlet reuse = 1;";
    assert_eq!(use_paths(code), ["a::b", "a::c::d", "a::c::e", "self::g", "super::h::self", "super::h::i"]);
}
