//! The identity of the caller.
//!
//! App Service authentication identifies a caller, in headers that it overwrites. Without it, a caller could set these
//! headers, so they are ignored. Then the name of the function key says who called, as far as each caller has a key of
//! its own: the host checks the key, and a caller cannot choose the name.

use azure_core::base64;
use serde::Deserialize;
use uuid::Uuid;

use super::Headers;
use crate::settings::{Callers, CreateTapSettings};

/// The caller, as App Service authentication identifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    /// The user or application that the token is of.
    principal: Option<Principal>,
    /// The display name, if there is one.
    name: Option<String>,
    /// The name of the function key.
    key_name: Option<String>,
    /// Whether a browser sent the call for a page.
    is_from_page: bool,
}

/// The user or application that a token of Entra ID is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Principal {
    /// The object id of the user or service principal.
    object_id: Uuid,
    /// The tenant that issued the token.
    tenant: Uuid,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    /// An application with its app id, which calls for itself and not for a user.
    Application(Option<Uuid>),
    /// The token does not say.
    Unknown,
}

/// The key that the host makes for every function, and that every client has that was not given one of its own.
const DEFAULT_KEY: &str = "default";
/// What a browser adds to a request of a page, and a page cannot leave out.
const FROM_PAGE: [&str; 2] = ["Origin", "Sec-Fetch-Site"];

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// The tenant that must be ours, if an identity decided.
    pub tenant: Option<Uuid>,
    /// The manager whose joiners alone may get a pass; `None`: every user.
    pub manager: Option<Uuid>,
}

/// Why a caller may not call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// CreateTap is off.
    Off,
    /// CREATE_TAP_ALLOWED_CALLERS does not permit the caller.
    NotAllowed(&'static str),
}

