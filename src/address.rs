//! Mail addresses that were checked.

use std::{fmt, str::FromStr};

use email_address::EmailAddress;
use serde::{Deserialize, Serialize};

/// A valid mail address. Its `Debug` is [masked](Address::masked).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(EmailAddress);

impl Address {
    /// Parses an address without a display name. Its domain becomes ASCII: not every mail system on the way takes another.
    ///
    /// # Errors
    /// When it is not an address by RFC 5321, or its domain has no dot, or is the literal of an IP address, or the part before
    /// it is quoted.
    pub fn parse(text: &str) -> Result<Self, email_address::Error> {
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let address = EmailAddress::parse_with_options(text.trim(), options)?;
        // A quoted local part can contain anything, another address included; Exchange makes none.
        if address.local_part().starts_with('"') {
            return Err(email_address::Error::InvalidCharacter);
        }
        let domain =
            idna::domain_to_ascii(address.domain()).map_err(|_| email_address::Error::InvalidCharacter)?;
        EmailAddress::parse_with_options(&format!("{}@{domain}", address.local_part()), options).map(Self)
    }

    /// The domain, in ASCII and small letters.
    pub(crate) fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The address with one character of its local part: `e…@gmail.example`.
    pub fn masked(&self) -> String {
        let first = self.0.local_part().chars().next().unwrap_or('…');
        format!("{first}…@{}", self.0.domain())
    }

    /// Whether both are the same mailbox, regardless of case.
    pub(crate) fn same_as(&self, other: &str) -> bool {
        Self::parse(other).is_ok_and(|other| self.0.as_str().eq_ignore_ascii_case(other.0.as_str()))
    }
}

impl FromStr for Address {
    type Err = email_address::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Address {
    type Error = email_address::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_goes_out_in_ascii() {
        for (text, expected) in [
            ("quinn@müller.example", "quinn@xn--mller-kva.example"),
            ("quinn@MÜLLER.example", "quinn@xn--mller-kva.example"),
            ("quinn@mail.bücher.example", "quinn@mail.xn--bcher-kva.example"),
            ("quinn@пример.испытание", "quinn@xn--e1afmkfd.xn--80akhbyknj4f"),
            ("Quinn.O'Hara+new@Mail.Example", "Quinn.O'Hara+new@mail.example"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
        assert!(Address::parse("quinn@müller.example").unwrap().same_as("QUINN@xn--mller-kva.example"));
    }

    #[test]
    fn what_no_mail_reaches_is_no_address() {
        for text in [
            "quinn@[192.0.2.1]",
            "quinn@[IPv6:2001:db8::1]",
            "quinn@localhost",
            "\"jo@contoso.example\"@mail.example",
            "Quinn <quinn@mail.example>",
            "quinn@mail.example; ada@mail.example",
            "quinn@xn--a.example",
            "quinn",
            "",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
