//! The sample tenant with firstpass set up in it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use firstpass::{
    app::App,
    host,
    ledger::memory::MemoryLedger,
    settings::{Environment, Settings},
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

/// Where the demo plays. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Setup {
    /// The tenant.
    pub sandbox: Sandbox,
    /// How firstpass is set up.
    pub settings: Arc<Settings>,
    /// Actions wait for each other here: two of them would wind each other's clock.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    history: Arc<Mutex<History>>,
    functions: FunctionApp,
    handler: Arc<dyn Worker>,
}

impl Setup {
    /// firstpass in this tenant, before its first sweep.
    ///
    /// # Errors
    /// In words, when the sample settings do not work: a mistake of ours.
    pub fn new(sandbox: Sandbox) -> Result<Self, String> {
        let group = sandbox.edit(|tenant| {
            // What EVENT_GRID_PARTNER_TOPIC takes besides.
            tenant.granted.insert(Permission::ASKED_FOR_NOTIFICATIONS);
            tenant.find_group(ON_DEMAND_GROUP).map(|group| group.id)
        });
        let settings = Settings::read(&product_environment(&sample_settings(group)))
            .map_err(|report| report.to_string())?;
        let history = Arc::new(Mutex::new(History::new(&sandbox)));
        let transport = InProcessTransport::new(history::record_passes(sandbox.router(), &sandbox, &history));
        let ledger = Arc::new(MemoryLedger::default());
        let app =
            App::new(settings.clone(), Arc::new(transport), sandbox.credential(), ledger, sandbox.clock())
                .map_err(|error| error.to_string())?;
        let handler = history::record_invocations(host::router(Ok(Arc::new(app))), &sandbox, &history);
        let functions = FunctionApp::embedded(&host_settings()).map_err(|problems| problems.to_string())?;
        let handler = Arc::new(Embedded::new(handler));
        let (settings, turn) = (Arc::new(settings), Arc::default());
        Ok(Self { sandbox, settings, turn, history, functions, handler })
    }

    /// A Functions host that has just been started, with empty queues: it has no sweep to make up for.
    pub(super) fn host(&self) -> FunctionsHost {
        let storage = Storage::new(self.sandbox.clock());
        self.sandbox.connect_event_grid(EventGrid::delivering_to(storage.event_sink(self.queue())));
        FunctionsHost::start(self.functions.clone(), self.handler.clone(), storage)
    }

    /// The queue that jobs wait in.
    pub(super) fn queue(&self) -> &str {
        self.functions.queue_of("OnGroupAdd").unwrap_or_default()
    }

    /// What has happened. Held for a moment only, never across an await.
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

/// Settings as an admin of the sample tenant would make them. Its headquarters are in California, so that is the
/// zone of everyone whose country has several.
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
    ];
    settings
        .map(|(name, value)| (name, value.to_owned()))
        .into_iter()
        .chain(on_demand.into_iter().flatten())
        .collect()
}

/// What the host needs beside firstpass's own settings.
fn host_settings() -> Environment {
    Environment::from_iter([
        ("SWEEP_SCHEDULE", "0 0 5 * * *"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        // One message at a time, so that each row's requests are its own.
        ("AzureFunctionsJobHost__extensions__queues__batchSize", "1"),
        ("AzureFunctionsJobHost__extensions__queues__newBatchThreshold", "0"),
    ])
}

/// While this lives, a wait ends as soon as nothing else is to be done: three minutes until a redelivery are over in
/// no time, and the tenant's clock shows them as passed. Dropped, also by a panic, it lets time go on as usual from
/// there, so that passes open and end while somebody looks at the page.
///
/// tokio allows that on a runtime of one thread, and once at a time. Connections are not timers: the page is served
/// meanwhile.
#[derive(Debug)]
pub struct VirtualTime(());

impl VirtualTime {
    /// Stops the clock's own course.
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
