//! Endpoints that take JSON: the one that codes are delivered to, and the one for alerts.

use std::fmt;

use azure_core::{credentials::SecretBytes, http::Url};
use uuid::Uuid;

use super::reader::{Parsed, SettingsReader};
use crate::{azure::has_credentials, environment::Environment};

const URL: &str = "DELIVERY_WEBHOOK_URL";
const KEY: &str = "DELIVERY_WEBHOOK_KEY";
const AUDIENCE: &str = "DELIVERY_WEBHOOK_AUDIENCE";
const URL_EXAMPLE: &str = "https://prod-1.westeurope.logic.azure.com/workflows/…";
const AUDIENCE_EXAMPLE: &str = "api://0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11";
const KEY_EXAMPLE: &str = "the output of `openssl rand -base64 48`";
/// The fewest characters of a key: as many as HMAC-SHA256 has bytes (RFC 2104, section 3).
const KEY_MIN: usize = 32;

/// The URL of an endpoint. That of a Logic App or a workflow of Teams has a signature, so only its host is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

impl WebhookUrl {
    fn parse(text: &str) -> Parsed<Self> {
        check_is_resolved(text)?;
        let url = Url::parse(text).map_err(|_| "is not a URL".to_owned())?;
        if url.scheme() != "https" || url.host_str().is_none() {
            return Err("must start with https://".to_owned());
        }
        if has_credentials(&url) {
            return Err("has a user name or a password: remove it".to_owned());
        }
        Ok(Self(url))
    }

    /// The URL, with its signature.
    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }

    /// Its host, which may be printed.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/…", self.host())
    }
}

/// How an endpoint knows that a request is the app's.
#[derive(Clone, Debug)]
pub enum WebhookAuth {
    /// By the URL alone.
    Url,
    /// By an HMAC with this key. It does not print itself.
    Key(SecretBytes),
    /// By a token of the app's identity for this application id, `api://…`.
    Audience(String),
}

/// An endpoint that takes JSON.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Where it is.
    pub url: WebhookUrl,
    /// How it knows the app.
    pub auth: WebhookAuth,
}

impl WebhookSettings {
    /// The endpoint that codes are delivered to.
    pub(super) fn delivery(read: &mut SettingsReader<'_>, env: &Environment) -> Option<Self> {
        let url = read.optional(URL, URL_EXAMPLE, WebhookUrl::parse);
        let key = read.optional(KEY, KEY_EXAMPLE, key);
        let audience = read.optional(AUDIENCE, AUDIENCE_EXAMPLE, audience);
        let is_set = |name| env.get(name).is_some();
        let mut problem = |name, detail: &str, example| read.problem(name, detail.to_owned(), example);
        match (is_set(URL), is_set(KEY), is_set(AUDIENCE)) {
            (false, false, false) => return None,
            (false, ..) => problem(URL, "is missing: the other settings of the webhook are set", URL_EXAMPLE),
            (true, true, true) => problem(KEY, "and DELIVERY_WEBHOOK_AUDIENCE are both set: remove one", ""),
            (true, false, false) => {
                let detail =
                    "or DELIVERY_WEBHOOK_AUDIENCE is missing: the endpoint could not tell who sends a code";
                problem(KEY, detail, KEY_EXAMPLE)
            }
            (true, ..) => None,
        }
        .unwrap_or(());
        let auth = key.map(WebhookAuth::Key).or(audience.map(WebhookAuth::Audience));
        Some(Self { url: url?, auth: auth? })
    }

    /// The endpoint for alerts.
    pub(super) fn alerts(read: &mut SettingsReader<'_>) -> Option<Self> {
        let url = read.optional("ALERT_WEBHOOK_URL", URL_EXAMPLE, WebhookUrl::parse)?;
        Some(Self { url, auth: WebhookAuth::Url })
    }
}

/// The platform leaves a reference to Key Vault as it is when it cannot read the secret.
fn check_is_resolved(text: &str) -> Parsed<()> {
    if text.starts_with("@Microsoft.KeyVault(") {
        return Err("is a reference to Key Vault that the platform could not resolve".to_owned());
    }
    Ok(())
}

fn key(text: &str) -> Parsed<SecretBytes> {
    check_is_resolved(text)?;
    if text.chars().count() < KEY_MIN {
        return Err(format!("has less than {KEY_MIN} characters"));
    }
    Ok(SecretBytes::new(text.as_bytes().to_vec()))
}

/// The application ids of Microsoft's services whose tokens make, read or sign something: Graph, its predecessor, Resource
/// Manager, storage, Key Vault, Exchange, SharePoint
/// (<https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in>).
const MICROSOFT: [Uuid; 7] = [
    Uuid::from_u128(0x00000003_0000_0000_c000_000000000000),
    Uuid::from_u128(0x00000002_0000_0000_c000_000000000000),
    Uuid::from_u128(0x797f4846_ba00_4fd7_ba43_dac1f8f63013),
    Uuid::from_u128(0xe406a681_f3d4_42a8_90b6_c2b029497af1),
    Uuid::from_u128(0xcfa8b339_82a2_471a_a3c9_0fc0be7a4093),
    Uuid::from_u128(0x00000002_0000_0ff1_ce00_000000000000),
    Uuid::from_u128(0x00000003_0000_0ff1_ce00_000000000000),
];

