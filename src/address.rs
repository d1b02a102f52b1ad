//! Mail addresses that were checked.

use std::{fmt, str::FromStr};

use email_address::EmailAddress;

/// A valid mail address. Its `Debug` is [masked](Address::masked).
#[derive(Clone, PartialEq, Eq)]
pub struct Address(EmailAddress);

impl Address {
    /// Parses an address without a display name.
    ///
    /// # Errors
    /// When it is not an address by RFC 5321, or its domain has no dot.
    pub fn parse(text: &str) -> Result<Self, email_address::Error> {
        let options = email_address::Options::default().with_required_tld().without_display_text();
        EmailAddress::parse_with_options(text.trim(), options).map(Self)
    }

    /// The address with one character of its local part: `e…@gmail.example`.
    pub fn masked(&self) -> String {
        let first = self.0.local_part().chars().next().unwrap_or('…');
        format!("{first}…@{}", self.0.domain())
    }

    /// Whether both are the same mailbox, regardless of case.
    pub(crate) fn same_as(&self, other: &str) -> bool {
        self.0.as_str().eq_ignore_ascii_case(other.trim())
    }
}

impl FromStr for Address {
    type Err = email_address::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.masked())
    }
}
