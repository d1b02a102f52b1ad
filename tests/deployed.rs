//! The package as it is deployed: without the sandbox, which these tests are there to miss. All others are in `it` and
//! need it.

#![cfg(not(feature = "sandbox"))]
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test binary: nothing is reachable, and a panic is a verdict"
)]

#[allow(dead_code, reason = "shared with `it`")]
#[path = "it/process.rs"]
mod process;

use std::process::Command;

use serde_json::json;

use crate::process::{Process, get, post};

#[test]
fn its_commands_are_unknown() {
    for command in ["demo", "sandbox"] {
        let output = Command::new(env!("CARGO_BIN_EXE_firstpass")).arg(command).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains("unrecognized subcommand"));
    }
}

#[test]
fn what_was_given_up_can_be_looked_at() {
    let jobs = |env: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firstpass"));
        let output = command.arg("jobs").env_clear().envs(env.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(jobs(&[]).contains("Name the function app's storage account with --account"));
    let nobody_there = "AccountName=mine;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:9/mine";
    assert!(jobs(&[("AzureWebJobsStorage", nobody_there)]).contains("error sending request"));
}

#[test]
fn its_setting_is_unknown() {
    let env = [
        ("MAIL_FROM", "welcome@contoso.example"),
        ("LEDGER_URL", "https://x.blob.core.windows.net/ledger"),
        ("SANDBOX_URL", "http://127.0.0.1:8089"),
    ];
    let (_serve, port) = Process::serve(&env);
    assert!(get(&format!("127.0.0.1:{port}"), "/").contains("ready"), "the host's probe");
    let (status, body) = post(&port, "/SweepJoiners", &json!({"Data": {"timer": {}}}));
    assert_eq!(status, 500);
    assert!(body["Logs"][0].as_str().unwrap().contains("SANDBOX_URL is an unknown setting"), "{body}");
}
