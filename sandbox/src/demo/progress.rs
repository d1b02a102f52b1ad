//! The demo's progress lines.

use std::io::{IsTerminal, Write};

/// Prints progress lines and the result.
#[derive(Clone, Debug)]
pub struct Progress {
    target: ProgressTarget,
}

#[derive(Clone, Copy, Debug)]
enum ProgressTarget {
    Stdout,
    Stderr,
    Nowhere,
}

impl Progress {
    /// Prints no progress.
    pub fn silent() -> Self {
        Self { target: ProgressTarget::Nowhere }
    }

    /// Prints progress to stdout, together with the result.
    pub fn to_stdout() -> Self {
        Self { target: ProgressTarget::Stdout }
    }

    /// Prints progress to stderr, if stderr is a terminal.
    pub fn to_stderr() -> Self {
        let watched = std::io::stderr().is_terminal();
        Self { target: if watched { ProgressTarget::Stderr } else { ProgressTarget::Nowhere } }
    }

    pub(super) fn line(&self, text: &str) {
        // A closed pipe is not an error.
        let _ = match self.target {
            ProgressTarget::Stdout => writeln!(std::io::stdout(), "{text}"),
            ProgressTarget::Stderr => writeln!(std::io::stderr(), "{text}"),
            ProgressTarget::Nowhere => Ok(()),
        };
    }

    pub(super) fn result(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