/// An application id of the tenant. Whoever receives a token for anything else could make passes with it, or sign in as another
/// app: `api://AzureADTokenExchange` is the audience of workload identity federation.
fn audience(text: &str) -> Parsed<String> {
    let name = text.strip_prefix("api://").unwrap_or_default().trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let is_microsofts = || {
        let id = name.split('/').find_map(|part| part.parse().ok());
        id.is_some_and(|id| MICROSOFT.contains(&id))
            || name.to_ascii_lowercase().starts_with("azureadtokenexchange")
    };
    if name.is_empty() || !name.chars().all(is_plain) || name.ends_with("/.default") || is_microsofts() {
        return Err(format!(
            "is no application id of the tenant, and the endpoint would hold a token that can do more: \"{text}\""
        ));
    }
    Ok(format!("api://{name}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, SettingsError};
    use crate::environment::Environment;

    const HOOK: &str = "https://hooks.contoso.com/TOPSECRET/run?sig=TOPSECRET";
    const LONG: &str = "TOPSECRET-TOPSECRET-TOPSECRET-TOP";

    fn read(settings: &[(&'static str, &'static str)]) -> Result<Settings, SettingsError> {
        let required = [
            ("MAIL_FROM", "welcome@contoso.com"),
            ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
        ];
        Settings::read(&Environment::from_iter(required.iter().chain(settings).copied()))
    }

    #[test]
    fn a_webhook_is_a_url_and_one_proof_and_prints_neither() {
        for (proof, ledger) in [
            (("DELIVERY_WEBHOOK_KEY", LONG), "Key"),
            (("DELIVERY_WEBHOOK_AUDIENCE", "api://firstpass-hooks"), "Audience"),
        ] {
            let all = [("DELIVERY_WEBHOOK_URL", HOOK), ("ALERT_WEBHOOK_URL", HOOK), proof];
            let (with, without) = (read(&all).unwrap(), read(&all[2..2]).unwrap());
            let printed = format!("{with:?}");
            assert!(printed.contains("https://hooks.contoso.com/…") && printed.contains(ledger), "{printed}");
            assert!(!printed.contains("TOPSECRET"), "{printed}");
            assert!(without.delivery_webhook.is_none() && without.alert_webhook.is_none());
            let is_same = with.fingerprint == without.fingerprint;
            assert_eq!(is_same, proof.0 == "DELIVERY_WEBHOOK_KEY", "the fingerprint has no secret");
        }
    }

    #[test]
    fn what_would_send_a_code_or_a_token_to_a_stranger_is_refused_and_not_quoted() {
        let key = ("DELIVERY_WEBHOOK_KEY", LONG);
        let url = ("DELIVERY_WEBHOOK_URL", HOOK);
        let reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/TOPSECRET)";
        for (settings, name, what) in [
            (vec![("DELIVERY_WEBHOOK_URL", "http://h/TOPSECRET"), key], "DELIVERY_WEBHOOK_URL", "https://"),
            (vec![("DELIVERY_WEBHOOK_URL", "TOPSECRET"), key], "DELIVERY_WEBHOOK_URL", "is not a URL"),
            (
                vec![("DELIVERY_WEBHOOK_URL", "https://u:TOPSECRET@h/"), key],
                "DELIVERY_WEBHOOK_URL",
                "a user name or a password",
            ),
            (vec![("DELIVERY_WEBHOOK_URL", reference), key], "DELIVERY_WEBHOOK_URL", "could not resolve"),
            (vec![url, ("DELIVERY_WEBHOOK_KEY", reference)], "DELIVERY_WEBHOOK_KEY", "could not resolve"),
            (vec![url, ("DELIVERY_WEBHOOK_KEY", "TOPSECRET")], "DELIVERY_WEBHOOK_KEY", "less than 32"),
            (vec![url], "DELIVERY_WEBHOOK_KEY", "is missing"),
            (
                vec![url, key, ("DELIVERY_WEBHOOK_AUDIENCE", "api://hooks")],
                "DELIVERY_WEBHOOK_KEY",
                "are both set",
            ),
            (vec![key], "DELIVERY_WEBHOOK_URL", "is missing"),
            (vec![("ALERT_WEBHOOK_URL", "http://h/TOPSECRET")], "ALERT_WEBHOOK_URL", "https://"),
        ] {
            let report = read(&settings).unwrap_err();
            assert_eq!(report.names(), [name], "{report}");
            let text = format!("{report} {report:?}");
            assert!(text.contains(what) && !text.contains("TOPSECRET"), "{text}");
        }
    }

    #[test]
    fn a_token_is_for_an_application_of_the_tenant_only() {
        for audience in [
            "https://graph.microsoft.com",
            "https://management.azure.com/",
            "https://storage.azure.com",
            "https://vault.azure.net",
            "00000003-0000-0000-c000-000000000000",
            "0f9d6c1e-5b1a-4a53-9a40-3f5f2f0f7b11",
            "api://00000003-0000-0000-c000-000000000000",
            "api://797f4846-ba00-4fd7-ba43-dac1f8f63013/x",
            "api://AzureADTokenExchange",
            "api://azureadtokenexchangeusgov",
            "API://hooks",
            "api://",
            "api:///",
            "api://hooks/.default",
            "api://hooks other",
            "api://hooks?x=1",
        ] {
            let settings = [("DELIVERY_WEBHOOK_URL", HOOK), ("DELIVERY_WEBHOOK_AUDIENCE", audience)];
            assert_eq!(read(&settings).unwrap_err().names(), ["DELIVERY_WEBHOOK_AUDIENCE"], "{audience}");
        }
    }
}
