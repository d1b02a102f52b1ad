//! The files of this repository, for tests that compare them with a page or a rule.

use std::path::{Path, PathBuf};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The file at `path` below the root.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap()
}

/// The file at `path` below the root, without its unit tests.
pub fn code(path: &str) -> String {
    read(path).split("\n#[cfg(test)]\nmod tests {").next().unwrap().to_owned()
}

/// The paths of the Rust files in `folder` and below, without those of unit tests.
pub fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path).into_iter().filter(|_| name != "tests"));
        } else if name.ends_with(".rs") && !["tests.rs", "fixtures.rs"].contains(&name.as_str()) {
            found.push(path);
        }
    }
    found
}
