//! From the environment to a process that serves.

use std::process::Command;

use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::{Value, json};

use crate::process::{PRODUCT, Process, get, post};

#[test]
fn serve_needs_the_host_and_says_so() {
    let output =
        Command::new(PRODUCT).arg("serve").env_remove("FUNCTIONS_CUSTOMHANDLER_PORT").output().unwrap();
    assert!(!output.status.success(), "exit code 0 would tell the host that the handler lives");
    assert!(String::from_utf8(output.stderr).unwrap().contains("FUNCTIONS_CUSTOMHANDLER_PORT"));
}

#[test]
fn serve_stays_up_with_bad_settings_and_reports_all_of_them() {
    let (mut serve, port) = Process::serve_product(&[("PASS_START", "someday"), ("PASS_LIVETIME", "60")]);
    let unknown = serve.wait_for_error("PASS_LIVETIME");
    assert!(unknown.contains("setting.ignored"), "a misspelt setting is named: {unknown}");
    serve.wait_for_error("settings.rejected");
    for _ in 0..2 {
        let (status, body) = post(&port, "/SweepJoiners", &json!({"Data": {"timer": {}}}));
        assert_eq!(status, 500);
        for name in ["MAIL_FROM", "LEDGER_URL", "PASS_START"] {
            assert!(body["Logs"][0].as_str().unwrap().contains(name), "{body}");
        }
    }
}

/// A service that issues credentials carries no back door.
#[test]
fn the_product_knows_no_sandbox() {
    for command in ["demo", "sandbox"] {
        let output = Command::new(PRODUCT).arg(command).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains("unrecognized subcommand"));
    }
    assert!(firstpass::settings::NAMES.iter().all(|name| !name.contains("SANDBOX")));
}

#[test]
fn the_command_jobs_says_where_it_looks_for_the_queues() {
    let jobs = |env: &[(&str, &str)]| {
        let output =
            Command::new(PRODUCT).arg("jobs").env_clear().envs(env.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(jobs(&[]).contains("Name the function app's storage account with --account"));
    let nobody_there = "AccountName=mine;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:9/mine";
    assert!(jobs(&[("AzureWebJobsStorage", nobody_there)]).contains("error sending request"));
}

/// Two processes, nothing else configured: a tenant, and the handler that the host would start.
#[test]
fn serve_beside_a_sandbox_serves_its_joiners() {
    let mut sandbox =
        Process::sandbox(&["sandbox", "--listen", "127.0.0.1:0", "--joiners", "30", "--seed", "7"], &[]);
    let line = sandbox.wait_for("SANDBOX_URL=");
    let url = line.split(['=', ' ']).nth(1).unwrap();
    let tenant = url.rsplit(':').next().unwrap();
    // Neither certificates nor a proxy are needed to talk to this machine.
    let nowhere = "http://127.0.0.1:9";
    let (_serve, handler) = Process::serve(&[
        ("SANDBOX_URL", url),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/dev/null"),
        ("HTTP_PROXY", nowhere),
        ("http_proxy", nowhere),
    ]);
    // A tenant whose clock runs ahead is followed.
    assert_eq!(post(tenant, "/sandbox/clock", &json!({"advance_seconds": 86_400})).0, 200);
    let (status, swept) =
        post(&handler, "/SweepJoiners", &json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}}));
    assert_eq!(status, 200, "{swept}");
    let jobs = swept["Outputs"]["jobs"].as_array().unwrap();
    assert!(jobs.len() > 5, "{swept}");
    let wire = LocalHost::new(axum::Router::new(), firstpass::clock::Clock::from_fn(Default::default));
    let mut mailed = 0;
    for job in jobs {
        let (status, answer) =
            post(&handler, "/OnGroupAdd", &wire.queue_invocation(job.as_str().unwrap(), 1));
        assert_eq!(status, 200, "{answer}");
        mailed += usize::from(answer["Logs"][0].as_str().unwrap().contains(": delivered: "));
    }
    let state: Value = serde_json::from_str(&get(&format!("127.0.0.1:{tenant}"), "/sandbox/state")).unwrap();
    assert!(mailed > 3);
    assert_eq!(state["mails"].as_array().unwrap().len(), mailed);
}
