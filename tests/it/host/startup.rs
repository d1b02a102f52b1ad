//! The process: environment, commands, and a first sweep.

use std::{fs, path::Path, process::Command, thread};

use firstpass_sandbox::functions_host::local_host::LocalHost;
use serde_json::{Value, json};

use crate::helpers::process::{PRODUCT, Process, get, post};

#[test]
fn serve_without_the_host_names_the_missing_variable() {
    let output =
        Command::new(PRODUCT).arg("serve").env_remove("FUNCTIONS_CUSTOMHANDLER_PORT").output().unwrap();
    assert!(!output.status.success(), "exit code 0 means success to the host");
    assert!(String::from_utf8(output.stderr).unwrap().contains("FUNCTIONS_CUSTOMHANDLER_PORT"));
}

#[test]
fn serve_keeps_running_with_invalid_settings_and_reports_all() {
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

/// Settings as in Azure: Graph, the identity endpoint, the ledger and the queues each have a client.
const AZURE: &[(&str, &str)] = &[
    ("MAIL_FROM", "it@contoso.com"),
    ("LEDGER_URL", "https://contoso.blob.core.windows.net/ledger"),
    ("AzureWebJobsStorage__accountName", "contoso"),
    ("AzureWebJobsStorage__credential", "managedidentity"),
    ("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token"),
    ("IDENTITY_HEADER", "secret"),
    ("SSL_CERT_DIR", "/dev/null"),
];

#[test]
fn without_certificates_the_report_names_the_variable() {
    let (mut serve, port) = Process::serve_product(&[AZURE, &[("SSL_CERT_FILE", "/dev/null")]].concat());
    let report = "SSL_CERT_FILE leads to no certificates, and TLS needs them";
    serve.wait_for_error(report);
    let (status, body) = post(&port, "/SweepJoiners", &json!({"Data": {"timer": {}}}));
    assert_eq!(status, 500);
    assert!(body["Logs"][0].as_str().unwrap().contains(report), "{body}");
}

/// Each time costs milliseconds of every cold start.
#[test]
fn certificates_are_loaded_once_for_all_clients() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (pipe, empty) = (folder.join("certificates"), folder.join("no-certificates"));
    let _ = fs::remove_file(&pipe);
    fs::write(&empty, "").unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let at = pipe.clone();
    let writer = thread::spawn(move || {
        // Waits for the first reader. Whoever comes later finds no certificates.
        let mut first = fs::OpenOptions::new().write(true).open(&at).unwrap();
        fs::rename(&empty, &at).unwrap();
        std::io::copy(&mut CERTIFICATE.as_bytes(), &mut first).unwrap();
    });
    let (_serve, port) =
        Process::serve_product(&[AZURE, &[("SSL_CERT_FILE", pipe.to_str().unwrap())]].concat());
    let (status, body) = post(&port, "/SweepJoiners", &json!({"Data": {}}));
    assert_eq!(status, 400, "the settings are valid, and only the request is not: {body}");
    writer.join().unwrap();
}

#[test]
fn the_product_has_no_sandbox_command_or_setting() {
    for command in ["demo", "sandbox"] {
        let output = Command::new(PRODUCT).arg(command).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains("unrecognized subcommand"));
    }
    assert!(firstpass::settings::NAMES.iter().all(|name| !name.contains("SANDBOX")));
}

#[test]
fn the_jobs_command_reports_a_missing_or_unreachable_account() {
    let jobs = |env: &[(&str, &str)]| {
        let output =
            Command::new(PRODUCT).arg("jobs").env_clear().envs(env.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(jobs(&[]).contains("Name the function app's storage account with --account"));
    let unreachable = "AccountName=mine;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:9/mine";
    assert!(jobs(&[("AzureWebJobsStorage", unreachable)]).contains("error sending request"));
}

/// Two processes with default settings: a tenant and the handler.
#[test]
fn serve_with_a_sandbox_serves_its_joiners() {
    let mut sandbox =
        Process::sandbox(&["sandbox", "--listen", "127.0.0.1:0", "--joiners", "30", "--seed", "7"], &[]);
    let line = sandbox.wait_for("SANDBOX_URL=");
    let url = line.split(['=', ' ']).nth(1).unwrap();
    let tenant = url.rsplit(':').next().unwrap();
    // Loopback needs neither certificates nor a proxy.
    let closed_port = "http://127.0.0.1:9";
    let (_serve, handler) = Process::serve(&[
        ("SANDBOX_URL", url),
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/dev/null"),
        ("HTTP_PROXY", closed_port),
        ("http_proxy", closed_port),
    ]);
    // The handler follows the tenant's clock.
    assert_eq!(post(tenant, "/sandbox/clock", &json!({"advance_seconds": 86_400})).0, 200);
    let (status, answer) =
        post(&handler, "/SweepJoiners", &json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}}));
    assert_eq!(status, 200, "{answer}");
    let jobs = answer["Outputs"]["jobs"].as_array().unwrap();
    assert!(jobs.len() > 5, "{answer}");
    let wire = LocalHost::new(axum::Router::new(), firstpass::clock::Clock::from_fn(Default::default));
    let mut delivered = 0;
    for job in jobs {
        let (status, answer) =
            post(&handler, "/OnGroupAdd", &wire.queue_invocation(job.as_str().unwrap(), 1));
        assert_eq!(status, 200, "{answer}");
        delivered += usize::from(answer["Logs"][0].as_str().unwrap().contains(": delivered: "));
    }
    let state: Value = serde_json::from_str(&get(&format!("127.0.0.1:{tenant}"), "/sandbox/state")).unwrap();
    assert!(delivered > 3);
    assert_eq!(state["mails"].as_array().unwrap().len(), delivered);
}

/// Of a certificate authority that exists nowhere.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIUMYDU89WiYVBc93JwhM2xf+xg8IAwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEVGVzdDAgFw0yNjExMjkxMzUyMTlaGA8yMTI2MTEwNTEzNTIx
OVowDzENMAsGA1UEAwwEVGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPd+
CO66I7DArI1ohFSZ1Z85BGBFd7l5ZFSr1oAX2eabJv4+uyJIMbMLfVRpr22/sdMB
GwnN1IIax+jgUgQfFo+jUzBRMB0GA1UdDgQWBBTAFD3tqtCwQxHFJi3dCeqU8yKk
xzAfBgNVHSMEGDAWgBTAFD3tqtCwQxHFJi3dCeqU8yKkxzAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIEZjGNG4G78K9IxRinEwn2+8uhdjBg/Xz4/r
Zn/ZTPp9AiBq0s7wOIPZbhS3YYoOyMU1/ATNNgTgFxvtSxINQEIhLg==
-----END CERTIFICATE-----
";
