//! firstpass on a small sandbox tenant, for one input.

use std::sync::Arc;

use azure_core::http::HttpClient;
use firstpass::{app::App, environment::Environment, host, ledger::{Ledger, memory::MemoryLedger}, settings::Settings};
use firstpass_sandbox::{
    functions_host::local_host::LocalHost,
    serve::product_environment,
    tenant::{Group, Person, Sandbox, Tenant, samples::SENDER},
};
use uuid::Uuid;

/// A Sunday, five in the morning UTC.
const NOW: &str = "2026-11-22T05:00:00Z";

/// A tenant with one joiner, who is in the on-demand group.
pub struct Fixture {
    pub ledger: Arc<MemoryLedger>,
    pub host: LocalHost,
    pub joiner: Uuid,
}

impl Fixture {
    pub fn new(adapt: impl FnOnce(Arc<dyn HttpClient>) -> Arc<dyn HttpClient>) -> Self {
        let mut tenant = Tenant::new(7);
        tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
        let joiner = tenant.add(
            Person::named("Emma Brooks")
                .hire_date("2026-11-27T00:00:00Z".parse().unwrap())
                .usage_location("GB")
                .private_mail("emma.brooks@mail.example"),
        );
        let group = tenant.add_group(Group::named("On-demand access").members([joiner])).to_string();
        let settings = [
            ("ON_DEMAND_GROUP_ID", group.as_str()),
            ("ALERT_TO", "servicedesk@contoso.example"),
            ("CREATE_TAP_OPEN", "true"),
        ];
        let settings: Environment = settings.into_iter().collect();
        let settings = Settings::read(&product_environment(&settings)).unwrap();
        let sandbox = Sandbox::new(tenant, NOW.parse().unwrap());
        let ledger = Arc::new(MemoryLedger::default());
        let shared: Arc<dyn Ledger> = ledger.clone();
        let transport = adapt(sandbox.transport());
        let app = App::new(settings, transport, sandbox.credential(), shared, sandbox.clock()).unwrap();
        let host = LocalHost::new(host::router(Ok(Arc::new(app))), sandbox.clock());
        Self { ledger, host, joiner }
    }

    /// A sweep, a job for each reason, and a call. A panic of any of them is an alert and not the end of the process, so the answer
    /// is searched for it.
    pub async fn run(&self) {
        let job = |reason: &str| {
            format!(r#"{{"jobKey":"{reason}/1","reason":"{reason}","userId":"{}"}}"#, self.joiner)
        };
        let mut printed = self.host.fire_timer().await.log().to_owned();
        for reason in ["joiner", "group-add", "recheck"] {
            printed += self.host.deliver(&job(reason), 1).await.log();
        }
        let call = self.host.call("CreateTap", &format!(r#"{{"UserName":"{}"}}"#, self.joiner)).await;
        printed += &call.body.to_string();
        assert!(!printed.contains("mistake in firstpass") && !printed.contains("internal-error"), "{printed}");
    }
}

/// Runs `work` to its end; its waits take no time.
pub fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work);
}
