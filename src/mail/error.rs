//! What can go wrong before a mail is sent.

use std::fmt;

use icu_calendar::RangeError;
use icu_datetime::DateTimeFormatterLoadError;

/// A mail that could not be made. None of these is transient: an admin has to mend a template or a setting.
#[derive(Debug)]
#[non_exhaustive]
pub enum MailError {
    /// No folder in `templates/` fits the language that was asked for.
    UnknownLanguage {
        /// What was asked for.
        language: String,
        /// What there is.
        available: Vec<&'static str>,
    },
    /// A template is missing or broken, or it uses a value that it may not use.
    Template {
        /// The template's path in `templates/`.
        name: String,
        /// What minijinja says: the file, the line and the kind of mistake.
        error: minijinja::Error,
    },
    /// A joiner's mail that does not show the code.
    NoCode {
        /// The template's path in `templates/`.
        name: String,
    },
    /// A date that cannot be written.
    Date(String),
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLanguage { language, available } => {
                let available = available.join(", ");
                write!(
                    f,
                    "there are no mails in {language:?}; use one of {available}, or add templates/{language}/"
                )
            }
            Self::Template { name, error } => write!(f, "templates/{name} does not render: {error}"),
            Self::NoCode { name } => write!(f, "templates/{name} does not show {{{{ code }}}}"),
            Self::Date(error) => write!(f, "a date in the mail cannot be written: {error}"),
        }
    }
}

impl std::error::Error for MailError {}

impl From<DateTimeFormatterLoadError> for MailError {
    fn from(error: DateTimeFormatterLoadError) -> Self {
        Self::Date(error.to_string())
    }
}

impl From<RangeError> for MailError {
    fn from(error: RangeError) -> Self {
        Self::Date(error.to_string())
    }
}
