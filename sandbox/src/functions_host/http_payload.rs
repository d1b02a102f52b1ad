//! The invocation of an HTTP function: the request as the handler receives it, including keys. Observed on the
//! Functions host 4.1037; names from azure-functions-host, `HttpRequestExtensions.cs`.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::payload::{copy_fields, encoded, set, sys};

const CLAIMS: &str = "http://schemas.microsoft.com/2017/07/functions/claims";

/// A call of an HTTP function.
#[derive(Debug, Default)]
pub(super) struct HttpCall<'a> {
    pub(super) method: &'a str,
    pub(super) url: String,
    pub(super) query: Vec<(String, String)>,
    /// Names in the caller's case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) key: Option<AccessKey>,
    pub(super) body: &'a [u8],
}

/// Which key a caller used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessKey {
    Master,
    Host,
    Function,
}

pub(super) fn invocation(function: &str, binding: &str, call: &HttpCall<'_>, now: DateTime<Utc>) -> Value {
    let text = call.has_length().then(|| decoded(call.body));
    let (query, headers) = (grouped(&call.query), grouped(&call.headers));
    let joined = |groups: &[(&str, Vec<&str>)]| -> Map<String, Value> {
        groups.iter().map(|(name, values)| ((*name).to_owned(), values.join(",").into())).collect()
    };
    let last = |values: &Vec<&str>| values.last().copied().unwrap_or_default().to_owned();
    let mut request = json!({
        "Url": call.url,
        "Method": call.method,
        "Query": joined(&query),
        "Headers": headers.iter().map(|(name, values)| ((*name).to_owned(), json!(values))).collect::<Map<_, _>>(),
        "Params": call.parameters.iter().cloned().collect::<BTreeMap<_, _>>(),
        "Identities": [identity(call.key)],
    });
    if let Some(text) = &text {
        request["Body"] = if call.is_binary() { STANDARD.encode(call.body) } else { text.clone() }.into();
    }

    let mut metadata = Map::new();
    copy_fields(&text.unwrap_or_default(), &mut metadata);
    for (name, values) in query.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("code")) {
        set(&mut metadata, (*name).to_owned(), encoded(&last(values)).into());
    }
    for (name, value) in &call.parameters {
        set(&mut metadata, name.clone(), encoded(value).into());
    }
    let lasts: Map<String, Value> =
        query.iter().map(|(name, values)| ((*name).to_owned(), last(values).into())).collect();
    for (name, value) in [("Query", lasts), ("Headers", joined(&headers))] {
        if !has(&metadata, name) {
            metadata.insert(name.to_owned(), value.into());
        }
    }
    // A field of the caller's keeps this name.
    let name = if has(&metadata, "sys") { "$sys" } else { "sys" };
    metadata.insert(name.to_owned(), sys(function, now));
    json!({"Data": {binding: request}, "Metadata": metadata})
}

fn has(metadata: &Map<String, Value>, name: &str) -> bool {
    metadata.keys().any(|known| known.eq_ignore_ascii_case(name))
}

/// The values of each name, which is not case-sensitive.
fn grouped(pairs: &[(String, String)]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in pairs {
        match groups.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups
}

impl HttpCall<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The host drops a chunked body, which has no Content-Length.
    fn has_length(&self) -> bool {
        self.header("content-length").is_some_and(|length| length != "0")
    }

    fn is_binary(&self) -> bool {
        let media = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        media.starts_with("application/octet-stream") || media.starts_with("multipart/")
    }
}

/// The text of a body: the byte order mark decides, the charset of the content type does not.
fn decoded(body: &[u8]) -> String {
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect()
    };
    match body {
        [0xEF, 0xBB, 0xBF, text @ ..] => String::from_utf8_lossy(text).into_owned(),
        [0xFF, 0xFE, text @ ..] => String::from_utf16_lossy(&units(text, u16::from_le_bytes)),
        [0xFE, 0xFF, text @ ..] => String::from_utf16_lossy(&units(text, u16::from_be_bytes)),
        text => String::from_utf8_lossy(text).into_owned(),
    }
}

/// Who called: the level and the name of the key. `default` is the name that Azure gives to a function's first key and
/// to the host's.
fn identity(key: Option<AccessKey>) -> Value {
    let values = match key {
        None => None,
        Some(AccessKey::Master) => Some(("Admin", "master")),
        Some(AccessKey::Host | AccessKey::Function) => Some(("Function", "default")),
    };
    let claim = |(name, value): (&str, &str)| {
        json!({
            "Issuer": "LOCAL AUTHORITY",
            "OriginalIssuer": "LOCAL AUTHORITY",
            "Properties": {},
            "Type": format!("{CLAIMS}/{name}"),
            "Value": value,
            "ValueType": "http://www.w3.org/2001/XMLSchema#string",
        })
    };
    let claims: Vec<Value> = values.map_or_else(Vec::new, |(level, key)| {
        [("authlevel", level), ("invoke", "true"), ("keyid", key)].map(claim).into()
    });
    json!({
        "AuthenticationType": key.map(|_| "WebJobsAuthLevel"),
        "IsAuthenticated": key.is_some(),
        "Actor": null,
        "BootstrapContext": null,
        "Claims": claims,
        "Label": null,
        "Name": null,
        "NameClaimType": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "RoleClaimType": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    })
}
