//! The secret of a pass.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The code that signs a joiner in. Protect it like a Global Administrator's password.
///
/// It has no `Display`, no `Serialize` and a redacted `Debug`, so that no log, error or record holds it by accident.
/// Only the sending of a mail and the answer of CreateTap call [`Code::reveal`].
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Wraps a code from Graph's answer.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The code itself, for its user.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the code, in HTML and JSON escapes too: for logging an error that quotes the request.
    pub(crate) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let html = minijinja::HtmlEscape(&self.0).to_string();
        let json = serde_json::Value::from(html.as_str()).to_string();
        [json.trim_matches('"'), html.as_str(), self.0.as_str()]
            .into_iter()
            .fold(text.to_owned(), |text, form| text.replace(form, "[code]"))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's message would quote a value of another type.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("the code is not a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_not_printed_and_is_removed_from_texts() {
        let code = Code::new("a+b<c&d");
        assert_eq!(format!("{code:?}"), "Code(…)");
        for text in ["bad body: a+b<c&d!", "bad body: a+b&lt;c&amp;d!"] {
            assert_eq!(code.redact(text), "bad body: [code]!");
        }
    }
}
