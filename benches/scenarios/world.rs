//! A tenant, a ledger, a storage account and any number of hosts, in virtual time.
//!
//! As on Flex Consumption, the timer has a process of its own, and each instance of the queue's function has one.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    app::App,
    environment::Environment,
    host,
    ledger::{Ledger, memory::MemoryLedger},
    queue::{JOBS, POISON},
    settings::Settings,
};
use firstpass_sandbox::{
    functions_host::{self, Cause, Disposition, Embedded, FunctionApp, FunctionsHost, Invocation, Storage},
    serve::product_environment,
    tenant::{
        Person, Sandbox, SendLimits, Tenant,
        samples::{SENDER, SERVICE_DESK},
    },
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    alerts,
    meter::Meter,
    traffic::{LATENCY, Network, Traffic},
};

/// A Sunday, a minute before the first sweep.
pub const NOW: &str = "2026-11-22T04:59:00Z";
const HOURLY: &str = "0 0 * * * *";

/// Of a mailbox that sends as many mails as it is asked to.
pub const NO_LIMITS: SendLimits = SendLimits { messages_per_minute: None, recipients_per_day: None };

/// What a scenario is about.
pub struct Setup {
    /// The joiners and everybody else.
    pub tenant: Tenant,
    /// The records.
    pub ledger: Arc<dyn Ledger>,
    /// The instances of the queue's function.
    pub instances: usize,
    /// The messages that each of them processes at a time.
    pub workers: usize,
    /// How long it takes for one.
    pub mail_takes: Duration,
    /// The schedule of the sweep.
    pub schedule: &'static str,
    /// Settings of the product.
    pub settings: Vec<(&'static str, String)>,
    /// What counts the requests.
    pub traffic: Traffic,
}

impl Setup {
    /// One instance as host.json configures it, hourly sweeps, and a mailbox that Exchange would allow 30 mails a minute.
    pub fn new(tenant: Tenant) -> Self {
        Self {
            tenant,
            ledger: Arc::new(MemoryLedger::default()),
            instances: 1,
            workers: 6,
            mail_takes: Duration::from_millis(600),
            schedule: HOURLY,
            settings: vec![("SWEEP_MAX", "100000".to_owned()), ("ALERT_TO", SERVICE_DESK.to_owned())],
            traffic: Traffic::default(),
        }
    }

    /// The same with a mailbox that sends as many mails as it is asked to, which the product is told.
    pub fn without_limits(mut self) -> Self {
        self.tenant.send_limits = NO_LIMITS;
        self.settings.push(("MAILS_PER_MINUTE", "100000".to_owned()));
        self
    }

    fn product(&self) -> Environment {
        let set: Environment = self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        product_environment(&set)
    }

    /// host.json and the functions, without `disabled` ones. Of the messages at a time, a third is the threshold, as there.
    fn function_app(&self, disabled: &[&str]) -> FunctionApp {
        let threshold = if self.workers > 1 { self.workers.div_ceil(3) } else { 0 };
        let batch = self.workers - threshold;
        let queues = "AzureFunctionsJobHost__extensions__queues";
        let mut settings: Vec<(String, String)> = vec![
            ("AzureWebJobsStorage".into(), "UseDevelopmentStorage=true".into()),
            ("SWEEP_SCHEDULE".into(), self.schedule.into()),
            (format!("{queues}__batchSize"), batch.to_string()),
            (format!("{queues}__newBatchThreshold"), threshold.to_string()),
        ];
        settings.extend(disabled.iter().map(|name| (format!("AzureWebJobs.{name}.Disabled"), "true".into())));
        let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        FunctionApp::embedded(&settings).unwrap_or_else(|problems| panic!("{problems}"))
    }
}

/// What the hosts saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// When the first sweep had ended well: its jobs are in the queue.
    pub queued_at: Option<DateTime<Utc>>,
    /// Deliveries of messages.
    pub deliveries: usize,
    /// Deliveries that failed.
    pub failed: usize,
    /// Messages that became poison.
    pub poisoned: usize,
}

impl Tally {
    fn add(&mut self, invocation: &Invocation) {
        match &invocation.cause {
            Cause::Queue { disposition, .. } => {
                self.deliveries += 1;
                self.failed += usize::from(*disposition != Disposition::Done);
                self.poisoned += usize::from(*disposition == Disposition::Poison);
            }
            _ if invocation.is_success() => {
                let took = TimeDelta::from_std(invocation.took).unwrap_or_default();
                self.queued_at.get_or_insert(invocation.started + took);
            }
            _ => {}
        }
    }
}

