//! A simulated tenant, as strict as Microsoft Graph is documented to be.
//!
//! The same axum [`Router`] serves tests in this process, with paused time ([`Sandbox::transport`]), and other
//! processes on loopback ([`loopback`]). Rules that are not documented are marked "assumed" or "reported". What the
//! sandbox does not implement it refuses with 501 and a name, so that no test relies on a guess.
//!
//! Reading order: [`Tenant`] is the directory as plain data, with [`Person`] and [`Pass`]; `wire` is a request and its
//! response; `router` receives requests and keeps the [`journal`]; `dispatch` applies [`faults`] and latency; `calls`
//! processes each Graph call, with `calls::authorization`; `sending` limits mailboxes; `batch` is `/$batch`; `control`
//! is `/sandbox/*`; `identity` issues tokens; `event_grid` publishes changes.

mod batch;
mod calls;
mod clock;
mod control;
mod directory;
mod dispatch;
mod event_grid;
pub mod faults;
mod filter;
pub mod generate;
pub(crate) mod hosts;
mod identity;
pub mod journal;
pub mod loopback;
mod mailbox_slot;
mod method;
mod model;
mod null_property;
mod page;
mod pass;
mod permission;
mod person;
mod policies;
mod query;
pub mod roles;
mod route;
mod router;
pub mod samples;
mod schema;
mod segments;
mod sending;
mod subscription;
pub(crate) mod token;
pub(crate) mod transport;
mod webhooks;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, http::HeaderMap};
use azure_core::{credentials::TokenCredential, http::HttpClient};
use chrono::{DateTime, TimeDelta, Utc};
use firstpass::clock::Clock;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use uuid::Uuid;

pub use self::{
    directory::{Application, Contact, Device, Group, Membership, RoleAssignment, ServicePrincipal},
    event_grid::{EventGrid, Removed},
    faults::{Fault, FaultKind},
    identity::{Identity, TokenRequest},
    journal::{Content, Mail, Part, PassEvent, Request},
    method::Method,
    model::{AppRole, Tenant},
    null_property::{NullForm, NullProperty},
    pass::{Pass, PassSpec, Policy, Target, Untargeted},
    permission::Permission,
    person::Person,
    policies::{ConditionalAccessPolicy, MethodPolicy},
    sending::{SendDenial, SendLimits},
    subscription::{APPLICATION_ID, MAX_SUBSCRIPTION_LIFETIME, Subscription, TENANT_ID},
    token::{IDENTITY_ID, of_claims as token_of_claims},
    webhooks::{ALERT_URL, DELIVERY_AUDIENCE, DELIVERY_KEY, DELIVERY_URL, WebhookCall},
    wire::ConnectionFault,
};

/// A tenant with the API of Microsoft Graph. Cheap to clone: clones share the tenant.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    clock: clock::TenantClock,
    state: Mutex<State>,
}

/// Everything that a request can read or change.
struct State {
    tenant: Tenant,
    mails: Vec<Mail>,
    pass_events: Vec<PassEvent>,
    webhooks: Vec<WebhookCall>,
    requests: journal::Journal,
    faults: faults::Faults,
    event_grid: Option<EventGrid>,
    identity: Identity,
    tokens: Vec<TokenRequest>,
    /// The number of current requests to each mailbox.
    busy: BTreeMap<Uuid, usize>,
    /// What each mailbox sent.
    submissions: BTreeMap<Uuid, sending::Submissions>,
    /// Separate from the tenant's, so that the number of requests does not change its ids and codes.
    request_id_rng: StdRng,
}

impl Sandbox {
    /// A sandbox whose clock shows `epoch` now and then follows tokio's clock, paused or not.
    pub fn new(mut tenant: Tenant, epoch: DateTime<Utc>) -> Self {
        tenant.set_creation_times(epoch);
        let request_id_rng = StdRng::seed_from_u64(tenant.seed().wrapping_add(1));
        let state = State {
            faults: faults::Faults::new(tenant.seed().wrapping_add(2)),
            tenant,
            event_grid: None,
            mails: Vec::new(),
            pass_events: Vec::new(),
            webhooks: Vec::new(),
            requests: journal::Journal::default(),
            identity: Identity::default(),
            tokens: Vec::new(),
            busy: BTreeMap::new(),
            submissions: BTreeMap::new(),
            request_id_rng,
        };
        Self(Arc::new(Inner { clock: clock::TenantClock::starting_at(epoch), state: Mutex::new(state) }))
    }

