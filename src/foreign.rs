//! Texts of other systems, such as the message of an error. They may quote anything of a request: a code, a private address.

use std::{fmt, ops::Range};

use crate::{code::Code, errors::without_secrets};

/// A text of another system.
///
/// Printed, it is one line of at most 400 characters, without what signs in somewhere, and with mail addresses masked, however
/// they are written: Exchange quotes the recipient whom it refuses.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ForeignText(String);

/// What is kept of a text.
const KEPT: usize = 4_096;
/// What is printed of it, in characters.
const PRINTED: usize = 400;
/// How often a text may have been encoded: a code is in HTML, which is in JSON, which a gateway may have encoded again.
const ENCODINGS: usize = 4;

impl ForeignText {
    /// Wraps `text`, of which at most 4 KiB are kept.
    pub fn new(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(KEPT)].to_owned())
    }

    /// The text itself, to look for words in it. It is not to be printed.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces `code` by `[code]`, however it is written.
    pub(crate) fn forget(&mut self, code: &Code) {
        let code: Vec<char> = code.reveal().chars().collect();
        if !code.is_empty() {
            self.0 = replace(&self.0, |chars| {
                let is_code = |window: &[Decoded]| window.iter().map(|(c, _)| c).eq(&code);
                let starts = chars.windows(code.len()).enumerate().filter(|(_, window)| is_code(window));
                starts.map(|(at, _)| (at..at + code.len(), "[code]".to_owned())).collect()
            });
        }
    }
}

impl fmt::Display for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = replace(&without_secrets(&self.0), addresses);
        let line = masked.chars().map(|c| if c.is_control() { ' ' } else { c });
        f.write_str(&line.take(PRINTED).collect::<String>())
    }
}

impl fmt::Debug for ForeignText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// A character, and the bytes of the text that stand for it.
type Decoded = (char, Range<usize>);
/// Which characters to replace, and by what.
type Found = Vec<(Range<usize>, String)>;

/// `text` without what `find` finds in it, or in what it is after decoding.
fn replace(text: &str, find: impl Fn(&[Decoded]) -> Found) -> String {
    let chars: Vec<Decoded> = text.char_indices().map(|(at, c)| (c, at..at + c.len_utf8())).collect();
    let mut found = Found::new();
    search(&chars, ENCODINGS, &find, &mut found);
    found.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
    let (mut result, mut end) = (String::new(), 0);
    for (at, label) in found {
        if at.start >= end {
            result += &text[end..at.start];
            result += &label;
        }
        end = end.max(at.end);
    }
    result + &text[end..]
}

/// What `find` finds in `chars`, and in what they are after decoding at most `depth` times.
fn search(chars: &[Decoded], depth: usize, find: &impl Fn(&[Decoded]) -> Found, found: &mut Found) {
    let bytes = |at: &Range<usize>| chars[at.start].1.start..chars[at.end - 1].1.end;
    found.extend(find(chars).iter().map(|(at, label)| (bytes(at), label.clone())));
    if depth > 0 {
        // One after the other: what is an escape in JSON may be a part of the text in HTML.
        for mark in ['%', '=', '&', '\\'] {
            if let Some(decoded) = decode(chars, mark) {
                search(&decoded, depth - 1, find, found);
            }
        }
    }
}

/// All mail addresses, masked like [`crate::address::Address::masked`].
fn addresses(chars: &[Decoded]) -> Found {
    let is_inner = |c: char| c.is_alphanumeric() || ".!#$%&*+-=?^_`{|}~\\".contains(c);
    let is_local = |at: usize| {
        let is = |at: Option<&Decoded>| at.is_some_and(|(c, _)| is_inner(*c));
        // An apostrophe can belong to an address, and can quote one.
        is(chars.get(at)) || chars[at].0 == '\'' && at > 0 && is(chars.get(at - 1)) && is(chars.get(at + 1))
    };
    let is_domain = |c: char| c.is_alphanumeric() || ".-".contains(c);
    let mut found: Found = Vec::new();
    for (at, _) in chars.iter().enumerate().filter(|(_, (c, _))| *c == '@') {
        let start = (0..at).rev().take_while(|at| is_local(*at)).last().unwrap_or(at);
        let end =
            (at + 1..chars.len()).take_while(|at| is_domain(chars[*at].0)).last().map_or(at, |last| last + 1);
        if start < at && at < end {
            let domain: String = chars[at + 1..end].iter().map(|(c, _)| *c).collect();
            let domain = domain.trim_end_matches('.');
            let end = at + 1 + domain.chars().count();
            found.push((start..end, format!("{}…@{domain}", chars[start].0)));
        }
    }
    found
}

/// The text after decoding what URLs (`%`), mails (`=`), HTML (`&`) or JSON (`\`) encode; `None` if nothing is encoded.
fn decode(chars: &[Decoded], mark: char) -> Option<Vec<Decoded>> {
    let mut decoded = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some((c, bytes)) = chars.get(at) {
        match (*c == mark).then(|| escape(&chars[at..])).flatten() {
            Some((c, length)) => {
                decoded.push((c, bytes.start..chars[at + length - 1].1.end));
                at += length;
            }
            None => {
                decoded.push((*c, bytes.clone()));
                at += 1;
            }
        }
    }
    (decoded.len() < chars.len()).then_some(decoded)
}

