//! With what somebody signs in, by the kinds of authentication methods of the account.

use crate::graph::UsageSnapshot;

/// How well the methods of an account withstand phishing, the best of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInStrength {
    /// A method that signs in at the real page only: a passkey, Windows Hello for Business, a platform credential, a certificate
    /// (<https://learn.microsoft.com/entra/identity/authentication/concept-authentication-strengths>).
    PhishingResistant,
    /// Another second factor: Authenticator, a code of an app or a token, a method of another provider.
    Mfa,
    /// A telephone number, and no more.
    Phone,
    /// A password, and no more.
    Password,
}

impl SignInStrength {
    /// That of the kinds, as Graph names them without `AuthenticationMethod`.
    pub(crate) fn of(kinds: &[String]) -> Self {
        let class = |kind: &String| match kind.as_str() {
            "fido2" | "windowsHelloForBusiness" | "platformCredential" | "x509Certificate" => {
                Self::PhishingResistant
            }
            "phone" => Self::Phone,
            // A PIN with a printed code, which can be copied.
            "qrCodePin" => Self::Password,
            _ => Self::Mfa,
        };
        let has = |strength| kinds.iter().map(class).any(|one| one == strength);
        let best =
            [Self::PhishingResistant, Self::Mfa, Self::Phone].into_iter().find(|strength| has(*strength));
        best.unwrap_or(Self::Password)
    }

    /// In a few words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::PhishingResistant => "with a phishing-resistant method",
            Self::Mfa => "with another second factor",
            Self::Phone => "with a phone only",
            Self::Password => "with a password only",
        }
    }

    /// Whether somebody should help them to a better one.
    pub(crate) fn is_weak(self) -> bool {
        matches!(self, Self::Phone | Self::Password)
    }
}

/// The kinds of methods that the account has, each once; `None` if they were not read.
pub(crate) fn kinds(usage: &UsageSnapshot) -> Option<Vec<String>> {
    /// More kinds than Graph has.
    const KINDS: usize = 16;
    let listed = usage.methods.as_ref().and_then(|methods| methods.as_ref().ok());
    let reported = || usage.registration.as_ref()?.as_ref().ok()?.as_ref();
    let methods = listed.or_else(reported)?;
    let is_word = |kind: &&String| {
        (1..=64).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let mut kinds: Vec<String> = methods.iter().map(|method| &method.kind).filter(is_word).cloned().collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.truncate(KINDS);
    Some(kinds)
}

#[cfg(test)]
mod tests {
    use super::{SignInStrength::*, *};

    #[test]
    fn the_best_method_counts() {
        for (kinds, expected) in [
            (vec![], Password),
            (vec!["qrCodePin"], Password),
            (vec!["phone"], Phone),
            (vec!["phone", "microsoftAuthenticator"], Mfa),
            (vec!["softwareOath"], Mfa),
            (vec!["someNewThing"], Mfa),
            (vec!["phone", "fido2"], PhishingResistant),
            (vec!["windowsHelloForBusiness"], PhishingResistant),
            (vec!["platformCredential"], PhishingResistant),
            (vec!["x509Certificate"], PhishingResistant),
        ] {
            let names: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            assert_eq!(SignInStrength::of(&names), expected, "{kinds:?}");
        }
    }
}
