//! The tenant itself.

use serde_json::json;

use super::RequestContext;
use crate::tenant::{
    TENANT_ID,
    page::selected,
    schema,
    wire::{CallResult, GraphResponse},
};

/// `GET /organization`: a list of one.
pub(super) fn list(ctx: &RequestContext<'_>) -> CallResult {
    ctx.query.allow(ctx.call, &["$select"])?;
    let select = ctx.query.select(&[&schema::ORGANIZATION])?;
    let whole = schema::object(json!({"id": TENANT_ID, "displayName": "Contoso"}));
    let value = schema::ORGANIZATION.project(whole, select.as_deref());
    let context =
        format!("https://graph.microsoft.com/v1.0/$metadata#organization{}", selected(select.as_deref()));
    Ok(GraphResponse::ok(json!({"@odata.context": context, "value": [value]})))
}
