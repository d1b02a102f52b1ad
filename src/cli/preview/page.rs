//! The files of a preview: each mail in the forms in which its readers see it, and a page that shows them side by side.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::Mails;
use crate::mail::{Rendered, plain_text};

/// The page.
pub(super) const INDEX: &str = "index.html";
const PAGE: &str = include_str!("page.html");

type Change = fn(&str) -> String;

/// How a client shows a mail: the word in the file's name, and how the HTML is changed to look like that.
const VIEWS: [(&str, Change); 4] = [
    ("light", |html| html.replace(DARK, "@media not all")),
    ("dark", |html| html.replace(DARK, "@media all")),
    ("forced-dark", |html| {
        // What clients do that know nothing of dark mails: they turn the colours round, but not those of images.
        let style = "<style>html { filter: invert(1) hue-rotate(180deg); background: #ffffff; } img { filter: invert(1) hue-rotate(180deg); }</style></head>";
        html.replace(DARK, "@media not all").replacen("</head>", style, 1)
    }),
    ("images-off", |html| without_images(&html.replace(DARK, "@media not all"))),
];

/// What a mail's style says for dark clients.
const DARK: &str = "@media (prefers-color-scheme: dark)";

/// The paths of all files in the folder, and what they hold.
pub(super) fn files(mails: &Mails) -> Vec<(String, String)> {
    let mut files = vec![(INDEX.to_owned(), page(mails, None))];
    for (language, name, mail) in &mails.mails {
        for (view, html) in views(mail) {
            files.push((format!("{language}/{name}.{view}.html"), html));
        }
        files.push((format!("{language}/{name}.txt"), text(mail)));
    }
    files
}

/// A mail in each of the forms.
pub(super) fn views(mail: &Rendered) -> impl Iterator<Item = (&'static str, String)> {
    let html = with_images(mail);
    VIEWS.into_iter().map(move |(view, change)| (view, change(&html)))
}

/// The mail as a client shows it that shows no HTML.
pub(super) fn text(mail: &Rendered) -> String {
    format!("{}\n\n{}\n", mail.subject, plain_text(&mail.html))
}

/// The page. `version` changes with the templates, where somebody serves the page; otherwise it is a file.
pub(super) fn page(mails: &Mails, version: Option<&str>) -> String {
    let subjects: Vec<_> =
        mails.mails.iter().map(|(language, name, mail)| json!([language, name, mail.subject])).collect();
    let problems: Vec<String> = mails.problems.iter().map(ToString::to_string).collect();
    let data = json!({
        "languages": mails.languages,
        "views": VIEWS.map(|(view, _)| view),
        "mails": subjects,
        "problems": problems,
        "version": version,
    });
    // In a script, "</" would end it.
    PAGE.replace("\"DATA\"", &data.to_string().replace("</", "<\\/"))
}

/// The HTML with the images that are sent with the mail.
fn with_images(mail: &Rendered) -> String {
    let shown = |html: String, image: &std::sync::Arc<crate::brand::InlineImage>| {
        let data = format!("data:{};base64,{}", image.content_type, STANDARD.encode(&image.bytes));
        html.replace(&format!("cid:{}", image.content_id), &data)
    };
    mail.sender.images.iter().fold(mail.html.clone(), shown)
}

/// The HTML as a client shows it that loads no images.
fn without_images(html: &str) -> String {
    html.replace(" src=", " data-src=")
}
