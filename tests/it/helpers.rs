//! A running firstpass with a tenant behind it. Its methods are what users and the platform do.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use firstpass::{
    app::App,
    environment::Environment,
    host,
    ledger::{Ledger, Record, memory::MemoryLedger},
    pass::Job,
    settings::Settings,
};
use firstpass_sandbox::{
    functions_host::{
        handler_response::{Completed, HandlerResponse},
        local_host::LocalHost,
    },
    serve::product_environment,
    tenant::{
        FaultKind, Person, Sandbox, Tenant,
        samples::{SENDER, SERVICE_DESK},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::schema;

/// A Sunday, five in the morning UTC.
pub const NOW: &str = "2026-11-22T05:00:00Z";

/// A part of the URLs of passes.
pub const PASS: &str = "temporaryAccessPassMethods";

/// Graph says no, or fails, before anything happens.
pub fn refuse(status: u16) -> FaultKind {
    FaultKind::Fail { status, code: "generalException".into(), message: "not today".into() }
}

/// Graph is too busy.
pub fn throttle(retry_after: &str) -> FaultKind {
    FaultKind::Throttle { retry_after: Some(retry_after.to_owned()) }
}

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub struct World {
    pub sandbox: Sandbox,
    pub host: LocalHost,
    pub app: Arc<App>,
    forgiven: Vec<&'static str>,
}

/// Whatever a test is about, all that went to Graph in it fits Graph's schema.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut problems = schema::problems(&self.sandbox);
        problems.retain(|problem| !self.forgiven.iter().any(|words| problem.contains(words)));
        assert!(problems.is_empty(), "not in Graph's schema:\n{}", problems.join("\n"));
    }
}

/// How a job ended, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub outcome: String,
    pub why: String,
    pub deliveries: u32,
}

impl From<&HandlerResponse> for End {
    fn from(answer: &HandlerResponse) -> Self {
        let mut words = answer.log().splitn(3, ": ").skip(1).map(str::to_owned);
        let (outcome, why) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { outcome, why, deliveries: 1 }
    }
}

impl From<&Completed> for End {
    fn from(completed: &Completed) -> Self {
        Self { deliveries: completed.deliveries, ..Self::from(&completed.answer) }
    }
}

impl World {
    /// The tenant, with firstpass set up as in the demo, `settings` on top.
    pub fn new(tenant: Tenant, settings: &[(&str, &str)]) -> Self {
        Self::on(tenant, settings, Arc::new(MemoryLedger::default()))
    }

    /// The same with a ledger of another kind.
    pub fn on(tenant: Tenant, settings: &[(&str, &str)], ledger: Arc<dyn Ledger>) -> Self {
        let sandbox = Sandbox::new(tenant, time(NOW));
        let defaults = [("ALERT_TO", SERVICE_DESK)];
        let env: Environment = defaults.iter().chain(settings).copied().collect();
        let settings = Settings::read(&product_environment(&env)).unwrap_or_else(|report| panic!("{report}"));
        Self::with(sandbox, settings, ledger)
    }

    fn with(sandbox: Sandbox, settings: Settings, ledger: Arc<dyn Ledger>) -> Self {
        let app = App::new(settings, sandbox.transport(), sandbox.credential(), ledger, sandbox.clock());
        let app = Arc::new(app.unwrap());
        let host = LocalHost::new(host::router(Ok(app.clone())), sandbox.clock());
        Self { sandbox, host, app, forgiven: Vec::new() }
    }

    /// Another instance of the same app: the same tenant, the same ledger, nothing else in common.
    pub fn another_instance(&self) -> Self {
        Self::with(self.sandbox.clone(), self.app.services.settings.clone(), self.app.services.ledger.clone())
    }

    /// The same, sending requests on purpose that do not fit Graph's schema: problems with these words in them.
    pub fn forgiving(mut self, words: &'static str) -> Self {
        self.forgiven.push(words);
        self
    }

    /// A tenant with one plain joiner, a week ahead, whose manager is in cc.
    pub fn with_emma() -> (Self, Uuid) {
        let (tenant, emma) = tenant_with_emma();
        (Self::new(tenant, &[]), emma)
    }

