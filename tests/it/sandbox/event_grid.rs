//! Membership changes as events in a queue.

use axum::{body::Body, http::Request};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use firstpass_sandbox::{
    functions_host::Storage,
    tenant::{APPLICATION_ID, EventGrid, Group, Permission, Removed, Subscription, TENANT_ID},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Caller, Person, Tenant, caller, now};

const TOPIC: &str = "EventGrid:?azuresubscriptionid=8a8a8a8a-4b4b-4c4c-4d4d-12e12e12e12e&resourcegroup=firstpass\
                     &partnertopic=on-demand&location=westeurope";

struct Setup {
    caller: Caller,
    storage: Storage,
    group: Uuid,
    subscription: Uuid,
    people: [Uuid; 2],
}

impl Setup {
    /// A group with a subscription of one day, and two users who are not members.
    fn new(grid: impl FnOnce(EventGrid) -> EventGrid) -> Self {
        let mut tenant = Tenant::new(7);
        tenant.granted.insert(Permission::GroupMemberReadWrite);
        let people = ["Emma Brooks", "Jonas Weber"].map(|name| tenant.add(Person::named(name)));
        let group = tenant.add_group(Group::named("On-demand access"));
        let caller = caller(tenant);
        let storage = Storage::new(caller.sandbox.clock());
        caller.sandbox.connect_event_grid(grid(EventGrid::delivering_to(storage.event_sink("pass-jobs"))));
        let wanted = Subscription::to_group(group, TOPIC, now() + TimeDelta::days(1));
        let subscription = caller.sandbox.edit(|tenant| tenant.add_subscription(wanted));
        Self { caller, storage, group, subscription, people }
    }

    fn add(&self, user: Uuid) {
        self.caller.sandbox.edit(|tenant| tenant.add_member(self.group, user));
    }

    fn events(&self) -> Vec<Value> {
        let decode = |text: &str| serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
        self.storage.messages("pass-jobs").iter().map(|message| decode(&message.text)).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_membership_change_is_published_as_a_cloud_event() {
    let setup = Setup::new(|grid| grid);
    let (group, [emma, _]) = (setup.group, setup.people);
    setup.add(emma);
    let events = setup.events();
    assert_eq!(events.len(), 1);
    let id = events[0]["id"].as_str().unwrap();
    assert!(id.parse::<Uuid>().is_ok());
    assert_eq!(
        events[0],
        json!({
            "id": id,
            "type": "Microsoft.Graph.GroupUpdated",
            "source": format!("/tenants/{TENANT_ID}/applications/{APPLICATION_ID}"),
            "subject": format!("Groups/{group}"),
            "time": "2026-11-22T09:00:00.000000Z",
            "datacontenttype": "application/json",
            "specversion": "1.0",
            "data": {
                "changeType": "updated",
                "clientState": null,
                "resource": format!("Groups/{group}"),
                "resourceData": {
                    "@odata.type": "#Microsoft.Graph.Group",
                    "@odata.id": format!("Groups/{group}"),
                    "id": group,
                    "organizationId": TENANT_ID,
                    "eventTime": "2026-11-22T09:00:00.000000Z",
                    "sequenceNumber": "1",
                },
                "subscriptionExpirationDateTime": "2026-11-23T09:00:00Z",
                "subscriptionId": setup.subscription,
                "tenantId": TENANT_ID,
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn only_membership_changes_are_published() {
    let setup = Setup::new(|grid| grid);
    let (group, [emma, jonas]) = (setup.group, setup.people);
    let link = json!({ "@odata.id": format!("https://graph.microsoft.com/v1.0/users/{emma}") });
    setup.caller.post(format!("/v1.0/groups/{group}/members/$ref"), link).await.expect(204);
    assert_eq!(setup.events().len(), 1, "through Graph");
    let control = async |method: &str, user: &str| {
        let url = format!("/sandbox/groups/On-demand%20access/members/{user}");
        setup.caller.raw(Request::builder().method(method).uri(url).body(Body::empty()).unwrap()).await
    };
    control("PUT", "jonas.weber@contoso.example").await.expect(204);
    assert_eq!(setup.events().len(), 2, "through the control endpoint");
    control("DELETE", &jonas.to_string()).await.expect(204);
    assert_eq!(setup.events().len(), 3);
    assert_eq!(control("PUT", "nobody").await.status, 400);
    setup.caller.sandbox.edit(|tenant| tenant.delete(emma));
    assert_eq!(setup.events().len(), 4, "with the deleted account");

    setup.caller.sandbox.edit(|tenant| tenant.remove_member(group, emma));
    setup.caller.get(format!("/v1.0/groups/{group}/members")).await.expect(200);
    let other = setup.caller.sandbox.edit(|tenant| tenant.add_group(Group::named("Other")));
    setup.caller.sandbox.edit(|tenant| tenant.add_member(other, jonas));
    assert_eq!(setup.events().len(), 4, "no change, or of another group");
}

#[tokio::test(start_paused = true)]
async fn without_a_subscription_there_are_no_events() {
    let setup = Setup::new(|grid| grid);
    let [emma, jonas] = setup.people;
    setup.caller.sandbox.advance(TimeDelta::days(1));
    setup.add(emma);
    assert_eq!(setup.events().len(), 0, "it has expired");
    let deletions = Subscription {
        change_type: "deleted".to_owned(),
        ..Subscription::to_group(setup.group, TOPIC, now() + TimeDelta::days(2))
    };
    setup.caller.sandbox.edit(|tenant| tenant.add_subscription(deletions));
    setup.add(jonas);
    assert_eq!(setup.events().len(), 0, "it is about deletions");
}

#[tokio::test(start_paused = true)]
async fn an_event_can_list_added_and_removed_members() {
    for (removed, mark) in
        [(Removed::Text, json!("deleted")), (Removed::Object, json!({ "reason": "deleted" }))]
    {
        let setup = Setup::new(|grid| grid.naming_members(removed));
        let [emma, jonas] = setup.people;
        setup.add(emma);
        setup.caller.sandbox.edit(|tenant| {
            tenant.remove_member(setup.group, emma);
            tenant.add_member(setup.group, jonas);
        });
        let delta = |event: &Value| event["data"]["resourceData"]["members@delta"].clone();
        let deltas: Vec<_> = setup.events().iter().map(delta).collect();
        assert_eq!(deltas[0], json!([{ "id": emma }]));
        assert_eq!(deltas[1], json!([{ "id": jonas }, { "id": emma, "@removed": mark }]));
    }
}

#[tokio::test(start_paused = true)]
async fn event_delivery_can_be_delayed() {
    let setup = Setup::new(|grid| grid.delayed(TimeDelta::minutes(7)));
    setup.add(setup.people[0]);
    assert_eq!(setup.storage.next_visible("pass-jobs"), Some(now() + TimeDelta::minutes(7)));
}
