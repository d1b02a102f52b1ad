//! Poison messages: the next sweep alerts once, and requeued messages are processed.

use std::sync::Arc;

use chrono::TimeDelta;
use firstpass::{
    app::App,
    host,
    pass::Job,
    queue::{JOBS, POISON, PoisonAction, QueueError, Queues},
};
use firstpass_sandbox::{
    functions_host::{
        Embedded, FunctionApp, FunctionsHost, MemoryQueue, Storage, encode_base64, local_host::LocalHost,
    },
    tenant::{Fault, Person},
};
use serde_json::Value;
use uuid::Uuid;

use super::faulty_queue::FaultyQueue;
use crate::helpers::{TestApp, fail_with, log_capture::capture_log, tenant_with_emma, time};

/// A tenant with one joiner, and a host whose storage account is known to the app.
struct Setup {
    app: TestApp,
    storage: Storage,
    host: FunctionsHost,
    emma: Uuid,
}

impl Setup {
    fn new() -> Self {
        let (tenant, emma) = tenant_with_emma();
        let app = TestApp::new(tenant, &[]);
        let storage = Storage::new(app.sandbox.clock());
        let product = product(&app).with_queues(firstpass_sandbox::functions_host::queues(&storage));
        let worker = Arc::new(Embedded::new(host::router(Ok(Arc::new(product)))));
        let settings =
            [("AzureWebJobsStorage", "UseDevelopmentStorage=true"), ("SWEEP_SCHEDULE", "0 0 4 * * *")];
        let config = FunctionApp::embedded(&settings.into_iter().collect()).unwrap();
        let host = FunctionsHost::start(config, worker, storage.clone());
        Self { app, storage, host, emma }
    }

    /// Runs a sweep and all its jobs.
    async fn sweep(&self) {
        let invocation = self.host.run("SweepJoiners").await.unwrap();
        assert!(invocation.is_success(), "{invocation:?}");
        self.storage.wait_until_empty(JOBS).await;
    }

    fn advance(&self, by: TimeDelta) {
        self.app.advance(by);
        self.storage.notify_clock_changed();
    }

    /// The alerts about poison messages.
    fn poison_alerts(&self) -> Vec<Value> {
        let mut alerts = self.app.alerts();
        alerts.retain(|alert| alert["subject"].as_str().unwrap().contains("in the poison queue"));
        alerts
    }
}

/// An app with the settings, tenant and ledger of `app`, to which queues can be added.
fn product(app: &TestApp) -> App {
    let (settings, sandbox) = (app.app.services.settings.clone(), &app.sandbox);
    App::new(
        settings,
        sandbox.transport(),
        sandbox.credential(),
        app.app.services.ledger.clone(),
        sandbox.clock(),
    )
    .unwrap()
}

fn body(alert: &Value) -> &str {
    alert["body"]["content"].as_str().unwrap()
}

const JUNK: &str = "{\"secret\": \"of another user\"}";

#[tokio::test(start_paused = true)]
async fn the_next_sweep_sends_one_alert_for_all_poison_messages() {
    let setup = Setup::new();
    setup.app.sandbox.inject(Fault::on("POST", "sendMail", fail_with(400)).times(10));
    setup.sweep().await;
    assert_eq!(setup.storage.messages(POISON).len(), 1, "ten deliveries failed");
    setup.app.sandbox.clear_faults();
    setup.storage.put(POISON, encode_base64(JUNK)).unwrap();
    setup.storage.put(POISON, "not base64: of another user".into()).unwrap();
    let before = setup.poison_alerts().len();
    setup.host.run("SweepJoiners").await.unwrap();
    let alerts = setup.poison_alerts();
    assert_eq!(alerts.len(), before + 1, "one alert for all messages");
    let alert = alerts.last().unwrap();
    assert!(alert["subject"].as_str().unwrap().contains("3 messages are in the poison queue"), "{alert}");
    for words in [
        "emma.brooks@",
        "2 messages that name no user",
        "the oldest since 2026-11-22 05:",
        "firstpass jobs requeue --all",
        "pass-jobs-poison",
    ] {
        assert!(body(alert).contains(words), "{words}: {}", body(alert));
    }
    assert!(!alert.to_string().contains("of another user"), "the alert contains the text of a message");
}

#[tokio::test(start_paused = true)]
async fn an_empty_poison_queue_sends_no_alert() {
    let setup = Setup::new();
    setup.sweep().await;
    assert_eq!(setup.app.alerts().len(), 0);
    setup.app.assert_newest_mail_has_live_code(setup.emma);
}

