//! A mail before and after the code is in it.
//!
//! The template engine never sees a code: its errors can quote what it was given. It gets a [`Marker`] instead,
//! and the code takes the marker's place when the mail is sent.

use std::fmt;

use minijinja::HtmlEscape;
use uuid::Uuid;

use crate::code::Code;

/// Stands for the code while a template renders. It is random, so nobody's name can hold it.
pub(super) struct Marker(String);

impl Marker {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The text around each marker: two pieces or more. None if there is no marker in it.
    pub(super) fn split(&self, html: &str) -> Option<Vec<String>> {
        html.contains(&self.0).then(|| html.split(&self.0).map(str::to_owned).collect())
    }
}

/// A mail that is complete but for the code.
#[derive(Clone)]
pub struct Draft {
    subject: String,
    language: String,
    /// The HTML around the code.
    body: Vec<String>,
}

impl Draft {
    pub(super) fn new(subject: String, language: &str, body: Vec<String>) -> Self {
        Self { subject, language: language.to_owned(), body }
    }

    /// The subject, on one line. It holds no code.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The language that the mail is written in.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The mail with its code.
    pub fn with_code(&self, code: &Code) -> Rendered {
        let code = HtmlEscape(code.reveal()).to_string();
        Rendered { subject: self.subject.clone(), html: self.body.join(&code) }
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
    /// One line.
    pub subject: String,
    /// The body. It may hold a code, so treat it like one.
    pub html: String,
}

impl fmt::Debug for Rendered {
    /// Leaves the body out: it may hold a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").field("subject", &self.subject).finish_non_exhaustive()
    }
}
