//! The text of a stored message: `messageEncoding` in host.json.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Encodes a message for a queue whose `messageEncoding` is `base64`, the host's default.
pub fn encode_base64(text: &str) -> String {
    STANDARD.encode(text)
}

pub(super) fn encode(message: &[u8], base64: bool) -> String {
    if base64 { STANDARD.encode(message) } else { String::from_utf8_lossy(message).into_owned() }
}

/// The message's bytes; `None` if the stored text is not base64 where base64 is expected.
pub(super) fn decode(stored: &str, base64: bool) -> Option<Vec<u8>> {
    if base64 { STANDARD.decode(stored).ok() } else { Some(stored.as_bytes().to_vec()) }
}
