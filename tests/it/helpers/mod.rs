//! Fixtures for all tests: a running firstpass on a sandbox tenant, faults, and access to mails and requests.

pub mod graph_caller;
pub mod log_capture;
pub mod process;
pub mod source;

use std::{sync::Arc, time::Duration};

use axum::Router;
use azure_core::credentials::TokenCredential;
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    app::App,
    clock::Clock,
    environment::Environment,
    host,
    ledger::{Ledger, Record, memory::MemoryLedger},
    pass::Job,
    settings::Settings,
};
use firstpass_sandbox::{
    functions_host::{
        self, Embedded, FunctionsHost, Storage,
        handler_response::{Completed, HandlerResponse},
        local_host::LocalHost,
    },
    serve::product_environment,
    tenant::{
        FaultKind, PassSpec, Person, Sandbox, Tenant,
        samples::{SENDER, SERVICE_DESK},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{local_host::app as function_app, schema};

/// A Sunday, five in the morning UTC.
pub const NOW: &str = "2026-11-22T05:00:00Z";

/// The part of a URL that requests for passes have in common.
pub const PASS_PATH: &str = "temporaryAccessPassMethods";

/// Graph answers with `status` and does nothing.
pub fn fail_with(status: u16) -> FaultKind {
    FaultKind::Fail { status, code: "generalException".into(), message: "not today".into() }
}

/// Graph answers 429.
pub fn throttle(retry_after: &str) -> FaultKind {
    FaultKind::Throttle { retry_after: Some(retry_after.to_owned()) }
}

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// firstpass in this process, on a sandbox tenant.
pub struct TestApp {
    pub sandbox: Sandbox,
    pub host: LocalHost,
    pub app: Arc<App>,
    allowed_problems: Vec<&'static str>,
}

/// Asserts that every request of the test fits Graph's schema.
impl Drop for TestApp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut problems = schema::problems(&self.sandbox);
        problems.retain(|problem| !self.allowed_problems.iter().any(|words| problem.contains(words)));
        assert!(problems.is_empty(), "requests do not fit Graph's schema:\n{}", problems.join("\n"));
    }
}

/// The result of a job, read from its log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEnd {
    pub outcome: String,
    pub why: String,
    pub deliveries: u32,
}

impl From<&HandlerResponse> for JobEnd {
    fn from(answer: &HandlerResponse) -> Self {
        let mut words = answer.log().splitn(3, ": ").skip(1).map(str::to_owned);
        let (outcome, why) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { outcome, why, deliveries: 1 }
    }
}

impl From<&Completed> for JobEnd {
    fn from(completed: &Completed) -> Self {
        Self { deliveries: completed.deliveries, ..Self::from(&completed.answer) }
    }
}

/// The demo's settings with the product's SWEEP_MAX, and `settings`, which take precedence.
fn read(settings: &[(&str, &str)]) -> Settings {
    let defaults = [
        ("ALERT_TO", SERVICE_DESK),
        ("SWEEP_MAX", "100"),
        ("CREATE_TAP_OPEN", "true"),
        ("TICKET_URL_HOSTS", "help.contoso.example"),
    ];
    let env: Environment = defaults.iter().chain(settings).copied().collect();
    let env = product_environment(&env);
    let read = if env.get("MAIL_TEMPLATES").is_some() { Settings::read_with_folder } else { Settings::read };
    read(&env).unwrap_or_else(|report| panic!("{report}"))
}

impl TestApp {
    /// firstpass with the demo's settings and `settings`, which take precedence.
    pub fn new(tenant: Tenant, settings: &[(&str, &str)]) -> Self {
        Self::with_ledger(tenant, settings, Arc::new(MemoryLedger::default()))
    }

    /// The same with another ledger.
    pub fn with_ledger(tenant: Tenant, settings: &[(&str, &str)], ledger: Arc<dyn Ledger>) -> Self {
        Self::start(Sandbox::new(tenant, time(NOW)), read(settings), ledger, Uuid::nil())
    }

    /// The same tenant and ledger with other settings.
    pub fn with_settings(self, settings: &[(&str, &str)]) -> Self {
        Self::start(self.sandbox.clone(), read(settings), self.app.services.ledger.clone(), Uuid::nil())
    }

    fn start(sandbox: Sandbox, settings: Settings, ledger: Arc<dyn Ledger>, salt: Uuid) -> Self {
        let app = App::new(settings, sandbox.transport(), sandbox.credential(), ledger, sandbox.clock());
        let mut app = app.unwrap();
        app.services.salt = salt;
        let app = Arc::new(app);
        let host = LocalHost::new(host::router(Ok(app.clone())), sandbox.clock());
        Self { sandbox, host, app, allowed_problems: Vec::new() }
    }

