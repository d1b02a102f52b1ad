//! Mail addresses, checked once.

use std::{fmt, str::FromStr};

use email_address::EmailAddress;

/// An address that mail can be sent to. Logs show it [masked](Address::masked).
#[derive(Clone, PartialEq, Eq)]
pub struct Address(EmailAddress);

impl Address {
    /// Parses `text`, without a display name around it.
    ///
    /// # Errors
    /// When it is not an address by RFC 5321, or its domain has no dot in it.
    pub fn parse(text: &str) -> Result<Self, email_address::Error> {
        let options = email_address::Options::default().with_required_tld().without_display_text();
        EmailAddress::parse_with_options(text.trim(), options).map(Self)
    }

    /// Enough to recognise the address, too little to write to it: `e…@gmail.example`.
    pub fn masked(&self) -> String {
        let first = self.0.local_part().chars().next().unwrap_or('…');
        format!("{first}…@{}", self.0.domain())
    }

    /// Whether both are the same mailbox; case never tells mailboxes apart in practice.
    pub fn same_as(&self, other: &str) -> bool {
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
