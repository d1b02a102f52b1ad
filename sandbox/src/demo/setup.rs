//! firstpass on the sample tenant.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firstpass::{
    app::App,
    environment::Environment,
    host,
    ledger::{Ledger, memory::MemoryLedger},
    settings::Settings,
};
use uuid::Uuid;

use super::history::{self, History};
use crate::{
    functions_host::{Embedded, FunctionApp, FunctionsHost, Storage, Worker},
    serve::product_environment,
    tenant::{
        EventGrid, Permission, Sandbox,
        samples::{ON_DEMAND_GROUP, PARTNER_TOPIC, SENDER, SERVICE_DESK},
        transport::InProcessTransport,
    },
};

/// The demo's tenant, app and history. Cheap to clone: clones share the state.
#[derive(Clone)]
pub struct Setup {
    /// The tenant.
    pub sandbox: Sandbox,
    /// The product's settings.
    pub settings: Arc<Settings>,
    /// The product's records.
    pub ledger: Arc<dyn Ledger>,
    /// Serialises actions: [`VirtualTime`] allows one at a time.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    history: Arc<Mutex<History>>,
    functions: FunctionApp,
    handler: Arc<dyn Worker>,
}

impl Setup {
    /// Sets firstpass up in this tenant; no sweep has run yet.
    ///
    /// # Errors
    /// When the sample settings are wrong, which is a bug.
    pub fn new(sandbox: Sandbox) -> Result<Self, String> {
        let group = sandbox.edit(|tenant| {
            // The permission that EVENT_GRID_PARTNER_TOPIC requires.
            tenant.granted.insert(Permission::REQUIRED_FOR_NOTIFICATIONS);
            tenant.find_group(ON_DEMAND_GROUP).map(|group| group.id)
        });
        let settings = Settings::read(&product_environment(&sample_settings(group)))
            .map_err(|report| report.to_string())?;
        let history = Arc::new(Mutex::new(History::new(&sandbox)));
        let transport = InProcessTransport::new(history::record_passes(sandbox.router(), &sandbox, &history));
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
        let (transport, credential) = (Arc::new(transport), sandbox.credential());
        let app = App::new(settings.clone(), transport, credential, ledger.clone(), sandbox.clock())
            .map_err(|error| error.to_string())?;
        let handler = history::record_invocations(host::router(Ok(Arc::new(app))), &sandbox, &history);
        let functions = FunctionApp::embedded(&host_settings()).map_err(|problems| problems.to_string())?;
        let handler = Arc::new(Embedded::new(handler));
        let (settings, turn) = (Arc::new(settings), Arc::default());
        Ok(Self { sandbox, settings, ledger, turn, history, functions, handler })
    }

    /// Starts a Functions host with empty queues and no timer status, so that it has no missed sweep.
    pub(super) fn host(&self) -> FunctionsHost {
        let storage = Storage::new(self.sandbox.clock());
        self.sandbox.connect_event_grid(EventGrid::delivering_to(storage.event_sink(self.queue())));
        FunctionsHost::start(self.functions.clone(), self.handler.clone(), storage)
    }

    /// The name of the job queue.
    pub(super) fn queue(&self) -> &str {
        self.functions.queue_of("OnGroupAdd").unwrap_or_default()
    }

    /// The history. Do not hold the lock across an await.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

/// The settings of the sample tenant. Its headquarters are in California: that is the default zone for countries with
/// several zones.
fn sample_settings(on_demand_group: Option<Uuid>) -> Environment {
    let on_demand = on_demand_group.map(|id| {
        [("ON_DEMAND_GROUP_ID", id.to_string()), ("EVENT_GRID_PARTNER_TOPIC", PARTNER_TOPIC.to_owned())]
    });
    let settings = [
        ("MAIL_FROM", SENDER),
        ("ALERT_TO", SERVICE_DESK),
        ("COMPANY_NAME", "Contoso"),
        ("TIME_ZONE", "America/Los_Angeles"),
        ("SERVICE_DESK_NAME", "Contoso Service Desk"),
        ("SERVICE_DESK_EMAIL", SERVICE_DESK),
        ("SERVICE_DESK_PHONE", "+1 425 555 0100"),
        ("CREATE_TAP_OPEN", "true"),
    ];
    settings
        .map(|(name, value)| (name, value.to_owned()))
        .into_iter()
        .chain(on_demand.into_iter().flatten())
        .collect()
}

fn host_settings() -> Environment {
    Environment::from_iter([
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        // One message at a time, so that requests can be attributed to jobs.
        ("AzureFunctionsJobHost__extensions__queues__batchSize", "1"),
        ("AzureFunctionsJobHost__extensions__queues__newBatchThreshold", "0"),
    ])
}

/// Stops tokio's clock until it is dropped: a wait then ends as soon as no task can run, and the tenant's clock moves
/// on by the time waited.
///
/// tokio allows this on the current-thread runtime only, and once at a time. Network I/O is not affected.
#[derive(Debug)]
pub struct VirtualTime(());

impl VirtualTime {
    /// Pauses the clock. Panics outside the current-thread runtime, or if the clock is paused already.
    pub fn begin() -> Self {
        tokio::time::pause();
        Self(())
    }
}

impl Drop for VirtualTime {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}
