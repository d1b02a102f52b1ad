//! What a mail's HTML loads, leads to, and where it has the code.

use azure_core::http::Url;
use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};

/// Elements that load or send something, or are code. Mail clients remove most of them, and filters take the mail for a fraud.
const REFUSED: [&[u8]; 18] = [
    b"applet",
    b"audio",
    b"base",
    b"button",
    b"embed",
    b"form",
    b"frame",
    b"iframe",
    b"input",
    b"link",
    b"math",
    b"object",
    b"script",
    b"select",
    b"svg",
    b"template",
    b"textarea",
    b"video",
];

/// Attributes with an address.
const ADDRESSES: [&[u8]; 12] = [
    b"href",
    b"src",
    b"background",
    b"srcset",
    b"poster",
    b"action",
    b"formaction",
    b"cite",
    b"data",
    b"longdesc",
    b"ping",
    b"xlink:href",
];

/// What is wrong with HTML.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The code is there where it could leave the mail, or is not seen.
    Code {
        /// The number of the print that wrote it, as the text after the mark says.
        print: Option<usize>,
        /// Where.
        place: &'static str,
    },
    /// An address with a host that no setting names, or another scheme.
    Address(String),
    /// An element or attribute that no mail should have.
    Refused(String),
}

/// Looks through HTML, in which `mark` stands for the code.
pub(super) struct Inspection<'a> {
    /// What stands for the code.
    pub mark: &'a str,
    /// The hosts that the settings name.
    pub hosts: &'a [String],
}

