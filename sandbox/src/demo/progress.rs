//! The demo's progress lines.

use std::io::{IsTerminal, Write};

/// Where the demo says what it is doing.
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
    /// No lines at all.
    pub fn silent() -> Self {
        Self { target: ProgressTarget::Nowhere }
    }

    /// Lines beside the result.
    pub fn to_stdout() -> Self {
        Self { target: ProgressTarget::Stdout }
    }

    /// Lines apart from the result, and only where a person watches.
    pub fn to_stderr() -> Self {
        let watched = std::io::stderr().is_terminal();
        Self { target: if watched { ProgressTarget::Stderr } else { ProgressTarget::Nowhere } }
    }

    pub(super) fn line(&self, text: &str) {
        // Nobody reads a closed pipe: not worth failing for.
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
