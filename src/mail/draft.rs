//! A mail without and with its code.
//!
//! The template engine's errors can quote its values, so it gets a [`Marker`], which the code replaces when the mail is
//! sent.

use std::{fmt, sync::Arc};

use minijinja::HtmlEscape;
use uuid::Uuid;

use crate::{brand::InlineImage, code::Code};

/// A placeholder for the code. It is random, so that no other value contains it.
pub(super) struct Marker(String);

impl Marker {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts of `html` around the markers; `None` without a marker.
    pub(super) fn split(&self, html: &str) -> Option<Vec<String>> {
        html.contains(&self.0).then(|| html.split(&self.0).map(str::to_owned).collect())
    }
}

/// What all mails of a sender have.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// The name beside the address.
    pub name: Option<String>,
    /// The images that the HTML refers to as `cid:…`.
    pub images: Vec<Arc<InlineImage>>,
}

/// A rendered mail without its code.
#[derive(Clone)]
pub struct Draft {
    subject: String,
    language: String,
    /// The parts of the HTML around the code.
    body: Vec<String>,
    sender: Sender,
}

impl Draft {
    pub(super) fn new(subject: String, language: &str, body: Vec<String>, sender: Sender) -> Self {
        Self { subject, language: language.to_owned(), body, sender }
    }

    /// The subject, in one line, without a code.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The mail's language.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The mail with its code.
    pub(crate) fn with_code(&self, code: &Code) -> Rendered {
        let code = HtmlEscape(code.reveal()).to_string();
        Rendered { subject: self.subject.clone(), html: self.body.join(&code), sender: self.sender.clone() }
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("language", &self.language).finish_non_exhaustive()
    }
}

/// A mail that is ready to be sent.
#[derive(Clone)]
pub struct Rendered {
    /// The subject, in one line.
    pub subject: String,
    /// The body, which may hold a code.
    pub html: String,
    /// What the sender adds to it.
    pub sender: Sender,
}

impl fmt::Debug for Rendered {
    /// Omits the body, which may hold a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("subject", &self.subject).finish_non_exhaustive()
    }
}
