//! The mails as an admin shapes them: templates of a folder, looks, devices.

mod looks;
mod preview;
mod templates;

use std::{
    fs,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// A folder that goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("firstpass-mails-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Copies a language of the repository, each file changed.
    pub fn copy(&self, language: &str, to: &str, change: impl Fn(&str, String) -> String) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(language);
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            self.write(&format!("{to}/{name}"), change(&name, text));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
