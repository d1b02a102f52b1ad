//! Event Grid between the tenant and a queue: changes of memberships become events.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Sandbox, State, Subscription, Tenant, subscription::TENANT_ID};

/// An activated partner topic with an event subscription that delivers to a queue. It receives the notifications of
/// every Graph subscription whose notification URL is one of Event Grid.
pub struct EventGrid {
    sink: Sink,
    delta: Option<Removed>,
    delay: TimeDelta,
    sequence: u64,
    ids: StdRng,
}

/// Receives an event as text, and the delay of its delivery.
type Sink = Box<dyn Fn(String, TimeDelta) + Send>;

/// How `members@delta` marks a removed member (assumed; neither is documented for Event Grid).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// `"deleted"`, as reported of webhooks.
    Text,
    /// `{"reason":"deleted"}`, as in delta queries.
    Object,
}

struct MembershipChange {
    added: Vec<Uuid>,
    removed: Vec<Uuid>,
}

impl EventGrid {
    /// Delivers to `sink` without delay, with events that name the group only, as documented.
    pub fn delivering_to(sink: impl Fn(String, TimeDelta) + Send + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            delta: None,
            delay: TimeDelta::zero(),
            sequence: 0,
            ids: StdRng::seed_from_u64(0),
        }
    }

    /// Adds the changed members to each event, in `members@delta`.
    pub fn naming_members(mut self, removed: Removed) -> Self {
        self.delta = Some(removed);
        self
    }

    /// Delays each delivery.
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

    /// The CloudEvent, as Event Grid writes it into a queue: one in each message.
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
    /// Delivers changes of groups with a live subscription from now on.
    pub fn connect_event_grid(&self, mut grid: EventGrid) {
        let mut state = self.lock();
        grid.ids = StdRng::seed_from_u64(state.tenant.seed().wrapping_add(3));
        state.event_grid = Some(grid);
    }
}

impl State {
    /// Publishes the membership changes of subscribed groups. Call it after everything that may have changed a
    /// membership.
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

/// Takes the change that the subscription has not reported yet. The first call only records the members.
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