/// The character that is encoded at the beginning of `chars`, and in how many.
fn escape(chars: &[Decoded]) -> Option<(char, usize)> {
    /// Longer than every escape here: four bytes as `%f0%9f%98%80`.
    const LONGEST: usize = 12;
    let text: String = chars.iter().take(LONGEST).map(|(c, _)| *c).collect();
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let escaped = |prefix: &str, digits: usize| {
        let rest = text.strip_prefix(prefix)?;
        let code = rest.get(..digits).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))?;
        Some((char::from_u32(hex(code)?)?, prefix.len() + digits))
    };
    match text.chars().next()? {
        '%' | '=' => byte_by_byte(&text),
        '\\' => {
            let plain = || {
                let c = text.chars().nth(1).filter(|c| "\\/\"'".contains(*c))?;
                Some((c, 2))
            };
            escaped("\\u", 4).or_else(|| escaped("\\x", 2)).or_else(plain)
        }
        '&' => {
            let (name, _) = text[1..].split_once(';')?;
            let number = |digits: &str| match digits.strip_prefix(['x', 'X']) {
                Some(digits) => hex(digits),
                None => digits.parse().ok(),
            };
            let c = match name.strip_prefix('#') {
                Some(digits) => number(digits).and_then(char::from_u32)?,
                None => NAMES.iter().find(|(known, _)| *known == name)?.1,
            };
            Some((c, name.chars().count() + 2))
        }
        _ => None,
    }
}

/// The entities of HTML that stand for a character of ASCII.
const NAMES: [(&str, char); 14] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("commat", '@'),
    ("plus", '+'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("ast", '*'),
    ("excl", '!'),
    ("period", '.'),
    ("lowbar", '_'),
];

/// The first character of `text`, whose bytes are written as `%xx` (URLs) or `=XX` (mails).
fn byte_by_byte(text: &str) -> Option<(char, usize)> {
    let mark = text.chars().next()?;
    let mut bytes = Vec::new();
    for escaped in text.as_bytes().chunks(3) {
        let [first, high, low] = escaped else { break };
        let digit = |b: &u8| char::from(*b).to_digit(16);
        let (true, Some(high), Some(low)) = (char::from(*first) == mark, digit(high), digit(low)) else {
            break;
        };
        bytes.push(u8::try_from(high << 4 | low).ok()?);
        if let Some(c) = str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            return Some((c, bytes.len() * 3));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_masked_however_they_are_written() {
        for (text, expected) in [
            (
                "Recipient 'emma.brooks@mail.example' is not resolved.",
                "Recipient 'e…@mail.example' is not resolved.",
            ),
            ("<emma.brooks@mail.example>, ann@x.example;", "<e…@mail.example>, a…@x.example;"),
            ("quinn.o'hara@mail.example.", "q…@mail.example."),
            ("mailto:emma.brooks%40mail.example", "mailto:e…@mail.example"),
            ("emma%2Ebrooks%2540mail.example", "e…@mail.example"),
            ("\"emma.brooks\\u0040mail.example\"", "\"e…@mail.example\""),
            ("emma.brooks&#64;mail.example &#x40; a&commat;b.example", "e…@mail.example &#x40; a…@b.example"),
            ("=65mma=40mail.example", "e…@mail.example"),
            ("IMCEASMTP-emma+2Ebrooks+40mail+2Eexample@contoso.example", "I…@contoso.example"),
            ("/users/emma@contoso.example/sendMail", "/users/e…@contoso.example/sendMail"),
            ("käthe@mül.example", "k…@mül.example"),
            ("@odata.type, a @ b, @", "@odata.type, a @ b, @"),
            ("100% of 7 & 8 = 15 \\ no", "100% of 7 & 8 = 15 \\ no"),
            ("two\r\nlines", "two  lines"),
            ("", ""),
        ] {
            assert_eq!(ForeignText::new(text).to_string(), expected, "{text}");
        }
        assert_eq!(ForeignText::new(&"é".repeat(9_000)).to_string().chars().count(), PRINTED);
    }

    /// `text` as a URL, HTML, JSON or a mail may have it.
    fn encoded(text: &str, form: u8) -> String {
        let each = |write: fn(char) -> String| text.chars().map(write).collect::<String>();
        let bytes = |mark: char| text.bytes().map(|b| format!("{mark}{b:02X}")).collect::<String>();
        match form % 7 {
            0 => text.to_owned(),
            1 => bytes('%'),
            2 => bytes('='),
            3 => each(|c| format!("&#{};", u32::from(c))),
            4 => each(|c| format!("&#x{:x};", u32::from(c))),
            5 => each(|c| if c.is_ascii() { format!("\\u{:04x}", u32::from(c)) } else { c.into() }),
            _ => minijinja::HtmlEscape(&serde_json::Value::from(text).to_string()[1..]).to_string(),
        }
    }

    #[test]
    fn a_code_is_removed_from_what_exchange_quotes() {
        let code = Code::new("a+b<c&d");
        for text in [
            "bad body: a+b<c&d!",
            "bad body: a+b&lt;c&amp;d!",
            "bad body: a%2Bb%3Cc%26d!",
            "bad body: a\\u002bb\\u0026lt;c&amp;d!",
        ] {
            let mut text = ForeignText::new(text);
            text.forget(&code);
            assert_eq!(text.to_string(), "bad body: [code]!");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_removed_however_it_is_written(
            code in "[!-~]{8,32}", forms in proptest::collection::vec(0u8..7, 0..=2), around in "[ a-z]{0,8}",
        ) {
            let written = forms.iter().fold(code.clone(), |text, form| encoded(&text, *form));
            prop_assume!(written.len() < KEPT - 100);
            let mut text = ForeignText::new(&format!("{around} {written} {around}"));
            text.forget(&Code::new(code.as_str()));
            prop_assert!(text.raw().contains("[code]"), "{}", text.raw());
            prop_assert!(!text.raw().contains(&written) || code == "[code]");
        }

        #[test]
        fn any_text_can_be_printed(text in "\\PC*|[%&\\\\=@#;xu0-9a-f]*") {
            let printed = ForeignText::new(&text).to_string();
            prop_assert!(printed.chars().count() <= PRINTED);
        }
    }
}
