//! The identity of the caller.
//!
//! App Service authentication identifies a caller, in headers that it overwrites. Without it, a caller could set these
//! headers, so they are ignored. Then the name of the function key says who called, as far as each caller has a key of
//! its own: the host checks the key, and a caller cannot choose the name.

use azure_core::base64;
use serde::Deserialize;
use uuid::Uuid;

use super::Headers;
use crate::settings::CreateTapSettings;

/// The caller, as App Service authentication identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// The object id of the user or service principal.
    object_id: Option<Uuid>,
    /// The application, if it calls with a token of its own and not of a user.
    app_id: Option<Uuid>,
    /// The display name, if there is one.
    name: Option<String>,
    /// The name of the function key.
    key_name: Option<String>,
}

/// The content of `X-MS-CLIENT-PRINCIPAL`, which is base64.
#[derive(Deserialize)]
struct Principal {
    #[serde(default)]
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// The types of a claim: short in tokens, long after the platform's claim mapping.
const OBJECT_ID: [&str; 2] = ["oid", "http://schemas.microsoft.com/identity/claims/objectidentifier"];
const APP_ID: [&str; 2] = ["appid", "azp"];
const SCOPE: [&str; 2] = ["scp", "http://schemas.microsoft.com/identity/claims/scope"];

impl Principal {
    fn of(headers: &Headers) -> Option<Self> {
        let json = base64::decode(headers.get("X-MS-CLIENT-PRINCIPAL")?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    fn claim(&self, names: [&str; 2]) -> Option<&str> {
        let claim = self.claims.iter().find(|claim| names.contains(&claim.typ.as_str()));
        claim.map(|claim| claim.val.as_str())
    }
}

impl Caller {
    pub(super) fn of(headers: &Headers, key_name: Option<&str>, settings: &CreateTapSettings) -> Self {
        let key_name = key_name.map(str::to_owned);
        if !settings.platform_authentication {
            return Self { key_name, ..Self::default() };
        }
        let principal = Principal::of(headers);
        let claim = |names| principal.as_ref().and_then(|principal| principal.claim(names));
        let id = |text: &str| text.trim().parse().ok();
        Self {
            object_id: headers.get("X-MS-CLIENT-PRINCIPAL-ID").or_else(|| claim(OBJECT_ID)).and_then(id),
            // A token with a scope is a user's: permission for the application does not extend to its users.
            app_id: claim(APP_ID).filter(|_| claim(SCOPE).is_none()).and_then(id),
            name: headers.get("X-MS-CLIENT-PRINCIPAL-NAME").map(str::to_owned),
            key_name,
        }
    }

    /// Checks that CREATE_TAP_ALLOWED_CALLERS permits the caller.
    ///
    /// # Errors
    /// The reason for the refusal.
    pub(super) fn authorise(&self, settings: &CreateTapSettings) -> Result<(), &'static str> {
        let allowed = &settings.allowed_callers;
        let is_allowed = |id: &Uuid| allowed.contains(id);
        if allowed.is_empty() || self.object_id.iter().chain(&self.app_id).any(is_allowed) {
            return Ok(());
        }
        Err(if !settings.platform_authentication {
            "CREATE_TAP_ALLOWED_CALLERS is set, but the platform does not authenticate callers: turn App Service \
             authentication on, or remove the setting"
        } else if self.object_id.or(self.app_id).is_none() {
            "the call came without a token of the tenant, and CREATE_TAP_ALLOWED_CALLERS is set"
        } else {
            "CREATE_TAP_ALLOWED_CALLERS does not list the caller"
        })
    }

    /// The key of the rate limit. Callers without a token share the limit of their function key.
    pub(super) fn key(&self) -> String {
        match (self.object_id.or(self.app_id), &self.key_name) {
            (Some(id), _) => id.to_string(),
            (None, Some(name)) => format!("function key {name}"),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// The caller in the audit line.
    pub(super) fn describe(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.key()),
            None => self.key(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{environment::Environment, settings::Settings};

    const OID: &str = "11111111-1111-1111-1111-111111111111";
    const APP: &str = "22222222-2222-2222-2222-222222222222";

    fn settings(auth: &str, allowed: &str) -> CreateTapSettings {
        let env = Environment::from_iter([
            ("MAIL_FROM", "welcome@contoso.com"),
            ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
            ("WEBSITE_AUTH_ENABLED", auth),
            ("CREATE_TAP_ALLOWED_CALLERS", allowed),
        ]);
        Settings::read(&env).unwrap().create_tap
    }

    fn principal(claims: &[(&str, &str)]) -> String {
        let claims: Vec<_> =
            claims.iter().map(|(typ, val)| serde_json::json!({"typ": typ, "val": val})).collect();
        base64::encode(serde_json::json!({"auth_typ": "aad", "claims": claims}).to_string())
    }

    fn allows(headers: &[(&str, &str)], settings: &CreateTapSettings) -> bool {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Caller::of(&headers, Some("default"), settings).authorise(settings).is_ok()
    }

    #[test]
    fn only_a_listed_caller_that_the_platform_vouches_for_may_call() {
        let by_id = [("x-ms-client-principal-id", OID)];
        let app_only = principal(&[("appid", APP), ("oid", OID)]);
        let for_a_user = principal(&[("appid", APP), (SCOPE[1], "user_impersonation")]);
        let (app_only, for_a_user) = (
            [("x-ms-client-principal", app_only.as_str())],
            [("x-ms-client-principal", for_a_user.as_str())],
        );
        assert!(allows(&[], &settings("", "")), "without a list every caller is permitted");
        assert!(allows(&by_id, &settings("True", OID)));
        assert!(!allows(&by_id, &settings("", OID)), "headers are ignored without authentication");
        assert!(!allows(&by_id, &settings("False", OID)));
        assert!(!allows(&by_id, &settings("true", APP)));
        assert!(!allows(&[], &settings("true", OID)));
        assert!(allows(&app_only, &settings("true", APP)) && allows(&app_only, &settings("true", OID)));
        assert!(!allows(&for_a_user, &settings("true", APP)), "users of an app are not the app");
        assert!(!allows(&[("x-ms-client-principal", "no base64")], &settings("true", OID)));
    }
}
