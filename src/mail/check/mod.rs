//! Whether the templates of a folder can be used.
//!
//! An admin, or an editor that changed more than they saw, can leave the code in a link, a name that does not exist, or no code at
//! all. So every changed language is rendered in every variant when the app starts, and what comes out is read like a mail client
//! reads it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use azure_core::http::Url;
use minijinja::{Error, ErrorKind, Value, context};

use super::{
    Kind, MailOptions, Mailer,
    html::{Finding, Inspection},
};
use crate::templates::{
    ENGLISH, TemplateError, TemplateFiles, TemplateProblem, Templates, escaped, language_of,
};

/// Stands for the code, with the number of the print behind it: "…7;".
const MARK: &str = "CODEd41d8cd98f00b204N";
/// No more problems of one language are listed: one mistake in the frame shows in every mail.
const LISTED: usize = 20;

/// The templates without the languages that are broken, and what is wrong with them.
pub(super) fn checked(options: &MailOptions) -> (TemplateFiles, Vec<TemplateProblem>) {
    let mut files = options.templates.clone();
    let mut problems: BTreeSet<TemplateProblem> = files.unread().iter().cloned().collect();
    if files.shares_changed() {
        // In English for all: the languages of the program use the same parts of them.
        let shared = files.shared_only();
        let found = Check::new(options, &shared).language(ENGLISH);
        if !found.is_empty() || files.unread().iter().any(|problem| !problem.file.contains('/')) {
            problems.extend(found);
            files = files.without_shared();
        }
    }
    for language in files.changed_languages() {
        let found = Check::new(options, &files).language(&language);
        if !found.is_empty() || files.unread().iter().any(|problem| problem.is_about(&language)) {
            problems.extend(found);
            files = files.without(&language);
        }
    }
    (files, problems.into_iter().collect())
}

/// What is wrong with the templates of a language, changed or not.
#[cfg(test)]
pub(super) fn problems_of(options: &MailOptions, language: &str) -> Vec<TemplateProblem> {
    Check::new(options, &options.templates).language(language).into_iter().collect()
}

/// The check of one set of files.
struct Check<'a> {
    files: &'a TemplateFiles,
    mailer: Mailer,
    hosts: Vec<String>,
    /// The number of the next print of the code.
    prints: Arc<AtomicUsize>,
    /// The print that fails, to show its line.
    stop_at: Arc<AtomicUsize>,
}

