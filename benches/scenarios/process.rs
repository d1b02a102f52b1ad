//! The product's handler in a process of its own, on a sandbox that this process serves: what the system says it uses.

use std::{
    collections::VecDeque,
    fs,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use firstpass::{clock::Clock, environment::Environment, startup};
use firstpass_sandbox::{
    functions_host::local_host::LocalHost,
    serve,
    tenant::{Sandbox, Tenant, loopback},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, task::JoinHandle, time::sleep};
use uuid::Uuid;

use crate::{
    figures::{Kind, Row},
    world::{NO_LIMITS, tenant},
};

/// The option with which this binary is the handler.
pub const HANDLER: &str = "--handler";
/// What `/proc` counts in.
const MILLIS_PER_TICK: f64 = 10.0;
const START_LIMIT: Duration = Duration::from_secs(10);

/// The handler on the sandbox at SANDBOX_URL: what a child of this process runs.
pub fn handle() -> Result<(), String> {
    serve::run(&Environment::process())
}

/// A sandbox that other processes reach.
pub struct Server {
    /// The tenant.
    pub sandbox: Sandbox,
    /// Where it is.
    pub url: String,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves a tenant, whose mailbox has no limits. Its time is that of this machine.
    pub async fn start(mut tenant: Tenant) -> Result<Self, String> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(words)?;
        let url = format!("http://{}", listener.local_addr().map_err(words)?);
        tenant.send_limits = NO_LIMITS;
        let sandbox = Sandbox::new(tenant, Clock::system().now());
        Ok(Self { task: tokio::spawn(loopback::serve(sandbox.clone(), listener)), sandbox, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The handler's process.
pub struct Handler {
    process: Child,
    url: String,
    client: reqwest::Client,
}

impl Handler {
    /// Starts it on the sandbox at `url`, and waits until it answers.
    pub async fn start(url: &str) -> Result<Self, String> {
        let port = free_port()?;
        let process = Command::new(std::env::current_exe().map_err(words)?)
            .arg(HANDLER)
            .env_clear()
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("MAILS_PER_MINUTE", "100000")
            .env("SANDBOX_URL", url)
            .env("SWEEP_MAX", "100000")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(words)?;
        let client = startup::loopback_client().map_err(words)?;
        let handler = Self { process, url: format!("http://127.0.0.1:{port}"), client };
        let begin = Instant::now();
        while handler.client.get(&handler.url).send().await.is_err() {
            if begin.elapsed() > START_LIMIT {
                return Err("the handler does not answer".to_owned());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(handler)
    }

    /// Delivers a message of the queue, and returns the messages for the queue.
    pub async fn deliver(&self, message: &str) -> Result<Vec<String>, String> {
        let host = LocalHost::new(axum::Router::new(), Clock::system());
        self.invoke("OnGroupAdd", host.queue_invocation(message, 1)).await.map(|answer| messages(&answer))
    }

    /// Fires the timer, and returns the messages for the queue.
    pub async fn sweep(&self) -> Result<Vec<String>, String> {
        let timer = json!({"Data": {"timer": {}}, "Metadata": {}});
        self.invoke("SweepJoiners", timer).await.map(|answer| messages(&answer))
    }

    async fn invoke(&self, function: &str, body: Value) -> Result<Value, String> {
        let request = self.client.post(format!("{}/{function}", self.url));
        let request = request.header("content-type", "application/json");
        let request = request.header("x-azure-functions-invocationid", Uuid::new_v4().to_string());
        let request = request.body(body.to_string());
        let answer = request.send().await.map_err(words)?.error_for_status().map_err(words)?;
        serde_json::from_slice(&answer.bytes().await.map_err(words)?).map_err(words)
    }

    /// Its processor time, where the system tells.
    pub fn cpu_millis(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // After the name, which is in brackets: field 3 and those behind it.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<f64>().ok());
        (ticks(14).unwrap_or(f64::NAN) + ticks(15).unwrap_or(f64::NAN)) * MILLIS_PER_TICK
    }

    /// Its memory now, and starts to look anew for the most.
    fn memory(&self) -> f64 {
        // 5 resets the peak (proc_pid_clear_refs).
        let _ = fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5");
        memory(&self.process, "VmRSS")
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn messages(answer: &Value) -> Vec<String> {
    let jobs = answer["Outputs"]["jobs"].as_array().into_iter().flatten();
    jobs.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What a sweep costs the process that finds so many new joiners: the part of them that it queues.
pub fn intake(joiners: usize) -> Result<Row, String> {
    Runtime::new().map_err(words)?.block_on(async {
        let day = (Clock::system().now() + TimeDelta::days(6)).date_naive().to_string();
        let server = Server::start(tenant(joiners, &day).0).await?;
        let handler = Handler::start(&server.url).await?;
        measure(&handler, Row::new("process: a sweep of new joiners").parameter("joiners", joiners as f64))
            .await
    })
}

/// What a first sweep of a day costs the process when everybody has been served. The records are in its memory too.
pub fn served(joiners: usize) -> Result<Row, String> {
    Runtime::new().map_err(words)?.block_on(async {
        let day = (Clock::system().now() + TimeDelta::days(6)).date_naive().to_string();
        let server = Server::start(tenant(joiners, &day).0).await?;
        let handler = Handler::start(&server.url).await?;
        let mut queue = VecDeque::from(handler.sweep().await?);
        while let Some(message) = queue.pop_front() {
            queue.extend(handler.deliver(&message).await?);
        }
        server.sandbox.advance(TimeDelta::days(1));
        measure(&handler, Row::new("process: first sweep of a day").parameter("served", joiners as f64)).await
    })
}

/// What a sweep costs.
async fn measure(handler: &Handler, row: Row) -> Result<Row, String> {
    let (memory_before, cpu_before) = (handler.memory(), handler.cpu_millis());
    let messages = handler.sweep().await?.len();
    Ok(row
        .with("messages", messages as f64, Kind::Time)
        .with("cpu ms", handler.cpu_millis() - cpu_before, Kind::Time)
        .with("memory before MiB", memory_before, Kind::Time)
        .with("peak MiB", memory(&handler.process, "VmHWM"), Kind::Time))
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(words)
}

/// A value of the process's status in MiB, where the system tells.
pub fn memory(process: &Child, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// The error as words.
pub fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The processor time for each joiner but the first, who pays for the connections.
pub async fn deliver_to(server: &Server, users: &[Uuid]) -> Result<f64, String> {
    let handler = Handler::start(&server.url).await?;
    let day = Clock::system().now().date_naive();
    let mut begin = 0.0;
    for (number, user) in users.iter().enumerate() {
        handler.deliver(&firstpass::pass::Job::joiner(*user, day).to_message()).await?;
        if number == 0 {
            begin = handler.cpu_millis();
        }
    }
    Ok((handler.cpu_millis() - begin) / (users.len() - 1) as f64)
}
