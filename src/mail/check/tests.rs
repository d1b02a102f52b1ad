//! Broken templates of every kind, as an admin can leave them.

use std::{fs, path::PathBuf};

use uuid::Uuid;

use super::*;
use crate::settings::ServiceDesk;

/// A folder of templates that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("firstpass-templates-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With the text of the program's `from`, changed, as `name`.
    fn with(self, name: &str, from: &str, change: impl Fn(String) -> String) -> Self {
        let text = change(TemplateFiles::embedded().get(from).unwrap().to_owned());
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// With a copy of the program's English as `language`.
    fn with_language(self, language: &str) -> Self {
        let files = TemplateFiles::embedded();
        let names: Vec<String> = files
            .names()
            .into_iter()
            .filter_map(|name| name.strip_prefix("en/"))
            .map(str::to_owned)
            .collect();
        names.iter().fold(self, |folder, name| {
            folder.with(&format!("{language}/{name}"), &format!("en/{name}"), |text| text)
        })
    }

    fn mailer(&self) -> Mailer {
        let service_desk = ServiceDesk {
            portal_url: Some("https://help.contoso.example/".to_owned()),
            ..ServiceDesk::default()
        };
        Mailer::new(MailOptions {
            templates: TemplateFiles::beside(self.0.clone()),
            default_language: "en".to_owned(),
            alert_language: "en".to_owned(),
            company: Some("Contoso".to_owned()),
            service_desk,
            ..MailOptions::default()
        })
        .unwrap()
    }

    fn problems(&self) -> Vec<String> {
        self.mailer().problems().iter().map(ToString::to_string).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Puts `text` behind the first line that has `after`, and says which line it is.
fn behind(after: &'static str, text: &'static str) -> impl Fn(String) -> String {
    move |whole| {
        assert!(whole.contains(after), "{after} is not in {whole}");
        let mut done = false;
        let line = |line: &str| {
            let is_it = !done && line.contains(after);
            done |= is_it;
            if is_it { format!("{line}\n{text}\n") } else { format!("{line}\n") }
        };
        whole.lines().map(line).collect()
    }
}

#[test]
fn a_broken_template_is_named_with_file_and_line() {
    let joiner = TemplateFiles::embedded().get("de/joiner.html.j2").unwrap().to_owned();
    let content = joiner.lines().position(|line| line.contains("{% block content %}")).unwrap() + 2;
    let here = |what: &str| format!("templates/de/joiner.html.j2:{content} {what}");
    for (text, expected) in [
        ("{{ codr }}", here("uses codr, which this mail does not have")),
        (
            "{{ manager }}",
            here("does not render: invalid operation: this value can be missing: check it with {% if %}"),
        ),
        ("{% if one_time %}", "does not render: syntax error".to_owned()),
        ("{{ name|shout }}", here("does not render: unknown filter: filter shout is unknown")),
        (
            "<a href=\"https://help.contoso.example/?{{ code }}\">x</a>",
            here("puts the code in an attribute, where it can leave the mail"),
        ),
        (
            "{% if has_code %}{{ part.link(code) }}{% endif %}",
            here("puts the code in an attribute, where it can leave the mail"),
        ),
        (
            "{% if has_code %}<!-- {{ code }} -->{% endif %}",
            here("puts the code in a comment, where it can leave the mail"),
        ),
        (
            "{% if has_code %}<style>p { content: '{{ code }}' }</style>{% endif %}",
            here("puts the code in a style, where it can leave the mail"),
        ),
        (
            "<img src=\"https://evil.example/pixel.png\">",
            here("has the address \"https://evil.example/pixel.png\", with a host that no setting names"),
        ),
        (
            "<a href=\"http://help.contoso.example/\">x</a>",
            here("has the address \"http://help.contoso.example/\", with a host"),
        ),
        (
            "<p style=\"background: url(https://evil.example/b)\">x</p>",
            here("has the address \"https://evil.example/b\""),
        ),
        ("<script>1</script>", here("has <script>, which no mail may have")),
        (
            "{% for a in range(5000) %}{% for b in range(5000) %}{% endfor %}{% endfor %}",
            "engine ran out of fuel".to_owned(),
        ),
    ] {
        let folder =
            Folder::new().with("de/joiner.html.j2", "de/joiner.html.j2", behind("{% block content %}", text));
        let (mailer, problems) = (folder.mailer(), folder.problems());
        assert!(problems.iter().any(|problem| problem.contains(&expected)), "{text}: {problems:#?}");
        assert!(problems.iter().all(|problem| problem.starts_with("templates/de/")), "{problems:#?}");
        assert!(!mailer.languages().contains(&"de".to_owned()), "{text}");
        assert_eq!(mailer.language_for(Some("de"), None), "en", "{text}");
    }
}

#[test]
fn what_a_mail_needs_is_there_or_named() {
    let without_code = Folder::new().with("de/handover.html.j2", "de/handover.html.j2", |text| {
        text.replace("part.code(code, code_letters)", "code_letters")
    });
    assert_eq!(
        without_code.problems(),
        ["templates/de/handover.html.j2 does not show {{ code }}, without which the mail is of no use"]
    );

    let in_subject = Folder::new().with("fr/joiner.subject.txt.j2", "fr/joiner.subject.txt.j2", |text| {
        format!("{text}\n{{% if has_code %}}{{{{ code }}}}{{% endif %}}")
    });
    let line = TemplateFiles::embedded().get("fr/joiner.subject.txt.j2").unwrap().lines().count() + 1;
    let problems = in_subject.problems();
    assert!(problems[0].contains("shows the code: a subject is on locked screens"), "{problems:?}");
    assert!(
        problems[0].starts_with(&format!("templates/fr/joiner.subject.txt.j2:{line} "))
            || problems[0].contains("joiner.subject.txt.j2:"),
        "{problems:?}"
    );

    let incomplete = Folder::new().with("xx/joiner.html.j2", "en/joiner.html.j2", |text| text);
    let problems = incomplete.problems();
    assert!(
        problems.contains(
            &"templates/xx/joiner.subject.txt.j2 is missing: the language needs all its mails".to_owned()
        ),
        "{problems:?}"
    );
    assert!(!incomplete.mailer().languages().contains(&"xx".to_owned()));

    let misnamed = Folder::new().with_language("pt_br");
    assert_eq!(
        misnamed.problems(),
        ["templates/pt_br/ is no language tag in its usual spelling: rename the folder to pt-BR"]
    );

    let folder = Folder::new();
    fs::create_dir_all(folder.0.join("it")).unwrap();
    fs::write(folder.0.join("it/told.html.j2"), b"\xff\xfe").unwrap();
    let problems = folder.problems();
    assert!(problems[0].starts_with("templates/it/told.html.j2 cannot be read: "), "{problems:?}");
    assert_eq!(folder.mailer().language_for(Some("it"), None), "en");
}

#[test]
fn a_folder_may_change_a_sentence_or_add_a_language() {
    let folder = Folder::new()
        .with("de/joiner.html.j2", "de/joiner.html.j2", |text| {
            text.replace("{% block content %}", "{% block content %}<p>Servus!</p>")
        })
        .with_language("xx")
        .with("xx/moved.html.j2", "en/moved.html.j2", |text| text.replace("<p>", "<p>Xyzzy. "))
        .with("notes/readme.txt", "en/joiner.subject.txt.j2", |text| text);
    assert_eq!(folder.problems(), Vec::<String>::new());
    let mailer = folder.mailer();
    let sample =
        |kind, language| mailer.sample(kind, super::super::sample::Scene::of(language)).unwrap().html;
    assert!(sample(Kind::Joiner, "de").contains("Servus!") && sample(Kind::Again, "de").contains("Servus!"));
    assert!(sample(Kind::Moved, "xx").contains("Xyzzy.") && !sample(Kind::Moved, "en").contains("Xyzzy."));
    assert_eq!(mailer.language_for(Some("xx-YY"), None), "xx");
}

/// What all languages share is the program's where the folder's is broken, and English the program's too.
#[test]
fn what_serves_for_everybody_is_always_there() {
    let frame = Folder::new().with("base.html.j2", "base.html.j2", |text| {
        text.replace("{% block content %}", "{{ oops }}{% block content %}")
    });
    assert!(
        frame.problems().iter().all(|problem| problem.starts_with("templates/base.html.j2")),
        "{:?}",
        frame.problems()
    );
    let languages = frame.mailer().languages().len();
    assert_eq!(languages, TemplateFiles::embedded().languages().len());
    let shown = Folder::new()
        .with("base.html.j2", "base.html.j2", |text| text.replace("<h1 ", "<h1 data-brand=\"1\" "));
    assert_eq!(shown.problems(), Vec::<String>::new());
    let html = |folder: &Folder| {
        folder.mailer().sample(Kind::Told, super::super::sample::Scene::of("ja")).unwrap().html
    };
    assert!(html(&shown).contains("data-brand") && !html(&frame).contains("data-brand"));

    let english = Folder::new()
        .with("en/told.html.j2", "en/told.html.j2", |text| text.replace("{{ joiner }}", "{{ joinr }}"));
    assert!(!english.problems().is_empty());
    let mailer = english.mailer();
    assert!(mailer.languages().contains(&"en".to_owned()));
    assert!(mailer.sample(Kind::Told, super::super::sample::Scene::of("en")).is_ok());
}