    /// The tenant's clock, for the App.
    pub fn clock(&self) -> Clock {
        let sandbox = self.clone();
        Clock::from_fn(move || sandbox.now())
    }

    /// The tenant's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Advances the tenant's clock. Sleeping tasks are not woken.
    pub fn advance(&self, by: TimeDelta) {
        self.0.clock.advance(by);
        // The members of a dynamic group may have changed.
        let now = self.now();
        self.lock().publish_changes(now);
    }

    /// Graph at `/v1.0`, the identity endpoint at `/msi/token`, and `/sandbox/*`.
    pub fn router(&self) -> Router {
        router::router(self.clone())
    }

    /// A transport for requests to `https://graph.microsoft.com` without a network.
    pub fn transport(&self) -> Arc<dyn HttpClient> {
        Arc::new(transport::InProcessTransport::new(self.router()))
    }

    /// A credential whose token the sandbox accepts.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::new(token::SandboxCredential(self.clone()))
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        let now = self.now();
        let State { faults, tenant, .. } = &mut *self.lock();
        faults.arm(fault, tenant, now);
    }

    /// Disarms all faults and sets the fault rate to 0.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// The armed faults that can still affect a request.
    pub fn armed_faults(&self) -> Vec<Fault> {
        self.lock().faults.pending().cloned().collect()
    }

    /// Sets the share of requests (0 to 1) that meet a random fault, selected with the tenant's seed.
    pub fn set_fault_rate(&self, rate: f64) {
        self.lock().faults.set_rate(rate);
    }

    /// The state, as `GET /sandbox/state` returns it.
    pub fn state(&self) -> Value {
        control::state(self)
    }

    /// The requests to Graph, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.list()
    }

    /// Sets the app's managed identity.
    pub fn set_identity(&self, identity: Identity) {
        self.lock().identity = identity;
    }

    /// The requests for tokens, in the order of their arrival.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.lock().tokens.clone()
    }

    /// The accepted mails, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().mails.clone()
    }

    /// What the endpoints for codes and alerts accepted, oldest first.
    pub fn webhooks(&self) -> Vec<WebhookCall> {
        self.lock().webhooks.clone()
    }

    /// The requests that made or removed a pass, oldest first, including those whose response was lost.
    pub fn pass_events(&self) -> Vec<PassEvent> {
        self.lock().pass_events.clone()
    }

    /// The listed passes, including expired and used ones: at most one for each user.
    pub fn passes(&self) -> Vec<Pass> {
        self.lock().tenant.passes.values().cloned().collect()
    }

    /// Every code that was ever made.
    pub fn codes(&self) -> Vec<String> {
        self.lock().tenant.codes.iter().cloned().collect()
    }

    /// Changes the tenant as an admin does, and returns the result of `change`.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Tenant) -> R) -> R {
        let now = self.now();
        let mut state = self.lock();
        let result = change(&mut state.tenant);
        state.tenant.set_creation_times(now);
        state.publish_changes(now);
        result
    }

    /// The ids of an exchange; the caller's `client-request-id` is returned.
    fn request_ids(&self, headers: &HeaderMap) -> wire::RequestIds {
        let request = uuid::Builder::from_random_bytes(self.lock().request_id_rng.random()).into_uuid();
        let client = headers.get("client-request-id").and_then(|id| id.to_str().ok());
        let client = client.map_or_else(|| request.to_string(), str::to_owned);
        wire::RequestIds { request, client }
    }

    /// The only lock. Do not hold it across an await. A poisoned lock is used on: the test that panicked has failed
    /// already.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("now", &self.now()).finish_non_exhaustive()
    }
}
