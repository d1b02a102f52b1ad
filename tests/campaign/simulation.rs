//! The environment of one scenario: the real App, the simulated tenant, a ledger in memory, and the simulated Functions
//! host with its timer and its queue ([`crate::queue`]).

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
    app::App,
    environment::Environment,
    host,
    ledger::{Ledger, memory::MemoryLedger},
    settings::Settings,
};
use firstpass_sandbox::{
    functions_host::local_host::LocalHost,
    tenant::{
        DELIVERY_KEY, DELIVERY_URL, Person, Sandbox,
        samples::{SENDER, SERVICE_DESK},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until, timeout},
};
use uuid::Uuid;

use crate::{
    checks::oracle::{day_one_of, is_past},
    http_recorder::RecordingClient,
    ledger::FaultyLedger,
    personas::{DEFAULT_ZONE, OFFICE_ZONE, START_TIME, build_tenant},
    scenario::{Crash, Delivery, HireDates, PersonaIndex, QueueFault, Scenario, Told},
    trace::{SharedTrace, Trace},
};

/// `functionTimeout` in host.json: the host ends the process after this time.
pub const FUNCTION_TIMEOUT: Duration = Duration::from_secs(600);
/// `maxRetryCount` in SweepJoiners/function.json.
const SWEEP_RETRIES: u32 = 5;

pub struct Simulation {
    pub scenario: Scenario,
    pub sandbox: Sandbox,
    pub ledger: Arc<FaultyLedger<MemoryLedger>>,
    pub shared_trace: SharedTrace,
    pub group: Uuid,
    /// The current object id of each persona.
    pub ids: Mutex<Vec<Uuid>>,
    /// The object ids of accounts that were recreated.
    pub earlier_ids: Mutex<Vec<(PersonaIndex, Uuid)>>,
    /// Crashes and queue faults that wait for a user's next job.
    pub crashes: Mutex<Vec<(Uuid, Crash)>>,
    pub queue_faults: Mutex<Vec<(Uuid, QueueFault)>>,
    /// The addresses that each user has had since the start, besides the first.
    pub addresses: Mutex<BTreeSet<(Uuid, String)>>,
    /// Passes that somebody has signed in with.
    pub used: Mutex<BTreeMap<Uuid, DateTime<Utc>>>,
    pub host: LocalHost,
    pub workers: Semaphore,
    running_tasks: AtomicUsize,
    log: Log,
    start: Instant,
}

/// A mail, or a request to the endpoint that delivers codes.
pub struct Sent {
    /// The mail addresses; of a request, the one that it names.
    pub to: Vec<String>,
    /// The HTML.
    pub content: String,
}

/// Collects the product's log.
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

impl Simulation {
    /// Builds the environment. Needs a tokio runtime, whose clock it uses.
    pub fn start(scenario: Scenario, log: Log, verbose: bool) -> Arc<Self> {
        let now: DateTime<Utc> = START_TIME.parse().unwrap();
        let (tenant, ids, group) = build_tenant(&scenario, now);
        let sandbox = Sandbox::new(tenant, now);
        let trace = SharedTrace::default();
        let ledger = Arc::new(FaultyLedger {
            inner: MemoryLedger::default(),
            trace: trace.clone(),
            sandbox: sandbox.clone(),
            armed: Mutex::default(),
            verbose,
        });
        let client = RecordingClient {
            inner: sandbox.transport(),
            sandbox: sandbox.clone(),
            trace: trace.clone(),
            verbose,
        };
        let settings = settings(&scenario, group);
        let app = App::new(settings, Arc::new(client), sandbox.credential(), ledger.clone(), sandbox.clock());
        let mut app = app.unwrap();
        app.services.salt = Uuid::nil();
        let host = LocalHost::new(host::router(Ok(Arc::new(app))), sandbox.clock());
        Arc::new(Self {
            workers: Semaphore::new(scenario.config.workers),
            scenario,
            sandbox,
            ledger,
            shared_trace: trace,
            group,
            ids: Mutex::new(ids),
            earlier_ids: Mutex::default(),
            crashes: Mutex::default(),
            queue_faults: Mutex::default(),
            addresses: Mutex::default(),
            used: Mutex::default(),
            host,
            running_tasks: AtomicUsize::new(0),
            log,
            start: Instant::now(),
        })
    }

