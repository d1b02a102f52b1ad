//! A mail as plain text, as Exchange makes it of the HTML for clients that show no HTML.
//!
//! Exchange's own conversion is not documented; this one keeps what all converters keep: the text, in order, a line for each block, the
//! numbers of a list, the address of a link whose text is another one, and the text that stands for an image.

use html5gum::{DefaultEmitter, Token, Tokenizer};

/// Elements that begin and end a line.
const BLOCKS: [&[u8]; 14] =
    [b"p", b"div", b"h1", b"h2", b"h3", b"ul", b"ol", b"li", b"table", b"tr", b"td", b"th", b"body", b"br"];

/// The text of a mail's HTML.
pub fn plain_text(html: &str) -> String {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let (mut text, mut hidden, mut link) = (Text::default(), 0_u32, None::<(String, usize)>);
    for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
        match token {
            Token::StartTag(tag) => {
                let attribute = |name: &[u8]| {
                    let (_, value) = tag.attributes.iter().find(|(known, _)| known.as_slice() == name)?;
                    Some(String::from_utf8_lossy(&value.value).into_owned())
                };
                let name = tag.name.as_slice();
                match name {
                    b"style" | b"script" | b"title" if !tag.self_closing => hidden += 1,
                    b"ol" => text.lists.push(Some(0)),
                    b"ul" => text.lists.push(None),
                    b"img" => text.push(&attribute(b"alt").unwrap_or_default()),
                    b"a" => link = attribute(b"href").map(|address| (address, text.end())),
                    _ => {}
                }
                if BLOCKS.contains(&name) {
                    text.new_line();
                }
                if name == b"li" {
                    text.item();
                }
            }
            Token::EndTag(tag) => match tag.name.as_slice() {
                b"style" | b"script" | b"title" => hidden = hidden.saturating_sub(1),
                b"a" => {
                    if let Some((address, from)) = link.take() {
                        text.address(&address, from);
                    }
                }
                name => {
                    if [&b"ol"[..], b"ul"].contains(&name) {
                        text.lists.pop();
                    }
                    if BLOCKS.contains(&name) {
                        text.new_line();
                    }
                }
            },
            Token::String(string) if hidden == 0 => text.push(&String::from_utf8_lossy(&string)),
            _ => {}
        }
    }
    let mut lines = text.lines;
    lines.push(text.line);
    lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
struct Text {
    lines: Vec<String>,
    line: String,
    /// The lists that are open; the number of the last item of a numbered one.
    lists: Vec<Option<u32>>,
}

impl Text {
    /// Whitespace in HTML is one space, but for what must not break.
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                ' ' | '\n' | '\t' | '\r' if self.line.is_empty() || self.line.ends_with(' ') => {}
                ' ' | '\n' | '\t' | '\r' => self.line.push(' '),
                c => self.line.push(c),
            }
        }
    }

    fn new_line(&mut self) {
        if !self.line.trim().is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        self.line.clear();
    }

    fn item(&mut self) {
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{number}. ")
            }
            _ => "* ".to_owned(),
        };
        self.line.push_str(&mark);
    }

    /// Where the next text comes, in the line.
    fn end(&self) -> usize {
        self.line.len()
    }

    fn address(&mut self, address: &str, from: usize) {
        let shown = self.line.get(from..).unwrap_or_default().trim().to_owned();
        let is_shown =
            address == shown || ["mailto:", "tel:"].iter().any(|scheme| address.starts_with(scheme));
        if !is_shown {
            self.push(&format!(" <{address}>"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain_text;

    #[test]
    fn a_text_has_what_the_html_shows() {
        let html = "<html><head><title>x</title><style>p { }</style></head><body><!-- y --><h1>A &amp; B</h1>\n<p>one\n  two<br>three</p>\
            <ol><li>first</li><li>second</li></ol><ul><li>third</li></ul><table><tr><td>Code</td></tr><tr><td>Xk7&lt;</td></tr></table>\
            <a href='https://a.example'>https://a.example</a> <a href='https://b.example'>here</a> <a href='tel:+49'>49</a>\
            <img src='cid:logo' alt='Contoso'></body></html>";
        assert_eq!(
            plain_text(html),
            "A & B\none two\nthree\n1. first\n2. second\n* third\nCode\nXk7<\nhttps://a.example here <https://b.example> 49Contoso"
        );
    }
}
