//! The released binary: its size, and how long it takes to answer.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    figures::{Kind, Row},
    process::{free_port, memory},
};

/// Where `tests/release/run` builds it, below `target`.
const RELEASE: &str = "release-check/x86_64-unknown-linux-gnu/release/firstpass";
/// The name of the row about its size.
pub const BINARY: &str = "released binary";
const STARTS: usize = 30;
const LIMIT: Duration = Duration::from_secs(10);

/// The settings of a deployment.
const SETTINGS: &[(&str, &str)] = &[
    ("ALERT_TO", "it@contoso.com"),
    ("AZURE_CLIENT_ID", "9b0b6f5e-5d2a-4a53-9b0e-3b5fc1f7a001"),
    ("AzureWebJobsStorage__clientId", "9b0b6f5e-5d2a-4a53-9b0e-3b5fc1f7a001"),
    ("AzureWebJobsStorage__credential", "managedidentity"),
    ("AzureWebJobsStorage__queueServiceUri", "https://firstpass.queue.core.windows.net"),
    ("COMPANY_NAME", "Contoso"),
    ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"),
    ("IDENTITY_HEADER", "secret"),
    ("LEDGER_URL", "https://firstpass.blob.core.windows.net/ledger"),
    ("MAIL_FROM", "welcome@contoso.com"),
    ("ON_DEMAND_GROUP_ID", "2f0e6b0c-7d6f-4f0e-8f43-0d6a7a2f5f11"),
    ("SERVICE_DESK_PHONE", "+44 20 7946 0000"),
    ("SWEEP_SCHEDULE", "0 0 * * * *"),
    ("TIME_ZONE", "Europe/London"),
];

/// The binary in the `target` folder that this one is in.
fn binary_path() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.ancestors().map(|folder| folder.join(RELEASE)).find(|path| path.is_file())
}

/// Its size; nothing if it is not built.
pub fn size() -> Option<Row> {
    let bytes = fs::metadata(binary_path()?).ok()?.len();
    Some(Row::new(BINARY).with("bytes", bytes as f64, Kind::NearlyFixed))
}

/// Starts it with the settings of a deployment, until it answers the host.
pub fn run() -> Result<Vec<Row>, String> {
    let path = binary_path().ok_or("the released binary is not built: tests/release/run builds it")?;
    let mut starts = (0..STARTS).map(|_| start(&path)).collect::<Result<Vec<_>, _>>()?;
    starts.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (least, median) = (starts[0].0, starts[STARTS / 2].0);
    let most_memory = starts.iter().map(|(_, memory)| *memory).fold(0.0, f64::max);
    let row = Row::new("start with real settings")
        .with("least ms", least, Kind::Time)
        .with("median ms", median, Kind::Time)
        .with("memory MiB", most_memory, Kind::Time);
    Ok(size().into_iter().chain([row]).collect())
}

/// The milliseconds to the first answer, and the memory used until then.
fn start(path: &Path) -> Result<(f64, f64), String> {
    let port = free_port()?;
    let begin = Instant::now();
    let mut process = Command::new(path)
        .arg("serve")
        .env_clear()
        .envs(SETTINGS.iter().copied())
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let answered = wait_for_answer(port, begin);
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    let memory = memory(&process, "VmHWM");
    let ended = process.kill().and_then(|()| process.wait());
    ended.map_err(|error| error.to_string())?;
    answered?;
    Ok((took, memory))
}

/// Waits until the handler answers `GET /` with 200.
fn wait_for_answer(port: u16, begin: Instant) -> Result<(), String> {
    while begin.elapsed() < LIMIT {
        if answers(port).unwrap_or(false) {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(200));
    }
    Err("the handler does not answer".to_owned())
}

fn answers(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}
