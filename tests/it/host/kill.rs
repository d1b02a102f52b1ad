//! Two handler processes with one ledger on Azurite and one sandbox are killed with SIGKILL during their work. In the
//! end every joiner has the same as in a run without kills.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Condvar, Mutex, RwLock},
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use firstpass::clock::Clock;
use firstpass_sandbox::functions_host::local_host::LocalHost;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    helpers::{
        NOW, html_escaped,
        process::{Process, get, post, send, try_post},
    },
    ledger::new_container,
};

const KILLS: usize = 20;
/// Concurrent invocations on one handler: `batchSize` in host.json.
const BATCH_SIZE: usize = 4;
/// Seconds that a message of a dead worker stays hidden: the Functions host's queue lease.
const LEASE_SECONDS: i64 = 600;
/// Seconds that a failed message stays hidden: `visibilityTimeout` in host.json.
const RETRY_SECONDS: i64 = 180;

/// One sandbox, one ledger, and handlers that may be killed.
struct Platform {
    address: String,
    env: Vec<(String, String)>,
    handlers: Vec<RwLock<Handler>>,
    queue: Mutex<Queue>,
    changed: Condvar,
    _sandbox: Process,
}

struct Handler {
    _process: Process,
    port: String,
}

#[derive(Default)]
struct Queue {
    messages: Vec<Message>,
    in_flight: usize,
    /// Seconds that the sandbox's clock was advanced.
    now: i64,
    started: usize,
    interrupted: usize,
    poisoned: usize,
}

struct Message {
    text: String,
    deliveries: u32,
    visible_at: i64,
}

/// The users whose newest mail has the code of their pass, and the lifetimes of the passes that were not mailed.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    served: BTreeSet<String>,
    others: BTreeMap<String, Value>,
}

impl Platform {
    fn start(handlers: usize) -> Self {
        let arguments = [
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--joiners",
            "200",
            "--seed",
            "8",
            "--latency",
            "5",
            "--now",
            NOW,
        ];
        let mut sandbox = Process::sandbox(&arguments, &[]);
        let line = sandbox.wait_for("SANDBOX_URL=");
        let address = line.split(['/', ' ']).nth(2).unwrap().to_owned();
        let env = vec![
            ("SANDBOX_URL".to_owned(), format!("http://{address}")),
            ("LEDGER_URL".to_owned(), new_container().to_string()),
            ("RUST_LOG".to_owned(), "firstpass::cli=info".to_owned()),
            // These processes run in real time.
            ("MAILS_PER_MINUTE".to_owned(), "100000".to_owned()),
        ];
        let handlers = (0..handlers).map(|_| RwLock::new(Handler::start(&env))).collect();
        let platform = Self {
            address,
            env,
            handlers,
            queue: Mutex::default(),
            changed: Condvar::new(),
            _sandbox: sandbox,
        };
        let port = platform.address.split(':').nth(1).unwrap();
        let limits = json!({ "messages_per_minute": null });
        assert_eq!(send("PUT", port, "/sandbox/send-limits", &limits).unwrap().0, 204);
        // New accounts have replicated by then.
        platform.advance(60);
        platform
    }

    fn advance(&self, seconds: i64) {
        let port = self.address.split(':').nth(1).unwrap();
        post(port, "/sandbox/clock", &json!({"advance_seconds": seconds}));
        self.queue.lock().unwrap().now += seconds;
    }

    fn state(&self) -> Value {
        serde_json::from_str(&get(&self.address, "/sandbox/state")).unwrap()
    }

    /// Runs one sweep and all its jobs. `kill_at` maps the number of an invocation to the milliseconds after which its
    /// handler is killed.
    fn sweep(&self, kill_at: &BTreeMap<usize, u64>) {
        let timer = json!({"Data": {"timer": {}}, "Metadata": {}});
        let port = self.handlers[0].read().unwrap().port.clone();
        let (status, answer) = post(&port, "/SweepJoiners", &timer);
        assert_eq!(status, 200, "{answer}");
        {
            let mut queue = self.queue.lock().unwrap();
            let visible_at = queue.now;
            let jobs = answer["Outputs"]["jobs"].as_array().unwrap().iter();
            let messages =
                jobs.map(|job| Message { text: job.as_str().unwrap().to_owned(), deliveries: 0, visible_at });
            queue.messages.extend(messages);
        }
        thread::scope(|scope| {
            for handler in &self.handlers {
                for _ in 0..BATCH_SIZE {
                    scope.spawn(|| self.work(handler, kill_at));
                }
            }
        });
    }

