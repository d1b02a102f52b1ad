//! Policies of methods of sign-in, and Conditional Access.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::RequestContext;
use crate::tenant::{
    page::{entity, page, selected},
    route::MethodPolicyName,
    schema,
    wire::{CallResult, GraphResponse},
};

/// `GET /policies/authenticationMethodsPolicy/authenticationMethodConfigurations/{name}`
pub(super) fn method(ctx: &RequestContext<'_>, name: MethodPolicyName) -> CallResult {
    ctx.query.allow(ctx.call, &[])?;
    let policy = match name {
        MethodPolicyName::Passkeys => ctx.tenant.passkeys.to_passkeys(),
        MethodPolicyName::Authenticator => ctx.tenant.authenticator.to_authenticator(),
    };
    Ok(GraphResponse::ok(entity(ctx.call, "authenticationMethodConfigurations/$entity", policy)))
}

/// `GET /identity/conditionalAccess/policies`
pub(super) fn conditional_access(ctx: &RequestContext<'_>) -> CallResult {
    let RequestContext { tenant, query, call, .. } = ctx;
    query.allow(call, &["$select", "$top", "$skiptoken"])?;
    let select = query.select(&[&schema::CONDITIONAL_ACCESS_POLICY])?;
    let mut policies: Vec<(Uuid, Map<String, Value>)> =
        tenant.conditional_access.iter().map(|policy| (policy.id, policy.to_graph())).collect();
    policies.sort_by_key(|(id, _)| *id);
    let ids: Vec<Uuid> = policies.iter().map(|(id, _)| *id).collect();
    let context = format!("identity/conditionalAccess/policies{}", selected(select.as_deref()));
    page(call, query, tenant.page_size_cap, &context, &ids, |id| {
        let found = policies.iter().find(|(known, _)| *known == id);
        let shown = found.map(|(_, policy)| policy.clone()).unwrap_or_default();
        Value::Object(schema::CONDITIONAL_ACCESS_POLICY.project(shown, select.as_deref()))
    })
}
