//! The binaries as processes, and a minimal HTTP client for them.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, channel},
    },
    thread,
};

use serde_json::Value;
use uuid::Uuid;

/// The product's binary.
pub const PRODUCT: &str = env!("CARGO_BIN_EXE_firstpass");

/// The sandbox's binary, which cargo builds as an example of this package.
///
/// `cargo test` builds examples, `cargo test --test it` does not; so this checks that the binary is up to date.
pub fn sandbox_binary() -> PathBuf {
    let binary = Path::new(PRODUCT).with_file_name("examples").join("firstpass-sandbox");
    // Cargo's dependency file: the binary, a colon, and the source files, separated by (unescaped) blanks.
    let sources = std::fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let modified = |path: &Path| path.metadata().and_then(|file| file.modified());
    let built = modified(&binary);
    let is_current = built.is_ok_and(|built| {
        let escaped = sources.replace("\\ ", "\0");
        let mut sources = escaped.split_whitespace().skip(1).map(|name| name.replace('\0', " ")).peekable();
        sources.peek().is_some()
            && sources.all(|source| modified(source.as_ref()).is_ok_and(|changed| changed <= built))
    });
    assert!(is_current, "{binary:?} is not up to date: run `cargo build --examples`");
    binary
}

/// A running firstpass; it ends with the test.
pub struct Process {
    child: Child,
    stdout: Mutex<Receiver<String>>,
    stderr: Mutex<Receiver<String>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts the product.
    pub fn product(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(PRODUCT).args(arguments).envs(env.iter().copied()))
    }

    /// Starts the sandbox's binary.
    pub fn sandbox(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(sandbox_binary()).args(arguments).envs(env.iter().copied()))
    }

    /// Starts the sandbox's binary with no environment but `env`.
    pub fn sandbox_with_clean_env(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(sandbox_binary()).args(arguments).env_clear().envs(env.iter().copied()))
    }

    /// Starts any command.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts the product's `serve` on a free port and waits until it listens.
    pub fn serve_product(env: &[(&str, &str)]) -> (Self, String) {
        Self::product(&["serve"], &[&[("FUNCTIONS_CUSTOMHANDLER_PORT", "0")], env].concat()).listening()
    }

    /// Starts the sandbox's `serve` on a free port and waits until it listens.
    pub fn serve(env: &[(&str, &str)]) -> (Self, String) {
        Self::sandbox(&["serve"], &[&[("FUNCTIONS_CUSTOMHANDLER_PORT", "0")], env].concat()).listening()
    }

    /// Starts the sandbox's `serve` likewise, with no environment but `env`.
    pub fn serve_with_clean_env(env: &[(&str, &str)]) -> (Self, String) {
        Self::sandbox_with_clean_env(&["serve"], &[&[("FUNCTIONS_CUSTOMHANDLER_PORT", "0")], env].concat())
            .listening()
    }

    /// The most memory that it has had, in bytes; `None` where the system does not say it as Linux does.
    pub fn peak_memory(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok().map(|kib| kib << 10)
    }

    fn listening(mut self) -> (Self, String) {
        let line = self.wait_for("handler.started");
        let (_, rest) = line.split_once("port=").unwrap();
        let port = rest.split(' ').next().unwrap().to_owned();
        (self, port)
    }

    /// Kills it, and not its children.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Reads its stdout to the end: until no process has it open.
    pub fn wait_for_end(&mut self) {
        self.stdout.get_mut().unwrap().iter().for_each(drop);
    }

    /// Sends SIGINT, so that the process can stop its own children.
    pub fn interrupt(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Reads its stdout until a line contains `words`.
    pub fn wait_for(&mut self, words: &str) -> String {
        find(&mut self.stdout, words)
    }

    /// Reads its stderr until a line contains `words`.
    pub fn wait_for_error(&mut self, words: &str) -> String {
        find(&mut self.stderr, words)
    }
}

/// The lines of a stream. They are read to the end even if no test waits for them: a full pipe would stop the process.
fn lines(stream: impl Read + Send + 'static) -> Mutex<Receiver<String>> {
    let (sender, lines) = channel();
    let stream = BufReader::new(stream);
    thread::spawn(move || {
        stream.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    Mutex::new(lines)
}

fn find(lines: &mut Mutex<Receiver<String>>, words: &str) -> String {
    let lines = lines.get_mut().unwrap();
    lines.iter().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}"))
}

pub fn post(port: &str, path: &str, body: &Value) -> (u16, Value) {
    try_post(port, path, body).unwrap()
}

/// Like [`post`], for a process that may die meanwhile.
pub fn try_post(port: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
    send("POST", port, path, body)
}

pub fn send(method: &str, port: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let (length, id) = (body.len(), Uuid::new_v4());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nX-Azure-Functions-InvocationId: {id}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let truncated = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(truncated)?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(truncated)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunked(body).ok_or_else(truncated)? } else { body.to_owned() };
    Ok((status, serde_json::from_str(&body).unwrap_or_default()))
}

/// A body that was sent in chunks; `None` if the last one is missing.
pub fn unchunked(chunks: &str) -> Option<String> {
    let mut rest = chunks.strip_suffix("0\r\n\r\n")?;
    let mut body = String::new();
    while let Some((length, chunk)) = rest.split_once("\r\n") {
        let (chunk, end) = chunk.split_at_checked(usize::from_str_radix(length, 16).ok()?)?;
        body.push_str(chunk);
        rest = end.strip_prefix("\r\n")?;
    }
    Some(body)
}

pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}
