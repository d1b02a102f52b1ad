//! The demo, as a newcomer runs it.

use std::process::Command;

use serde_json::Value;

fn demo(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_firstpass")).arg("demo").args(arguments).output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn it_ends_after_a_table_of_who_got_what() {
    let (success, printed) = demo(&["--once"]);
    assert!(success);
    for words in [
        "Emma Brooks",
        "mailed",
        "blocked",
        "skipped",
        "07:00 Auckland",
        "07:00 Los Angeles",
        "no private address",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
}

#[test]
fn it_prints_one_json_object_whose_sums_add_up() {
    let (success, printed) = demo(&["--once", "--json"]);
    assert!(success);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let jobs = report["jobs"].as_array().unwrap();
    assert!(jobs.len() >= 12);
    assert_eq!(report["joiners"], jobs.len());
    let outcomes = report["outcomes"].as_object().unwrap();
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["blocked", "failed", "mailed", "revoked", "skipped"]);
    for (word, count) in outcomes {
        assert_eq!(
            jobs.iter().filter(|job| job["outcome"] == **word).count() as u64,
            count.as_u64().unwrap(),
            "{word}"
        );
    }
    assert_eq!(outcomes["mailed"], report["mails"]);
    assert!(report["graph_requests"].as_u64().unwrap() >= 3 * report["mails"].as_u64().unwrap());
    assert!(
        jobs.iter().all(
            |job| !job["why"].as_str().unwrap().is_empty() && job["user"].as_str().unwrap().contains('@')
        )
    );
}

#[test]
fn it_does_not_serve_its_page_to_others() {
    let (success, _) = demo(&["--listen", "0.0.0.0:0"]);
    assert!(!success);
}
