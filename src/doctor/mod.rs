//! The app examines itself, its settings and its tenant, with its own token: an admin's token has other permissions.
//!
//! It runs once a day, and after a start with other settings or another version. What it finds is one document in the ledger,
//! which `firstpass doctor` shows. It changes nothing else, and makes no pass.
//!
//! [`findings`] is what it writes, [`conditional_access`] a pure rule; [`tenant`], [`people`] and [`operation`] ask.

pub(crate) mod conditional_access;
mod findings;
mod operation;
pub(crate) mod people;
mod permissions;
mod tenant;

use std::error::Error;

use chrono::DateTime;
use serde_json::Map;
use tokio::time::timeout;

use self::{findings::Report, people::People};
use crate::{
    app::App,
    budget,
    graph::Claims,
    ledger::{Examination, Examined, Finding, LedgerError, Level},
    pass::{examined, ledger_tenant},
};

pub use self::findings::Check;

/// What the checks know of the token of this process.
#[derive(Clone, Debug)]
struct Token {
    claims: Claims,
    /// Whether it is the app's own: an app's token, and of the identity that the settings name.
    is_own: bool,
}

/// Examines, and does not write what it finds.
pub async fn examine(app: &App) -> Examination {
    let mut report = Report::default();
    let token = token(app, &mut report).await;
    let is_own = token.as_ref().is_some_and(|token| token.is_own);
    operation::settings(&app.services.settings, &mut report);
    let people = timeout(budget::EXAMINED_PEOPLE, People::read(app, is_own));
    let tenant = timeout(budget::EXAMINED_TENANT, tenant::read(app, token.as_ref()));
    let operation = timeout(budget::EXAMINED_OPERATION, operation::read(app));
    let (people, tenant, operation) = tokio::join!(people, tenant, operation);
    // Whoever starts in the next days shows whom the policies leave out.
    let people = people.unwrap_or_else(|_| People::unread("they could not be read in time".into()));
    let has_role = tenant.as_ref().ok().and_then(|tenant| tenant.has_role);
    permissions::check(&app.services.settings, token.as_ref(), has_role, &mut report);
    match tenant {
        Ok(tenant) => tenant.check(&app.services.settings, &people, &mut report),
        Err(_) => report.not_asked(Check::PassPolicy, "the policies could not be read in time"),
    }
    people.check(app, &mut report);
    match operation {
        Ok(operation) => operation.check(app, token.is_some(), &mut report),
        Err(_) => report.not_asked(Check::Sweep, "the ledger and the queue could not be read in time"),
    }
    Examination {
        schema: Examination::SCHEMA,
        at: app.services.clock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: examined::mark(&app.services),
        findings: report.sorted(),
        unknown: Map::new(),
    }
}

/// The token of this process, if there is one.
async fn token(app: &App, report: &mut Report) -> Option<Token> {
    let settings = &app.services.settings;
    match app.services.graph.token_claims().await {
        Err(error) => {
            report.fail(
                Check::Token,
                format!("there is no token: {error}"),
                format!(
                    "{}. In Azure, check AZURE_CLIENT_ID and that the identity is assigned to the app",
                    error.advice()
                ),
            );
            None
        }
        Ok(claims) => {
            let is_other =
                settings.identity.client_id.is_some_and(|own| claims.appid.is_some_and(|app| app != own));
            // Without any permission the token has no `roles`.
            let is_app = claims.roles.is_some()
                || claims.idtyp.as_deref() == Some("app")
                || settings.identity.client_id.is_some();
            let is_own = is_app && claims.scp.is_none() && !is_other;
            let ends = claims.exp.and_then(|at| DateTime::from_timestamp(at, 0));
            if is_own {
                let until = ends.map(|at| format!(", is used until {at:.0}")).unwrap_or_default();
                report.ok(Check::Token, format!("the token is the app's own{until}"));
            } else {
                report.not_asked(
                    Check::Token,
                    "the token of this process is not the app's own, so what it may not read says nothing about the app",
                );
            }
            Some(Token { claims, is_own })
        }
    }
}

/// Writes it in the place of the last one. One that another process has written meanwhile is as good.
async fn write(app: &App, examination: &Examination) -> Result<(), LedgerError> {
    let ledger = &app.services.ledger;
    let last = ledger.examination().await?.map(|(_, etag)| etag);
    match ledger.write_examination(examination, last.as_ref()).await {
        Ok(_) | Err(LedgerError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Examines, writes and logs what it finds.
///
/// # Errors
/// When the ledger is that of another tenant, or does not accept the document.
pub(crate) async fn run(app: &App) -> Result<(), LedgerError> {
    ledger_tenant::check(&app.services).await?;
    let examination = examine(app).await;
    let count = |level| examination.of(level).count();
    tracing::info!(
        event = "examination.done",
        ok = count(Level::Ok),
        warn = count(Level::Warn),
        fail = count(Level::Fail),
        not_asked = count(Level::NotAsked),
        "The app has examined itself; `firstpass doctor` shows what it found"
    );
    for Finding { check, what, to_do, user, .. } in examination.of(Level::Fail) {
        tracing::warn!(
            event = "examination.found",
            check,
            user,
            what,
            to_do,
            "The examination found something that stops passes"
        );
    }
    let written = write(app, &examination).await;
    if let Err(error) = &written {
        tracing::warn!(
            event = "examination.not_written",
            error = error as &dyn Error,
            "The ledger does not have what the examination found"
        );
    }
    written?;
    let Examination { at, settings, .. } = examination;
    examined::note(&app.services, Examined { at, settings, unknown: Map::new() }).await;
    Ok(())
}
