//! docs/SANDBOX.md, SECURITY.md and the tests that they name.

use crate::helpers::source;

/// Every row names existing tests and a standing.
#[test]
fn every_rule_on_the_page_names_existing_tests() {
    let page = include_str!("../../docs/SANDBOX.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| behaviour |"))
        .filter(|line| {
            line.starts_with('|') && !line.starts_with("| behaviour |") && !line.starts_with("|--")
        })
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 40, "{}", rows.len());
    let sources = sources();
    for row in &rows {
        let [behaviour, source, standing, tests] = row.as_slice() else { panic!("four columns: {row:?}") };
        assert!(["confirmed", "reported", "assumed"].contains(standing), "{behaviour}: {standing}");
        assert!(!source.is_empty() && !tests.is_empty(), "{behaviour}");
        for test in tests.split(", ").map(|test| test.trim_matches('`')) {
            let is_there = sources.iter().any(|text| text.contains(&format!("fn {test}(")));
            assert!(is_there, "{behaviour}: there is no test {test}");
        }
    }
    for standing in ["confirmed", "reported", "assumed"] {
        assert!(rows.iter().any(|row| row[2] == standing), "{standing}");
    }
}

/// What SECURITY.md promises has tests.
#[test]
fn every_promise_names_existing_tests() {
    let page = source::read("SECURITY.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| attack |"))
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<&str> = rows.skip(2).collect();
    assert!(rows.len() >= 9, "{}", rows.len());
    let sources: Vec<String> = source::files("tests/it").iter().map(|path| source::read(path)).collect();
    for row in rows {
        let tests: Vec<&str> = row.trim_end_matches(" |").rsplit(" | ").next().unwrap().split(", ").collect();
        for test in tests.iter().map(|test| test.trim_matches('`')) {
            let is_there = sources.iter().any(|text| text.contains(&format!("fn {test}(")));
            assert!(is_there, "there is no test {test}");
        }
    }
}

/// The sources of the tests.
fn sources() -> Vec<String> {
    ["tests/it", "tests/it/sandbox"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}
