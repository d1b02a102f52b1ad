//! What is checked before an account counts as a joiner's.

use std::collections::BTreeSet;

use super::reader::{SettingsReader, number};
use crate::environment::Environment;

/// The checks that an account is new. Whoever can write a hire date and a private address would otherwise get into any
/// account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinerCheck {
    /// Whether the authentication methods of the account are read.
    pub methods: bool,
    /// Whether the report on registered methods is read: it shows the kinds of methods only, and lags.
    pub registration: bool,
    /// Whether the last sign-in is read.
    pub sign_ins: SignInCheck,
    /// How many days before day one an account may have been created, 1 to 3,650; `None`: any number.
    pub max_age_days: Option<u16>,
    /// The kinds of methods that the company registers for joiners, as Graph names them, in lower case.
    pub ignored_methods: BTreeSet<String>,
}

/// Whether the last sign-in is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInCheck {
    /// No.
    Off,
    /// Where the tenant and the permissions allow it.
    IfReadable,
    /// Yes: an account whose sign-ins cannot be read gets no pass.
    Required,
}

/// The kinds of methods that JOINER_CHECK_IGNORES knows: Graph's types without `AuthenticationMethod`.
const METHODS: [&str; 9] = [
    "phone",
    "fido2",
    "microsoftAuthenticator",
    "windowsHelloForBusiness",
    "softwareOath",
    "hardwareOath",
    "platformCredential",
    "qrCodePin",
    "external",
];

enum Check {
    Methods,
    Registration,
    SignIns,
    Age,
}

impl JoinerCheck {
    /// Whether a method of this kind shows that the account is in use.
    pub(crate) fn counts_method(&self, kind: &str) -> bool {
        !self.ignored_methods.contains(&kind.to_ascii_lowercase())
    }

    /// The same with the checks that settings may leave out, except for the age.
    #[must_use]
    pub(crate) fn strict(&self) -> Self {
        Self { methods: true, sign_ins: SignInCheck::Required, ..self.clone() }
    }

    pub(super) fn read(read: &mut SettingsReader<'_>, env: &Environment) -> Self {
        const NAME: &str = "JOINER_CHECK";
        let is_none = env.get(NAME).is_some_and(|text| text.trim().eq_ignore_ascii_case("none"));
        let checks = if is_none {
            Vec::new()
        } else {
            read.list(NAME, "methods,age", vec![Check::Methods, Check::Age], check)
        };
        let has = |wanted: fn(&Check) -> bool| checks.iter().any(wanted);
        let sign_ins = match env.get(NAME) {
            None => SignInCheck::IfReadable,
            Some(_) if has(|check| matches!(check, Check::SignIns)) => SignInCheck::Required,
            Some(_) => SignInCheck::Off,
        };
        let max_age = read.or("JOINER_MAX_AGE_DAYS", "90", 90, |text| number(text, 1..=3_650));
        let ignored = read.list("JOINER_CHECK_IGNORES", "phone,fido2", Vec::new(), method);
        Self {
            methods: has(|check| matches!(check, Check::Methods)),
            registration: has(|check| matches!(check, Check::Registration)),
            sign_ins,
            max_age_days: has(|check| matches!(check, Check::Age)).then_some(max_age),
            ignored_methods: ignored.into_iter().collect(),
        }
    }
}

fn check(text: &str) -> Result<Check, String> {
    match text.to_ascii_lowercase().as_str() {
        "methods" => Ok(Check::Methods),
        "registration" => Ok(Check::Registration),
        "sign-ins" => Ok(Check::SignIns),
        "age" => Ok(Check::Age),
        "none" => Err("has none beside other checks".to_owned()),
        _ => Err(format!("is none of methods, registration, sign-ins, age: \"{text}\"")),
    }
}

fn method(text: &str) -> Result<String, String> {
    let found = METHODS.iter().find(|known| known.eq_ignore_ascii_case(text));
    found
        .map(|known| known.to_ascii_lowercase())
        .ok_or_else(|| format!("is none of {}: \"{text}\"", METHODS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)]) -> (JoinerCheck, Vec<String>) {
        let env = Environment::from_iter(env.iter().copied());
        let mut reader = SettingsReader::new(&env);
        let check = JoinerCheck::read(&mut reader, &env);
        let problems = reader.finish().map(|report| report.0).unwrap_or_default();
        (check, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn by_default_methods_and_age_are_checked_and_sign_ins_where_they_can_be_read() {
        let (check, problems) = read(&[]);
        assert_eq!((check.methods, check.registration, check.max_age_days), (true, false, Some(90)));
        assert_eq!((check.sign_ins, problems.len()), (SignInCheck::IfReadable, 0));
    }

    #[test]
    fn what_is_named_is_checked_and_nothing_else() {
        let (check, problems) =
            read(&[("JOINER_CHECK", "Registration, sign-ins"), ("JOINER_CHECK_IGNORES", "Phone,FIDO2")]);
        assert_eq!((check.methods, check.registration, check.max_age_days), (false, true, None));
        assert_eq!((check.sign_ins, problems.len()), (SignInCheck::Required, 0));
        assert_eq!(check.ignored_methods, BTreeSet::from(["phone".to_owned(), "fido2".to_owned()]));
        let (check, problems) = read(&[("JOINER_CHECK", "None"), ("JOINER_MAX_AGE_DAYS", "30")]);
        assert_eq!((check.methods, check.sign_ins, check.max_age_days), (false, SignInCheck::Off, None));
        assert_eq!(problems, [] as [&str; 0]);
        let strict = check.strict();
        assert_eq!(
            (strict.methods, strict.sign_ins, strict.max_age_days),
            (true, SignInCheck::Required, None)
        );
        assert_eq!(read(&[("JOINER_CHECK", "age"), ("JOINER_MAX_AGE_DAYS", "30")]).0.max_age_days, Some(30));
    }

    #[test]
    fn every_problem_is_named() {
        let (_, problems) = read(&[
            ("JOINER_CHECK", "none,methods,roles"),
            ("JOINER_MAX_AGE_DAYS", "0"),
            ("JOINER_CHECK_IGNORES", "password,phone"),
        ]);
        assert_eq!(problems.len(), 4, "{problems:#?}");
    }
}
