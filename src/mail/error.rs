//! Errors in rendering a mail.

use icu_calendar::RangeError;
use icu_datetime::DateTimeFormatterLoadError;

use crate::templates::TemplateError;

/// A mail could not be rendered. A retry does not help: an admin has to correct a template or a setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// No folder in `templates/` has the language.
    #[error("there are no mails in {language:?}; use one of {}, or add templates/{language}/", available.join(", "))]
    UnknownLanguage {
        /// The language that is set.
        language: String,
        /// The languages that have mails.
        available: Vec<String>,
    },
    /// A template does not render.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A joiner's mail does not show the code.
    #[error("templates/{name} does not show {{{{ code }}}}")]
    NoCode {
        /// The template's path in `templates/`.
        name: String,
    },
    /// ICU has no data for the locale.
    #[error("a date in the mail cannot be written: {0}")]
    Locale(#[from] DateTimeFormatterLoadError),
    /// The date is outside of ICU's calendar.
    #[error("a date in the mail cannot be written: {0}")]
    Date(#[from] RangeError),
}
