//! Somebody is added to the on-demand group, and gets a pass: whoever tells of it, in whatever form, however often.

mod end_to_end;
mod group;
mod replays;
mod shapes;

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use firstpass::ledger::{Ledger, memory::MemoryLedger};
use firstpass_sandbox::tenant::{Group, Permission, Person, Tenant, samples::SENDER};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::helpers::{End, World, to};

/// A company with an on-demand group and people who could be put into it.
struct Office {
    world: World,
    group: Uuid,
    people: Vec<Uuid>,
}

/// What became of a message and of all that it led to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Course {
    /// What was said of the message itself.
    said: String,
    /// How the jobs ended.
    outcomes: Vec<String>,
}

impl Office {
    /// So many people, of whom the first `members` are in the group.
    fn of(people: usize, members: usize) -> Self {
        Self::with(people, members, &[])
    }

    fn with(people: usize, members: usize, settings: &[(&str, &str)]) -> Self {
        Self::on(people, members, settings, Arc::new(MemoryLedger::default()))
    }

    fn on(people: usize, members: usize, settings: &[(&str, &str)], ledger: Arc<dyn Ledger>) -> Self {
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
        let world = World::on(tenant, &settings, ledger);
        Self { world, group, people }
    }

    fn add(&self, person: usize) {
        self.world.sandbox.edit(|tenant| tenant.add_member(self.group, self.people[person]));
    }

    fn remove(&self, person: usize) {
        self.world.sandbox.edit(|tenant| tenant.remove_member(self.group, self.people[person]));
    }

    /// Delivers a message, and all that comes out of it.
    async fn tell(&self, message: &str) -> Course {
        let answer = self.world.host.deliver(message, 1).await;
        let mut course = Course { said: answer.log().to_owned(), outcomes: vec![] };
        if answer.jobs().is_empty() {
            course.outcomes.extend(Some(End::from(&answer).outcome).filter(|outcome| !outcome.is_empty()));
        }
        self.work(answer.jobs(), &mut course).await;
        course
    }

    async fn work(&self, jobs: Vec<String>, course: &mut Course) {
        let mut more = Vec::new();
        self.world
            .host
            .work(jobs, |completed| {
                more.extend(completed.answer.jobs());
                course
                    .outcomes
                    .extend(Some(End::from(&completed).outcome).filter(|outcome| !outcome.is_empty()));
            })
            .await;
        assert_eq!(more, [] as [&str; 0], "jobs lead to no other messages");
    }

    /// Graph's change notification, now.
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
            "subscriptionExpirationDateTime": self.world.sandbox.now() + TimeDelta::days(28),
        })
    }

    fn webhook(&self, delta: Option<Value>) -> String {
        json!({"value": [self.notification(delta)]}).to_string()
    }

    fn cloud_event(&self, delta: Option<Value>) -> String {
        json!({
            "specversion": "1.0", "id": Uuid::new_v4(), "type": "Microsoft.Graph.GroupUpdated",
            "source": "/tenants/t/applications/a", "subject": format!("Groups/{}", self.group),
            "time": self.world.sandbox.now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "datacontenttype": "application/json", "data": self.notification(delta),
        })
        .to_string()
    }

    /// Who got a mail with a pass, in the order of the mails.
    fn mailed(&self) -> Vec<usize> {
        let number = |mail: &Value| to(mail).strip_prefix('n')?.split('@').next()?.parse().ok();
        self.world.pass_mails().iter().map(|mail| number(mail).expect("a person's address")).collect()
    }

    fn sorted_mailed(&self) -> Vec<usize> {
        let mut mailed = self.mailed();
        mailed.sort_unstable();
        mailed
    }

    /// They sign in with their pass.
    fn signs_in(&self, person: usize) {
        let passes = self.world.sandbox.passes();
        let pass = passes.iter().find(|pass| pass.user == self.people[person]).expect("a pass").id;
        self.world.sandbox.edit(|tenant| tenant.use_pass(pass));
    }
}
