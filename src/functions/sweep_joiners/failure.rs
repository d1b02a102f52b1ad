//! When a person hears of a sweep that fails.

use std::error::Error;

use crate::{
    app::App,
    graph::GraphError,
    ledger::{ETag, FailedSweep, LedgerError, SweepStatus},
    pass::alert::Alert,
};

/// Sends the alert about a failed sweep, if one is due. Without the ledger nothing says how long sweeps have failed: then
/// the log has the alert, at most once a minute, and no mail is sent.
pub(super) async fn report(app: &App, error: &GraphError, retries_left: Option<u32>) {
    let now = app.services.clock.now();
    let failed = match retries_left {
        _ if !error.is_transient() => FailedSweep::Permanent,
        None | Some(0) => FailedSweep::NotRepeated,
        Some(_) => FailedSweep::Repeated,
    };
    let alert = Alert {
        headline: "The sweep could not read the tenant and found no joiners".into(),
        who: "all joiners of the next days".into(),
        what_happened: error.to_string(),
        what_to_do: format!("To do: {}. The next sweep serves everyone who was missed.", error.advice()),
        reference: format!("sweep of {now:.0}"),
    };
    match read(app).await {
        Ok((status, etag)) => {
            let (next, is_due) = status.after_failure(failed, now);
            if is_due {
                app.services.alert(&alert).await;
            }
            if next != status {
                write(app, &next, etag).await;
            }
        }
        Err(error) => {
            log_unreadable(&error);
            if app.alert_lines.is_due() {
                alert.log();
            }
        }
    }
}

/// Records that a sweep succeeded, if the one before failed.
pub(super) async fn clear(app: &App) {
    match read(app).await {
        Ok((status, etag)) => {
            if let Some(next) = status.after_success() {
                write(app, &next, etag).await;
            }
        }
        Err(error) => log_unreadable(&error),
    }
}

async fn read(app: &App) -> Result<(SweepStatus, Option<ETag>), LedgerError> {
    let (status, etag) = app.services.ledger.sweep_status().await?.unzip();
    Ok((status.unwrap_or_default(), etag))
}

async fn write(app: &App, status: &SweepStatus, etag: Option<ETag>) {
    if let Err(error) = app.services.ledger.write_sweep_status(status, etag.as_ref()).await {
        tracing::warn!(
            event = "sweep.status_not_written",
            error = &error as &dyn Error,
            "The ledger does not show whether sweeps fail; an alert about them may come twice, or later"
        );
    }
}

fn log_unreadable(error: &LedgerError) {
    tracing::warn!(
        event = "sweep.status_not_read",
        error = error as &dyn Error,
        "The ledger does not show whether sweeps have failed"
    );
}