    /// Another instance of the app on the same tenant and ledger.
    pub fn another_instance(&self) -> Self {
        Self::start(
            self.sandbox.clone(),
            self.app.services.settings.clone(),
            self.app.services.ledger.clone(),
            self.app.services.salt,
        )
    }

    /// Another installation on the same tenant, with a ledger of its own. `salt` decides about its random starts; that of the
    /// first one is nil.
    pub fn another_installation(&self, salt: Uuid) -> Self {
        let settings = self.app.services.settings.clone();
        Self::start(self.sandbox.clone(), settings, Arc::new(MemoryLedger::default()), salt)
    }

    /// The same app with another credential.
    pub fn with_credential(mut self, credential: Arc<dyn TokenCredential>) -> Self {
        let product = self.product(credential);
        self.host = LocalHost::new(host::router(Ok(Arc::new(product))), self.sandbox.clock());
        self
    }

    /// A host of this storage account, whose handler can write to its queues.
    pub fn start_host(&self, storage: &Storage, settings: &[(&str, &str)]) -> FunctionsHost {
        let product = self.product(self.sandbox.credential()).with_queues(functions_host::queues(storage));
        let worker = Embedded::new(host::router(Ok(Arc::new(product))));
        FunctionsHost::start(function_app(settings), Arc::new(worker), storage.clone())
    }

    /// The app with another credential and without queues, for what is no function.
    pub fn product(&self, credential: Arc<dyn TokenCredential>) -> App {
        self.product_at(credential, self.sandbox.clock())
    }

    /// The same with another clock.
    pub fn product_at(&self, credential: Arc<dyn TokenCredential>, clock: Clock) -> App {
        let services = &self.app.services;
        let (settings, ledger) = (services.settings.clone(), services.ledger.clone());
        App::new(settings, self.sandbox.transport(), credential, ledger, clock).unwrap()
    }

    /// Allows schema problems that contain `words`.
    pub fn allow_schema_problem(mut self, words: &'static str) -> Self {
        self.allowed_problems.push(words);
        self
    }

    /// A tenant with one joiner, who starts in five days and has a manager.
    pub fn with_emma() -> (Self, Uuid) {
        let (tenant, emma) = tenant_with_emma();
        (Self::new(tenant, &[]), emma)
    }

    /// The tenant refuses a second pass, and the joiner has an expired one.
    pub fn with_expired_pass() -> (Self, Uuid) {
        let (mut tenant, emma) = tenant_with_emma();
        tenant.policy.refuse_when_exists = true;
        tenant.add_pass(emma, PassSpec::opening(time("2026-10-01T00:00:00Z")));
        (Self::new(tenant, &[]), emma)
    }

    /// Runs one sweep and all its jobs, with redelivery.
    pub async fn sweep(&self) -> Vec<JobEnd> {
        let answer = self.host.fire_timer().await;
        assert!(answer.is_success(), "{}", answer.log());
        let mut ends = Vec::new();
        let mut next = answer.jobs();
        while !next.is_empty() {
            // The messages behind the jobs are no jobs.
            let is_behind = |message: &String| {
                ["dailyLook", "Continues", "notesDue"].iter().any(|word| message.contains(word))
            };
            let (behind, jobs): (Vec<_>, Vec<_>) = next.drain(..).partition(is_behind);
            let of_jobs = |completed: Completed| {
                ends.push(JobEnd::from(&completed));
                next.extend(completed.answer.jobs());
            };
            self.host.work(jobs, of_jobs).await;
            self.host.work(behind, |completed| next.extend(completed.answer.jobs())).await;
        }
        ends
    }

    /// Runs a sweep on each of the next days.
    pub async fn sweep_daily(&self, days: usize) -> Vec<JobEnd> {
        self.sweep_every(TimeDelta::days(1), days).await
    }

    /// Runs a sweep in each of the next hours.
    pub async fn sweep_hourly(&self, hours: usize) -> Vec<JobEnd> {
        self.sweep_every(TimeDelta::hours(1), hours).await
    }

    async fn sweep_every(&self, interval: TimeDelta, sweeps: usize) -> Vec<JobEnd> {
        let mut ends = Vec::new();
        for _ in 0..sweeps {
            self.advance(interval);
            ends.extend(self.sweep().await);
        }
        ends
    }

    /// Delivers the user's joiner job once.
    pub async fn run_job(&self, user: Uuid) -> JobEnd {
        JobEnd::from(&self.host.deliver(&self.job(user).to_message(), 1).await)
    }

