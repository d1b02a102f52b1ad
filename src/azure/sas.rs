//! A short-lived signature made from an account's key: the client library signs in with a token or with one of these.
//!
//! The fields and what is signed of them, one a line: [Create an account SAS], for version 2020-12-06 and later.
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

/// One that every emulator of the last years knows too.
pub(crate) const VERSION: &str = "2021-12-02";
/// Longer than any call, with clocks that differ by some minutes.
const LIFE: TimeDelta = TimeDelta::minutes(15);
/// Look and count; put; make the queue; hide and show; take and delete.
const PERMISSIONS: &str = "racup";
const QUEUES: &str = "q";
const QUEUES_AND_MESSAGES: &str = "co";

/// The query of a URL that opens the account's queues from now on, for a while.
pub(crate) fn account_sas(account: &str, key: &SecretBytes, over_tls: bool, now: DateTime<Utc>) -> Secret {
    let expiry = (now + LIFE).to_rfc3339_opts(SecondsFormat::Secs, true);
    let protocol = if over_tls { "https" } else { "https,http" };
    // The empty ones are the start, the range of addresses, the encryption scope, and the last line's end.
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

/// Whether the URL carries a shared access signature, which says by itself who is asking.
pub(crate) fn has_sas(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "sig")
}