    pub fn trace(&self) -> MutexGuard<'_, Trace> {
        self.shared_trace.lock()
    }

    pub fn log(&self) -> String {
        self.log.text()
    }

    /// All mails, and all requests to the endpoint that delivers codes.
    pub fn sent(&self) -> Vec<Sent> {
        let mails = self.sandbox.mails().into_iter().map(|mail| Sent {
            to: mail.to().into_iter().map(str::to_owned).collect(),
            content: mail.content().to_owned(),
        });
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let requests = self.sandbox.webhooks().into_iter().map(|call| Sent {
            to: call.body["to"].as_str().map(str::to_owned).into_iter().collect(),
            content: text(&call.body["mail"]["html"]),
        });
        mails.chain(requests).collect()
    }

    /// The accounts of a persona, those of before included.
    pub fn users_of(&self, persona: PersonaIndex) -> Vec<Uuid> {
        let now = self.user_id(persona);
        let before = self.earlier_ids.lock().unwrap();
        let before = before.iter().filter(|(of, _)| *of == persona).map(|(_, id)| *id);
        std::iter::once(now).chain(before).collect()
    }

    /// Whether a code can get to this person.
    pub fn can_be_reached(&self, person: &Person) -> bool {
        match self.scenario.config.delivery {
            Delivery::Mail => !person.other_mails.is_empty(),
            Delivery::Split => person.manager.is_some(),
            Delivery::Webhook => true,
        }
    }

    /// The current object id of a persona.
    pub fn user_id(&self, persona: PersonaIndex) -> Uuid {
        self.ids.lock().unwrap()[persona]
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.sandbox.now()
    }

    pub fn add_line(&self, line: &str) {
        self.trace().add_line(&self.sandbox, line);
    }

    /// Waits until this much time has passed since the start of the scenario.
    pub async fn sleep_until(&self, at: Duration) {
        sleep_until(self.start + at).await;
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Runs a task that [`Simulation::wait_for_tasks`] waits for.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.running_tasks.fetch_add(1, Ordering::SeqCst);
        let sim = self.clone();
        tokio::spawn(async move {
            task.await;
            sim.running_tasks.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Waits until the queue is empty and no task runs, or an invariant is violated.
    pub async fn wait_for_tasks(&self) {
        while self.running_tasks.load(Ordering::SeqCst) > 0 && self.trace().violations.is_empty() {
            sleep(Duration::from_secs(20)).await;
        }
    }

    /// The timer starts a sweep; the host retries it when it fails.
    pub async fn sweep(self: Arc<Self>) {
        let started = self.who_has_started();
        for retry in 0..=SWEEP_RETRIES {
            let context = json!({"RetryCount": retry, "MaxRetryCount": SWEEP_RETRIES});
            let invocation = json!({"Data": {"timer": {}}, "Metadata": {"RetryContext": context}});
            let work = self.host.post("SweepJoiners", invocation.to_string());
            let Ok(answer) = timeout(FUNCTION_TIMEOUT, work).await else {
                self.trace().violated(6, "a sweep ran longer than functionTimeout".into());
                return;
            };
            self.trace().output += &answer.body.to_string();
            self.add_line(&format!("sweep: {}", answer.log()));
            if answer.is_success() {
                self.trace().first_sweep.get_or_insert(self.now());
                self.note_first_sweep(started).await;
                for message in answer.jobs() {
                    self.enqueue(message);
                }
                return;
            }
            if retry < SWEEP_RETRIES {
                sleep(Duration::from_secs(60 << retry)).await;
            }
        }
        self.trace().failed_sweeps += 1;
    }
}

impl Simulation {
    /// The users whose first day is past.
    fn who_has_started(&self) -> BTreeSet<Uuid> {
        let (now, config) = (self.now(), &self.scenario.config);
        let has_started =
            |person: &&Person| day_one_of(person, config).is_some_and(|(day, zone)| is_past(day, zone, now));
        self.sandbox
            .edit(|tenant| tenant.users.values().filter(has_started).map(|person| person.id).collect())
    }

    /// Notes whom the first sweep that ended well serves never. They may change while it runs.
    async fn note_first_sweep(&self, before: BTreeSet<Uuid>) {
        let conditions = self.ledger.inner.conditions().await.unwrap();
        let has_ended_well = conditions.is_some_and(|(conditions, _)| conditions.last_sweep.is_some());
        if has_ended_well {
            let started = before.into_iter().chain(self.who_has_started()).collect();
            self.trace().started_before.get_or_insert(started);
        }
    }
}

fn settings(scenario: &Scenario, group: Uuid) -> Settings {
    let config = &scenario.config;
    let (group, mails) = (group.to_string(), config.mails_per_minute.to_string());
    let env: Environment = [
        ("LEDGER_URL", "https://localhost/memory"),
        ("MAIL_FROM", SENDER),
        ("ALERT_TO", SERVICE_DESK),
        ("ON_DEMAND_GROUP_ID", &group),
        ("TIME_ZONE", DEFAULT_ZONE),
        (
            "HIRE_DATE_ZONE",
            match config.hire_dates {
                HireDates::Midnight => "joiner",
                HireDates::Noon => "UTC",
                HireDates::Office => OFFICE_ZONE,
            },
        ),
        ("PASS_START", if config.pass_starts_now { "now" } else { "day-one" }),
        ("PASS_ONE_TIME", if config.one_time { "true" } else { "false" }),
        ("CREATE_TAP_OPEN", "true"),
        (
            "DELIVERY",
            match config.delivery {
                Delivery::Mail => "mail",
                Delivery::Split => "split",
                Delivery::Webhook => "webhook",
            },
        ),
        ("DELIVERY_WEBHOOK_URL", DELIVERY_URL),
        ("DELIVERY_WEBHOOK_KEY", DELIVERY_KEY),
        ("MAIL_CC_CODE", if config.told == Told::Copy { "true" } else { "false" }),
        ("MAILS_PER_MINUTE", &mails),
        ("SERVE_DISABLED", if config.serve_disabled { "true" } else { "false" }),
    ]
    .into_iter()
    .collect();
    Settings::read(&env).unwrap_or_else(|report| panic!("{report}"))
}
