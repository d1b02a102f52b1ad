//! Passes on demand: a user is added to the group, and a notification or the group sync finds it.

mod cap;
mod end_to_end;
mod group_sync;
mod message_formats;
mod redelivery;
mod subscription;

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use firstpass::ledger::{Ledger, memory::MemoryLedger};
use firstpass_sandbox::tenant::{Group, Permission, Person, Tenant, samples::SENDER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{JobEnd, TestApp, to_address};

/// A tenant with people and an on-demand group. People are referred to by their index.
struct GroupSetup {
    app: TestApp,
    group: Uuid,
    people: Vec<Uuid>,
}

/// The results of a message and of its jobs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Processed {
    /// The log line of the message.
    log: String,
    outcomes: Vec<String>,
}

impl GroupSetup {
    /// The first `members` of `people` people are in the group.
    fn new(people: usize, members: usize) -> Self {
        Self::with_settings(people, members, &[])
    }

    fn with_settings(people: usize, members: usize, settings: &[(&str, &str)]) -> Self {
        Self::with_ledger(people, members, settings, Arc::new(MemoryLedger::default()))
    }

    fn with_ledger(
        people: usize,
        members: usize,
        settings: &[(&str, &str)],
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let mut tenant = Tenant::new(7);
        tenant.add_mailbox(Person::named("Welcome").user_principal_name(SENDER));
        let names = (0..people).map(|n| (format!("Person N{n}"), format!("n{n}@mail.example")));
        let people: Vec<Uuid> =
            names.map(|(name, mail)| tenant.add(Person::named(&name).private_mail(&mail))).collect();
        let members = people[..members].iter().copied();
        let group = tenant.add_group(Group::named("On-demand access").members(members));
        tenant.granted.insert(Permission::REQUIRED_FOR_NOTIFICATIONS);
        let group_setting = group.to_string();
        let settings = [&[("ON_DEMAND_GROUP_ID", group_setting.as_str())], settings].concat();
        let app = TestApp::with_ledger(tenant, &settings, ledger);
        Self { app, group, people }
    }

    fn add(&self, person: usize) {
        self.app.sandbox.edit(|tenant| tenant.add_member(self.group, self.people[person]));
    }

    fn remove(&self, person: usize) {
        self.app.sandbox.edit(|tenant| tenant.remove_member(self.group, self.people[person]));
    }

    /// Delivers a message and its jobs.
    async fn process(&self, message: &str) -> Processed {
        let answer = self.app.host.deliver(message, 1).await;
        let mut processed = Processed { log: answer.log().to_owned(), outcomes: vec![] };
        let (notes, jobs): (Vec<_>, Vec<_>) =
            answer.jobs().into_iter().partition(|job| job.contains("notesDue"));
        if jobs.is_empty() {
            processed
                .outcomes
                .extend(Some(JobEnd::from(&answer).outcome).filter(|outcome| !outcome.is_empty()));
        }
        self.run_jobs(jobs, &mut processed).await;
        self.app.host.work(notes, drop).await;
        processed
    }

    async fn run_jobs(&self, jobs: Vec<String>, processed: &mut Processed) {
        let (mut more, mut notes) = (Vec::new(), Vec::new());
        self.app
            .host
            .work(jobs, |completed| {
                for message in completed.answer.jobs() {
                    let is_note = message.contains("notesDue");
                    if is_note { notes.push(message) } else { more.push(message) }
                }
                processed
                    .outcomes
                    .extend(Some(JobEnd::from(&completed).outcome).filter(|outcome| !outcome.is_empty()));
            })
            .await;
        assert_eq!(more, [] as [&str; 0], "jobs create no other jobs");
        self.app.host.work(notes, drop).await;
    }

    /// Graph's change notification, with `delta` as the changed members.
    fn notification(&self, delta: Option<Value>) -> Value {
        let resource = format!("Groups/{}", self.group);
        let mut data = json!({
            "@odata.type": "#Microsoft.Graph.Group", "@odata.id": resource, "id": self.group,
            "organizationId": Uuid::from_u128(9),
        });
        if let Some(delta) = delta {
            data["members@delta"] = delta;
        }
        json!({
            "changeType": "updated", "clientState": "firstpass", "resource": resource, "resourceData": data,
            "subscriptionId": Uuid::from_u128(8), "tenantId": Uuid::from_u128(9),
            "subscriptionExpirationDateTime": self.app.sandbox.now() + TimeDelta::days(28),
        })
    }

    fn webhook(&self, delta: Option<Value>) -> String {
        json!({"value": [self.notification(delta)]}).to_string()
    }

    fn cloud_event(&self, delta: Option<Value>) -> String {
        json!({
            "specversion": "1.0", "id": Uuid::new_v4(), "type": "Microsoft.Graph.GroupUpdated",
            "source": "/tenants/t/applications/a", "subject": format!("Groups/{}", self.group),
            "time": self.app.sandbox.now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "datacontenttype": "application/json", "data": self.notification(delta),
        })
        .to_string()
    }

    /// The recipients of mails with a pass, in the order of the mails.
    fn mailed(&self) -> Vec<usize> {
        let number = |mail: &Value| to_address(mail).strip_prefix('n')?.split('@').next()?.parse().ok();
        self.app.pass_mails().iter().map(|mail| number(mail).expect("a person's address")).collect()
    }

    fn sorted_mailed(&self) -> Vec<usize> {
        let mut mailed = self.mailed();
        mailed.sort_unstable();
        mailed
    }

    /// Uses the person's pass.
    fn sign_in(&self, person: usize) {
        let passes = self.app.sandbox.passes();
        let pass = passes.iter().find(|pass| pass.user == self.people[person]).expect("a pass").id;
        let now = self.app.sandbox.now();
        self.app.sandbox.edit(|tenant| tenant.use_pass(pass, now));
    }
}
