//! No code of any pass appears in anything that the process prints, at any level.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use firstpass::{environment::Environment, telemetry};
use firstpass_sandbox::tenant::{Fault, FaultKind, samples};
use serde_json::Value;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    helpers::{NOW, World, escaped, time},
    process::{get, sandbox_binary},
};

#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Captured {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

pub fn assert_no_code(printed: &str, codes: &[String]) {
    for code in codes {
        for form in [code.clone(), escaped(code), Value::from(code.as_str()).to_string()] {
            let form = form.trim_matches('"');
            assert!(!printed.contains(form), "a code was printed: …{}…", around(printed, form));
        }
    }
}

fn around<'t>(text: &'t str, part: &str) -> &'t str {
    let at = text.find(part).unwrap();
    let start = text.floor_char_boundary(at.saturating_sub(120));
    &text[start..at]
}

/// Everything that can go wrong with a code in hand, at the most talkative level.
#[tokio::test(start_paused = true)]
async fn no_code_is_logged_whatever_goes_wrong() {
    let log = Captured::default();
    let env = Environment::from_iter([("RUST_LOG", "trace")]);
    let mut codes = Vec::new();
    let mut answers = String::new();
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
        let world = World::new(samples::samples(time(NOW)), &[]);
        if let Some(kind) = fault {
            world.sandbox.inject(Fault::on("POST", "sendMail", kind.clone()).times(7));
            world.sandbox.inject(Fault::on("POST", "temporaryAccessPassMethods", kind).nth(3).times(7));
        }
        let work = async {
            let swept = world.host.fire_timer().await;
            world.host.work(swept.jobs(), |completed| answers += &completed.answer.body.to_string()).await;
        };
        work.with_subscriber(telemetry::subscriber(&env, log.clone())).await;
        codes.extend(world.sandbox.codes());
        let records = world.app.services.ledger.list().await.unwrap();
        answers += &serde_json::to_string(&records).unwrap();
        answers += &format!("{:?} {:?}", records, world.app);
        answers.extend(world.alerts().iter().map(Value::to_string));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the most talkative level");
    assert!(codes.len() > 60 && log.len() > 100_000, "{} codes, {} bytes of log", codes.len(), log.len());
    assert_no_code(&log, &codes);
    assert_no_code(&answers, &codes);
}

/// Some services quote what they do not like.
#[tokio::test(start_paused = true)]
async fn a_code_that_exchange_quotes_is_taken_out() {
    let (before, emma) = World::with_emma();
    before.deliver(emma).await;
    let code = before.live_code(emma).unwrap();
    // The same tenant again, which hands out the same code.
    let (world, emma) = World::with_emma();
    let message = format!("The content <b>{}</b> is not liked.", escaped(&code));
    let kind = FaultKind::Fail { status: 400, code: "ErrorInvalidRequest".into(), message };
    world.sandbox.inject(Fault::on("POST", "sendMail", kind));
    let log = Captured::default();
    let env = Environment::from_iter([("RUST_LOG", "trace")]);
    let end = world.deliver(emma).with_subscriber(telemetry::subscriber(&env, log.clone())).await;
    assert_eq!(world.sandbox.codes(), std::slice::from_ref(&code));
    assert!(end.outcome == "failed" && end.why.contains("<b>[code]</b> is not liked"), "{end:?}");
    assert_no_code(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap(), &[code]);
}

/// The same of the real process, of which nobody can say what else in it might print.
#[test]
fn no_code_is_printed_by_the_demo() {
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
    assert!(printed.contains("DEBUG"), "the log was on");
    assert!(codes.iter().any(|code| mail.contains(&escaped(code))), "the page shows a mail with its code");
    assert_no_code(&printed, &codes);
}