/// The content of `X-MS-CLIENT-PRINCIPAL`, which is base64.
#[derive(Deserialize)]
struct ClientPrincipal {
    auth_typ: String,
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
const TENANT_ID: [&str; 2] = ["tid", "http://schemas.microsoft.com/identity/claims/tenantid"];
const SUBJECT: [&str; 2] = ["sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"];
const APP_ID: [&str; 2] = ["appid", "azp"];
const SCOPE: [&str; 2] = ["scp", "http://schemas.microsoft.com/identity/claims/scope"];
const TOKEN_TYPE: [&str; 1] = ["idtyp"];

impl ClientPrincipal {
    fn of(headers: &Headers) -> Option<Self> {
        let json = base64::decode(headers.get("X-MS-CLIENT-PRINCIPAL")?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// The claim of one of these types. One that comes twice is not to be trusted: `Err`.
    fn claim(&self, names: &[&str]) -> Result<Option<&str>, ()> {
        let mut found = self.claims.iter().filter(|claim| names.contains(&claim.typ.as_str()));
        match (found.next(), found.next()) {
            (claim, None) => Ok(claim.map(|claim| claim.val.trim())),
            (_, Some(_)) => Err(()),
        }
    }

    fn id(&self, names: &[&str]) -> Option<Uuid> {
        self.claim(names).ok()??.parse().ok()
    }

    /// Whose the token is. With `idtyp`, the token says it; without, an application's has itself as the subject, and a user's
    /// never: it is another one for each application (access token claims page). A scope is a user's. `None`: it contradicts
    /// itself.
    fn kind(&self, object_id: Uuid) -> Option<Kind> {
        let subject = self.claim(&SUBJECT).ok()?;
        let is_subject = subject.map(|subject| subject.parse() == Ok(object_id));
        let has_scope = self.claim(&SCOPE).ok()?.is_some();
        let application =
            || self.claim(&APP_ID).ok().map(|id| Kind::Application(id.and_then(|id| id.parse().ok())));
        match (self.claim(&TOKEN_TYPE).ok()?, is_subject, has_scope) {
            (Some("app"), Some(true) | None, false) | (None, Some(true), false) => application(),
            (Some("user"), Some(false) | None, _) | (None, Some(false), _) => Some(Kind::User),
            (None, None, _) => Some(Kind::Unknown),
            _ => None,
        }
    }
}

impl Principal {
    /// The principal, if the headers name one of Entra ID and agree with each other.
    fn of(headers: &Headers) -> Option<Self> {
        const PROVIDER: &str = "aad";
        let principal = ClientPrincipal::of(headers)?;
        let agrees = |name: &str, text: &str| headers.get(name).is_none_or(|header| header.trim() == text);
        if principal.auth_typ != PROVIDER || !agrees("X-MS-CLIENT-PRINCIPAL-IDP", PROVIDER) {
            return None;
        }
        let object_id = principal.id(&OBJECT_ID)?;
        let header = headers.get("X-MS-CLIENT-PRINCIPAL-ID").map(|id| id.trim().parse());
        if header.is_some_and(|id| id != Ok(object_id)) {
            return None;
        }
        Some(Self { object_id, tenant: principal.id(&TENANT_ID)?, kind: principal.kind(object_id)? })
    }
}

impl Caller {
    pub(super) fn of(headers: &Headers, key_name: Option<&str>, settings: &CreateTapSettings) -> Self {
        let principal = settings.platform_authentication.then(|| Principal::of(headers)).flatten();
        let name = principal.as_ref().and_then(|_| headers.get("X-MS-CLIENT-PRINCIPAL-NAME"));
        let is_from_page = FROM_PAGE.iter().any(|name| headers.get(name).is_some());
        Self { name: name.map(str::to_owned), principal, key_name: key_name.map(str::to_owned), is_from_page }
    }

    /// Checks that the caller may call. Whether a token is of our tenant is for Graph to say: [`Grant::tenant`].
    ///
    /// # Errors
    /// The reason for the refusal.
    pub(super) fn authorise(&self, settings: &CreateTapSettings) -> Result<Grant, Denied> {
        let (ids, managers) = match &settings.callers {
            Callers::Nobody => return Err(Denied::Off),
            // The host on a developer's machine asks for no key, and any page can reach it.
            Callers::Everyone if self.is_from_page && self.principal.is_none() && self.key_name.is_none() => {
                return Err(Denied::NotAllowed(
                    "the call is from a web page, and has neither a key nor a token",
                ));
            }
            Callers::Everyone => return Ok(Grant { tenant: None, manager: None }),
            Callers::Listed { ids, managers } => (ids, *managers),
        };
        let why = if !settings.platform_authentication {
            "CREATE_TAP_ALLOWED_CALLERS is set, but the platform does not authenticate callers: turn App Service \
             authentication on, or remove the setting"
        } else if let Some(Principal { object_id, tenant, kind }) = &self.principal {
            let tenant = Some(*tenant);
            // Permission for an application does not extend to its users.
            let app_id = if let Kind::Application(id) = kind { *id } else { None };
            if ids.contains(object_id) || app_id.is_some_and(|id| ids.contains(&id)) {
                return Ok(Grant { tenant, manager: None });
            }
            if managers && *kind == Kind::User {
                return Ok(Grant { tenant, manager: Some(*object_id) });
            }
            "CREATE_TAP_ALLOWED_CALLERS does not list the caller"
        } else {
            "the call came without a token of Entra ID that names one caller, and CREATE_TAP_ALLOWED_CALLERS is set"
        };
        Err(Denied::NotAllowed(why))
    }

    /// The key of the rate limit. Callers without a token share the limit of their function key.
    pub(super) fn key(&self) -> String {
        match (&self.principal, &self.key_name) {
            (Some(principal), _) => principal.object_id.to_string(),
            (None, Some(name)) => format!("function key {name}"),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// Whether the key of the rate limit is that of several callers as a rule: nothing names them, or only the key that every new
    /// function has. Their calls that fail count apart, so that nobody can exhaust the limit of others by failing.
    pub(super) fn is_shared(&self) -> bool {
        self.principal.is_none() && self.key_name.as_deref().is_none_or(|name| name == DEFAULT_KEY)
    }

    /// The caller in the audit line.
    pub(super) fn describe(&self) -> String {
        let key = self.key();
        match &self.name {
            Some(name) => format!("{key} ({name})"),
            None => key,
        }
    }
}

#[cfg(test)]
mod tests;
