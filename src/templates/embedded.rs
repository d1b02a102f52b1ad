//! What `build.rs` has put into the binary.

use std::{collections::BTreeMap, io::Read, sync::LazyLock};

use flate2::read::DeflateDecoder;

/// Every `.j2` file of `templates/`, by its path there. They are compressed: they are much text with little news.
static EMBEDDED: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let text = inflated(include_bytes!(concat!(env!("OUT_DIR"), "/templates.deflate")));
    // Each is its path in a line and its text up to a NUL.
    let files = text.split_terminator('\0').filter_map(|file| file.split_once('\n'));
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
});

/// The paths and texts of the templates, sorted.
pub(super) fn templates() -> &'static BTreeMap<String, String> {
    &EMBEDDED
}

/// A text that `build.rs` has compressed.
pub(crate) fn inflated(bytes: &[u8]) -> String {
    let mut text = String::new();
    let read = DeflateDecoder::new(bytes).read_to_string(&mut text);
    debug_assert!(read.is_ok(), "build.rs has written it");
    text
}
