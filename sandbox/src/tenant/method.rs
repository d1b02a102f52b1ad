//! Authentication methods other than passes.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Person, schema::object};

/// An authentication method of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Graph's type without `AuthenticationMethod`: `phone`, `fido2`.
    pub kind: String,
    /// When it was registered. Graph leaves it out of many methods, the Authenticator's for example.
    pub created_at: Option<DateTime<Utc>>,
}

impl Method {
    /// A method of this type without a date.
    pub fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), created_at: None }
    }

    /// Sets when it was registered.
    pub fn created(mut self, at: DateTime<Utc>) -> Self {
        self.created_at = Some(at);
        self
    }
}

/// The id of every user's password.
const PASSWORD: &str = "28c10230-6103-485e-b985-444c60001490";

fn entry(kind: &str, id: &str, created_at: Option<DateTime<Utc>>) -> Map<String, Value> {
    object(json!({
        "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethod"),
        "id": id,
        "createdDateTime": created_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)),
    }))
}

/// What the list of a user's methods has, without the pass.
pub(super) fn listed(person: &Person) -> Vec<Map<String, Value>> {
    let password = entry("password", PASSWORD, person.created);
    let others = person.methods.iter().enumerate().map(|(at, method)| {
        let id = Uuid::from_u128(person.id.as_u128() ^ (at as u128 + 1)).to_string();
        entry(&method.kind, &id, method.created_at)
    });
    std::iter::once(password).chain(others).collect()
}

/// The name of a method in the report on registrations.
pub(super) fn reported(method: &Method) -> &str {
    match method.kind.as_str() {
        "phone" => "mobilePhone",
        "microsoftAuthenticator" => "microsoftAuthenticatorPush",
        "fido2" => "passKeyDeviceBound",
        "softwareOath" => "softwareOneTimePasscode",
        "hardwareOath" => "hardwareOneTimePasscode",
        "platformCredential" => "macOsSecureEnclaveKey",
        kind => kind,
    }
}
