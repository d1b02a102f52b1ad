//! The secret of a pass.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// The code that signs a joiner in. Protect it like a Global Administrator's password.
///
/// It has no `Display`, no `Serialize` and a redacted `Debug`, so that no log, error or record holds it by accident.
/// Only the sending of a mail, the answer of CreateTap and the cleaning of an error call [`Code::reveal`].
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
    fn a_code_is_not_printed() {
        assert_eq!(format!("{:?}", Code::new("a+b<c&d")), "Code(…)");
    }
}
