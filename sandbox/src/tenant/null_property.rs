//! A property that is null in every answer.

use serde::Deserialize;
use serde_json::Value;

/// Makes one property null, or leaves it out, in every answer of Graph. What the schema of Graph does not call
/// `Nullable="false"` can be null.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NullProperty {
    /// The type that has the property, without the namespace; `authenticationMethod` stands for every kind of method.
    pub of: String,
    /// The name of the property.
    pub property: String,
    /// What the answers have instead.
    #[serde(default)]
    pub form: NullForm,
}

/// What stands for a value that is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NullForm {
    /// Null.
    #[default]
    Null,
    /// Nothing: the property is absent.
    Absent,
    /// A list with one item, which is null.
    NullItem,
    /// A list without items.
    Empty,
}

impl NullProperty {
    /// Changes the body of an answer whose objects are of the type `declared`, unless they name another one.
    pub(super) fn apply(&self, declared: &str, body: &mut Value) {
        match body {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(declared, item)),
            Value::Object(members) => {
                let named = members.get("@odata.type").and_then(Value::as_str);
                let of =
                    named.map_or(declared, |name| name.trim_start_matches("#microsoft.graph.")).to_owned();
                for (name, value) in members.iter_mut() {
                    if let Some(inner) = type_of(name, &of) {
                        self.apply(inner, value);
                    }
                }
                let is_meant = of == self.of
                    || (self.of == "authenticationMethod" && of.ends_with("AuthenticationMethod"));
                let Some(value) = members.get_mut(&self.property).filter(|_| is_meant) else { return };
                match self.form {
                    NullForm::Null => *value = Value::Null,
                    NullForm::Empty => *value = Value::Array(Vec::new()),
                    NullForm::NullItem => *value = Value::Array(vec![Value::Null]),
                    NullForm::Absent => {
                        members.remove(&self.property);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The type of what is in the property `name` of the type `of`, where that is an object or a list of objects.
fn type_of<'a>(name: &str, of: &'a str) -> Option<&'a str> {
    match name {
        // The items of a list.
        "value" => Some(of),
        "group" => Some("group"),
        "identities" => Some("objectIdentity"),
        "onPremisesExtensionAttributes" => Some("onPremisesExtensionAttributes"),
        "roleDefinition" => Some("unifiedRoleDefinition"),
        "signInActivity" => Some("signInActivity"),
        _ => None,
    }
}
