//! Where a story is played: the real App on the sandbox tenant, the queue in front of it, and workers that die.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use firstpass::{
    app::App, environment::Environment, functions::on_group_add::MAX_DELIVERIES, host,
    ledger::memory::MemoryLedger, settings::Settings,
};
use firstpass_sandbox::{
    functions_host::{
        handler_response::HandlerResponse,
        local_host::{LocalHost, VISIBILITY_TIMEOUT},
    },
    tenant::{
        Sandbox,
        samples::{SENDER, SERVICE_DESK},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep},
};
use uuid::Uuid;

use crate::{
    checks::during,
    evidence::{End, Evidence, Maker, RUN, Run, Watch},
    ledger::FaultyLedger,
    personas::{self, DEFAULT_ZONE, EPOCH},
    plan::{Crash, Plan, Trick, Who},
    wire::{Wire, say},
};

/// After this the host kills the process: `functionTimeout` in host.json.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(600);
/// After this the platform ends a call.
const CALL_TIMEOUT: Duration = Duration::from_secs(230);
/// How long a message stays hidden whose worker died: what the host renews its hold by.
const HELD_BY_THE_DEAD: Duration = Duration::from_secs(600);
/// `maxRetryCount` in the timer's function.json.
const SWEEP_RETRIES: u32 = 5;

pub struct Setup {
    pub plan: Plan,
    pub sandbox: Sandbox,
    pub ledger: Arc<FaultyLedger<MemoryLedger>>,
    pub watch: Watch,
    pub group: Uuid,
    /// The present object id of each actor.
    pub ids: Mutex<Vec<Uuid>>,
    /// Crashes and tricks that wait for a user's next job.
    pub crashes: Mutex<Vec<(Uuid, Crash)>>,
    pub tricks: Mutex<Vec<(Uuid, Trick)>>,
    /// The passes that people have signed in with.
    pub used: Mutex<BTreeSet<Uuid>>,
    host: LocalHost,
    workers: Semaphore,
    busy: AtomicUsize,
    log: Log,
    start: Instant,
}

