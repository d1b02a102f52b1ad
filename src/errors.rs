//! The causes of errors: in one line, and as a value that an error can keep.

/// `error` with its causes in one line: the outermost error often says only "failed to execute request".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |e| e.source()).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// The message of an error, with those of its causes.
///
/// The errors of the Azure libraries can be neither cloned nor compared, and can quote a URL with its signature. This
/// copy holds only what was redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Cause {
    message: String,
    source: Option<Box<Self>>,
}

impl Cause {
    /// Copies `error` and its causes, each message through `redact`.
    pub(crate) fn of(error: &dyn std::error::Error, redact: &dyn Fn(&str) -> String) -> Self {
        let source = error.source().map(|source| Box::new(Self::of(source, redact)));
        Self { message: redact(&error.to_string()), source }
    }

    /// `message`, caused by this.
    #[must_use]
    pub(crate) fn context(self, message: String) -> Self {
        Self { message, source: Some(Box::new(self)) }
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        Self { message, source: None }
    }
}

impl From<&str> for Cause {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_cause_is_kept_and_redacted() {
        let inner = io::Error::other("refused: sig=SECRET");
        let outer = azure_core::Error::with_error(azure_core::error::ErrorKind::Io, inner, "SECRET failed");
        let cause = Cause::of(&outer, &|text| text.replace("SECRET", "…")).context("not read".into());
        assert_eq!(chain(&cause), "not read: … failed: refused: sig=…");
        assert!(!format!("{cause:?}").contains("SECRET"));
    }
}
