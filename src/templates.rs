//! The templates in the binary, and their rendering.

use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};

use crate::text;

/// Everything in `templates/`, compiled once.
pub(crate) static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// A template is missing or broken, or uses a value that it does not have.
#[derive(Debug, thiserror::Error)]
#[error("templates/{name} does not render: {error}")]
pub struct TemplateError {
    /// The template's path in `templates/`.
    pub name: String,
    /// minijinja's error, with the file, the line and the kind of mistake.
    #[source]
    pub error: minijinja::Error,
}

/// The template that every language folder has.
const JOINER: &str = "/joiner.html.j2";

#[expect(clippy::expect_used, reason = "in the macro; the tests load every template")]
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Printing a missing value is an error, like an undefined one: it would read "none".
    environment.set_formatter(|out, state, value| match value.is_none() {
        true => {
            Err(Error::new(ErrorKind::InvalidOperation, "this value can be missing: check it with {% if %}"))
        }
        false => escape_formatter(out, state, value),
    });
    minijinja_embed::load_templates!(environment);
    environment
}

/// The languages of the joiner's mail, sorted: the folders with that template.
pub(crate) fn languages() -> Vec<&'static str> {
    let mut languages: Vec<_> =
        TEMPLATES.templates().filter_map(|(name, _)| name.strip_suffix(JOINER)).collect();
    languages.sort_unstable();
    languages
}

/// The HTML of `<language>/<mail>.html.j2`.
pub(crate) fn html(language: &str, mail: &str, values: Value) -> Result<String, TemplateError> {
    render(format!("{language}/{mail}.html.j2"), values)
}

/// The subject from `<language>/<mail>.subject.txt.j2`, in one line that Exchange takes.
pub(crate) fn subject(language: &str, mail: &str, values: Value) -> Result<String, TemplateError> {
    let rendered = render(format!("{language}/{mail}.subject.txt.j2"), values)?;
    Ok(shortened(text::one_line(&rendered)))
}

/// `text` in at most 255 UTF-16 units
/// (<https://learn.microsoft.com/exchange/client-developer/web-service-reference/subject>).
fn shortened(text: String) -> String {
    const MAX: usize = 255;
    if text.encode_utf16().count() <= MAX {
        return text;
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.len_utf16();
        used <= MAX
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn render(name: String, values: Value) -> Result<String, TemplateError> {
    let rendered = TEMPLATES.get_template(&name).and_then(|template| template.render(values));
    rendered.map_err(|error| TemplateError { name, error })
}