    /// One sweep, and all that follows from it.
    pub async fn sweep(&self) -> Vec<End> {
        let swept = self.host.fire_timer().await;
        assert!(swept.is_success(), "{}", swept.log());
        let mut ends = Vec::new();
        self.host.work(swept.jobs(), |completed| ends.push(End::from(&completed))).await;
        ends
    }

    /// The sweeps of the next days.
    pub async fn sweep_daily(&self, days: usize) -> Vec<End> {
        let mut ends = Vec::new();
        for _ in 0..days {
            self.later(TimeDelta::days(1));
            ends.extend(self.sweep().await);
        }
        ends
    }

    /// One delivery of a joiner's job.
    pub async fn deliver(&self, user: Uuid) -> End {
        End::from(&self.host.deliver(&self.job(user).to_message(), 1).await)
    }

    /// One delivery of the job that follows from adding somebody to the on-demand group.
    pub async fn add_to_group(&self, user: Uuid) -> End {
        let message = format!(r#"{{"jobKey":"group-add/1","reason":"group-add","userId":"{user}"}}"#);
        End::from(&self.host.deliver(&message, 1).await)
    }

    /// A call of CreateTap: the status and the body that the caller sees.
    pub async fn create_tap(&self, name: &str) -> (u64, Value) {
        let answer = self.host.call("CreateTap", &json!({"UserName": name}).to_string()).await;
        let res = &answer.body["Outputs"]["res"];
        (res["statusCode"].as_u64().unwrap(), serde_json::from_str(res["body"].as_str().unwrap()).unwrap())
    }

    pub fn job(&self, user: Uuid) -> Job {
        Job::joiner(user, self.sandbox.now().date_naive())
    }

    pub fn later(&self, by: TimeDelta) {
        self.sandbox.advance(by);
    }

    /// Mails with a pass: their messages.
    pub fn pass_mails(&self) -> Vec<Value> {
        self.messages(false)
    }

    /// Mails to the service desk.
    pub fn alerts(&self) -> Vec<Value> {
        self.messages(true)
    }

    fn messages(&self, alerts: bool) -> Vec<Value> {
        let all = self.sandbox.mails().into_iter().map(|mail| mail.message);
        all.filter(|message| (to(message) == SERVICE_DESK) == alerts).collect()
    }

    /// The code of the user's live pass stands in the newest mail with a pass.
    pub fn assert_newest_mail_opens(&self, user: Uuid) {
        let code = self.live_code(user).expect("a live pass");
        let mail = self.pass_mails().pop().expect("a mail");
        let shown = escaped(&code);
        assert!(
            mail["body"]["content"].as_str().unwrap().contains(&shown),
            "the newest mail has another code"
        );
    }

    /// The code of the pass that the user could sign in with, now or later.
    pub fn live_code(&self, user: Uuid) -> Option<String> {
        let now = self.sandbox.now();
        let passes = self.sandbox.passes();
        let pass = passes.iter().find(|pass| pass.user == user && !pass.used && pass.closes_at() > now)?;
        Some(pass.code.reveal().to_owned())
    }

    pub async fn record(&self, user: Uuid) -> Option<Record> {
        self.app.services.ledger.read(user).await.unwrap().map(|(record, _)| record)
    }

    /// How many requests of `method` went to a URL that contains `part`, batches included.
    pub fn count(&self, method: &str, part: &str) -> usize {
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

pub fn to(message: &Value) -> &str {
    message["toRecipients"][0]["emailAddress"]["address"].as_str().unwrap_or_default()
}

pub fn cc(message: &Value) -> Vec<&str> {
    message["ccRecipients"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["emailAddress"]["address"].as_str())
        .collect()
}

/// As minijinja escapes it in a mail.
pub fn escaped(text: &str) -> String {
    minijinja::HtmlEscape(text).to_string()
}

/// How long something took in the tenant's time, in whole seconds.
pub async fn seconds<T>(sandbox: &Sandbox, work: impl Future<Output = T>) -> (T, i64) {
    let start = sandbox.now();
    let result = work.await;
    (result, (sandbox.now() - start).num_seconds())
}
