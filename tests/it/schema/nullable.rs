//! What can be null in the answers to an app's requests.

use std::collections::BTreeSet;

use firstpass_sandbox::tenant::{NullForm, NullProperty, Sandbox};

use serde_json::Value;

use super::{
    csdl::{GRAPH, Schema},
    path::{self, Kind},
    query::Query,
};
use crate::helpers::graph_caller::Caller;

/// Every property that the requests to the sandbox have asked for and that can be null, in each form in which it can.
/// A list is never null in OData, only its items are; here it is null and absent all the same. A property that has no value
/// in any answer is null already.
pub async fn nullable_properties(sandbox: &Sandbox) -> Vec<NullProperty> {
    let (mut found, mut answered) = (BTreeSet::new(), BTreeSet::new());
    add_names(&sandbox.state(), &mut answered);
    let caller = Caller::new(sandbox);
    for request in sandbox.requests() {
        let url = request.url.trim_start_matches("/v1.0").to_owned();
        let parts = request.parts.into_iter().map(|part| part.url);
        for url in parts.chain([url]).filter(|url| url != "/$batch") {
            // The caller sends no ConsistencyLevel; another answer has what the search for joiners has.
            if of_answer(&GRAPH, &url, &mut found) && !url.contains("$count") {
                add_names(&caller.get(&url).await.unwrap().body, &mut answered);
            }
        }
    }
    let forms = |(of, property, has_null_items): (String, String, bool)| {
        let items = has_null_items.then_some(NullForm::NullItem);
        let forms = [NullForm::Null, NullForm::Absent].into_iter().chain(items);
        forms.map(move |form| NullProperty { of: of.clone(), property: property.clone(), form })
    };
    found.into_iter().filter(|(_, property, _)| answered.contains(property)).flat_map(forms).collect()
}

/// Adds the names of everything in `value` that is not null.
fn add_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_names(item, names)),
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                names.insert(name.clone());
                add_names(value, names);
            }
        }
        _ => {}
    }
}

type Found = BTreeSet<(String, String, bool)>;

/// Adds what the answer of a GET can have. Returns whether there is one.
fn of_answer(schema: &Schema, url: &str, found: &mut Found) -> bool {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let (Ok(place), Ok(query)) = (path::resolve(schema, path), Query::parse(query)) else { return false };
    if !matches!(place.kind, Kind::Collection | Kind::Object { .. }) {
        return false;
    }
    let select: Option<Vec<&str>> = query.get("$select").map(|names| names.split(',').collect());
    of_type(schema, &place.of, select.as_deref(), found);
    if let Some((name, target)) =
        query.get("$expand").and_then(|name| Some((name, schema.navigation(&place.of, name)?)))
    {
        if target.of.is_nullable {
            found.insert((place.of.clone(), name.to_owned(), false));
        }
        of_type(schema, &target.of.name, None, found);
    }
    true
}

/// The selected properties of the type and of those that are derived from it, and the properties of what is in them.
fn of_type(schema: &Schema, of: &str, select: Option<&[&str]>, found: &mut Found) {
    for of in schema.derived(of) {
        let is_selected = |name: &str| select.is_none_or(|names| names.contains(&name));
        for (name, property) in schema.properties(of).into_iter().filter(|(name, _)| is_selected(name)) {
            let is_new = (property.is_nullable || property.is_collection)
                && found.insert((
                    of.to_owned(),
                    name.to_owned(),
                    property.is_collection && property.is_nullable,
                ));
            if is_new {
                of_type(schema, &property.name, None, found);
            }
        }
    }
}
