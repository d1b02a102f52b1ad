//! What each Graph call does. A file for each resource; every function is synchronous and sees the whole tenant.

pub(super) mod batch;
mod groups;
mod mail;
mod passes;
mod roles;
pub(super) mod subscriptions;
mod users;

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    Mail, Pass, PassEvent, Permission, Person, State, Tenant, permissions,
    query::Query,
    route::Route,
    wire::{Answer, GraphCall, GraphError},
};

/// What a call works on.
struct Scene<'a> {
    tenant: &'a mut Tenant,
    mails: &'a mut Vec<Mail>,
    pass_events: &'a mut Vec<PassEvent>,
    now: DateTime<Utc>,
    call: &'a GraphCall,
    query: Query,
}

/// Answers one call, at once.
pub(super) fn answer(state: &mut State, now: DateTime<Utc>, call: &GraphCall) -> Result<Answer, GraphError> {
    let route = Route::parse(call)?;
    let query = Query::parse(&call.target)?;
    permissions::check(state, &route, call, &query)?;
    let State { tenant, mails, pass_events, .. } = state;
    let scene = Scene { tenant, mails, pass_events, now, call, query };
    match (&call.method, route) {
        (&Method::GET, Route::Users) => users::list(&scene),
        (&Method::GET, Route::User(key)) => users::get(&scene, &key),
        (&Method::GET, Route::Manager(key)) => users::manager(&scene, &key),
        (&Method::GET, Route::TransitiveMemberOf(key)) => users::transitive_member_of(&scene, &key),
        (&Method::GET, Route::Group(key)) => groups::get(&scene, &key),
        (&Method::GET, Route::Members(key)) => groups::members(&scene, &key),
        (&Method::POST, Route::MemberRefs(key)) => groups::add_member(scene, &key),
        (&Method::DELETE, Route::MemberRef(key, member)) => groups::remove_member(scene, &key, &member),
        (&Method::GET, Route::RoleAssignments) => roles::assignments(&scene),
        (&Method::GET, Route::RoleEligibility) => roles::eligibility(&scene),
        (&Method::GET, Route::Subscriptions) => subscriptions::list(&scene),
        (&Method::POST, Route::Subscriptions) => subscriptions::create(scene),
        (&Method::GET, Route::Subscription(key)) => subscriptions::get(&scene, &key),
        (&Method::PATCH, Route::Subscription(key)) => subscriptions::renew(scene, &key),
        (&Method::DELETE, Route::Subscription(key)) => subscriptions::delete(scene, &key),
        (&Method::GET, Route::PassPolicy) => passes::policy(&scene),
        (&Method::GET, Route::Passes(key)) => passes::list(&scene, &key),
        (&Method::POST, Route::Passes(key)) => passes::create(scene, &key),
        (&Method::GET, Route::Pass(key, id)) => passes::get(&scene, &key, &id),
        (&Method::DELETE, Route::Pass(key, id)) => passes::delete(scene, &key, &id),
        (&Method::POST, Route::SendMail(key)) => mail::send(scene, &key),
        (method, route) if route.is_known_to_graph(method) => {
            Err(GraphError::not_implemented(&format!("{method} at the path '{}'", call.path())))
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

impl Scene<'_> {
    /// `object`, or as much of it as a list shows to whom `permission` is missing.
    fn limit(&self, permission: Permission, object: Value) -> Value {
        if permission.is_among(&self.tenant.granted) { object } else { permissions::hide(object) }
    }

    fn note_passes(&mut self, made: Option<Pass>, gone: Option<Pass>) {
        let by = self.call.header("client-request-id").map(str::to_owned);
        self.pass_events.push(PassEvent { at: self.now, by, made, gone });
    }

    /// The user that a path names. A replica that does not have them yet answers as if they did not exist.
    fn user(&self, key: &str) -> Result<&Person, GraphError> {
        self.tenant
            .find_user(key)
            .filter(|person| person.replicating_until.is_none_or(|until| until <= self.now))
            .ok_or_else(|| GraphError::not_found(key))
    }
}