/// What was logged.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Setup {
    /// Sets the setup, on the current runtime's clock.
    pub fn set(plan: Plan, log: Log, tells: bool) -> Arc<Self> {
        let now: DateTime<Utc> = EPOCH.parse().unwrap();
        let (tenant, ids, group) = personas::build(&plan, now);
        let sandbox = Sandbox::new(tenant, now);
        let watch = Watch::default();
        let (ledger_watch, inner) = (watch.clone(), MemoryLedger::default());
        let armed = Mutex::default();
        let ledger = FaultyLedger { inner, watch: ledger_watch, sandbox: sandbox.clone(), armed, tells };
        let ledger = Arc::new(ledger);
        let wire = Wire { inner: sandbox.transport(), sandbox: sandbox.clone(), watch: watch.clone(), tells };
        let settings = settings(&plan, group);
        let app = App::new(settings, Arc::new(wire), sandbox.credential(), ledger.clone(), sandbox.clock());
        let host = LocalHost::new(host::router(Ok(Arc::new(app.unwrap()))), sandbox.clock());
        Arc::new(Self {
            workers: Semaphore::new(plan.house.workers),
            plan,
            sandbox,
            ledger,
            watch,
            group,
            ids: Mutex::new(ids),
            crashes: Mutex::default(),
            tricks: Mutex::default(),
            used: Mutex::default(),
            host,
            busy: AtomicUsize::new(0),
            log,
            start: Instant::now(),
        })
    }

    pub fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.watch.lock()
    }

    pub fn log(&self) -> String {
        self.log.text()
    }

    pub fn user(&self, who: Who) -> Uuid {
        self.ids.lock().unwrap()[who]
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.sandbox.now()
    }

    pub fn say(&self, line: &str) {
        say(&mut self.evidence(), &self.sandbox, line);
    }

    /// Waits until so long after the story began.
    pub async fn until(&self, at: Duration) {
        tokio::time::sleep_until(self.start + at).await;
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Does something beside the story, until [`Setup::settle`].
    pub fn spawn(self: &Arc<Self>, work: impl Future<Output = ()> + Send + 'static) {
        self.busy.fetch_add(1, Ordering::SeqCst);
        let setup = self.clone();
        tokio::spawn(async move {
            work.await;
            setup.busy.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Waits until the queue is empty and nobody is at work.
    pub async fn settle(&self) {
        while self.busy.load(Ordering::SeqCst) > 0 && self.evidence().violations.is_empty() {
            sleep(Duration::from_secs(20)).await;
        }
    }

    /// The timer fires; the host repeats what fails.
    pub async fn sweep(self: Arc<Self>) {
        for retry in 0..=SWEEP_RETRIES {
            let context = json!({"RetryCount": retry, "MaxRetryCount": SWEEP_RETRIES});
            let invocation = json!({"Data": {"timer": {}}, "Metadata": {"RetryContext": context}});
            let work = self.host.post("SweepJoiners", invocation.to_string());
            let Ok(answer) = tokio::time::timeout(FUNCTION_TIMEOUT, work).await else {
                self.evidence().violated(6, "the host had to kill a sweep that went on for too long".into());
                return;
            };
            self.evidence().written += &answer.body.to_string();
            self.say(&format!("sweep: {}", answer.log()));
            if answer.is_success() {
                for message in answer.jobs() {
                    self.enqueue(message);
                }
                return;
            }
            if retry < SWEEP_RETRIES {
                sleep(Duration::from_secs(60 << retry)).await;
            }
        }
        self.evidence().sweeps_given_up += 1;
    }

    /// A message on the queue.
    pub fn enqueue(self: &Arc<Self>, message: String) {
        self.evidence().written += &message;
        let trick = take(&self.tricks, user_of(&message));
        let late = if let Some(Trick::Late(late)) = trick { late } else { Duration::ZERO };
        if trick == Some(Trick::Twice) {
            self.spawn(self.clone().message(message.clone(), Duration::ZERO, None));
        }
        self.spawn(self.clone().message(message, late, trick));
    }

    /// The life of a message: delivered until it is done, at most five times.
    async fn message(self: Arc<Self>, message: String, late: Duration, trick: Option<Trick>) {
        sleep(late).await;
        let mut last = End::Died;
        for delivery in 1..=MAX_DELIVERIES {
            let Ok(_worker) = self.workers.acquire().await else { return };
            last = match trick {
                Some(Trick::Overlap(after)) if delivery == 1 => {
                    self.deliver_overlapping(&message, after).await
                }
                _ => self.deliver(&message, delivery).await,
            };
            drop(_worker);
            match &last {
                End::Ended(outcome, _) if outcome != "failed" => return,
                End::Died => sleep(HELD_BY_THE_DEAD).await,
                _ => sleep(VISIBILITY_TIMEOUT).await,
            }
        }
        self.say(&format!("given up: {message}"));
        let key = field(&message, "jobKey");
        self.evidence().poison.push((key, last != End::Died));
    }

    async fn deliver_overlapping(self: &Arc<Self>, message: &str, after: Duration) -> End {
        let again = async {
            sleep(after).await;
            self.deliver(message, 2).await
        };
        let (first, again) = tokio::join!(self.deliver(message, 1), again);
        if matches!(&first, End::Ended(outcome, _) if outcome != "failed") { first } else { again }
    }

    async fn deliver(self: &Arc<Self>, message: &str, delivery: u32) -> End {
        if !field(message, "syncedGroup").is_empty() {
            // No job: it makes nothing, and tells nobody of anything.
            let answer = self.host.deliver(message, delivery).await;
            let outcome = if answer.is_success() { "done" } else { "failed" };
            return End::Ended(outcome.into(), answer.log().to_owned());
        }
        let user = user_of(message);
        let (key, reason) = (field(message, "jobKey"), field(message, "reason"));
        let work = async {
            let answer = self.host.deliver(message, delivery).await;
            self.evidence().written += &answer.body.to_string();
            let mut words = answer.log().splitn(3, ": ").skip(1).map(str::to_owned);
            End::Ended(words.next().unwrap_or_default(), words.next().unwrap_or_default())
        };
        self.run(key, user, &reason, delivery, FUNCTION_TIMEOUT, work).await
    }

    /// Somebody calls CreateTap.
    pub async fn create_tap(self: Arc<Self>, user: Uuid) {
        let work = async {
            let answer = self.host.call("CreateTap", &json!({"UserName": user}).to_string()).await;
            self.handed_over(&answer)
        };
        self.run(format!("http/{user}"), user, "http", 1, CALL_TIMEOUT, work).await;
    }

    fn handed_over(&self, answer: &HandlerResponse) -> End {
        let res = &answer.body["Outputs"]["res"];
        let body = res["body"].as_str().unwrap_or_default();
        let status = res["statusCode"].to_string();
        let said: Value = serde_json::from_str(body).unwrap_or_default();
        if status != "201" {
            self.evidence().written += &answer.body.to_string();
            return End::Ended(status, said["title"].as_str().unwrap_or_default().to_owned());
        }
        during::look(self);
        let evidence = &mut *self.evidence();
        let handed =
            evidence.passes.iter_mut().find(|known| said["temporaryAccessPass"] == known.pass.code.reveal());
        match handed {
            None => evidence.violated(1, "CreateTap answered with a code that nobody made".into()),
            Some(known) => {
                known.handed = true;
                // A person can be faster than the answer; no other run may.
                if matches!(known.gone, Some(Maker::Run(_))) {
                    evidence.violated(1, "CreateTap answered with the code of a pass that was gone".into());
                }
            }
        }
        End::Ended(status, "handed over".into())
    }

    /// One run of the flow, by a worker that may die.
    async fn run(
        &self,
        key: String,
        user: Uuid,
        reason: &str,
        delivery: u32,
        limit: Duration,
        work: impl Future<Output = End>,
    ) -> End {
        let crash = take(&self.crashes, user);
        let die = Arc::new(Notify::new());
        let id = {
            let mut evidence = self.evidence();
            evidence.runs.push(Run {
                key: key.clone(),
                user,
                reason: reason.to_owned(),
                reading: BTreeMap::new(),
                read_at: self.now(),
                record: None,
                record_read: 0,
                crash,
                calls: Vec::new(),
                die: die.clone(),
                leaseed_at: None,
                posted: 0,
                end: End::Open,
            });
            evidence.runs.len() - 1
        };
        let after = if let Some(Crash::After(after)) = crash { after } else { limit };
        let end = tokio::select! {
            biased;
            () = die.notified() => End::Died,
            end = RUN.scope(id, work) => end,
            () = sleep(after) => End::Died,
        };
        if end == End::Died && after == limit && !matches!(crash, Some(Crash::At { .. })) {
            self.evidence()
                .violated(6, format!("{key}: the platform had to end a run that went on for too long"));
        }
        self.evidence().runs[id].end = end.clone();
        let end_said = match &end {
            End::Ended(outcome, why) => format!("{outcome}: {why}"),
            _ => "the worker died".into(),
        };
        self.say(&format!("[{id}] {key}, delivery {delivery}: {end_said}"));
        during::look(self);
        during::after_run(self, id);
        end
    }
}

fn settings(plan: &Plan, group: Uuid) -> Settings {
    let house = &plan.house;
    let group = group.to_string();
    let env: Environment = [
        ("LEDGER_URL", "https://memory.invalid/ledger"),
        ("MAIL_FROM", SENDER),
        ("ALERT_TO", SERVICE_DESK),
        ("ON_DEMAND_GROUP_ID", &group),
        ("TIME_ZONE", DEFAULT_ZONE),
        ("PASS_START", if house.start_now { "now" } else { "day-one" }),
        ("PASS_ONE_TIME", if house.one_time { "true" } else { "false" }),
        ("SERVE_DISABLED", if house.serve_disabled { "true" } else { "false" }),
    ]
    .into_iter()
    .collect();
    Settings::read(&env).unwrap_or_else(|report| panic!("{report}"))
}

fn take<T: Copy>(from: &Mutex<Vec<(Uuid, T)>>, user: Uuid) -> Option<T> {
    let mut waiting = from.lock().unwrap();
    let at = waiting.iter().position(|(for_user, _)| *for_user == user)?;
    Some(waiting.remove(at).1)
}

fn field(message: &str, name: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    message[name].as_str().unwrap_or_default().to_owned()
}

fn user_of(message: &str) -> Uuid {
    field(message, "userId").parse().unwrap_or_default()
}
