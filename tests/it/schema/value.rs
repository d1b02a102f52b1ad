//! Checks the types of values: JSON in bodies, OData literals in filters.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, NaiveTime};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    csdl::{Schema, TypeRef},
    path::unquoted,
};

/// Reports the parts of `value` at the path `at` that are not of the type `of`.
pub fn check(schema: &Schema, at: &str, of: &TypeRef, value: &Value, problems: &mut Vec<String>) {
    match value {
        Value::Null if of.is_nullable && !of.is_collection => {}
        Value::Array(items) if of.is_collection => {
            for (i, item) in items.iter().enumerate() {
                check(schema, &format!("{at}[{i}]"), &of.item(), item, problems);
            }
        }
        _ if of.is_collection => problems.push(format!("{at}: not a list of '{}'", of.name)),
        _ if of.name.starts_with("Edm.") => {
            if !is_edm(&of.name, value) {
                problems.push(format!("{at}: {} is not of type '{}'", kind(value), of.name));
            }
        }
        _ => check_named(schema, at, of, value, problems),
    }
}

fn check_named(schema: &Schema, at: &str, of: &TypeRef, value: &Value, problems: &mut Vec<String>) {
    let members = schema.get(&of.name).and_then(|t| t.members.as_ref());
    match (members, value) {
        (Some(members), Value::String(text)) => {
            if !is_member(members, text) {
                problems.push(format!("{at}: '{text}' is no member of '{}'", of.name));
            }
        }
        (None, Value::Object(fields)) => check_fields(schema, at, &of.name, fields, problems),
        _ => problems.push(format!("{at}: {} is not of type '{}'", kind(value), of.name)),
    }
}

/// Reports every unknown field of an object of the type `of`, and every value of a wrong type.
pub fn check_fields(
    schema: &Schema,
    at: &str,
    of: &str,
    fields: &Map<String, Value>,
    problems: &mut Vec<String>,
) {
    // What is sent as something more general names its type.
    let named = fields
        .get("@odata.type")
        .and_then(Value::as_str)
        .map(|name| name.trim_start_matches("#microsoft.graph."));
    let of = named.filter(|named| schema.is_derived(named, of)).unwrap_or(of);
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with("@odata.")) {
        let at = format!("{at}.{name}");
        match (schema.property(of, name), schema.navigation(of, name)) {
            (Some(property), _) => check(schema, &at, property, value, problems),
            (None, Some(target)) => check(schema, &at, &target.of, value, problems),
            (None, None) => problems.push(format!("{at}: '{of}' has no such property")),
        }
    }
}

/// Whether `literal` is of the type `of`.
pub fn is_literal(schema: &Schema, of: &TypeRef, literal: &str) -> bool {
    if literal == "null" {
        return of.is_nullable;
    }
    if let Some(members) = schema.get(&of.name).and_then(|t| t.members.as_ref()) {
        return unquoted(literal).is_some_and(|text| is_member(members, &text));
    }
    match of.name.as_str() {
        "Edm.String" => unquoted(literal).is_some(),
        "Edm.Boolean" => matches!(literal, "true" | "false"),
        "Edm.Int32" | "Edm.Int64" | "Edm.Double" => {
            serde_json::from_str(literal).is_ok_and(|value| is_edm(&of.name, &value))
        }
        name => is_edm(name, &literal.into()),
    }
}

fn is_edm(name: &str, value: &Value) -> bool {
    let text = value.as_str();
    match name {
        "Edm.String" => text.is_some(),
        "Edm.Binary" => text.is_some_and(|text| STANDARD.decode(text).is_ok()),
        "Edm.Boolean" => value.is_boolean(),
        "Edm.Int16" => value.as_i64().is_some_and(|n| i16::try_from(n).is_ok()),
        "Edm.Int32" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "Edm.Int64" => value.is_i64(),
        "Edm.Double" | "Edm.Single" | "Edm.Decimal" => value.is_number(),
        "Edm.Guid" => text.is_some_and(|text| Uuid::try_parse(text).is_ok()),
        "Edm.Date" => text.is_some_and(|text| text.parse::<NaiveDate>().is_ok()),
        "Edm.TimeOfDay" => text.is_some_and(|text| text.parse::<NaiveTime>().is_ok()),
        "Edm.DateTimeOffset" => text.is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok()),
        // Types that no request has used yet are reported.
        _ => false,
    }
}

/// Enumeration members are case-insensitive: Graph's samples have `HTML`, the schema has `html`.
fn is_member(members: &[String], text: &str) -> bool {
    members.iter().any(|member| member.eq_ignore_ascii_case(text))
}

/// Messages contain the kind of a value instead of the value, which can be a code.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
