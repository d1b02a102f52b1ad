//! Microsoft's Graph clients for Python and JavaScript do a joiner's main steps: read the user and the manager, make a pass,
//! send a mail. The product does all of its own, which are more. All on one kind of sandbox, one joiner at a time.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use chrono::TimeDelta;
use firstpass::clock::Clock;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{
    figures::{Kind, Row},
    process::{Server, deliver_to, words},
    world::tenant,
};

const JOINERS: usize = 201;

/// The product and its peers. `tests/sdk/run` installs the clients.
pub fn run() -> Result<Vec<Row>, String> {
    let this = std::env::current_exe().map_err(words)?;
    let clients = this.ancestors().map(|folder| folder.join("sdk")).find(|folder| folder.is_dir());
    let clients = clients.ok_or("Microsoft's clients are not installed: `.ci/run sdk` installs them")?;
    let (python, javascript) = (Path::new("benches/peers/joiner.py"), clients.join("javascript/joiner.mjs"));
    // Node resolves packages relative to the importing file.
    fs::copy("benches/peers/joiner.mjs", &javascript).map_err(words)?;
    let runtime = Runtime::new().map_err(words)?;
    let script = |program: &Path, script: &Path, server: &Server, users: &[Uuid]| {
        run_script(program, script, &server.url, users)
    };
    Ok(vec![
        play(&runtime, "a joiner: firstpass", |server, users| runtime.block_on(deliver_to(server, users)))?,
        play(&runtime, "a joiner: Python msgraph-sdk", |server, users| {
            script(&clients.join("python/bin/python"), python, server, users)
        })?,
        play(&runtime, "a joiner: JavaScript client", |server, users| {
            script(Path::new("node"), &javascript, server, users)
        })?,
    ])
}

/// Runs `work`, which returns the milliseconds of processor time for a joiner, on a new sandbox.
fn play(
    runtime: &Runtime,
    name: &'static str,
    work: impl FnOnce(&Server, &[Uuid]) -> Result<f64, String>,
) -> Result<Row, String> {
    let day = (Clock::system().now() + TimeDelta::days(5)).date_naive().to_string();
    let (tenant, users) = tenant(JOINERS, &day);
    let server = runtime.block_on(Server::start(tenant))?;
    let cpu = work(&server, &users)?;
    let (mails, requests) = (server.sandbox.mails().len(), server.sandbox.requests().len());
    if mails != JOINERS {
        return Err(format!("{name}: {mails} of {JOINERS} joiners got a mail"));
    }
    Ok(Row::new(name).with("requests", requests as f64 / JOINERS as f64, Kind::Time).with(
        "cpu ms",
        cpu,
        Kind::Time,
    ))
}

fn run_script(program: &Path, script: &Path, url: &str, users: &[Uuid]) -> Result<f64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let mut process = Command::new(program)
        .arg(script)
        .env("SANDBOX_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let ids: Vec<String> = users.iter().map(Uuid::to_string).collect();
    if let Some(mut input) = process.stdin.take() {
        input.write_all(ids.join("\n").as_bytes()).map_err(failed)?;
    }
    let output = process.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cpu: f64 = text.trim().parse().map_err(|_| format!("{}: {text}", script.display()))?;
    Ok(cpu / (users.len() - 1) as f64)
}
