//! `kill -9`, for real: two handler processes with one ledger on Azurite and one sandbox, killed in the middle of their
//! work again and again. In the end everyone has what they would have had if nothing had happened.

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
    azurite::new_container,
    helpers::escaped,
    process::{Process, get, post, try_post},
};

const KILLS: usize = 20;
/// How many invocations the host runs at a time on one handler: `batchSize` in host.json.
const BATCH: usize = 4;
/// How long a message of a dead worker stays hidden: the Functions host's lease.
const LEASE: i64 = 600;
/// How long a failed one does: `visibilityTimeout` in host.json.
const AGAIN_IN: i64 = 180;

/// One sandbox, one ledger, and handlers that may die.
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
    /// Seconds that the sandbox's clock was moved.
    now: i64,
    started: usize,
    cut: usize,
    poisoned: usize,
}

struct Message {
    text: String,
    deliveries: u32,
    visible_at: i64,
}

/// Whose newest mail opens which pass, and the passes that nobody was mailed.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    served: BTreeSet<String>,
    others: BTreeMap<String, Value>,
}

impl Platform {
    fn start(handlers: usize) -> Self {
        let arguments =
            ["sandbox", "--listen", "127.0.0.1:0", "--joiners", "200", "--seed", "8", "--latency", "5"];
        let mut sandbox = Process::sandbox(&arguments, &[]);
        let line = sandbox.wait_for("SANDBOX_URL=");
        let address = line.split(['/', ' ']).nth(2).unwrap().to_owned();
        let env = vec![
            ("SANDBOX_URL".to_owned(), format!("http://{address}")),
            ("LEDGER_URL".to_owned(), new_container().to_string()),
            ("RUST_LOG".to_owned(), "firstpass::cli=info".to_owned()),
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
        // New accounts have reached all replicas.
        platform.later(60);
        platform
    }

    fn later(&self, seconds: i64) {
        let port = self.address.split(':').nth(1).unwrap();
        post(port, "/sandbox/clock", &json!({"advance_seconds": seconds}));
        self.queue.lock().unwrap().now += seconds;
    }

    fn state(&self) -> Value {
        serde_json::from_str(&get(&self.address, "/sandbox/state")).unwrap()
    }

    /// One sweep and all that follows from it. `kill_at` says which invocations take their handler with them, and how
    /// many milliseconds after their start.
    fn sweep(&self, kill_at: &BTreeMap<usize, u64>) {
        let timer = json!({"Data": {"timer": {}}, "Metadata": {}});
        let port = self.handlers[0].read().unwrap().port.clone();
        let (status, swept) = post(&port, "/SweepJoiners", &timer);
        assert_eq!(status, 200, "{swept}");
        {
            let mut queue = self.queue.lock().unwrap();
            let visible_at = queue.now;
            let jobs = swept["Outputs"]["jobs"].as_array().unwrap().iter();
            let messages =
                jobs.map(|job| Message { text: job.as_str().unwrap().to_owned(), deliveries: 0, visible_at });
            queue.messages.extend(messages);
        }
        thread::scope(|scope| {
            for handler in &self.handlers {
                for _ in 0..BATCH {
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
                        // Dropping a process is killing it, with SIGKILL.
                        *handler.write().unwrap() = Handler::start(&self.env);
                    });
                }
                try_post(&port, "/OnGroupAdd", &invocation)
            });
            let mut queue = self.queue.lock().unwrap();
            queue.in_flight -= 1;
            let hidden = match answer {
                Ok((200, _)) => None,
                Ok(_) => Some(AGAIN_IN),
                Err(_) => {
                    queue.cut += 1;
                    Some(LEASE)
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

    /// The next message, with the number of its invocation; none when the queue is empty for good. While all that is
    /// left is hidden and nobody works, time goes on.
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
            self.later(next - now);
            queue = self.queue.lock().unwrap();
        }
    }

    /// Who has what in the end. Everyone who was mailed has one pass, and the newest mail opens it.
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
                    let code = escaped(text(&pass["temporaryAccessPass"]));
                    assert!(content.contains(&code), "{name}: the newest mail has another code");
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
#[expect(clippy::print_stdout, reason = "figures that no assertion can tell")]
fn everyone_is_served_though_handlers_are_killed_twenty_times() {
    let undisturbed = Platform::start(1);
    undisturbed.sweep(&BTreeMap::new());
    let expected = undisturbed.outcome();
    assert!(expected.served.len() > 120, "{} joiners are enough to be hit", expected.served.len());

    let mut rng = StdRng::seed_from_u64(20);
    let mut kill_at = BTreeMap::new();
    while kill_at.len() < KILLS {
        // A job takes some 50 ms.
        kill_at.insert(rng.random_range(1..190), rng.random_range(0..60));
    }
    let start = Instant::now();
    let platform = Platform::start(2);
    platform.sweep(&kill_at);
    let (started, cut) = {
        let queue = platform.queue.lock().unwrap();
        (queue.started, queue.cut)
    };
    // Whatever was given up is taken up by the next sweeps.
    for _ in 0..2 {
        platform.later(3600);
        platform.sweep(&BTreeMap::new());
    }
    assert_eq!(platform.outcome(), expected);
    let (mails, poisoned) =
        (platform.state()["mails"].as_array().unwrap().len(), platform.queue.lock().unwrap().poisoned);
    println!(
        "{KILLS} kills cut {cut} of {started} invocations; {} joiners served with {mails} mails, {poisoned} messages \
         given up, {:.0} s",
        expected.served.len(),
        start.elapsed().as_secs_f64(),
    );
    assert!(cut >= KILLS / 2, "the kills hit work: {cut}");
    assert_eq!(
        platform.state()["passes"].as_array().unwrap().len(),
        expected.served.len() + expected.others.len()
    );
}
