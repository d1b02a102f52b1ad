//! The app examines itself: what it finds, when, and what `firstpass doctor` shows of it.

mod command;
mod tenants;
mod unusual;
mod when;

use chrono::TimeDelta;
use firstpass::{
    app::App,
    doctor,
    ledger::{Examination, Finding, Level},
};
use firstpass_sandbox::{
    functions_host::{self, Storage},
    tenant::{Group, Permission, Tenant},
};
use uuid::Uuid;

use crate::helpers::{TestApp, tenant_with_emma};

/// Settings of a careful admin.
const CAREFUL: [(&str, &str); 1] = [("CREATE_TAP_OPEN", "false")];

/// The object id of the group of joiners.
const JOINERS: &str = "00000000-0000-0000-0000-0000000000a1";

fn joiner_group_id() -> Uuid {
    JOINERS.parse().unwrap()
}

/// firstpass on a tenant in which Emma starts in five days and nothing is amiss, after a sweep; but for what `change` makes of it
/// then.
async fn swept(settings: &[(&str, &str)], change: impl FnOnce(&mut Tenant, Uuid)) -> TestApp {
    let (mut tenant, emma) = tenant_with_emma();
    tenant.granted.insert(Permission::ConditionalAccessRead);
    let joiners = Group { id: joiner_group_id(), ..Group::named("New joiners") };
    tenant.add_group(joiners.joiners_within(TimeDelta::days(7)));
    let settings: Vec<(&str, &str)> = CAREFUL.iter().chain(settings).copied().collect();
    let app = TestApp::new(tenant, &settings);
    assert!(app.host.fire_timer().await.is_success());
    app.sandbox.edit(|tenant| change(tenant, emma));
    app
}

/// The app of `app` with the queues of `storage`.
fn with_queues(app: &TestApp, storage: &Storage) -> App {
    app.product(app.sandbox.credential()).with_queues(functions_host::queues(storage))
}

/// What an examination finds that somebody has to mend.
async fn defects(app: &TestApp) -> Vec<Finding> {
    let storage = Storage::new(app.sandbox.clock());
    of_concern(&doctor::examine(&with_queues(app, &storage)).await)
}

fn of_concern(examination: &Examination) -> Vec<Finding> {
    let is_concern = |finding: &&Finding| matches!(finding.level, Level::Warn | Level::Fail);
    examination.findings.iter().filter(is_concern).cloned().collect()
}
