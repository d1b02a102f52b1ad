//! The calls of Graph, one file for each resource. Every function is synchronous and has the whole tenant.

mod authorization;
mod domains;
mod groups;
mod mail;
mod passes;
mod policies;
mod roles;
mod subscriptions;
mod usage;
mod users;

use std::collections::BTreeMap;

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Mail, Pass, PassEvent, Permission, Person, State, Tenant,
    query::Query,
    route::Route,
    sending::Submissions,
    wire::{CallResult, ErrorResponse, GraphCall},
};

struct RequestContext<'a> {
    tenant: &'a mut Tenant,
    mails: &'a mut Vec<Mail>,
    submissions: &'a mut BTreeMap<Uuid, Submissions>,
    pass_events: &'a mut Vec<PassEvent>,
    now: DateTime<Utc>,
    call: &'a GraphCall,
    query: Query,
}

pub(super) fn handle(state: &mut State, now: DateTime<Utc>, call: &GraphCall) -> CallResult {
    let route = Route::parse(call)?;
    let query = Query::parse(&call.target)?;
    authorization::check(&state.tenant, &route, call, &query, now)?;
    let State { tenant, mails, submissions, pass_events, .. } = state;
    let ctx = RequestContext { tenant, mails, submissions, pass_events, now, call, query };
    match (&call.method, route) {
        (&Method::GET, Route::Users) => users::list(&ctx),
        (&Method::GET, Route::User(key)) => users::get(&ctx, &key),
        (&Method::GET, Route::DeletedItem(key)) => users::get_deleted(&ctx, &key),
        (&Method::GET, Route::Manager(key)) => users::manager(&ctx, &key),
        (&Method::GET, Route::TransitiveMemberOf(key)) => users::transitive_member_of(&ctx, &key),
        (&Method::GET, Route::OwnedObjects(key)) => users::owned_objects(&ctx, &key),
        (&Method::GET, Route::Group(key)) => groups::get(&ctx, &key),
        (&Method::GET, Route::Members(key)) => groups::members(&ctx, &key),
        (&Method::POST, Route::MemberRefs(key)) => groups::add_member(ctx, &key),
        (&Method::DELETE, Route::MemberRef(key, member)) => groups::remove_member(ctx, &key, &member),
        (&Method::GET, Route::RoleAssignments) => roles::assignments(&ctx),
        (&Method::GET, Route::RoleEligibility) => roles::eligibility(&ctx),
        (&Method::GET, Route::GroupEligibility) => roles::group_eligibility(&ctx),
        (&Method::GET, Route::Domains) => domains::list(&ctx),
        (&Method::GET, Route::Subscriptions) => subscriptions::list(&ctx),
        (&Method::POST, Route::Subscriptions) => subscriptions::create(ctx),
        (&Method::GET, Route::Subscription(key)) => subscriptions::get(&ctx, &key),
        (&Method::PATCH, Route::Subscription(key)) => subscriptions::renew(ctx, &key),
        (&Method::DELETE, Route::Subscription(key)) => subscriptions::delete(ctx, &key),
        (&Method::GET, Route::PassPolicy) => passes::policy(&ctx),
        (&Method::GET, Route::MethodPolicy(name)) => policies::method(&ctx, name),
        (&Method::GET, Route::ConditionalAccess) => policies::conditional_access(&ctx),
        (&Method::GET, Route::Methods(key)) => usage::methods(&ctx, &key),
        (&Method::GET, Route::RegistrationDetails(key)) => usage::registration_details(&ctx, &key),
        (&Method::GET, Route::Passes(key)) => passes::list(&ctx, &key),
        (&Method::POST, Route::Passes(key)) => passes::create(ctx, &key),
        (&Method::GET, Route::Pass(key, id)) => passes::get(&ctx, &key, &id),
        (&Method::DELETE, Route::Pass(key, id)) => passes::delete(ctx, &key, &id),
        (&Method::POST, Route::SendMail(key)) => mail::send(ctx, &key),
        (method, route) if route.is_known_to_graph(method) => {
            Err(ErrorResponse::not_implemented(&format!("{method} at the path '{}'", call.path())))
        }
        _ => Err(ErrorResponse::method_not_allowed()),
    }
}

impl RequestContext<'_> {
    /// `object`, or only its id and type if the app lacks `permission`.
    fn mask_without(&self, permission: Permission, object: Value) -> Value {
        if permission.is_among(&self.tenant.granted) { object } else { authorization::mask(object) }
    }

    fn record_pass_event(&mut self, made: Option<Pass>, gone: Option<Pass>) {
        let by = self.call.header("client-request-id").map(str::to_owned);
        self.pass_events.push(PassEvent { at: self.now, by, made, gone });
    }

    /// The user that a path names; 404 if the replica does not have them yet.
    fn user(&self, key: &str) -> Result<&Person, ErrorResponse> {
        self.tenant
            .find_user(key)
            .filter(|person| person.replicating_until.is_none_or(|until| until <= self.now))
            .ok_or_else(|| ErrorResponse::not_found(key))
    }
}