/// A running scenario.
pub struct World {
    /// The tenant.
    pub sandbox: Sandbox,
    /// The queues.
    pub storage: Storage,
    /// The requests.
    pub traffic: Traffic,
    /// What the product uses.
    pub meter: Meter,
    /// The lines that tell an admin to act.
    pub alert_lines: alerts::Lines,
    timer: FunctionsHost,
    _workers: Vec<FunctionsHost>,
    tally: Arc<Mutex<Tally>>,
}

impl World {
    /// Starts the hosts.
    pub fn start(mut setup: Setup) -> Self {
        let tenant = std::mem::replace(&mut setup.tenant, Tenant::new(0));
        let sandbox = Sandbox::new(tenant, NOW.parse().unwrap());
        let storage = Storage::new(sandbox.clock());
        let network = Arc::new(Network::new(&sandbox, &setup.traffic, setup.mail_takes));
        sandbox.edit(|tenant| tenant.latency = LATENCY);
        let (meter, tally) = (Meter::default(), Arc::new(Mutex::new(Tally::default())));
        let host = |number: usize, disabled: &[&str]| {
            let settings = Settings::read(&setup.product()).unwrap_or_else(|report| panic!("{report}"));
            let app = App::new(
                settings,
                network.clone(),
                sandbox.credential(),
                setup.ledger.clone(),
                sandbox.clock(),
            );
            let mut app = app.unwrap().with_queues(functions_host::queues(&storage));
            // The starts of passes are random, and the same in every run.
            app.services.salt = Uuid::from_u128(number as u128);
            let worker = Embedded::new(meter.product(host::router(Ok(Arc::new(app)))));
            let host = FunctionsHost::start(setup.function_app(disabled), Arc::new(worker), storage.clone());
            let tally = tally.clone();
            host.log().observe(move |invocation| tally.lock().unwrap().add(invocation));
            host
        };
        let timer = host(0, &["OnGroupAdd", "CreateTap"]);
        let workers = (1..=setup.instances).map(|number| host(number, &["SweepJoiners"])).collect();
        let (traffic, alert_lines) = (setup.traffic.clone(), alerts::Lines::default());
        Self { sandbox, storage, traffic, meter, alert_lines, timer, _workers: workers, tally }
    }

    /// Runs a sweep now.
    pub async fn sweep(&self) {
        let ran = self.timer.run("SweepJoiners").await.unwrap();
        assert!(ran.is_success(), "{:?}", ran.result);
    }

    /// What the hosts have seen.
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap()
    }

    /// The messages in the queue, without those that are hidden for long: the wake-ups for alerts.
    pub fn queue_length(&self) -> usize {
        let soon = self.sandbox.now() + TimeDelta::minutes(30);
        self.storage.messages(JOBS).iter().filter(|message| message.visible < soon).count()
    }

    /// The messages in the poison queue.
    pub fn poison_length(&self) -> usize {
        self.storage.messages(POISON).len()
    }

    /// Waits until `is_over`, or for so long at most.
    pub async fn wait_until(&self, most: TimeDelta, is_over: impl Fn(&Self) -> bool) {
        let end = self.sandbox.now() + most;
        while !is_over(self) && self.sandbox.now() < end {
            sleep(Duration::from_secs(60)).await;
        }
    }
}

/// A tenant with so many joiners who start on `day`, each with a private address, and their managers.
pub fn tenant(joiners: usize, day: &str) -> (Tenant, Vec<Uuid>) {
    const TEAM: usize = 12;
    let day: DateTime<Utc> = format!("{day}T00:00:00Z").parse().unwrap();
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Contoso Welcome").user_principal_name(SENDER));
    tenant.add_mailbox(Person::named("Contoso Service Desk").user_principal_name(SERVICE_DESK));
    let mut manager = Uuid::nil();
    let ids = (0..joiners).map(|number| {
        if number % TEAM == 0 {
            manager = tenant.add_mailbox(Person::named(&format!("Manager{} Lee", number / TEAM)));
        }
        let person = Person::named(&format!("Joiner{number} Smith"));
        let person = person.usage_location("GB").hire_date(day).manager(manager);
        tenant.add(person.private_mail(&address(number)))
    });
    let ids = ids.collect();
    (tenant, ids)
}

/// The private address of a joiner.
pub fn address(number: usize) -> String {
    format!("joiner{number}@mail.example")
}
