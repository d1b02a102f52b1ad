//! The secret of a pass.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The code that signs a joiner in. Treat it as a Global Admin's password.
///
/// It has no `Display`, no `Serialize` and a `Debug` that says nothing, so a code cannot reach a log, an error
/// or a record by accident. [`Code::reveal`] is the one way out; it is called where a mail is sent and where
/// CreateTap answers, and nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Wraps a code that Graph has just handed out.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The code itself, for the one person it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` with the code taken out, however it was escaped on its way: for words of others (an error that
    /// quotes our request) that are about to be logged.
    pub fn redact(&self, text: &str) -> String {
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
        // A string that is not one must not end up in serde's message either.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("the code is not a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_cannot_be_printed_and_is_taken_out_of_foreign_words() {
        let code = Code::new("a+b<c&d");
        assert_eq!(format!("{code:?}"), "Code(…)");
        for text in ["bad body: a+b<c&d!", "bad body: a+b&lt;c&amp;d!"] {
            assert_eq!(code.redact(text), "bad body: [code]!");
        }
    }
}
