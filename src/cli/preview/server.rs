//! `firstpass preview --serve`: the preview on this machine, made anew for each request.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{Mails, Wanted, page};
use crate::{cli::terminal, environment::Environment, hash::sha256};

struct Preview {
    env: Environment,
    wanted: Wanted,
}

/// Serves until the process is ended.
///
/// # Errors
/// When the address cannot be listened on.
pub(super) async fn serve(address: SocketAddr, env: Environment, wanted: Wanted) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("--serve {address}: cannot listen: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    terminal::print(&format!(
        "The mails are at http://{address}/ and follow the templates as they are saved. Ctrl-C ends this."
    ));
    axum::serve(listener, router(env, wanted)).await.map_err(|error| error.to_string())
}

/// The page at `/`, the version of what it shows at `/version`, and the mails below.
fn router(env: Environment, wanted: Wanted) -> Router {
    let preview = Arc::new(Preview { env, wanted });
    Router::new()
        .route("/", get(index))
        .route("/version", get(version))
        .route("/{language}/{file}", get(mail))
        .with_state(preview)
}

async fn index(State(preview): State<Arc<Preview>>) -> Response {
    match preview.render() {
        Ok((mails, version)) => content("text/html", page::page(&mails, Some(&version))),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}

/// Changes when a mail does. A report on settings is one too: the page then shows it.
async fn version(State(preview): State<Arc<Preview>>) -> String {
    preview.render().map_or_else(|why| sha256(&why), |(_, version)| version)
}

async fn mail(
    State(preview): State<Arc<Preview>>,
    Path((language, file)): Path<(String, String)>,
) -> Response {
    let not_found = || (StatusCode::NOT_FOUND, "there is no such mail").into_response();
    let Ok((mails, _)) = preview.render() else { return not_found() };
    let Some((name, form)) = file.split_once('.') else { return not_found() };
    let found = mails.mails.iter().find(|(of, sample, _)| *of == language && *sample == name);
    let Some((_, _, mail)) = found else { return not_found() };
    match form.strip_suffix(".html") {
        Some(view) => page::views(mail)
            .find(|(known, _)| *known == view)
            .map_or_else(not_found, |(_, html)| content("text/html", html)),
        None if form == "txt" => content("text/plain", page::text(mail)),
        None => not_found(),
    }
}

impl Preview {
    fn render(&self) -> Result<(Mails, String), String> {
        let mails = Mails::render(&self.env, &self.wanted)?;
        let mut all = String::new();
        for (language, name, mail) in &mails.mails {
            all.push_str(&format!("{language}/{name}\n{}\n{}\n", mail.subject, mail.html));
        }
        mails.problems.iter().for_each(|problem| all.push_str(&problem.to_string()));
        Ok((mails, sha256(&all)))
    }
}

/// It loads nothing from elsewhere, and no mail runs anything: the page's own script is in the page.
fn content(kind: &str, text: String) -> Response {
    const POLICY: &str = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data: https:";
    let headers = [
        (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, text).into_response()
}
