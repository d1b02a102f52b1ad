//! What the host gave up: the next sweep tells a person, once, and what is put back is done.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::TimeDelta;
use firstpass::{
    app::App,
    environment::Environment,
    host,
    pass::Job,
    queue::{JOBS, POISON, PoisonAction, Queue, QueueError, QueueMessage, Queues, Received},
    telemetry,
};
use firstpass_sandbox::{
    functions_host::{Embedded, FunctionApp, FunctionsHost, Storage, local_host::LocalHost, queue::encoded},
    tenant::Fault,
};
use serde_json::Value;
use tracing::instrument::WithSubscriber;
use uuid::Uuid;

use crate::{
    helpers::{World, refuse, tenant_with_emma, time},
    leaks::Captured,
};

/// A tenant with one joiner, and a host whose storage account the app looks into.
struct Setup {
    world: World,
    storage: Storage,
    host: FunctionsHost,
    emma: Uuid,
}

impl Setup {
    fn new() -> Self {
        let (tenant, emma) = tenant_with_emma();
        let world = World::new(tenant, &[]);
        let storage = Storage::new(world.sandbox.clock());
        let app = app(&world).with_queues(firstpass_sandbox::functions_host::queues(&storage));
        let worker = Arc::new(Embedded::new(host::router(Ok(Arc::new(app)))));
        let settings =
            [("AzureWebJobsStorage", "UseDevelopmentStorage=true"), ("SWEEP_SCHEDULE", "0 0 4 * * *")];
        let config = FunctionApp::embedded(&settings.into_iter().collect()).unwrap();
        let host = FunctionsHost::start(config, worker, storage.clone());
        Self { world, storage, host, emma }
    }

    /// A sweep, and all that follows from it.
    async fn sweep(&self) {
        let ran = self.host.run("SweepJoiners").await.unwrap();
        assert!(ran.is_success(), "{ran:?}");
        self.storage.drained(JOBS).await;
    }

    fn later(&self, by: TimeDelta) {
        self.world.later(by);
        self.storage.clock_was_set();
    }

    /// The alerts that speak of messages.
    fn alerts_about_poison(&self) -> Vec<Value> {
        let mut alerts = self.world.alerts();
        alerts.retain(|alert| alert["subject"].as_str().unwrap().contains("given up"));
        alerts
    }
}

/// The same app as the world's, in two pieces.
fn app(world: &World) -> App {
    let (settings, sandbox) = (world.app.services.settings.clone(), &world.sandbox);
    App::new(
        settings,
        sandbox.transport(),
        sandbox.credential(),
        world.app.services.ledger.clone(),
        sandbox.clock(),
    )
    .unwrap()
}

fn body(alert: &Value) -> &str {
    alert["body"]["content"].as_str().unwrap()
}

const JUNK: &str = "{\"secret\": \"of somebody else\"}";

#[tokio::test(start_paused = true)]
async fn the_next_sweep_tells_once_of_all_that_was_given_up() {
    let setup = Setup::new();
    setup.world.sandbox.inject(Fault::on("POST", "sendMail", refuse(500)).times(15));
    setup.sweep().await;
    assert_eq!(setup.storage.messages(POISON).len(), 1, "five times in vain");
    setup.world.sandbox.clear_faults();
    setup.storage.put(POISON, encoded(JUNK)).unwrap();
    setup.storage.put(POISON, "not base64: of somebody else".into()).unwrap();
    let before = setup.alerts_about_poison().len();
    setup.host.run("SweepJoiners").await.unwrap();
    let told = setup.alerts_about_poison();
    assert_eq!(told.len(), before + 1, "one for all of them");
    let alert = told.last().unwrap();
    assert!(alert["subject"].as_str().unwrap().contains("3 messages were given up"), "{alert}");
    for words in [
        "emma.brooks@",
        "2 messages that name no user",
        "the oldest since 2026-11-22 05:",
        "firstpass jobs requeue --all",
        "pass-jobs-poison",
    ] {
        assert!(body(alert).contains(words), "{words}: {}", body(alert));
    }
    assert!(!alert.to_string().contains("of somebody else"), "the text of a message stays out of it");
}

#[tokio::test(start_paused = true)]
async fn nothing_given_up_is_not_worth_a_word() {
    let setup = Setup::new();
    setup.sweep().await;
    assert_eq!(setup.world.alerts().len(), 0);
    setup.world.assert_newest_mail_opens(setup.emma);
}

