//! Conditional Access policies.

use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{Graph, query},
    error::GraphError,
};
use crate::text;

/// A Conditional Access policy as Graph shows it (conditionalAccessPolicy resource page). What is null, or is not there, is empty.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConditionalAccessPolicy(Value);

impl ConditionalAccessPolicy {
    /// The name at a JSON pointer, without what a person does not see.
    pub(crate) fn name(&self, pointer: &str) -> Option<String> {
        self.text(pointer).and_then(text::name)
    }

    /// The text at a JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str()
    }

    /// The texts of the list at a JSON pointer.
    pub(crate) fn list(&self, pointer: &str) -> Vec<&str> {
        let items = self.0.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether there is something at a JSON pointer.
    pub(crate) fn has(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some_and(|value| !value.is_null())
    }
}

impl Graph {
    /// All policies. This needs `Policy.Read.ConditionalAccess`.
    pub(crate) async fn conditional_access(&self) -> Result<Vec<ConditionalAccessPolicy>, GraphError> {
        let properties = query(&[("$select", "id,displayName,state,conditions,grantControls")]);
        let path = format!("/identity/conditionalAccess/policies{properties}");
        self.list("reading the Conditional Access policies", &path, false).await
    }
}
