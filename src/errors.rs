//! The causes of errors, and texts of other systems: what of them may be printed.

use std::error::Error;

use azure_core::error::ErrorKind;

/// `error` with its causes in one line: the outermost error often says only "failed to execute request".
pub(crate) fn chain(error: &dyn Error) -> String {
    std::iter::successors(error.source(), |&e| e.source()).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The message of an error, with those of its causes, in one line each and without secrets.
///
/// The errors of the Azure libraries can be neither cloned nor compared, and quote URLs with their signatures. This copy is
/// the only form in which one is printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Cause {
    message: String,
    source: Option<Box<Self>>,
}

impl Cause {
    /// The longest message, in characters.
    const MAX: usize = 400;

    /// Copies `error` and its causes.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let message = error.to_string();
        let message = match error.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind) {
            // The message is the body, which can quote the request.
            Some(ErrorKind::HttpResponse { status, error_code, .. }) => {
                let code = error_code.as_deref().and_then(identifier).unwrap_or_default();
                return format!("the answer was {} {code}", u16::from(*status)).trim_end().into();
            }
            // The body follows the first line.
            Some(ErrorKind::DataConversion) => message.lines().next().unwrap_or_default(),
            _ => &message,
        };
        let source = error.source().map(|source| Box::new(Self::of(source)));
        Self { source, ..message.into() }
    }

    /// Copies the innermost cause of `error`. The errors of reqwest around it quote the URL, whose path can be a secret too.
    pub(crate) fn innermost(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&error| error.source());
        let plain = causes.filter(|error| !error.is::<reqwest::Error>()).last();
        Self { source: None, ..plain.map_or_else(|| "the request failed".into(), Self::of) }
    }

    /// `message`, caused by this.
    #[must_use]
    pub(crate) fn context(self, message: &str) -> Self {
        Self { message: without_secrets(message), source: Some(Box::new(self)) }
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        message.as_str().into()
    }
}

impl From<&str> for Cause {
    fn from(message: &str) -> Self {
        let one_line = |c: char| if c.is_control() { ' ' } else { c };
        let message = without_secrets(message).chars().map(one_line).take(Self::MAX).collect();
        Self { message, source: None }
    }
}

/// `text` of another system if it has the form of a code or an id; `None` if it may be anything else.
pub(crate) fn identifier(text: &str) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_long = !(1..=64).contains(&text.len());
    (!is_long && text.bytes().all(is_plain) && !is_token(text)).then_some(text)
}

/// `text` without what signs in somewhere: the query, the fragment and the credentials of each URL, signatures, keys and
/// tokens, also where another system has encoded them.
pub(crate) fn without_secrets(text: &str) -> String {
    let plain = ["://", "eyJ"].iter().all(|mark| !text.contains(mark));
    let lower = text.to_ascii_lowercase();
    if plain && NAMES.iter().chain(&SCHEMES).all(|name| !lower.contains(name)) {
        return text.to_owned();
    }
    let mut kept = without_tokens(&without_queries(text));
    for scheme in SCHEMES {
        kept = without_values(&kept, scheme, &[ASSIGNMENTS, BLANKS].concat(), ends_value);
    }
    for name in NAMES {
        // The value of this header is two words.
        let ends = if name == "authorization" { ends_quote } else { ends_value };
        kept = without_values(&kept, name, ASSIGNMENTS, ends);
    }
    kept
}

/// Names whose value is a secret: parts of a SAS, a connection string, a header or the answer of a token endpoint.
const NAMES: [&str; 10] = [
    "sig",
    "accountkey",
    "sharedaccesssignature",
    "sharedaccesskey",
    "access_token",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "x-identity-header",
    "authorization",
];
/// What precedes the secret in an Authorization header.
const SCHEMES: [&str; 3] = ["bearer", "sharedkey", "sharedkeylite"];
/// What is between a name and its value, as URLs, JSON and HTML write it.
const ASSIGNMENTS: &[&str] =
    &["=", ":", "%3d", "%3a", "%253d", "\\u003d", "\\u003a", "&#61;", "&#x3d;", "&#58;", "&#x3a;"];
