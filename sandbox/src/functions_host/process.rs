//! A handler in a process of its own, started as host.json says.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::Client;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::{Notify, watch},
};
use uuid::Uuid;

use super::{
    config::FunctionApp,
    log::{Level, Log},
    unsized_body::UnsizedBody,
    worker::{
        ConnectionLost, KILLED, RawResponse, RunningWorker, Worker, exit_code, reason_phrase, request_headers,
    },
};

/// Starts the handler's process with the app settings and the host's own variables in its environment.
#[derive(Clone, Debug)]
pub struct Process {
    root: PathBuf,
    /// Replaces `defaultExecutablePath`.
    executable: Option<PathBuf>,
    client: Client,
}

impl Process {
    /// The handler of the function app at `root`, or `executable` instead.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(root: impl Into<PathBuf>, executable: Option<PathBuf>) -> Result<Self, String> {
        let client = firstpass::startup::loopback_client().map_err(|report| report.to_string())?;
        Ok(Self { root: root.into(), executable, client })
    }

    fn environment(&self, app: &FunctionApp, port: u16) -> BTreeMap<String, String> {
        let worker = Uuid::new_v4().to_string();
        let settings = app.settings.names().filter_map(|name| Some((name, app.settings.get(name)?)));
        let mut environment: BTreeMap<String, String> =
            settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // Source: HttpWorkerProcess.cs
        for (name, value) in [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", worker.clone()),
            ("FUNCTIONS_HTTPWORKER_PORT", port.to_string()),
            ("FUNCTIONS_HTTPWORKER_ID", worker),
            ("FUNCTIONS_APP_ROOT_PATH", self.root.display().to_string()),
        ] {
            environment.insert(name.to_owned(), value);
        }
        environment
    }
}

#[async_trait]
impl Worker for Process {
    async fn start(&self, app: &FunctionApp, log: &Log) -> io::Result<Arc<dyn RunningWorker>> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let executable = self.executable.clone().unwrap_or_else(|| self.root.join(&app.host.executable));
        let mut child = Command::new(executable)
            .args(&app.host.arguments)
            .current_dir(self.root.join(&app.host.working_directory))
            .envs(self.environment(app, port))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        forward_lines(child.stdout.take(), log.clone(), |_| Level::Information);
        // A stderr line that contains "warn" is a warning (WorkerProcess.cs).
        forward_lines(child.stderr.take(), log.clone(), |line| {
            if line.to_ascii_lowercase().contains("warn") { Level::Warning } else { Level::Error }
        });
        let pid = child.id();
        let (exit, kill) = (watch::Sender::new(None), Arc::new(Notify::new()));
        tokio::spawn(supervise(child, exit.clone(), kill.clone()));
        Ok(Arc::new(ProcessHandle { client: self.client.clone(), port, pid, exit, kill }))
    }
}

fn forward_lines(
    stream: Option<impl AsyncRead + Send + Unpin + 'static>,
    log: Log,
    level: fn(&str) -> Level,
) {
    let Some(stream) = stream else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.print(level(&line), line);
        }
    });
}

async fn supervise(mut child: Child, exit: watch::Sender<Option<i32>>, kill: Arc<Notify>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.notified() => {
            // Fails if the process has just exited.
            drop(child.start_kill());
            child.wait().await
        }
    };
    // A process that a signal ended has no exit code.
    let code = status.ok().and_then(|status| status.code()).unwrap_or(KILLED);
    exit.send_replace(Some(code));
}

struct ProcessHandle {
    client: Client,
    port: u16,
    pid: Option<u32>,
    exit: watch::Sender<Option<i32>>,
    kill: Arc<Notify>,
}

impl Drop for ProcessHandle {
    fn drop(&mut self) {
        self.kill();
    }
}

#[async_trait]
impl RunningWorker for ProcessHandle {
    async fn is_ready(&self) -> bool {
        self.client.get(format!("http://127.0.0.1:{}/", self.port)).send().await.is_ok()
    }

    async fn post(&self, function: &str, id: Uuid, body: String) -> Result<RawResponse, ConnectionLost> {
        let lost = |error: reqwest::Error| ConnectionLost(format!("no response: {}", error.without_url()));
        let mut request = self.client.post(format!("http://127.0.0.1:{}/{function}", self.port));
        for (name, value) in request_headers(id) {
            request = request.header(name, value);
        }
        let body = reqwest::Body::wrap(UnsizedBody::new(body));
        let response = request.body(body).send().await.map_err(lost)?;
        let content_type = response.headers().get("content-type");
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let reason = reason_phrase(status, response.extensions());
        let body = response.bytes().await.map_err(lost)?;
        Ok(RawResponse { status, reason, content_type, body })
    }

    async fn wait_for_exit(&self) -> i32 {
        exit_code(&self.exit).await
    }

    fn kill(&self) {
        self.kill.notify_one();
    }

    fn pid(&self) -> Option<u32> {
        self.pid
    }
}
