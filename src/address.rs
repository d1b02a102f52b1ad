//! Mail addresses that were checked.

use std::{fmt, str::FromStr};

use email_address::EmailAddress;
use serde::{Deserialize, Serialize};

use crate::text;

/// A valid mail address. Its `Debug` is [masked](Address::masked).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(EmailAddress);

/// Why a text is no address that a mail goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not one by RFC 5321, its domain has no dot or is an IP address, or the part before the domain is quoted.
    #[error("is not a mail address")]
    Malformed,
    /// It has characters that a person does not see.
    #[error("contains control or invisible characters")]
    Hidden,
    /// It has letters of scripts that are not written together.
    #[error("mixes letters of scripts that look alike, such as Latin and Cyrillic ones")]
    MixedScripts,
}

impl Address {
    /// Parses an address without a display name. Its domain becomes ASCII: not every mail system on the way takes another.
    ///
    /// # Errors
    /// When a person could take it for another one, or no mail reaches it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text::hides_something(text.trim()) {
            return Err(AddressError::Hidden);
        }
        let address = Self::well_formed(text)?;
        let (domain, _) = idna::domain_to_unicode(address.domain());
        let is_mixed = domain.split('.').chain([address.0.local_part()]).any(text::mixes_scripts);
        if is_mixed { Err(AddressError::MixedScripts) } else { Ok(address) }
    }

    /// The address in an attribute of an account. HR systems copy it from elsewhere, with characters that nobody sees: they go.
    ///
    /// # Errors
    /// As for [`Address::parse`].
    pub(crate) fn read(text: &str) -> Result<Self, AddressError> {
        Self::parse(&text::one_line(text))
    }

    fn well_formed(text: &str) -> Result<Self, AddressError> {
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let parsed =
            |text: &str| EmailAddress::parse_with_options(text, options).map_err(|_| AddressError::Malformed);
        let address = parsed(text.trim())?;
        let domain = idna::domain_to_ascii(address.domain()).map_err(|_| AddressError::Malformed)?;
        // A quoted local part can contain anything, another address included; Exchange makes none. No top-level domain is a number, so
        // such a domain is an IP address.
        let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
        if address.local_part().starts_with('"') || domain.rsplit('.').next().is_none_or(is_number) {
            return Err(AddressError::Malformed);
        }
        parsed(&format!("{}@{domain}", address.local_part())).map(Self)
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
        Self::read(other).is_ok_and(|other| self.0.as_str().eq_ignore_ascii_case(other.0.as_str()))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    /// An address in a record. A mail went to it: a rule that is stricter since then must not make the record unreadable.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::well_formed(&text)
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
    use proptest::prelude::*;

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
            "quinn@192.0.2.1",
            "quinn@mail.1",
            "quinn",
            "",
        ] {
            assert_eq!(Address::parse(text), Err(AddressError::Malformed), "{text}");
        }
    }

    #[test]
    fn what_looks_like_another_address_is_none() {
        for (text, error) in [
            ("q\u{430}uinn@mail.example", AddressError::MixedScripts),
            ("quinn@m\u{430}il.example", AddressError::MixedScripts),
            ("quinn@xn--mil-7cd.example", AddressError::MixedScripts),
            ("qui\u{200b}nn@mail.example", AddressError::Hidden),
            ("quinn@ma\u{ad}il.example", AddressError::Hidden),
            ("\u{202e}quinn@mail.example", AddressError::Hidden),
            ("quinn\0@mail.example", AddressError::Hidden),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
        for text in
            ["иван@пример.испытание", "quinn@почта.example", "müller@bücher.example", "田中@mail.example"]
        {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_attribute_is_read_without_what_nobody_sees() {
        for text in [
            "\u{feff}quinn@mail.example\u{200b}",
            " qui\u{ad}nn@mail.example\n",
            "\u{202a}quinn@mail.example\u{202c}",
        ] {
            assert_eq!(Address::read(text).unwrap().to_string(), "quinn@mail.example");
        }
        assert!(Address::read("\"a b\"@mail.example").is_err());
        let stored: Address = serde_json::from_str("\"q\u{430}uinn@mail.example\"").unwrap();
        assert!(stored.to_string().starts_with('q'), "a record stays readable");
    }

    proptest! {
        #[test]
        fn an_address_hides_nothing_and_is_read_again(text in "\\PC{0,12}@\\PC{0,12}\\.[a-zа-я]{2,4}") {
            for address in [Address::parse(&text), Address::read(&text)].into_iter().flatten() {
                let text = address.to_string();
                prop_assert!(!text::hides_something(&text), "{:?}", text);
                prop_assert_eq!(Address::parse(&text), Ok(address));
            }
        }
    }
}
