//! No code of a pass appears in any output of the process, at any log level.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use firstpass_sandbox::tenant::{Fault, FaultKind, samples};
use serde_json::Value;

use crate::helpers::{
    NOW, TestApp, html_escaped,
    log_capture::capture_log,
    process::{get, sandbox_binary},
    time,
};

fn assert_no_code(printed: &str, codes: &[String]) {
    for code in codes {
        for form in [code.clone(), html_escaped(code), Value::from(code.as_str()).to_string()] {
            let form = form.trim_matches('"');
            assert!(!printed.contains(form), "a code was printed: …{}…", before(printed, form));
        }
    }
}

/// The 120 bytes of `text` before `part`.
fn before<'t>(text: &'t str, part: &str) -> &'t str {
    let at = text.find(part).unwrap();
    let start = text.floor_char_boundary(at.saturating_sub(120));
    &text[start..at]
}

#[tokio::test(start_paused = true)]
async fn no_code_is_logged_on_any_failure() {
    let mut codes = Vec::new();
    let (mut log, mut answers) = (String::new(), String::new());
    for fault in [
        None,
        Some(FaultKind::LoseAnswer),
        Some(FaultKind::Fail {
            status: 400,
            code: "ErrorInvalidRecipients".into(),
            message: "quoted".into(),
        }),
        Some(FaultKind::Fail { status: 500, code: String::new(), message: String::new() }),
        Some(FaultKind::Throttle { retry_after: None }),
        Some(FaultKind::Delay(std::time::Duration::from_secs(45))),
    ] {
        let app = TestApp::new(samples::samples(time(NOW)), &[]);
        if let Some(kind) = fault {
            app.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).times(7));
            app.sandbox.inject(Fault::on("POST", "temporaryAccessPassMethods", kind).nth(3).times(7));
        }
        let work = async {
            let answer = app.host.fire_timer().await;
            app.host.work(answer.jobs(), |completed| answers += &completed.answer.body.to_string()).await;
        };
        log += &capture_log("trace", work).await.1;
        codes.extend(app.sandbox.codes());
        let records = app.ledger().list().await.unwrap();
        answers += &serde_json::to_string(&records).unwrap();
        answers += &format!("{:?} {:?}", records, app.app);
        answers.extend(app.alerts().iter().map(Value::to_string));
    }
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "RUST_LOG is in effect");
    assert!(codes.len() > 60 && log.len() > 100_000, "{} codes, {} bytes of log", codes.len(), log.len());
    assert_no_code(&log, &codes);
    assert_no_code(&answers, &codes);
}

/// Exchange quotes content in its error messages.
#[tokio::test(start_paused = true)]
async fn a_code_quoted_by_exchange_is_redacted() {
    let (before, emma) = TestApp::with_emma();
    before.run_job(emma).await;
    let code = before.live_code(emma).unwrap();
    // A tenant with the same seed issues the same code.
    let (app, emma) = TestApp::with_emma();
    let message = format!("The content <b>{}</b> is not allowed.", html_escaped(&code));
    let kind = FaultKind::Fail { status: 400, code: "ErrorInvalidRequest".into(), message };
    app.sandbox.inject(Fault::on("POST", "sendMail", kind));
    let (end, log) = capture_log("trace", app.run_job(emma)).await;
    assert_eq!(app.sandbox.codes(), std::slice::from_ref(&code));
    assert!(end.outcome == "failed" && end.why.contains("<b>[code]</b> is not allowed"), "{end:?}");
    assert_no_code(&log, &[code]);
}

#[test]
fn the_demo_prints_no_code() {
    let mut demo = Command::new(sandbox_binary())
        .args(["demo", "--listen", "127.0.0.1:0"])
        .env("RUST_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = demo.stderr.take().unwrap();
    let stderr = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut printed = String::new();
    let address = lines
        .by_ref()
        .find_map(|line| {
            printed += &format!("{line}\n");
            let (_, rest) = line.split_once("http://")?;
            rest.split_once('/').map(|(address, _)| address.to_owned())
        })
        .expect("the demo names its page");
    let state: Value = serde_json::from_str(&get(&address, "/sandbox/state")).unwrap();
    let mail = get(&address, "/demo/mails/0");
    demo.kill().unwrap();
    demo.wait().unwrap();
    printed += &lines.collect::<Vec<_>>().join("\n");
    printed += &stderr.join().unwrap().unwrap();

    let codes: Vec<String> = state["passes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|pass| pass["temporaryAccessPass"].as_str().map(str::to_owned))
        .collect();
    assert!(codes.len() >= 12, "{} codes", codes.len());
    assert!(printed.contains("DEBUG"), "RUST_LOG is in effect");
    assert!(
        codes.iter().any(|code| mail.contains(&html_escaped(code))),
        "the page shows a mail with its code"
    );
    assert_no_code(&printed, &codes);
}
