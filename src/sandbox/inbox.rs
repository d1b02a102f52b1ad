//! The demo's page: every mail as its reader sees it, beside the table.

use axum::{
    Router,
    http::header,
    response::{Html, IntoResponse},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    Sandbox,
    report::{Report, is_alert},
};

const PAGE: &str = include_str!("inbox.html");
/// Nothing is loaded from anywhere, and a mail can run nothing.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-src 'self'";

/// The finished page.
#[derive(Clone)]
pub struct Page(String);

impl Page {
    /// Renders what happened in `sandbox`.
    pub fn new(sandbox: &Sandbox, report: &Report) -> Self {
        let mails: Vec<Value> = sandbox
            .mails()
            .iter()
            .map(|mail| mail_json(&mail.from, mail.at.to_rfc3339(), &mail.message))
            .collect();
        let jobs: Vec<Value> = report
            .rows
            .iter()
            .map(|row| {
                json!({
                    "user": row.user, "name": row.name, "case": row.case, "outcome": row.outcome, "why": row.why,
                    "opens": row.opens, "mail": mails.iter().position(|mail| is_about(mail, &row.user)),
                })
            })
            .collect();
        let mut summary = report.to_json();
        if let Some(fields) = summary.as_object_mut() {
            fields.remove("jobs");
        }
        let data = json!({
            "now": sandbox.now(), "company": "Contoso", "version": env!("CARGO_PKG_VERSION"),
            "summary": summary, "jobs": jobs, "mails": mails,
        });
        // `<` must not be able to end the script element that the data stands in.
        Self(PAGE.replace("__DATA__", &data.to_string().replace('<', "\\u003c")))
    }
}

fn mail_json(from: &str, at: String, message: &Value) -> Value {
    let addresses = |field: &str| -> Vec<Value> {
        let list = message[field].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|recipient| recipient["emailAddress"]["address"].clone()).collect()
    };
    let kind = if is_alert(message) { "alert" } else { "pass" };
    json!({
        "at": at, "kind": kind, "from": from, "to": addresses("toRecipients"), "cc": addresses("ccRecipients"),
        "subject": message["subject"], "language": language(message), "html": message["body"]["content"],
    })
}

/// The language that a mail says it is in.
fn language(message: &Value) -> Option<&str> {
    let (_, rest) = message["body"]["content"].as_str()?.split_once("<html lang=\"")?;
    rest.split_once('"').map(|(language, _)| language)
}

/// Whether a mail is about the user: both kinds show the sign-in name.
fn is_about(mail: &Value, user: &str) -> bool {
    let shown = minijinja::HtmlEscape(user).to_string();
    mail["html"].as_str().is_some_and(|html| html.contains(&shown))
}

/// The page at `/`.
pub fn router(page: &Page) -> Router {
    let Page(html) = page.clone();
    Router::new().route(
        "/",
        get(move || async move {
            let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
            (headers, Html(html)).into_response()
        }),
    )
}
