//! Panics: mistakes in firstpass, or in a library.

use std::{
    cell::RefCell,
    panic::{self, PanicHookInfo},
};

thread_local! {
    /// What the last panic of this thread was.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs panics from now on as an ERROR line, in place of their own words on stderr.
pub(crate) fn log() {
    panic::set_hook(Box::new(|info| {
        let what = describe(info);
        tracing::error!(
            event = "panic",
            what,
            "A mistake in firstpass ended this work; the process continues"
        );
        LAST.set(Some(what));
    }));
}

/// What the last panic of this thread was, and where, if [`log`] was called.
pub(crate) fn last() -> Option<String> {
    LAST.take()
}

/// Words that were made for the occasion can quote anything, a code included. Others are in the source.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let words = info.payload().downcast_ref::<&'static str>().unwrap_or(&"a panic whose words are left out");
    match info.location() {
        Some(place) => format!("{words} (at {place})"),
        None => (*words).to_owned(),
    }
}
