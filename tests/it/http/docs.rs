//! docs/CREATE-TAP.md matches the handler.

use std::collections::BTreeSet;

use firstpass::settings::{self, Parameter};
use serde_json::Value;

use super::{call_for, connector::sample_answers};
use crate::helpers::TestApp;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/CREATE-TAP.md")).unwrap()
}

/// The cells of the table rows that begin with a name in backticks.
fn rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 6)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn the_parameter_table_matches_the_code() {
    let page = page();
    let table: Vec<(String, bool)> =
        rows(&page).iter().map(|cells| (cells[0].trim_matches('`').to_owned(), cells[4] != "no")).collect();
    let parameters: Vec<(String, bool)> =
        Parameter::all().map(|p| (p.name().to_owned(), p.is_open_by_default())).collect();
    assert_eq!(table, parameters);
}

#[test]
fn the_page_names_exactly_the_create_tap_settings() {
    let page = page();
    let words = page.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    let named: BTreeSet<&str> =
        words.filter(|word| word.starts_with("CREATE_TAP_") && !word.ends_with('_')).collect();
    let settings: BTreeSet<&str> =
        settings::NAMES.iter().copied().filter(|name| name.starts_with("CREATE_TAP_")).collect();
    assert_eq!(named, settings);
}

#[test]
fn samples_use_known_parameters_and_secure_data() {
    let page = page();
    let samples: Vec<Value> = page
        .split("```json")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split_once("```").unwrap().0).unwrap())
        .collect();
    let actions: Vec<&Value> = samples
        .iter()
        .filter_map(|sample| sample.as_object()?.values().find(|v| v["type"] == "Http"))
        .collect();
    assert_eq!(actions.len(), 2, "one for a Logic App, one for a flow");
    for action in actions {
        for name in action["inputs"]["body"].as_object().unwrap().keys() {
            assert!(Parameter::named(name).is_some_and(|p| p.name() == name), "{name}");
        }
        let secure = &action["runtimeConfiguration"]["secureData"]["properties"];
        assert_eq!(*secure, serde_json::json!(["inputs", "outputs"]));
        assert!(action["inputs"]["headers"]["Idempotency-Key"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn the_sample_answer_and_the_problem_table_match_real_answers() {
    let page = page();
    let (app, emma) = TestApp::with_emma();
    let answer = call_for(&app, emma, serde_json::json!({})).await;
    let sample: Value =
        serde_json::from_str(page.split("```json").nth(1).unwrap().split_once("```").unwrap().0).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(fields(&sample), fields(&answer.body));
    for answer in sample_answers().await.into_iter().filter(|answer| answer.status > 201) {
        let (status, word, _) = answer.problem();
        assert!(page.contains(&format!("| {status} | `{word}` |")), "{status} {word}");
    }
}
