//! A handler whose Functions host is gone.

use std::{io::Write, net::TcpStream, process::Command};

use serde_json::Value;
use uuid::Uuid;

use crate::helpers::process::{Process, get, sandbox_binary};

/// The host of this test is a shell, which is killed while a sweep runs. The tenant answers slowly, so the sweep is not
/// over by then.
#[test]
fn a_handler_ends_after_its_running_invocations_when_its_host_is_killed() {
    let arguments =
        ["sandbox", "--listen", "127.0.0.1:0", "--joiners", "5", "--seed", "7", "--latency", "1500"];
    let mut tenant = Process::sandbox(&arguments, &[]);
    let line = tenant.wait_for("SANDBOX_URL=");
    let url = line.split(['=', ' ']).nth(1).unwrap().to_owned();
    let environment = [
        ("SANDBOX_URL", url.as_str()),
        ("FUNCTIONS_CUSTOMHANDLER_PORT", "0"),
        ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", "w"),
    ];
    let shell = ["-c", "\"$0\" serve & wait"];
    let mut host = Process::spawn(Command::new("sh").args(shell).arg(sandbox_binary()).envs(environment));
    let line = host.wait_for("handler.started");
    let port = line.split("port=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let mut call = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let body = r#"{"Data":{"timer":{}}}"#;
    write!(
        call,
        "POST /SweepJoiners HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         X-Azure-Functions-InvocationId: {}\r\nContent-Length: {}\r\n\r\n{body}",
        Uuid::new_v4(),
        body.len()
    )
    .unwrap();
    let address = url.trim_start_matches("http://");
    let has_begun = || {
        let state: Value = serde_json::from_str(&get(address, "/sandbox/state")).unwrap();
        state["requests"].as_array().is_some_and(|requests| !requests.is_empty())
    };
    while !has_begun() {}
    host.kill();
    drop(call);
    assert!(host.wait_for_error("handler.orphaned").contains("running=1"), "the sweep still runs");
    host.wait_for("sweep.done");
    host.wait_for_error("the Functions host is gone");
    host.wait_for_end();
}
