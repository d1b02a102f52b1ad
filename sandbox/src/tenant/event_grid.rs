//! Event Grid between the tenant and a queue: what a change of a group's members becomes.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Sandbox, State, Subscription, Tenant, subscription::TENANT_ID};

/// A partner topic that is activated, and an event subscription that leads from it to a queue. Every subscription to
/// Graph whose notification URL is one of Event Grid ends there.
pub struct EventGrid {
    sink: Sink,
    delta: Option<Removed>,
    delay: TimeDelta,
    sequence: u64,
    ids: StdRng,
}

/// Takes an event as text, and how much later it arrives.
type Sink = Box<dyn Fn(String, TimeDelta) + Send>;

/// How an event that names members says that one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// `"deleted"`, as webhooks are seen to say it.
    Text,
    /// `{"reason":"deleted"}`, as delta queries say it.
    Object,
}

/// Who came and who went since somebody last looked.
struct MembershipChange {
    added: Vec<Uuid>,
    removed: Vec<Uuid>,
}

impl EventGrid {
    /// Delivers to `sink`, at once, events that name the group alone, as they are documented.
    pub fn delivering_to(sink: impl Fn(String, TimeDelta) + Send + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            delta: None,
            delay: TimeDelta::zero(),
            sequence: 0,
            ids: StdRng::seed_from_u64(0),
        }
    }

    /// With events that name the members, in `members@delta`.
    pub fn naming_members(mut self, removed: Removed) -> Self {
        self.delta = Some(removed);
        self
    }

    /// With events that take this long.
    pub fn delayed(mut self, by: TimeDelta) -> Self {
        self.delay = by;
        self
    }

    fn publish(
        &mut self,
        subscription: &Subscription,
        group: Uuid,
        change: &MembershipChange,
        now: DateTime<Utc>,
    ) {
        let event = self.event(subscription, group, change, now).to_string();
        (self.sink)(event, self.delay);
    }

    /// A CloudEvent, as Event Grid writes it into a queue: one to a message.
    fn event(
        &mut self,
        subscription: &Subscription,
        group: Uuid,
        change: &MembershipChange,
        now: DateTime<Utc>,
    ) -> Value {
        let time = now.to_rfc3339_opts(SecondsFormat::Micros, true);
        let resource = format!("Groups/{group}");
        self.sequence += 1;
        let mut data = json!({
            "@odata.type": "#Microsoft.Graph.Group",
            "@odata.id": resource,
            "id": group,
            "organizationId": TENANT_ID,
            "eventTime": time,
            "sequenceNumber": self.sequence.to_string(),
        });
        if let Some(removed) = self.delta {
            data["members@delta"] = delta(change, removed);
        }
        json!({
            "id": uuid::Builder::from_random_bytes(self.ids.random()).into_uuid(),
            "type": "Microsoft.Graph.GroupUpdated",
            "source": format!("/tenants/{TENANT_ID}/applications/{}", subscription.application),
            "subject": resource,
            "time": time,
            "datacontenttype": "application/json",
            "specversion": "1.0",
            "data": {
                "changeType": "updated",
                "clientState": subscription.client_state,
                "resource": resource,
                "resourceData": data,
                "subscriptionExpirationDateTime": subscription.expires,
                "subscriptionId": subscription.id,
                "tenantId": TENANT_ID,
            },
        })
    }
}

fn delta(change: &MembershipChange, removed: Removed) -> Value {
    let mark = match removed {
        Removed::Text => json!("deleted"),
        Removed::Object => json!({ "reason": "deleted" }),
    };
    let added = change.added.iter().map(|id| json!({ "id": id }));
    let removed = change.removed.iter().map(|id| json!({ "id": id, "@removed": mark }));
    added.chain(removed).collect()
}

impl Sandbox {
    /// From now on changes of groups with a live subscription reach a queue.
    pub fn connect_event_grid(&self, mut grid: EventGrid) {
        let mut state = self.lock();
        grid.ids = StdRng::seed_from_u64(state.tenant.seed().wrapping_add(3));
        state.event_grid = Some(grid);
    }
}

impl State {
    /// Notices what became of the members of groups with a subscription, whoever changed them. To be called after
    /// everything that may have.
    pub(super) fn publish_changes(&mut self, now: DateTime<Utc>) {
        let Self { tenant, event_grid, .. } = self;
        tenant.subscriptions.retain(|_, subscription| subscription.expires > now);
        let ids: Vec<Uuid> = tenant.subscriptions.keys().copied().collect();
        for id in ids {
            let Some((subscription, group, change)) = take_change(tenant, id, now) else { continue };
            if let Some(grid) = event_grid.as_mut().filter(|_| subscription.includes_updates()) {
                grid.publish(&subscription, group, &change, now);
            }
        }
    }
}

/// The change that a subscription has not seen yet. Who subscribes sees what changes from then on.
fn take_change(
    tenant: &mut Tenant,
    id: Uuid,
    now: DateTime<Utc>,
) -> Option<(Subscription, Uuid, MembershipChange)> {
    let group = tenant.subscriptions.get(&id)?.group()?;
    let members = tenant.members(group, now);
    let subscription = tenant.subscriptions.get_mut(&id)?;
    let known = subscription.known_members.replace(members.clone())?;
    let missing = |from: &BTreeSet<Uuid>, other| from.difference(other).copied().collect::<Vec<_>>();
    let change = MembershipChange { added: missing(&members, &known), removed: missing(&known, &members) };
    let is_none = change.added.is_empty() && change.removed.is_empty();
    (!is_none).then(|| (subscription.clone(), group, change))
}
