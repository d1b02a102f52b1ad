//! The tenant's domains.

use serde_json::json;

use super::RequestContext;
use crate::tenant::{
    page::selected,
    schema,
    wire::{CallResult, GraphResponse},
};

/// `GET /domains`: all in one page.
pub(super) fn list(ctx: &RequestContext<'_>) -> CallResult {
    ctx.query.allow(ctx.call, &["$select"])?;
    let select = ctx.query.select(&[&schema::DOMAIN])?;
    let domain = |(name, is_verified): &(String, bool)| {
        let whole = schema::object(json!({
            "id": name,
            "authenticationType": "Managed",
            "availabilityStatus": null,
            "isAdminManaged": true,
            "isDefault": tenant_default(ctx) == Some(name),
            "isInitial": false,
            "isRoot": true,
            "isVerified": is_verified,
            "supportedServices": if *is_verified { json!(["Email"]) } else { json!([]) },
        }));
        schema::DOMAIN.project(whole, select.as_deref())
    };
    let value: Vec<_> = ctx.tenant.domains.iter().map(domain).collect();
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#domains{}", selected(select.as_deref()));
    Ok(GraphResponse::ok(json!({"@odata.context": context, "value": value})))
}

fn tenant_default<'a>(ctx: &'a RequestContext<'_>) -> Option<&'a String> {
    ctx.tenant.domains.first().map(|(name, _)| name)
}