const BLANKS: &[&str] = &[" ", "+", "%20", "%2520", "\\u0020", "&#32;", "&#x20;"];
const QUOTES: &[&str] = &["\"", "'", "\\", "%22", "&quot;", "&#34;", "&#x22;"];

fn ends_quote(c: char) -> bool {
    c.is_control() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || c == ')' || ends_quote(c)
}

/// Replaces the query, the fragment and the credentials of every URL.
fn without_queries(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start + 3);
        kept += before;
        let host_end = url.find(|c| matches!(c, '/' | '?' | '#') || ends_value(c)).unwrap_or(url.len());
        let host = url[..host_end].rsplit_once('@').map_or(0, |(credentials, _)| credentials.len());
        kept += if host > 0 { "…" } else { "" };
        let path_end = url.find(|c| matches!(c, '?' | '#') || ends_value(c)).unwrap_or(url.len());
        kept += &url[host..path_end];
        rest = &url[path_end..];
        if let Some(mark) = rest.chars().next().filter(|c| matches!(c, '?' | '#')) {
            kept.extend([mark, '…']);
            rest = &rest[rest.find(ends_value).unwrap_or(rest.len())..];
        }
    }
    kept + rest
}

/// Replaces what follows `name` and an assignment.
fn without_values(text: &str, name: &str, assignments: &[&str], ends: fn(char) -> bool) -> String {
    let lower = text.to_ascii_lowercase();
    let (mut kept, mut done, mut from) = (String::with_capacity(text.len()), 0, 0);
    while let Some(found) = lower[from..].find(name) {
        let (mut at, mut is_assigned) = (from + found + name.len(), false);
        while let Some(gap) =
            [assignments, BLANKS, QUOTES].concat().iter().find(|g| lower[at..].starts_with(**g))
        {
            is_assigned |= assignments.contains(gap);
            at += gap.len();
        }
        from = at;
        if is_assigned {
            from += text[at..].find(ends).unwrap_or(text.len() - at);
            kept += &text[done..at];
            kept += if from > at { "…" } else { "" };
            done = from;
        }
    }
    kept + &text[done..]
}

/// Replaces JSON Web Tokens: their first part is the base64 of `{"`.
fn without_tokens(text: &str) -> String {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let end = start + rest[start..].find(|c| !is_inner(c)).unwrap_or(rest.len() - start);
        kept += &rest[..start];
        kept += if is_token(&rest[start..end]) { "…" } else { &rest[start..end] };
        rest = &rest[end..];
    }
    kept + rest
}

