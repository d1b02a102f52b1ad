//! Puts `templates/` into the binary. Cargo runs this again whenever a file in there changes.

#[expect(clippy::disallowed_methods, reason = "the macro asks Cargo where to write")]
fn main() {
    minijinja_embed::embed_templates!("templates", &[".j2"]);
}
