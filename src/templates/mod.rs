//! The templates of the mails: those in the binary, and those of a folder beside it, which an admin can change.
//!
//! This module reads and renders. Which names a template may use and what it may contain is known to `mail`.

pub(crate) mod embedded;
mod folder;

use std::{borrow::Cow, fmt, sync::Arc};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

pub(crate) use self::folder::language_of;
pub use self::folder::{FOLDER, TemplateFiles};
use crate::text;

/// The language that serves where the templates of another one are broken. The binary has it.
pub const ENGLISH: &str = "en";

/// The largest work of one template, in instructions of the engine: a mail needs some hundreds.
const FUEL: u64 = 100_000;

/// A template is missing or broken, or uses a value that it does not have.
#[derive(Debug, thiserror::Error)]
#[error("templates/{name} does not render: {error}")]
pub struct TemplateError {
    /// The template's path in the folder.
    pub name: String,
    /// minijinja's error, with the file, the line and the kind of mistake.
    #[source]
    pub error: minijinja::Error,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateProblem {
    /// The template's path in the folder.
    pub file: String,
    /// The line, from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong there: a sentence without its subject.
    pub what: String,
}

impl fmt::Display for TemplateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what } = self;
        match line {
            Some(line) => write!(f, "templates/{file}:{line} {what}"),
            None => write!(f, "templates/{file} {what}"),
        }
    }
}

/// Templates that can be rendered.
#[derive(Clone)]
pub(crate) struct Templates(Arc<Environment<'static>>);

impl Templates {
    /// Those of `files`, each parsed when it is first used.
    pub(crate) fn new(files: &TemplateFiles) -> Self {
        Self::printing(files, escaped)
    }

    /// Those of `files`, whose values are printed by `print`.
    pub(crate) fn printing(
        files: &TemplateFiles,
        print: impl Fn(&mut Output<'_>, &mut State<'_, '_>, &Value) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Self {
        let files = files.clone();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(print);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html.j2") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        environment.set_loader(move |name| Ok(files.get(name).map(str::to_owned)));
        // So that the copy of a language is one of its own.
        environment.set_path_join_callback(|name, parent| {
            match (name.strip_prefix("./"), parent.rfind('/')) {
                (Some(name), Some(end)) => Cow::Owned(format!("{}{name}", &parent[..=end])),
                (Some(name), None) => Cow::Borrowed(name),
                (None, _) => Cow::Borrowed(name),
            }
        });
        Self(Arc::new(environment))
    }

    /// The HTML of `<language>/<mail>.html.j2`.
    pub(crate) fn html(&self, language: &str, mail: &str, values: Value) -> Result<String, TemplateError> {
        self.render(format!("{language}/{mail}.html.j2"), values)
    }

    /// The subject from `<language>/<mail>.subject.txt.j2`, in one line that Exchange takes.
    pub(crate) fn subject(&self, language: &str, mail: &str, values: Value) -> Result<String, TemplateError> {
        let rendered = self.render(format!("{language}/{mail}.subject.txt.j2"), values)?;
        Ok(shortened(text::one_line(&rendered)))
    }

    /// The names that a template uses and does not define, or why it cannot be parsed.
    pub(crate) fn names(&self, name: &str) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> =
            self.0.get_template(name)?.undeclared_variables(false).into_iter().collect();
        names.sort_unstable();
        Ok(names)
    }

    fn render(&self, name: String, values: Value) -> Result<String, TemplateError> {
        let rendered = self.0.get_template(&name).and_then(|template| template.render(values));
        rendered.map_err(|error| TemplateError { name, error })
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Templates").finish_non_exhaustive()
    }
}

/// Prints a value. A missing one is an error, like an undefined one: it would read "none".
pub(crate) fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.is_none() {
        true => {
            Err(Error::new(ErrorKind::InvalidOperation, "this value can be missing: check it with {% if %}"))
        }
        false => minijinja::escape_formatter(out, state, value),
    }
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