impl<'a> Check<'a> {
    fn new(options: &MailOptions, files: &'a TemplateFiles) -> Self {
        let (prints, stop_at) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
        let (count, stop) = (prints.clone(), stop_at.clone());
        let templates = Templates::printing(files, move |out, state, value| {
            if !value.as_str().is_some_and(|text| text.contains(MARK)) {
                return escaped(out, state, value);
            }
            let number = count.fetch_add(1, Ordering::Relaxed);
            if number == stop.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::InvalidOperation, "this print"));
            }
            let marked = value.as_str().unwrap_or_default().replace(MARK, &format!("{MARK}{number};"));
            let marked = if value.is_safe() { Value::from_safe_string(marked) } else { Value::from(marked) };
            escaped(out, state, &marked)
        });
        let mailer = Mailer {
            templates,
            languages: files.languages(),
            default_language: ENGLISH.to_owned(),
            alert_language: ENGLISH.to_owned(),
            problems: Vec::new(),
            options: options.clone(),
        };
        Self { files, hosts: hosts(options), mailer, prints, stop_at }
    }

    /// What is wrong with the templates of a language.
    fn language(&self, language: &str) -> BTreeSet<TemplateProblem> {
        let mut problems = BTreeSet::new();
        for kind in Kind::ALL {
            let names = ["html", "subject.txt"].map(|end| format!("{language}/{}.{end}.j2", kind.name()));
            let is_there = names.each_ref().map(|name| self.files.get(name).is_some());
            for (name, _) in names.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
                problems.insert(problem(name, None, "is missing: the language needs all its mails"));
            }
            if is_there == [true, true] {
                self.kind(kind, language, &names, &mut problems);
            }
        }
        problems.into_iter().take(LISTED).collect()
    }

    fn kind(
        &self,
        kind: Kind,
        language: &str,
        names: &[String; 2],
        problems: &mut BTreeSet<TemplateProblem>,
    ) {
        let samples = match self.mailer.all_samples(kind, language) {
            Ok(samples) => samples,
            Err(error) => {
                problems.insert(problem(&names[0], None, &format!("cannot be checked: {error}")));
                return;
            }
        };
        if !self.names_are_known(&samples, names, problems) {
            return;
        }
        for (values, has_code) in &samples {
            let with_code = context! { code => MARK, ..values.clone() };
            self.subject(kind, language, if *has_code { &with_code } else { values }, problems);
            let values = if *has_code { with_code } else { values.clone() };
            self.prints.store(0, Ordering::Relaxed);
            let html = match self.mailer.templates.html(language, kind.name(), values.clone()) {
                Ok(html) => html,
                Err(error) => {
                    problems.insert(in_template(error));
                    continue;
                }
            };
            if *has_code && !html.contains(MARK) {
                problems.insert(problem(
                    &names[0],
                    None,
                    "does not show {{ code }}, without which the mail is of no use",
                ));
            }
            for finding in (Inspection { mark: MARK, hosts: &self.hosts }).of(&html) {
                problems.insert(match finding {
                    Finding::Code { print, place } => {
                        let what = format!(
                            "puts the code {place}, where it can leave the mail; only text may have it"
                        );
                        let line = print.and_then(|print| self.place_of(print, kind, language, &values));
                        match line {
                            Some((file, line)) => problem(&file, line, &what),
                            None => problem(&names[0], None, &what),
                        }
                    }
                    Finding::Address(address) => {
                        let what = format!(
                            "has the address \"{address}\", with a host that no setting names, or not https"
                        );
                        self.literal(&names[0], &address, &what)
                    }
                    Finding::Refused(what) => {
                        let name = what.trim_start_matches('<').trim_end_matches('>');
                        let name = name.strip_prefix("the attribute ").unwrap_or(name);
                        self.literal(&names[0], name, &format!("has {what}, which no mail may have"))
                    }
                });
            }
        }
    }

    /// Whether the templates parse and use known names only.
    fn names_are_known(
        &self,
        samples: &[(Value, bool)],
        names: &[String; 2],
        problems: &mut BTreeSet<TemplateProblem>,
    ) -> bool {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (values, has_code) in samples {
            known.extend(values.try_iter().into_iter().flatten().map(|key| key.to_string()));
            if *has_code {
                known.insert("code".to_owned());
            }
        }
        let before = problems.len();
        for name in names {
            match self.mailer.templates.names(name) {
                Err(error) => drop(problems.insert(in_template(TemplateError { name: name.clone(), error }))),
                Ok(used) => {
                    for unknown in used.iter().filter(|name| !known.contains(*name) && !is_builtin(name)) {
                        let line = self.files.get(name).and_then(|text| line_of_word(text, unknown));
                        problems.insert(problem(
                            name,
                            line,
                            &format!("uses {unknown}, which this mail does not have"),
                        ));
                    }
                }
            }
        }
        problems.len() == before
    }

    fn subject(&self, kind: Kind, language: &str, values: &Value, problems: &mut BTreeSet<TemplateProblem>) {
        match self.mailer.templates.subject(language, kind.name(), values.clone()) {
            Err(error) => drop(problems.insert(in_template(error))),
            Ok(subject) => {
                let name = format!("{language}/{}.subject.txt.j2", kind.name());
                if subject.contains(MARK) {
                    let line = self.files.get(&name).and_then(|text| line_of_word(text, "code"));
                    problems.insert(problem(
                        &name,
                        line,
                        "shows the code: a subject is on locked screens and in logs of mail servers",
                    ));
                } else if subject.is_empty() {
                    problems.insert(problem(&name, None, "can be empty"));
                }
            }
        }
    }

    /// The file and line of a print of the code.
    fn place_of(
        &self,
        print: usize,
        kind: Kind,
        language: &str,
        values: &Value,
    ) -> Option<(String, Option<usize>)> {
        self.prints.store(0, Ordering::Relaxed);
        self.stop_at.store(print, Ordering::Relaxed);
        let stopped = self.mailer.templates.html(language, kind.name(), values.clone());
        self.stop_at.store(usize::MAX, Ordering::Relaxed);
        let TemplateProblem { file, line, .. } = in_template(stopped.err()?);
        Some((file, line))
    }

    /// A problem with a text that a template has as such: where it stands, in a file of the language or one that all share.
    fn literal(&self, name: &str, text: &str, what: &str) -> TemplateProblem {
        let language = name.split('/').next().unwrap_or_default();
        let files = self.files.names();
        let in_language = files.iter().filter(|file| language_of(file) == Some(language));
        let shared = files.iter().filter(|file| language_of(file).is_none());
        let place = std::iter::once(&name).chain(in_language).chain(shared).find_map(|file| {
            let at = self
                .files
                .get(file)?
                .to_lowercase()
                .lines()
                .position(|line| line.contains(&text.to_lowercase()))?;
            Some(((*file).to_owned(), at + 1))
        });
        match place {
            Some((file, line)) if !text.is_empty() => problem(&file, Some(line), what),
            _ => problem(name, None, what),
        }
    }
}