#[tokio::test(start_paused = true)]
async fn who_was_served_since_is_said_to_be_and_nobody_is_called_for_them_alone() {
    let setup = Setup::new();
    let job = Job::joiner(setup.emma, time("2026-11-27T00:00:00Z").date_naive());
    setup.storage.put(POISON, encoded(&job.to_message())).unwrap();
    setup.later(TimeDelta::hours(1));
    // It looks before the job is done that it queues itself.
    setup.sweep().await;
    assert_eq!(setup.alerts_about_poison().len(), 1);
    assert!(
        !body(&setup.alerts_about_poison()[0]).contains("Served"),
        "{}",
        body(&setup.alerts_about_poison()[0])
    );
    setup.world.assert_newest_mail_opens(setup.emma);
    setup.later(TimeDelta::days(1));
    setup.sweep().await;
    assert_eq!(setup.alerts_about_poison().len(), 1, "she has her pass");
    setup.storage.put(POISON, encoded(JUNK)).unwrap();
    setup.sweep().await;
    let told = setup.alerts_about_poison();
    assert_eq!(told.len(), 2);
    for words in ["a message that names no user", "Served by a later job: emma.brooks@"] {
        assert!(body(&told[1]).contains(words), "{words}: {}", body(&told[1]));
    }
    // A job that was given up after the pass had gone out is not done by it.
    setup.storage.put(POISON, encoded(&job.to_message())).unwrap();
    setup.sweep().await;
    assert!(
        !body(&setup.alerts_about_poison()[2]).contains("Served"),
        "{}",
        body(&setup.alerts_about_poison()[2])
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_is_done() {
    let setup = Setup::new();
    let day_one = time("2026-11-27T00:00:00Z").date_naive();
    setup.storage.put(POISON, encoded(&Job::joiner(setup.emma, day_one).to_message())).unwrap();
    let completed = firstpass_sandbox::functions_host::queues(&setup.storage)
        .resolve(|_| true, PoisonAction::Requeue)
        .await;
    assert_eq!((completed.done.len(), completed.error), (1, None));
    setup.storage.drained(JOBS).await;
    setup.world.assert_newest_mail_opens(setup.emma);
    setup.sweep().await;
    assert_eq!((setup.world.pass_mails().len(), setup.world.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn more_than_the_service_shows_are_counted() {
    let setup = Setup::new();
    for _ in 0..40 {
        setup.storage.put(POISON, encoded(JUNK)).unwrap();
    }
    setup.sweep().await;
    let told = setup.alerts_about_poison();
    assert!(told[0]["subject"].as_str().unwrap().contains("40 messages were given up"), "{told:?}");
    assert!(body(&told[0]).contains("32 messages that name no user, 8 more messages"), "{}", body(&told[0]));
}

#[tokio::test(start_paused = true)]
async fn without_names_and_ledger_the_object_id_says_who() {
    let setup = Setup::new();
    let gone = Uuid::from_u128(7);
    let job = Job::joiner(gone, time("2026-11-27T00:00:00Z").date_naive());
    setup.storage.put(POISON, encoded(&job.to_message())).unwrap();
    setup.storage.put(POISON, encoded("emma.brooks@nowhere.example")).unwrap();
    setup.sweep().await;
    let told = setup.alerts_about_poison();
    assert!(body(&told[0]).contains(&format!("{gone}, emma.brooks@nowhere.example")), "{}", body(&told[0]));
}

/// A queue that nobody may use.
#[derive(Debug)]
struct Closed;

const CLOSED: &str = "403: whoever signs in here needs the role Storage Queue Data Contributor";

#[async_trait]
impl Queue for Closed {
    async fn peek(&self) -> Result<Vec<QueueMessage>, QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
    async fn count(&self) -> Result<usize, QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
    async fn receive(&self, _hidden: Duration) -> Result<Vec<Received>, QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
    async fn put(&self, _text: &str) -> Result<(), QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
    async fn delete(&self, _message: &Received) -> Result<(), QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
    async fn release(&self, _message: &Received) -> Result<(), QueueError> {
        Err(QueueError::Refused(CLOSED.into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_read_is_a_line_in_the_log_and_the_sweep_goes_on() {
    let queues = || Queues { jobs: Arc::new(Closed), poison: Arc::new(Closed) };
    for (queues, words) in [(Some(queues()), CLOSED), (None, "no AzureWebJobsStorage")] {
        let (world, _) = World::with_emma();
        let app = app(&world);
        let app = match queues {
            Some(queues) => app.with_queues(queues),
            None => app,
        };
        let log = Captured::default();
        let subscriber = telemetry::subscriber(&Environment::default(), log.clone());
        let host = LocalHost::new(host::router(Ok(Arc::new(app))), world.sandbox.clock());
        let swept = host.fire_timer().with_subscriber(subscriber).await;
        assert_eq!((swept.is_success(), swept.jobs().len(), world.alerts().len()), (true, 1, 0));
        let log = log.text();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("event=poison.")).collect();
        assert!(lines.len() == 1 && lines[0].contains(words), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_text_of_a_message_is_logged() {
    let (world, _) = World::with_emma();
    let storage = Storage::new(world.sandbox.clock());
    storage.put(POISON, encoded(JUNK)).unwrap();
    let app = app(&world).with_queues(firstpass_sandbox::functions_host::queues(&storage));
    let log = Captured::default();
    let trace = Environment::from_iter([("RUST_LOG", "firstpass=trace")]);
    let host = LocalHost::new(host::router(Ok(Arc::new(app))), world.sandbox.clock());
    host.fire_timer().with_subscriber(telemetry::subscriber(&trace, log.clone())).await;
    let log = log.text();
    assert!(log.contains("event=poison.found") && log.contains("messages=1"), "{log}");
    assert!(!log.contains("somebody else") && !log.contains(&encoded(JUNK)), "{log}");
}