#[tokio::test(start_paused = true)]
async fn users_served_since_are_listed_but_cause_no_alert() {
    let setup = Setup::new();
    let job = Job::joiner(setup.emma, time("2026-11-27T00:00:00Z").date_naive());
    setup.storage.put(POISON, encode_base64(&job.to_message())).unwrap();
    setup.advance(TimeDelta::hours(1));
    // The sweep looks at the queue before its own job is done.
    setup.sweep().await;
    assert_eq!(setup.poison_alerts().len(), 1);
    assert!(!body(&setup.poison_alerts()[0]).contains("Served"), "{}", body(&setup.poison_alerts()[0]));
    setup.app.assert_newest_mail_has_live_code(setup.emma);
    setup.advance(TimeDelta::days(1));
    setup.sweep().await;
    assert_eq!(setup.poison_alerts().len(), 1, "the user has a pass by now");
    setup.storage.put(POISON, encode_base64(JUNK)).unwrap();
    setup.sweep().await;
    let alerts = setup.poison_alerts();
    assert_eq!(alerts.len(), 2);
    for words in ["a message that names no user", "Served by a later job: emma.brooks@"] {
        assert!(body(&alerts[1]).contains(words), "{words}: {}", body(&alerts[1]));
    }
    // The pass was delivered before this job failed, so it does not count.
    setup.storage.put(POISON, encode_base64(&job.to_message())).unwrap();
    setup.sweep().await;
    assert_eq!(setup.poison_alerts().len(), 2, "not again within 20 hours");
    setup.advance(TimeDelta::hours(20));
    setup.sweep().await;
    assert!(!body(&setup.poison_alerts()[2]).contains("Served"), "{}", body(&setup.poison_alerts()[2]));
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_is_processed() {
    let setup = Setup::new();
    let day_one = time("2026-11-27T00:00:00Z").date_naive();
    setup.storage.put(POISON, encode_base64(&Job::joiner(setup.emma, day_one).to_message())).unwrap();
    let completed = firstpass_sandbox::functions_host::queues(&setup.storage)
        .resolve(|_| true, PoisonAction::Requeue)
        .await;
    assert_eq!((completed.done.len(), completed.error), (1, None));
    setup.storage.wait_until_empty(JOBS).await;
    setup.app.assert_newest_mail_has_live_code(setup.emma);
    setup.sweep().await;
    assert_eq!((setup.app.pass_mails().len(), setup.app.alerts().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_beyond_the_peek_limit_are_counted() {
    let setup = Setup::new();
    for _ in 0..40 {
        setup.storage.put(POISON, encode_base64(JUNK)).unwrap();
    }
    setup.sweep().await;
    let alerts = setup.poison_alerts();
    assert!(
        alerts[0]["subject"].as_str().unwrap().contains("40 messages are in the poison queue"),
        "{alerts:?}"
    );
    assert!(
        body(&alerts[0]).contains("32 messages that name no user, 8 more messages"),
        "{}",
        body(&alerts[0])
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_record_is_identified_by_the_message() {
    let setup = Setup::new();
    let unknown = Uuid::from_u128(7);
    let job = Job::joiner(unknown, time("2026-11-27T00:00:00Z").date_naive());
    setup.storage.put(POISON, encode_base64(&job.to_message())).unwrap();
    setup.storage.put(POISON, encode_base64("emma.brooks@nowhere.example")).unwrap();
    let gone = setup.app.sandbox.edit(|tenant| {
        let gone = tenant.add(Person::named("Noah Left"));
        tenant.delete(gone);
        gone
    });
    let job = Job::joiner(gone, time("2026-11-27T00:00:00Z").date_naive());
    setup.storage.put(POISON, encode_base64(&job.to_message())).unwrap();
    setup.sweep().await;
    let alerts = setup.poison_alerts();
    for words in [&format!("{unknown},"), "noah.left@contoso.example (deleted)", "e…@nowhere.example"] {
        assert!(body(&alerts[0]).contains(words), "{words}: {}", body(&alerts[0]));
    }
}

const FORBIDDEN: &str = "403: the identity needs the role Storage Queue Data Contributor";

#[tokio::test(start_paused = true)]
async fn an_unreadable_poison_queue_is_logged_and_the_sweep_continues() {
    for (has_queues, words) in [(true, FORBIDDEN), (false, "AzureWebJobsStorage does not say")] {
        let (app, _) = TestApp::with_emma();
        let storage = Storage::new(app.sandbox.clock());
        let forbidden = |name| {
            let inner = Arc::new(MemoryQueue::new(&storage, name));
            FaultyQueue::with_fault(inner, |_| Err(QueueError::Unavailable(FORBIDDEN.into())))
        };
        let product = match has_queues {
            true => product(&app).with_queues(Queues { jobs: forbidden(JOBS), poison: forbidden(POISON) }),
            false => product(&app),
        };
        let host = LocalHost::new(host::router(Ok(Arc::new(product))), app.sandbox.clock());
        let (answer, log) = capture_log("info", host.fire_timer()).await;
        assert_eq!((answer.is_success(), answer.jobs().len(), app.alerts().len()), (true, 1, 0));
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("event=poison.")).collect();
        assert!(lines.len() == 1 && lines[0].contains(words), "{lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn message_text_is_not_logged() {
    let (app, _) = TestApp::with_emma();
    let storage = Storage::new(app.sandbox.clock());
    storage.put(POISON, encode_base64(JUNK)).unwrap();
    let product = product(&app).with_queues(firstpass_sandbox::functions_host::queues(&storage));
    let host = LocalHost::new(host::router(Ok(Arc::new(product))), app.sandbox.clock());
    let (_, log) = capture_log("firstpass=trace", host.fire_timer()).await;
    assert!(log.contains("event=poison.found") && log.contains("messages=1"), "{log}");
    assert!(!log.contains("another user") && !log.contains(&encode_base64(JUNK)), "{log}");
}
