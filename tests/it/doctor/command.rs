//! `firstpass doctor`.

use std::{fs, process::Command};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    cli::doctor::text,
    doctor::{self, Check},
    ledger::{Examination, Level},
};
use firstpass_sandbox::tenant::{Permission, samples::SERVICE_DESK};
use serde_json::{Value, json};

use super::swept;
use crate::helpers::process::{self, PRODUCT, Process};

/// An examination in the form of the ledger.
fn examination(at: DateTime<Utc>, levels: &[&str]) -> Value {
    let finding =
        |level: &&str| json!({"check": "pass-policy", "level": level, "what": format!("it is {level}")});
    json!({
        "schema": 1, "at": at, "version": "9.9.9", "settings": "abc",
        "findings": levels.iter().map(finding).collect::<Vec<_>>(), "newer": true,
    })
}

fn file(name: &str, content: &Value) -> String {
    let path = std::env::temp_dir().join(format!("firstpass-{}-{name}.json", std::process::id()));
    fs::write(&path, content.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The exit code and the output of `firstpass doctor`.
fn doctor_command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(PRODUCT).arg("doctor").args(arguments).env_remove("LEDGER_URL").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(start_paused = true)]
async fn what_has_to_be_done_comes_first_with_whom_it_is_about() {
    let app = swept(&[], |tenant, emma| {
        tenant.granted.remove(&Permission::PassReadWrite);
        tenant.change(emma, |emma| emma.manager = None);
    })
    .await;
    let examination = doctor::examine(&app.app).await;
    let shown = text(&examination, app.sandbox.now());
    let at = |words: &str| shown.find(words).unwrap_or_else(|| panic!("{words}: {shown}"));
    assert!(at("✗") < at("!") && at("!") < at("✓"), "{shown}");
    assert!(shown.contains("emma.brooks@contoso.example"), "{shown}");
    assert!(shown.contains("1 fail, 1 warn"), "{shown}");
    assert!(Check::ALL.iter().all(|check| shown.contains(check.name())), "{shown}");
    assert!(!shown.contains("hours old"));
    let later = text(&examination, app.sandbox.now() + TimeDelta::hours(50));
    assert!(later.contains("This is 50 hours old"), "{later}");
}

#[test]
fn the_exit_code_says_whether_something_fails_or_is_old() {
    let now = process_now();
    for (name, at, levels, code) in [
        ("well", now, &["ok", "warn", "not-asked"][..], 0),
        // A level of a newer version.
        ("newer", now, &["ok", "strange"][..], 0),
        ("fails", now, &["ok", "fail"][..], 3),
        ("old", now - TimeDelta::hours(27), &["ok"][..], 3),
    ] {
        let path = file(name, &examination(at, levels));
        for json in [false, true] {
            let arguments = [&["--file", &path][..], if json { &["--json"] } else { &[] }].concat();
            let (exit, stdout, stderr) = doctor_command(&arguments);
            assert_eq!(exit, Some(code), "{name}: {stdout}{stderr}");
            if json {
                let shown: Value = serde_json::from_str(&stdout).unwrap();
                assert_eq!(
                    (&shown["isOld"], &shown["examination"]["newer"]),
                    (&json!(name == "old"), &json!(true))
                );
            }
        }
        fs::remove_file(path).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the process compares with the real time")]
fn process_now() -> DateTime<Utc> {
    Utc::now()
}

#[test]
fn what_is_missing_is_said_with_what_to_do() {
    let path = file("other", &json!({"at": "x"}));
    for (arguments, words) in [
        (&[][..], "Name its container with --ledger, or set LEDGER_URL"),
        (&["--file", "/no/such/file"], "/no/such/file"),
        (&["--file", &path], "no examination.json"),
        (&["--now", "--file", &path], "cannot be used with"),
    ] {
        let (exit, _, stderr) = doctor_command(arguments);
        assert!(
            exit != Some(0) && exit != Some(3) && stderr.contains(words),
            "{arguments:?}: {exit:?} {stderr}"
        );
    }
    fs::remove_file(path).unwrap();
}

/// The sandbox's binary examines a tenant in another process, with that tenant's clock and token.
#[test]
fn a_simulated_tenant_is_examined_from_another_process() {
    let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--joiners", "5", "--now", "2026-11-22T05:00:00Z"];
    let mut sandbox = Process::sandbox_with_clean_env(&arguments, &[]);
    let line = sandbox.wait_for("SANDBOX_URL=");
    let url = line.split(['=', ' ']).nth(1).unwrap();
    let output = Command::new(process::sandbox_binary())
        .args(["doctor", "--now", "--json"])
        .env("SANDBOX_URL", url)
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let examination: Examination = serde_json::from_value(shown["examination"].clone()).unwrap();
    assert_eq!(examination.at.date_naive().to_string(), "2026-11-22");
    let level =
        |check: &str| examination.findings.iter().find(|finding| finding.check == check).unwrap().level;
    assert_eq!(level("token"), Level::Ok, "{examination:?}");
    assert_eq!(level("permissions"), Level::Ok, "{examination:?}");
    assert_eq!(level("conditional-access"), Level::NotAsked, "{examination:?}");
}

/// A test mail goes to ALERT_TO and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_test_mail_goes_to_the_recipients_of_alerts() {
    let app = swept(&[], |_, _| {}).await;
    let before = app.pass_mails().len();
    let sent = firstpass::cli::doctor::send_test_mail(&app.app, false).await;
    assert!(sent.is_ok_and(|text| text.contains("accepted the test mail") && !text.contains(SERVICE_DESK)));
    let alerts = app.alerts();
    assert!(alerts.last().unwrap()["subject"].as_str().unwrap().contains("Test"), "{alerts:?}");
    assert_eq!(app.pass_mails().len(), before);

    let none = swept(&[("ALERT_TO", "")], |_, _| {}).await;
    let refused = firstpass::cli::doctor::send_test_mail(&none.app, false).await.unwrap_err();
    assert!(refused.contains("ALERT_TO is not set"), "{refused}");
}
