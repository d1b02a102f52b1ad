//! Short-lived account SAS: the client library signs in with a token or a SAS, not with an account's key.
//!
//! The fields and the string to sign are those of [Create an account SAS], version 2020-12-06 and later.
//!
//! [Create an account SAS]: https://learn.microsoft.com/rest/api/storageservices/create-account-sas

use azure_core::{
    credentials::{Secret, SecretBytes},
    http::Url,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;

/// A version that Azurite supports too.
pub(crate) const VERSION: &str = "2021-12-02";
/// Longer than any call, plus a difference of clocks.
const LIFE: TimeDelta = TimeDelta::minutes(15);
/// Read, add, create, update, process.
const PERMISSIONS: &str = "racup";
const QUEUES: &str = "q";
const QUEUES_AND_MESSAGES: &str = "co";

/// The query of a URL that permits access to the account's queues for 15 minutes from `now`.
pub(crate) fn account_sas(account: &str, key: &SecretBytes, over_tls: bool, now: DateTime<Utc>) -> Secret {
    let expiry = (now + LIFE).to_rfc3339_opts(SecondsFormat::Secs, true);
    let protocol = if over_tls { "https" } else { "https,http" };
    // The empty fields are the start, the IP range and the encryption scope; the last ends the last line.
    let signed =
        [account, PERMISSIONS, QUEUES, QUEUES_AND_MESSAGES, "", &expiry, "", protocol, VERSION, "", ""];
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), signed.join("\n").as_bytes());
    let query = [
        ("sv", VERSION),
        ("ss", QUEUES),
        ("srt", QUEUES_AND_MESSAGES),
        ("sp", PERMISSIONS),
        ("se", &expiry),
        ("spr", protocol),
        ("sig", &STANDARD.encode(signature)),
    ];
    let pair = |(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    Secret::new(query.map(pair).join("&"))
}

/// Whether the URL has a shared access signature.
pub(crate) fn has_sas(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "sig")
}
