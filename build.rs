//! Embeds `templates/` in the binary. Cargo runs this again when a file there changes.

#[expect(clippy::disallowed_methods, reason = "the macro reads OUT_DIR")]
fn main() {
    minijinja_embed::embed_templates!("templates", &[".j2"]);
}
