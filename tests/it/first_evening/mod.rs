//! What an admin wants on the first evening: to see who would get what before anything is made, and to stop everything.

mod additions;
mod dry_run;
mod forecast;
mod report_only;
mod stopped;

use std::collections::BTreeSet;

use firstpass_sandbox::tenant::{Group, Person, Tenant};
use serde_json::Value;
use uuid::Uuid;

use crate::helpers::{NOW, TestApp, emma, tenant_with_emma, time, to_address};

const REPORT_ONLY: (&str, &str) = ("REPORT_ONLY", "true");
const PAUSED: (&str, &str) = ("PAUSED", "true");

/// What was asked of Graph that changes something.
fn changes(app: &TestApp) -> Vec<String> {
    let requests = app.sandbox.requests().into_iter();
    let changes = requests.filter(|request| request.method != "GET" && !request.url.contains("$batch"));
    changes.map(|request| format!("{} {}", request.method, request.url)).collect()
}

/// The requests that make or delete a pass.
fn passes_changed(app: &TestApp) -> usize {
    changes(app).iter().filter(|change| change.contains(crate::helpers::PASS_PATH)).count()
}

/// Everything that the ledger has.
fn ledger(app: &TestApp) -> String {
    format!("{:?}", app.ledger())
}

/// A joiner with this name, who starts on this day.
fn joiner(tenant: &mut Tenant, name: &str, day: &str) -> Uuid {
    let manager = tenant.users.values().find(|user| user.display_name == "Grace Hall").unwrap().id;
    let mail = format!("{}@mail.example", name.to_lowercase());
    let person = Person { display_name: format!("{name} Brooks"), other_mails: Vec::new(), ..emma(manager) };
    let name = format!("{}@contoso.example", name.to_lowercase());
    let start = time(&format!("{day}T00:00:00Z"));
    tenant.add(person.user_principal_name(&name).private_mail(&mail).hire_date(start))
}

/// Emma starts on the 27th, Noah on the 24th; Pia started on the 20th. Ola and Kim are plain users; Ola is in the on-demand group.
struct Town {
    app: TestApp,
    group: String,
    group_id: Uuid,
    emma: Uuid,
    noah: Uuid,
    kim: Uuid,
}

fn town(settings: &[(&str, &str)]) -> Town {
    let (mut tenant, emma) = tenant_with_emma();
    let noah = joiner(&mut tenant, "Noah", "2026-11-24");
    joiner(&mut tenant, "Pia", "2026-11-20");
    let [ola, kim] = ["Ola", "Kim"].map(|name| {
        let user = joiner(&mut tenant, name, "2026-11-20");
        tenant.users.get_mut(&user).unwrap().hire_date = None;
        user
    });
    let group_id = tenant.add_group(Group::named("On-demand access").members([ola]));
    let group = group_id.to_string();
    let app = TestApp::new(tenant, &[&[("ON_DEMAND_GROUP_ID", group.as_str())], settings].concat());
    Town { app, group, group_id, emma, noah, kim }
}

impl Town {
    /// The same tenant and ledger, with other settings.
    fn with(self, settings: &[(&str, &str)]) -> Self {
        let Self { app, group, .. } = self;
        let settings = [&[("ON_DEMAND_GROUP_ID", group.as_str())], settings].concat();
        Self { app: app.with_settings(&settings), group, ..self }
    }

    /// To whom a mail with a pass went, each once.
    fn mailed(&self) -> BTreeSet<String> {
        let mails = self.app.pass_mails();
        let to: BTreeSet<String> = mails.iter().map(|mail| to_address(mail).to_owned()).collect();
        assert_eq!(to.len(), mails.len(), "somebody has two mails");
        to
    }
}

fn subjects(alerts: &[Value]) -> Vec<String> {
    alerts.iter().map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| format!("{name}@mail.example")).collect()
}