fn problem(file: &str, line: Option<usize>, what: &str) -> TemplateProblem {
    TemplateProblem { file: file.to_owned(), line, what: what.to_owned() }
}

/// What the engine says, and where. An error in a template that another one uses has its place as a source.
fn in_template(TemplateError { name, error }: TemplateError) -> TemplateProblem {
    let mut innermost = &error;
    while let Some(source) =
        std::error::Error::source(innermost).and_then(|source| source.downcast_ref::<Error>())
    {
        innermost = source;
    }
    let place = [innermost, &error].into_iter().find(|error| error.name().is_some());
    let file = place.and_then(Error::name).unwrap_or(&name).to_owned();
    let what = match innermost.detail() {
        Some(detail) => format!("does not render: {}: {detail}", innermost.kind()),
        None => format!("does not render: {}", innermost.kind()),
    };
    TemplateProblem { file, line: place.and_then(Error::line), what }
}

/// Names that the engine has.
fn is_builtin(name: &str) -> bool {
    ["range", "dict", "namespace", "debug", "self", "super", "loop", "caller"].contains(&name)
}

/// The first line that has `word` within a tag.
fn line_of_word(text: &str, word: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has = |line: &str| line.split(|c| !is_word(c)).any(|part| part == word);
    let in_tag = |line: &str| line.split("{{").skip(1).chain(line.split("{%").skip(1)).any(has);
    let lines = || text.lines().enumerate();
    let found = lines().find(|(_, line)| in_tag(line)).or_else(|| lines().find(|(_, line)| has(line)));
    found.map(|(at, _)| at + 1)
}

/// The hosts of the addresses in the settings.
fn hosts(options: &MailOptions) -> Vec<String> {
    let addresses = std::iter::once(options.cloud.security_info())
        .chain(options.service_desk.portal_url.as_deref())
        .chain(options.brand.addresses());
    let hosts = addresses.filter_map(|address| Some(Url::parse(address).ok()?.host_str()?.to_owned()));
    let tickets = options.ticket_hosts.iter().map(|host| host.split(':').next().unwrap_or(host).to_owned());
    hosts.chain(tickets).collect()
}

#[cfg(test)]
mod tests;
