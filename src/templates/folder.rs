//! The folder of templates beside the binary.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use icu_locale::LanguageIdentifier;

use super::{ENGLISH, TemplateProblem, embedded};

/// The name of the folder in the app's root.
pub const FOLDER: &str = "templates";
/// The largest template, in bytes. Ours have 8,000 at most.
const MAX_BYTES: u64 = 256 * 1024;

/// The templates of all languages: a folder's, over those in the binary.
#[derive(Clone, Debug, Default)]
pub struct TemplateFiles {
    /// The folder that was read.
    path: Option<PathBuf>,
    /// The files of the folder that the binary does not have like this.
    changed: Arc<BTreeMap<String, String>>,
    /// The files that cannot be read.
    unread: Arc<Vec<TemplateProblem>>,
    /// Languages of the folder whose templates of the binary serve no longer.
    without: Arc<BTreeSet<String>>,
}

impl TemplateFiles {
    /// Those in the binary.
    pub fn embedded() -> Self {
        Self::default()
    }

    /// Those of the folder `path`, which may not exist: `templates/` in the app's root is a copy of those in the binary, for the
    /// admin to change.
    pub fn beside(path: PathBuf) -> Self {
        let (mut changed, mut unread) = (BTreeMap::new(), Vec::new());
        let mut take = |name: String, path: &Path| match read(path) {
            Ok(text) if embedded::templates().get(&name) == Some(&text) => {}
            Ok(text) => drop(changed.insert(name, text)),
            Err(error) => unread.push(TemplateProblem {
                file: name,
                line: None,
                what: format!("cannot be read: {error}"),
            }),
        };
        for (name, path) in entries(&path) {
            if path.is_dir() {
                let templates = entries(&path).filter(|(name, _)| name.ends_with(".j2"));
                templates.for_each(|(file, path)| take(format!("{name}/{file}"), &path));
            } else if name.ends_with(".j2") {
                take(name, &path);
            }
        }
        let folders: BTreeSet<&str> = changed.keys().filter_map(|name| language_of(name)).collect();
        unread.extend(folders.into_iter().filter_map(misnamed));
        Self { path: Some(path), changed: Arc::new(changed), unread: Arc::new(unread), ..Self::default() }
    }

    /// Whether there is a folder.
    pub(crate) fn exists(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.is_dir())
    }

    /// The text of a template.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.changed.get(name).or_else(|| embedded::templates().get(name)).map(String::as_str)
    }

    /// The names of all templates, with those of the binary.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.changed.keys().chain(embedded::templates().keys()).map(String::as_str).collect()
    }

    /// The languages that have a folder, sorted, but for those that were given up.
    pub fn languages(&self) -> Vec<String> {
        let names = self.names();
        let folders: BTreeSet<&str> = names.into_iter().filter_map(language_of).collect();
        folders.into_iter().filter(|folder| !self.without.contains(*folder)).map(str::to_owned).collect()
    }

    /// The languages of which the folder changes a file, sorted.
    pub(crate) fn changed_languages(&self) -> Vec<String> {
        let is_changed =
            |language: &String| self.changed.keys().any(|name| language_of(name) == Some(language.as_str()));
        let is_unread = |language: &String| self.unread.iter().any(|problem| problem.is_about(language));
        self.languages().into_iter().filter(|language| is_changed(language) || is_unread(language)).collect()
    }

    /// Whether the folder changes a file that all languages share.
    pub(crate) fn shares_changed(&self) -> bool {
        self.changed
            .keys()
            .chain(self.unread.iter().map(|problem| &problem.file))
            .any(|name| language_of(name).is_none())
    }

    /// The files that cannot be read, and the folders that have no language's name.
    pub(crate) fn unread(&self) -> &[TemplateProblem] {
        &self.unread
    }

    /// With what the folder changes in the files that all languages share, and nothing else of it.
    pub(crate) fn shared_only(&self) -> Self {
        self.changing(|name| language_of(name).is_none())
    }

    /// Without what the folder changes in the files that all languages share.
    pub(crate) fn without_shared(&self) -> Self {
        self.changing(|name| language_of(name).is_some())
    }

    /// Without a language whose templates are broken. Of English, without what the folder changes in it.
    pub(crate) fn without(&self, language: &str) -> Self {
        let mut without = BTreeSet::clone(&self.without);
        if language != ENGLISH {
            without.insert(language.to_owned());
        }
        let others = self.changing(|name| language_of(name) != Some(language));
        Self { without: Arc::new(without), ..others }
    }

    /// With those changes of the folder whose names are to `keep`.
    fn changing(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.changed.iter().filter(|(name, _)| keep(name));
        let changed = kept.map(|(name, text)| (name.clone(), text.clone())).collect();
        Self { changed: Arc::new(changed), ..self.clone() }
    }

    /// A file of the folder that is no template: an image.
    ///
    /// # Errors
    /// When it cannot be read, is larger than `max` bytes, or its name leads elsewhere.
    pub(crate) fn image(&self, name: &str, max: u64) -> io::Result<Vec<u8>> {
        let is_name = !name.is_empty() && !name.contains(['/', '\\', ':']) && !name.starts_with('.');
        let path = self.path.as_ref().filter(|_| is_name).map(|path| path.join(name));
        let path = path.ok_or_else(|| io::Error::other("it is no file in the folder of the templates"))?;
        if fs::metadata(&path)?.len() > max {
            return Err(io::Error::other(format!("it has more than {max} bytes")));
        }
        fs::read(path)
    }
}

/// The language in whose folder a template is; `None` for one that all languages share.
pub(crate) fn language_of(name: &str) -> Option<&str> {
    Some(name.split_once('/')?.0)
}

impl TemplateProblem {
    /// Whether it is in the folder of this language.
    pub(crate) fn is_about(&self, language: &str) -> bool {
        language_of(&self.file) == Some(language)
    }
}

/// The name and path of everything in a folder that has a name in Unicode; nothing if there is no such folder.
fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.to_owned(), entry.path())))
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    let text = fs::read_to_string(path)?;
    // Windows editors begin a file with a byte order mark, and end lines with CR LF.
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// A folder whose name is no language tag in its usual spelling: nobody would get its mails.
fn misnamed(folder: &str) -> Option<TemplateProblem> {
    let usual = LanguageIdentifier::try_from_str(&folder.replace('_', "-")).ok().map(|tag| tag.to_string());
    let what = match usual {
        Some(usual) if usual == folder => return None,
        Some(usual) => format!("is no language tag in its usual spelling: rename the folder to {usual}"),
        None => "is no language tag like fr or pt-BR".to_owned(),
    };
    Some(TemplateProblem { file: format!("{folder}/"), line: None, what })
}
