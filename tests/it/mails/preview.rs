//! `firstpass preview`, and a language that is dropped beside a built binary.

use std::{fs, process::Command};

use serde_json::Value;

use super::Folder;
use crate::helpers::process::PRODUCT;

/// Runs the program at `path` in `folder`, without any setting, and returns whether it ended well, and what it printed.
fn preview(program: &str, folder: &Folder, args: &[&str]) -> (bool, Value) {
    let output = Command::new(program)
        .args(["preview", "--json", "--out", "out"])
        .args(args)
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let printed = serde_json::from_slice(&output.stdout);
    (
        output.status.success(),
        printed.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))),
    )
}

#[test]
fn a_language_beside_the_binary_is_used() {
    let folder = Folder::new();
    let program = folder.path().join("firstpass");
    fs::copy(PRODUCT, &program).unwrap();
    folder.copy("en", "templates/xx", |_, text| text.replace("Hello", "Xyzzy"));
    // From another working directory.
    let elsewhere = Folder::new();
    let (is_good, printed) = preview(program.to_str().unwrap(), &elsewhere, &["--lang", "xx"]);
    assert!(is_good, "{printed}");
    let mail = fs::read_to_string(elsewhere.path().join("out/xx/joiner.txt")).unwrap();
    assert!(mail.contains("Xyzzy Ada,") && mail.contains("SAMPLE+1"), "{mail}");
    assert!(elsewhere.path().join("out/index.html").is_file());
}

#[test]
fn every_mail_is_there_in_every_view() {
    let folder = Folder::new();
    let (is_good, printed) = preview(PRODUCT, &folder, &["--lang", "en,ja", "--kind", "joiner,digest"]);
    assert!(is_good, "{printed}");
    let mut files: Vec<&str> =
        printed["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    files.sort_unstable();
    let views = ["dark.html", "forced-dark.html", "images-off.html", "light.html", "txt"];
    let of = |language: &'static str| {
        ["digest", "joiner"]
            .into_iter()
            .flat_map(move |kind| views.map(move |view| format!("{language}/{kind}.{view}")))
    };
    let expected: Vec<String> = of("en").chain(["index.html".to_owned()]).chain(of("ja")).collect();
    assert_eq!(files, expected);
    let read = |name: &str| fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    assert!(
        read("en/joiner.dark.html").contains("@media all")
            && !read("en/joiner.light.html").contains("@media all")
    );
    assert!(read("en/joiner.forced-dark.html").contains("invert(1)"));
    assert!(!read("index.html").contains("\"DATA\""));
}

#[test]
fn a_broken_template_is_named_and_the_rest_is_shown() {
    let folder = Folder::new();
    folder.copy("de", "templates/de", |name, text| match name {
        "told.html.j2" => text.replace("{{ joiner }}", "{{ joinr }}"),
        _ => text,
    });
    let (is_good, printed) = preview(PRODUCT, &folder, &["--kind", "told"]);
    assert!(!is_good);
    let problem = printed["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("templates/de/told.html.j2:") && problem.contains("joinr"), "{problem}");
    let languages = printed["languages"].as_array().unwrap();
    assert!(!languages.contains(&"de".into()) && languages.contains(&"en".into()));
}
