//! Hashes, to recognise a text that is not stored.

use ring::digest::{SHA256, digest};

/// SHA-256 in hexadecimal digits.
pub fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The beginning of that hash, to recognise a text within a process.
pub(crate) fn sha256_start(text: &str) -> u64 {
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).fold(0, |start, byte| start << 8 | u64::from(*byte))
}