impl Inspection<'_> {
    /// Everything that is wrong.
    pub(super) fn of(&self, html: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.read(html, &mut findings);
        findings
    }

    fn read(&self, html: &str, findings: &mut Vec<Finding>) {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        // The element whose content is no text: "style", "title".
        let mut raw: Option<HtmlString> = None;
        for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
            match token {
                Token::StartTag(tag) => {
                    self.element(&tag, findings);
                    if [&b"style"[..], b"title"].contains(&tag.name.as_slice()) && !tag.self_closing {
                        raw = Some(tag.name);
                    }
                }
                Token::EndTag(tag) if Some(&tag.name) == raw.as_ref() => raw = None,
                Token::String(text) => {
                    let text = String::from_utf8_lossy(&text);
                    match raw.as_ref().map(|name| name.as_slice()) {
                        Some(b"style") => {
                            self.code("in a style", &text, findings);
                            self.style(&text, findings);
                        }
                        Some(_) => self.code("in the title", &text, findings),
                        None => {}
                    }
                }
                Token::Comment(comment) => {
                    let comment = String::from_utf8_lossy(&comment).into_owned();
                    self.code("in a comment", &comment, findings);
                    // Outlook reads these.
                    if comment.trim_start().starts_with("[if") {
                        let content = comment.split_once(']').map_or("", |(_, content)| content);
                        self.read(content.trim_start_matches('>'), findings);
                    }
                }
                _ => {}
            }
        }
    }

    fn element(&self, tag: &StartTag<()>, findings: &mut Vec<Finding>) {
        let name = String::from_utf8_lossy(&tag.name).into_owned();
        if REFUSED.contains(&tag.name.as_slice()) {
            findings.push(Finding::Refused(format!("<{name}>")));
        }
        self.code("in the name of an element", &name, findings);
        for (attribute, value) in &tag.attributes {
            let value = String::from_utf8_lossy(&value.value).into_owned();
            let shown = String::from_utf8_lossy(attribute).into_owned();
            self.code("in an attribute", &shown, findings);
            self.code("in an attribute", &value, findings);
            if attribute.starts_with(b"on") {
                findings.push(Finding::Refused(format!("the attribute {shown}")));
            }
            if attribute.as_slice() == b"http-equiv" && value.trim().eq_ignore_ascii_case("refresh") {
                findings.push(Finding::Refused("<meta http-equiv=\"refresh\">".to_owned()));
            }
            if attribute.as_slice() == b"style" {
                self.style(&value, findings);
            }
            if ADDRESSES.contains(&attribute.as_slice()) {
                let parts = if attribute.as_slice() == b"srcset" {
                    value.split(',').collect()
                } else {
                    vec![value.as_str()]
                };
                for part in parts {
                    let address = part.split_whitespace().next().unwrap_or_default();
                    if !self.is_known(address, attribute) {
                        findings.push(Finding::Address(address.to_owned()));
                    }
                }
            }
        }
    }

    fn is_known(&self, address: &str, attribute: &[u8]) -> bool {
        let Ok(url) = Url::parse(address) else {
            // A place in the mail itself.
            return address.starts_with('#');
        };
        match url.scheme() {
            "https" => url.host_str().is_some_and(|host| self.hosts.iter().any(|known| known == host)),
            "mailto" | "tel" => attribute == b"href",
            "cid" => attribute == b"src",
            _ => false,
        }
    }

    /// Styles can load images and other styles.
    fn style(&self, style: &str, findings: &mut Vec<Finding>) {
        let lower = style.to_ascii_lowercase();
        if lower.contains("@import") || lower.contains("expression(") || lower.contains('\\') {
            findings.push(Finding::Refused("a style with @import, expression() or a backslash".to_owned()));
        }
        for (at, _) in lower.match_indices("url(") {
            let rest = &style[at + 4..];
            let address = rest.split(')').next().unwrap_or_default();
            let address = address.trim().trim_matches(['"', '\'']);
            if !self.is_known(address, b"src") {
                findings.push(Finding::Address(address.to_owned()));
            }
        }
    }

    /// Each place of the code in `text`, where it may not be.
    fn code(&self, place: &'static str, text: &str, findings: &mut Vec<Finding>) {
        for (at, _) in text.match_indices(self.mark) {
            let number =
                text[at + self.mark.len()..].split(';').next().and_then(|number| number.parse().ok());
            findings.push(Finding::Code { print: number, place });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(html: &str) -> Vec<Finding> {
        let hosts = ["help.contoso.example".to_owned()];
        Inspection { mark: "MARK", hosts: &hosts }.of(html)
    }

    #[test]
    fn the_code_may_stand_in_text_only() {
        assert_eq!(findings("<title>x</title><p>a <b>MARK7;</b></p>"), []);
        for (html, place) in [
            ("<a href='https://help.contoso.example/?MARK7;'>x</a>", "in an attribute"),
            ("<img src='https://help.contoso.example/MARK7;.png'>", "in an attribute"),
            ("<p title=MARK7;>x</p>", "in an attribute"),
            ("<p style='content: \"MARK7;\"'>x</p>", "in an attribute"),
            ("<!-- MARK7; -->", "in a comment"),
            ("<style>.a::after { content: 'MARK7;' }</style>", "in a style"),
            ("<title>MARK7;</title>", "in the title"),
        ] {
            assert!(
                findings(html).contains(&Finding::Code { print: Some(7), place }),
                "{html}: {:?}",
                findings(html)
            );
        }
        let script = findings("<script>var a = 'MARK7;'</script>");
        assert_eq!(script, [Finding::Refused("<script>".into())]);
    }

    #[test]
    fn addresses_lead_to_hosts_that_a_setting_names() {
        for html in [
            "<a href='https://help.contoso.example/a'>x</a>",
            "<a href='mailto:help@evil.example'>x</a>",
            "<a href='tel:+4930'>x</a>",
            "<a href='#title'>x</a>",
            "<img src='cid:logo'>",
            "<p style='color: red'>x</p>",
        ] {
            assert_eq!(findings(html), [], "{html}");
        }
        for (html, address) in [
            ("<a href='https://evil.example/a'>x</a>", "https://evil.example/a"),
            ("<a href='http://help.contoso.example/'>x</a>", "http://help.contoso.example/"),
            ("<a href='//evil.example'>x</a>", "//evil.example"),
            ("<a href=' JavaScript:alert(1)'>x</a>", "JavaScript:alert(1)"),
            (
                "<a href='https://help.contoso.example@evil.example'>x</a>",
                "https://help.contoso.example@evil.example",
            ),
            ("<img src='data:image/png;base64,AA'>", "data:image/png;base64,AA"),
            ("<img srcset='cid:logo 1x, https://evil.example/2 2x'>", "https://evil.example/2"),
            ("<td background='https://evil.example/b'>", "https://evil.example/b"),
            ("<p style='background: URL( \"https://evil.example/c\" )'>", "https://evil.example/c"),
            ("<style>p { background: url(https://evil.example/d) }</style>", "https://evil.example/d"),
            ("<!--[if mso]><img src='https://evil.example/e'><![endif]-->", "https://evil.example/e"),
            ("<IMG SRC=https://evil.example/f>", "https://evil.example/f"),
            ("<a href='relative'>x</a>", "relative"),
        ] {
            let found = findings(html);
            assert!(found.contains(&Finding::Address(address.to_owned())), "{html}: {found:?}");
        }
    }

    #[test]
    fn what_loads_or_sends_is_refused() {
        for html in [
            "<script>1</script>",
            "<iframe></iframe>",
            "<form></form>",
            "<link rel=stylesheet>",
            "<base>",
            "<svg></svg>",
            "<p onclick=x>",
            "<meta http-equiv=Refresh content=0>",
            "<style>@import 'x'</style>",
            "<p style='background: u\\72l(x)'>",
            "<!--[if mso]><script></script><![endif]-->",
        ] {
            assert!(findings(html).iter().any(|found| matches!(found, Finding::Refused(_))), "{html}");
        }
    }
}