    /// Delivers the user's group-add job once.
    pub async fn run_group_add_job(&self, user: Uuid) -> JobEnd {
        let message = format!(r#"{{"jobKey":"group-add/1","reason":"group-add","userId":"{user}"}}"#);
        JobEnd::from(&self.host.deliver(&message, 1).await)
    }

    /// Calls CreateTap and returns the status and the body.
    pub async fn create_tap(&self, user_name: &str) -> (u64, Value) {
        let answer = self.host.call("CreateTap", &json!({"UserName": user_name}).to_string()).await;
        let res = &answer.body["Outputs"]["res"];
        (res["statusCode"].as_u64().unwrap(), serde_json::from_str(res["body"].as_str().unwrap()).unwrap())
    }

    pub fn job(&self, user: Uuid) -> Job {
        Job::joiner(user, self.sandbox.now().date_naive())
    }

    pub fn advance(&self, by: TimeDelta) {
        self.sandbox.advance(by);
    }

    /// All mails but alerts and notes.
    pub fn pass_mails(&self) -> Vec<Value> {
        self.messages(|message| !is_alert(message) && !is_note(message))
    }

    /// Mails to the service desk.
    pub fn alerts(&self) -> Vec<Value> {
        self.messages(is_alert)
    }

    /// The notes that a joiner was sent a code, in English.
    pub fn notes(&self) -> Vec<Value> {
        self.messages(is_note)
    }

    fn messages(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.sandbox.mails().into_iter().map(|mail| mail.message).filter(is_wanted).collect()
    }

    /// Asserts that the newest mail contains the code of the user's live pass.
    pub fn assert_newest_mail_has_live_code(&self, user: Uuid) {
        let code = self.live_code(user).expect("a live pass");
        let mail = self.pass_mails().pop().expect("a mail");
        let shown = html_escaped(&code);
        assert!(
            mail["body"]["content"].as_str().unwrap().contains(&shown),
            "the newest mail contains another code"
        );
    }

    /// Asserts that this mail contains the code of the user's live pass.
    pub fn assert_mail_has_live_code(&self, user: Uuid, index: usize) {
        let code = html_escaped(&self.live_code(user).expect("a live pass"));
        let mails = self.pass_mails();
        assert!(mails[index]["body"]["content"].as_str().unwrap().contains(&code), "another code");
    }

    /// The code of the user's pass, unless it is used or expired.
    pub fn live_code(&self, user: Uuid) -> Option<String> {
        let now = self.sandbox.now();
        let passes = self.sandbox.passes();
        let pass = passes.iter().find(|pass| pass.user == user && !pass.used && pass.closes_at() > now)?;
        Some(pass.code.reveal().to_owned())
    }

    pub fn ledger(&self) -> &dyn Ledger {
        &*self.app.services.ledger
    }

    /// The HTTP interface of the custom handler.
    pub fn router(&self) -> Router {
        host::router(Ok(self.app.clone()))
    }

    pub async fn record(&self, user: Uuid) -> Option<Record> {
        self.ledger().read(user).await.unwrap().map(|(record, _)| record)
    }

    /// The number of `method` requests to URLs that contain `part`, including parts of batches.
    pub fn count_requests(&self, method: &str, part: &str) -> usize {
        self.sandbox.requests().iter().filter(|r| r.method == method && r.url.contains(part)).count()
    }
}

pub fn tenant_with_emma() -> (Tenant, Uuid) {
    let mut tenant = Tenant::new(7);
    tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
    let manager = tenant.add_mailbox(Person::named("Grace Hall"));
    let emma = tenant.add(emma(manager));
    (tenant, emma)
}

pub fn emma(manager: Uuid) -> Person {
    Person::named("Emma Brooks")
        .hire_date(time("2026-11-27T00:00:00Z"))
        .usage_location("GB")
        .private_mail("emma.brooks@mail.example")
        .manager(manager)
}

pub fn to_address(message: &Value) -> &str {
    message["toRecipients"][0]["emailAddress"]["address"].as_str().unwrap_or_default()
}

fn is_alert(message: &Value) -> bool {
    to_address(message) == SERVICE_DESK
}

fn is_note(message: &Value) -> bool {
    let subject = message["subject"].as_str().unwrap_or_default();
    ["has been sent the code for signing in", "has been sent a new code for signing in"]
        .iter()
        .any(|words| subject.contains(words))
}

pub fn cc_addresses(message: &Value) -> Vec<&str> {
    message["ccRecipients"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["emailAddress"]["address"].as_str())
        .collect()
}

/// The text as minijinja escapes it in a mail.
pub fn html_escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}

/// Drops `work` after `seconds`, as if its worker died. Fails if `work` ends before.
pub async fn abort_after<T>(seconds: u64, work: impl Future<Output = T>) {
    let result = tokio::time::timeout(Duration::from_secs(seconds), work).await;
    assert!(result.is_err(), "the work ended before {seconds} s");
}

/// The result of `work`, and the whole seconds that it took by the sandbox's clock.
pub async fn timed<T>(sandbox: &Sandbox, work: impl Future<Output = T>) -> (T, i64) {
    let start = sandbox.now();
    let result = work.await;
    (result, (sandbox.now() - start).num_seconds())
}