    fn work(&self, handler: &RwLock<Handler>, kill_at: &BTreeMap<usize, u64>) {
        let host = LocalHost::new(Router::new(), Clock::system());
        while let Some((mut message, number)) = self.next_message() {
            let port = handler.read().unwrap().port.clone();
            let invocation = host.queue_invocation(&message.text, message.deliveries);
            let answer = thread::scope(|scope| {
                if let Some(after) = kill_at.get(&number) {
                    scope.spawn(|| {
                        thread::sleep(Duration::from_millis(*after));
                        // Dropping the old process sends SIGKILL.
                        *handler.write().unwrap() = Handler::start(&self.env);
                    });
                }
                try_post(&port, "/OnGroupAdd", &invocation)
            });
            let mut queue = self.queue.lock().unwrap();
            queue.in_flight -= 1;
            let hidden = match answer {
                Ok((200, _)) => None,
                Ok(_) => Some(RETRY_SECONDS),
                Err(_) => {
                    queue.interrupted += 1;
                    Some(LEASE_SECONDS)
                }
            };
            if let Some(hidden) = hidden {
                if message.deliveries == 5 {
                    queue.poisoned += 1;
                } else {
                    message.visible_at = queue.now + hidden;
                    queue.messages.push(message);
                }
            }
            self.changed.notify_all();
        }
    }

    /// The next message and the number of its invocation; `None` when the queue is empty. When all messages are hidden
    /// and no invocation runs, the clock is advanced.
    fn next_message(&self) -> Option<(Message, usize)> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            let now = queue.now;
            if let Some(at) = queue.messages.iter().position(|message| message.visible_at <= now) {
                let mut message = queue.messages.remove(at);
                message.deliveries += 1;
                queue.in_flight += 1;
                queue.started += 1;
                return Some((message, queue.started));
            }
            if queue.in_flight > 0 {
                queue = self.changed.wait(queue).unwrap();
                continue;
            }
            let next = queue.messages.iter().map(|message| message.visible_at).min()?;
            drop(queue);
            self.advance(next - now);
            queue = self.queue.lock().unwrap();
        }
    }

    /// Asserts that every mailed user has one pass and its code in the newest mail.
    fn outcome(&self) -> Outcome {
        let state = self.state();
        let passes: BTreeMap<&str, &Value> =
            state["passes"].as_array().unwrap().iter().map(|pass| (text(&pass["userId"]), pass)).collect();
        let mails = state["mails"].as_array().unwrap();
        let (mut served, mut others) = (BTreeSet::new(), BTreeMap::new());
        for user in state["users"].as_array().unwrap() {
            let newest = mails.iter().rev().find(|mail| {
                let to = &mail["toRecipients"][0]["emailAddress"]["address"];
                user["otherMails"].as_array().unwrap().contains(to)
            });
            let (name, pass) = (text(&user["userPrincipalName"]), passes.get(text(&user["id"])));
            match (newest, pass) {
                (Some(mail), Some(pass)) => {
                    let content = text(&mail["body"]["content"]);
                    let code = html_escaped(text(&pass["temporaryAccessPass"]));
                    assert!(content.contains(&code), "{name}: the newest mail contains another code");
                    assert_ne!(pass["methodUsabilityReason"], "OneTimeUsed", "{name}");
                    served.insert(name.to_owned());
                }
                (Some(_), None) => panic!("{name} was mailed a code and has no pass"),
                (None, Some(pass)) => drop(others.insert(name.to_owned(), pass["lifetimeInMinutes"].clone())),
                (None, None) => {}
            }
        }
        Outcome { served, others }
    }
}

impl Handler {
    fn start(env: &[(String, String)]) -> Self {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (&**name, &**value)).collect();
        let (process, port) = Process::serve(&env);
        Self { _process: process, port }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
#[ignore = "needs Azurite: tests/azurite/run"]
#[expect(clippy::print_stdout, reason = "figures for the reader")]
fn every_joiner_is_served_despite_twenty_killed_handlers() {
    let without_kills = Platform::start(1);
    without_kills.sweep(&BTreeMap::new());
    let expected = without_kills.outcome();
    assert!(expected.served.len() > 120, "only {} joiners", expected.served.len());

    let mut rng = StdRng::seed_from_u64(20);
    let mut kill_at = BTreeMap::new();
    while kill_at.len() < KILLS {
        // A job takes about 50 ms.
        kill_at.insert(rng.random_range(1..190), rng.random_range(0..60));
    }
    let start = Instant::now();
    let platform = Platform::start(2);
    platform.sweep(&kill_at);
    let (started, interrupted) = {
        let queue = platform.queue.lock().unwrap();
        (queue.started, queue.interrupted)
    };
    // The next sweeps retry the jobs of poison messages.
    for _ in 0..2 {
        platform.advance(3600);
        platform.sweep(&BTreeMap::new());
    }
    assert_eq!(platform.outcome(), expected);
    let (mails, poisoned) =
        (platform.state()["mails"].as_array().unwrap().len(), platform.queue.lock().unwrap().poisoned);
    println!(
        "{KILLS} kills interrupted {interrupted} of {started} invocations; {} joiners served with {mails} mails, {poisoned} poison \
         messages, {:.0} s",
        expected.served.len(),
        start.elapsed().as_secs_f64(),
    );
    assert!(interrupted >= KILLS / 2, "{interrupted} interrupted");
    assert_eq!(
        platform.state()["passes"].as_array().unwrap().len(),
        expected.served.len() + expected.others.len()
    );
}