/// Whether `word` is a JSON Web Token or the beginning of one.
fn is_token(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 20
}

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_cause_is_kept_and_redacted() {
        let inner = io::Error::other("refused: http://h/?sig=SECRET");
        let outer = azure_core::Error::with_error(ErrorKind::Io, inner, "http://u:SECRET@h\nfailed");
        let cause = Cause::of(&outer).context("not read");
        assert_eq!(chain(&cause), "not read: http://…@h failed: refused: http://h/?…");
        assert!(!format!("{cause:?}").contains("SECRET"));
    }

    #[test]
    fn the_innermost_cause_quotes_no_url() {
        let inner = io::Error::other("connection refused");
        let outer =
            azure_core::Error::with_error(ErrorKind::Connection, inner, "failed for https://h/SECRET");
        assert_eq!(chain(&Cause::innermost(&outer)), "connection refused");
    }

    #[test]
    fn of_an_error_answer_only_the_status_and_a_plain_code_are_kept() {
        for (code, expected) in [
            ("AuthenticationFailed", "the answer was 403 AuthenticationFailed"),
            ("a b", "the answer was 403"),
        ] {
            let kind = ErrorKind::HttpResponse {
                status: 403_u16.into(),
                error_code: Some(code.to_owned()),
                raw_response: None,
            };
            let error = azure_core::Error::with_message(kind, "SECRET");
            assert_eq!(chain(&Cause::of(&error)), expected);
        }
    }

    #[test]
    fn no_body_is_kept() {
        let error = azure_core::Error::with_message(ErrorKind::DataConversion, "not XML\nemma@contoso.com");
        assert_eq!(chain(&Cause::of(&error)), "not XML");
    }

    #[test]
    fn no_form_of_a_secret_is_kept() {
        for (text, expected) in [
            ("url (http://h/q/messages?sig=SECRET%3D&sp=r): refused", "url (http://h/q/messages?…): refused"),
            ("url (http://h/q?rscd=(a)&sig=SECRET&sp=r): refused", "url (http://h/q?…)&sig=…): refused"),
            ("no \"https://h/?x=SECRET\" here? yes", "no \"https://h/?…\" here? yes"),
            ("https://u:SECRET@h/p", "https://…@h/p"),
            ("https://u:SECRET@h?x", "https://…@h?…"),
            ("see https://h/p#SECRET.", "see https://h/p#…"),
            ("/ledger?sv=1&SIG=SECRET", "/ledger?sv=1&SIG=…"),
            ("%2Fledger%3Fsv%3D1%26sig%3DSECRET", "%2Fledger%3Fsv%3D1%26sig%3D…"),
            (r"sv=1\u0026sig\u003dSECRET", r"sv=1\u0026sig\u003d…"),
            ("sv=1&amp;sig&#61;SEC&#x2B;RET&amp;sp=r", "sv=1&amp;sig&#61;…"),
            ("AccountName=a;AccountKey=SECRET==;EndpointSuffix=x", "AccountName=a;AccountKey=…"),
            ("Authorization: Bearer SECRET\nAccept: x", "Authorization: …\nAccept: x"),
            ("{\"authorization\":\"Other SECRET\",\"a\":1}", "{\"authorization\":\"…\",\"a\":1}"),
            (r#"{\"authorization\":\"Bearer SECRET\"}"#, r#"{\"authorization\":\"…"}"#),
            ("sent Bearer%20SECRET, then", "sent Bearer%20… then"),
            ("SharedKey account:SECRET=", "SharedKey …"),
            ("{\"access_token\": \"SECRET\"}", "{\"access_token\": \"…\"}"),
            ("token eyJhbGciOiJSUzI1NiJ9.SECRET.SECRET rejected", "token … rejected"),
            ("nothing of the sort: design=new, sign in", "nothing of the sort: design=new, sign in"),
        ] {
            assert_eq!(without_secrets(text), expected, "{text}");
        }
    }

    #[test]
    fn only_plain_codes_and_ids_are_identifiers() {
        for text in ["Request_ResourceNotFound", "5d1f-09", "a.b"] {
            assert_eq!(identifier(text), Some(text));
        }
        let long = "a".repeat(65);
        for text in ["", "a b", "a=b", "ä", "Bearer x", &long, "eyJhbGciOiJSUzI1NiJ9.e30"] {
            assert_eq!(identifier(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_redacted_without_a_panic(
            before in ".{0,30}",
            mark in prop::sample::select(vec!["sig=", "&sig%3D", "Bearer ", "AccountKey=", "https://h/?", "https://u:", "eyJ"]),
            after in ".{0,30}",
        ) {
            without_secrets(&format!("{before}{mark}{after}"));
        }

        #[test]
        fn a_signature_is_lost_wherever_it_stands(before in "[ -~]{0,30}", after in "[a-z&=?/ )\"]{0,20}") {
            let text = without_secrets(&format!("{before}&sig=TOPSECRET{after}"));
            prop_assert!(!text.contains("TOPSECRET"), "{text}");
        }
    }
}
