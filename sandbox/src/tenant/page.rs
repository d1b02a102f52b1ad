//! Pages of collections.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    query::Query,
    wire::{CallResult, ErrorResponse, GraphCall, GraphResponse},
};

/// The requested page of `ids`, which must be in order; `render` makes each item.
///
/// The link to the next page repeats every option; its token is valid for the same request only.
pub(super) fn page(
    call: &GraphCall,
    query: &Query,
    cap: usize,
    context: &str,
    ids: &[Uuid],
    render: impl Fn(Uuid) -> Value,
) -> CallResult {
    let size = query.top()?.min(cap.max(1));
    let fingerprint = fingerprint(call, query);
    let after = query.get("$skiptoken").map(|token| position(token, fingerprint)).transpose()?;
    let rest = after.map_or(ids, |after| &ids[ids.partition_point(|id| *id <= after)..]);
    let shown = &rest[..rest.len().min(size)];

    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context_url(call, context).into());
    if query.count()? && after.is_none() {
        body.insert("@odata.count".to_owned(), json!(ids.len()));
    }
    if let (Some(last), true) = (shown.last(), shown.len() < rest.len()) {
        body.insert("@odata.nextLink".to_owned(), next_link(call, query, fingerprint, *last).into());
    }
    body.insert("value".to_owned(), shown.iter().copied().map(render).collect());
    Ok(GraphResponse::ok(Value::Object(body)))
}

/// `object` as a whole response body.
pub(super) fn entity(call: &GraphCall, context: &str, mut object: Map<String, Value>) -> Value {
    object.insert("@odata.context".to_owned(), context_url(call, context).into());
    Value::Object(object)
}

/// The part of a context URL that lists the selected properties: `(id,displayName)`.
pub(super) fn selected(select: Option<&[String]>) -> String {
    select.map_or_else(String::new, |names| format!("({})", names.join(",")))
}

pub(super) fn context_url(call: &GraphCall, context: &str) -> String {
    format!("{}/$metadata#{context}", call.root())
}

fn next_link(call: &GraphCall, query: &Query, fingerprint: u64, last: Uuid) -> String {
    let options = query.encode_without("$skiptoken");
    let separator = if options.is_empty() { "" } else { "&" };
    let (root, path, last) = (call.root(), call.path(), last.simple());
    format!("{root}{path}?{options}{separator}$skiptoken={last}{fingerprint:016x}")
}

fn fingerprint(call: &GraphCall, query: &Query) -> u64 {
    let mut hasher = DefaultHasher::new();
    (call.path(), query.encode_without("$skiptoken")).hash(&mut hasher);
    hasher.finish()
}

fn position(token: &str, fingerprint: u64) -> Result<Uuid, ErrorResponse> {
    let position = token.strip_suffix(&format!("{fingerprint:016x}")).and_then(|id| id.parse().ok());
    position.ok_or_else(|| ErrorResponse::bad_request("Invalid page token: follow @odata.nextLink as it is."))
}
