//! What shows that an account is in use: its authentication methods and its last sign-in.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    batch::{Part, Parts},
    client::query,
    error::{GraphError, if_exists, refusal_kept},
    null::without_nulls,
    page::Page,
};
use crate::range;

/// Which of it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageParts {
    /// The authentication methods (`UserAuthenticationMethod.Read.All`).
    pub methods: bool,
    /// The report on registered methods (`AuditLog.Read.All`).
    pub registration: bool,
    /// The last sign-in (`AuditLog.Read.All`, and Entra ID P1).
    pub sign_ins: bool,
}

/// What was read. Each part can be refused alone.
#[derive(Clone, Debug, Default)]
pub struct UsageSnapshot {
    /// The methods that a person registers; `None` if they were not read.
    pub methods: Option<Result<Vec<Method>, GraphError>>,
    /// The same from the report, which has no record of a new account.
    pub registration: Option<Result<Option<Vec<Method>>, GraphError>>,
    /// The last successful sign-in.
    pub last_sign_in: Option<Result<Option<DateTime<Utc>>, GraphError>>,
}

/// An authentication method of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Graph's type without `AuthenticationMethod`: `phone`, `fido2`.
    pub kind: String,
    /// When it was registered. Graph leaves it out of many methods.
    pub created_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedMethod {
    #[serde(rename = "@odata.type")]
    kind: String,
    #[serde(default, deserialize_with = "range::graphs_past")]
    created_date_time: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationDetails {
    #[serde(default, deserialize_with = "without_nulls")]
    methods_registered: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    sign_in_activity: Option<SignInActivity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInActivity {
    /// The other times of this type count failed attempts too.
    #[serde(default, deserialize_with = "range::graphs_past")]
    last_successful_sign_in_date_time: Option<DateTime<Utc>>,
}

impl Account {
    pub(super) fn last_sign_in(self) -> Option<DateTime<Utc>> {
        self.sign_in_activity?.last_successful_sign_in_date_time
    }
}

pub(super) fn methods_path(user: Uuid) -> String {
    format!("/users/{user}/authentication/methods")
}

pub(super) fn sign_in_path(user: Uuid) -> String {
    format!("/users/{user}{}", query(&[("$select", "id,signInActivity")]))
}

const METHODS: &str = "reading the user's authentication methods";
const REGISTRATION: &str = "reading the report on the user's registered methods";
const SIGN_INS: &str = "reading the user's last sign-in";

impl UsageParts {
    pub(super) fn parts(self, user: Uuid) -> Vec<Part> {
        let part = |wanted: bool, operation, path: String| wanted.then_some(Part { operation, path });
        [
            part(self.methods, METHODS, methods_path(user)),
            part(
                self.registration,
                REGISTRATION,
                format!("/reports/authenticationMethods/userRegistrationDetails/{user}"),
            ),
            part(self.sign_ins, SIGN_INS, sign_in_path(user)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// # Errors
    /// When a retry may succeed; a refusal is kept in its part.
    pub(super) fn read(self, parts: &mut Parts) -> Result<UsageSnapshot, GraphError> {
        let methods = self.methods.then(|| parts.take::<Page<ListedMethod>>(METHODS));
        let registration = self.registration.then(|| parts.take::<RegistrationDetails>(REGISTRATION));
        let account = self.sign_ins.then(|| parts.take::<Account>(SIGN_INS));
        Ok(UsageSnapshot {
            methods: methods.map(refusal_kept).transpose()?.map(|page| page.map(|page| listed(&page.value))),
            registration: registration
                .map(|details| refusal_kept(if_exists(details)))
                .transpose()?
                .map(|details| details.map(|details| details.map(|details| registered(&details)))),
            last_sign_in: account
                .map(refusal_kept)
                .transpose()?
                .map(|account| account.map(Account::last_sign_in)),
        })
    }
}

/// A password, the address for resetting it, and a pass show nothing: the account was created with them.
fn shows_use(kind: &str) -> bool {
    !["password", "email", "temporaryAccessPass", "securityQuestion"].contains(&kind)
}

pub(super) fn listed(methods: &[ListedMethod]) -> Vec<Method> {
    let kind = |name: &str| {
        let name = name.trim_start_matches("#microsoft.graph.");
        name.strip_suffix("AuthenticationMethod").unwrap_or(name).to_owned()
    };
    methods
        .iter()
        .map(|method| Method { kind: kind(&method.kind), created_at: method.created_date_time })
        .filter(|method| shows_use(&method.kind))
        .collect()
}

/// The report has names of its own (userRegistrationDetails page); several of them are one kind of method.
fn registered(details: &RegistrationDetails) -> Vec<Method> {
    let kind = |name: &str| {
        match name {
            "mobilePhone" | "alternateMobilePhone" | "officePhone" => "phone",
            "softwareOneTimePasscode" => "softwareOath",
            "hardwareOneTimePasscode" => "hardwareOath",
            "macOsSecureEnclaveKey" => "platformCredential",
            "passKeyDeviceBoundWindowsHello" => "windowsHelloForBusiness",
            name if name.starts_with("microsoftAuthenticator") => "microsoftAuthenticator",
            name if name.starts_with("passKey") || name.starts_with("fido2") => "fido2",
            name => name,
        }
        .to_owned()
    };
    let names = details.methods_registered.iter();
    names
        .map(|name| Method { kind: kind(name), created_at: None })
        .filter(|method| shows_use(&method.kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_methods_that_a_person_registers_show_use() {
        let page = json!([
            {"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": "p", "createdDateTime": "2026-11-01T00:00:00Z"},
            {"@odata.type": "#microsoft.graph.emailAuthenticationMethod", "id": "e"},
            {"@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod", "id": "t"},
            {"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "h", "createdDateTime": null},
            {"@odata.type": "#microsoft.graph.fido2AuthenticationMethod", "id": "f", "createdDateTime": "2026-11-02T00:00:00Z"},
            {"@odata.type": "#microsoft.graph.someNewThing", "id": "n"},
        ]);
        let methods: Vec<ListedMethod> = serde_json::from_value(page).unwrap();
        let found: Vec<_> = listed(&methods).into_iter().map(|m| (m.kind, m.created_at.is_some())).collect();
        let expected = [("phone", false), ("fido2", true), ("someNewThing", false)];
        assert_eq!(found, expected.map(|(kind, is_dated)| (kind.to_owned(), is_dated)));
    }

    #[test]
    fn the_names_of_the_report_are_those_of_the_methods() {
        let names = [
            "mobilePhone",
            "email",
            "securityQuestion",
            "microsoftAuthenticatorPush",
            "passKeyDeviceBound",
            "passKeyDeviceBoundWindowsHello",
            "softwareOneTimePasscode",
            "temporaryAccessPass",
            "somethingNew",
        ];
        let details = RegistrationDetails { methods_registered: names.map(str::to_owned).to_vec() };
        let kinds: Vec<String> = registered(&details).into_iter().map(|method| method.kind).collect();
        let expected = [
            "phone",
            "microsoftAuthenticator",
            "fido2",
            "windowsHelloForBusiness",
            "softwareOath",
            "somethingNew",
        ];
        assert_eq!(kinds, expected);
        for nothing in [json!({}), json!({"methodsRegistered": null}), json!({"methodsRegistered": [null]})] {
            assert_eq!(registered(&serde_json::from_value(nothing).unwrap()), []);
        }
    }
}
