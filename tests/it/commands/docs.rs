//! docs/COMMANDS.md names every command.

use std::process::Command;

use crate::{helpers::source, process::PRODUCT};

/// What `firstpass ARGS --help` prints.
fn help(args: &[&str]) -> String {
    let output = Command::new(PRODUCT).args(args).arg("--help").output().unwrap();
    assert!(output.status.success(), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below `args`.
fn commands(args: &[&str]) -> Vec<String> {
    let help = help(args);
    let Some((_, list)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect()
}

/// The options of the command `args`.
fn options(args: &[&str]) -> Vec<String> {
    let help = help(args);
    let words = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    words
        .flat_map(|line| line.split([' ', ',']).filter(|word| word.starts_with("--")).take(1))
        .map(str::to_owned)
        .filter(|option| !["--help", "--version"].contains(&option.as_str()))
        .collect()
}

#[test]
fn every_command_has_a_section_with_its_options() {
    let page = source::read("docs/COMMANDS.md");
    let top = commands(&[]);
    assert!(top.len() >= 6, "{top:?}");
    for command in &top {
        let heading = format!("\n## firstpass {command}\n");
        let (_, section) = page.split_once(&heading).unwrap_or_else(|| panic!("no section: {heading}"));
        let section = section.split("\n## ").next().unwrap();
        let below = commands(&[command]);
        let mut wanted = options(&[command]);
        for inner in &below {
            wanted.push(format!("{command} {inner}"));
            wanted.extend(options(&[command, inner]));
        }
        for word in wanted.iter().filter(|word| !["--json", "--settings"].contains(&word.as_str())) {
            assert!(section.contains(word.as_str()), "firstpass {command}: {word}");
        }
    }
    for option in ["--json", "--settings"] {
        assert!(page.split("\n## ").next().unwrap().contains(option), "{option} is for all commands");
    }
}
