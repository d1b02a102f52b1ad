//! The settings, the ledger, the queue, the clock, and the last sweep.

use chrono::{DateTime, TimeDelta, Utc};

use super::findings::{Check, Report};
use crate::{
    app::App,
    graph::GraphError,
    ledger::{Conditions, LedgerError},
    mail::Mailer,
    pass::{clock_skew, ledger_tenant},
    queue::{PoisonMessages, QueueError},
    settings::{Mode, Settings},
};

/// A sweep a day, and an hour for what comes between.
const LATEST_SWEEP: TimeDelta = TimeDelta::hours(26);
/// A sweep renews the subscription daily; Graph's longest is 29 days.
const ENDS_SOON: TimeDelta = TimeDelta::days(7);

/// What was read.
pub(super) struct OperationRead {
    tenant: Result<(), LedgerError>,
    conditions: Result<Option<Conditions>, LedgerError>,
    poison: Option<Result<PoisonMessages, QueueError>>,
    /// When the subscription to the on-demand group ends; `None` if none is wanted.
    subscription: Option<Result<Option<DateTime<Utc>>, GraphError>>,
}

/// Reads it.
pub(super) async fn read(app: &App) -> OperationRead {
    let services = &app.services;
    let poison = async {
        match &app.queues {
            Some(queues) => Some(queues.poison_messages().await),
            None => None,
        }
    };
    let subscription = async {
        let group =
            services.settings.on_demand_group.filter(|_| services.settings.partner_topic.is_some())?;
        let found = services.graph.subscriptions().await;
        let ours = |subscriptions: Vec<crate::graph::subscriptions::Subscription>| {
            let own = subscriptions.into_iter().filter(|subscription| subscription.is_to_updates_of(group));
            own.map(|subscription| subscription.expiration_date_time).max()
        };
        Some(found.map(ours))
    };
    let (tenant, conditions, poison, subscription) =
        tokio::join!(ledger_tenant::look(services), services.ledger.conditions(), poison, subscription);
    let conditions = conditions.map(|read| read.map(|(conditions, _)| conditions));
    OperationRead { tenant, conditions, poison, subscription }
}

/// Whether every language that has templates is used.
fn templates(mailer: &Mailer, report: &mut Report) {
    let languages = mailer.languages().join(", ");
    match mailer.problems() {
        [] => report.ok(Check::Templates, format!("mails in {languages}")),
        problems => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            report.warn(
                Check::Templates,
                format!("{}. Mails are in {languages}", problems.join("; ")),
                "correct these templates and restart the app: until then their languages are replaced by English, or by the \
                 templates in the program",
            );
        }
    }
}

impl OperationRead {
    /// `has_token` says that the tenant of this process is known.
    pub(super) fn check(&self, app: &App, has_token: bool, report: &mut Report) {
        let (settings, now) = (&app.services.settings, app.services.clock.now());
        self.ledger(has_token, report);
        self.queue(report);
        self.notifications(settings, now, report);
        templates(&app.services.mailer, report);
        match clock_skew::compare(&app.services) {
            Ok(()) if app.services.graph.now().is_none() => {
                report.not_asked(Check::Clock, "Graph has not answered, so its clock is not known");
            }
            Ok(()) => report.ok(Check::Clock, "this machine's clock and Graph's agree"),
            Err(failure) => report.fail(Check::Clock, &failure, failure.advice()),
        }
        if let Ok(conditions) = &self.conditions {
            self.sweep(conditions.as_ref(), now, report);
        }
    }

    fn ledger(&self, has_token: bool, report: &mut Report) {
        match (&self.tenant, &self.conditions) {
            (Err(error @ LedgerError::OtherTenant(_)), _) => report.fail(
                Check::Ledger,
                error,
                "set LEDGER_URL to the container of this tenant's ledger, or to a new one",
            ),
            (Err(error), _) | (_, Err(error)) => {
                report.fail(Check::Ledger, error, "check LEDGER_URL and the role on its storage account");
            }
            (Ok(()), Ok(_)) if has_token => report.ok(Check::Ledger, "it can be read, and is this tenant's"),
            (Ok(()), Ok(_)) => {
                report.not_asked(Check::Ledger, "it can be read; whether it is this tenant's is not known")
            }
        }
    }

    fn queue(&self, report: &mut Report) {
        match &self.poison {
            None => report.not_asked(Check::Queue, "AzureWebJobsStorage does not say where the queue is"),
            Some(Err(error)) => report.warn(
                Check::Queue,
                error,
                "give the app's identity the role Storage Queue Data Contributor on the storage account",
            ),
            Some(Ok(PoisonMessages { total: 0, .. })) => {
                report.ok(Check::Queue, "no message failed for good")
            }
            Some(Ok(PoisonMessages { total, .. })) => report.warn(
                Check::Queue,
                format!("{total} messages failed for good"),
                "`firstpass jobs` lists, requeues and deletes them",
            ),
        }
    }

    fn notifications(&self, settings: &Settings, now: DateTime<Utc>, report: &mut Report) {
        const CHECK: Check = Check::Notifications;
        const TO_DO: &str = "run the sweep, and see its alerts; meanwhile each sweep finds new members";
        match &self.subscription {
            None if settings.on_demand_group.is_some() => {
                report.ok(
                    CHECK,
                    "there is no subscription: each sweep finds the new members of the on-demand group",
                );
            }
            None => report.ok(CHECK, "there is no on-demand group"),
            Some(Err(error)) => {
                report.not_asked(CHECK, format!("the subscription could not be read: {error}"))
            }
            Some(Ok(None)) => report.fail(CHECK, "Graph has no subscription to the on-demand group", TO_DO),
            Some(Ok(Some(ends))) if *ends - now < ENDS_SOON => {
                report.warn(
                    CHECK,
                    format!("the subscription to the on-demand group ends at {ends:.0}"),
                    TO_DO,
                );
            }
            Some(Ok(Some(ends))) => {
                report.ok(CHECK, format!("the subscription to the on-demand group ends at {ends:.0}"));
            }
        }
    }

    fn sweep(&self, conditions: Option<&Conditions>, now: DateTime<Utc>, report: &mut Report) {
        match conditions.and_then(|conditions| conditions.last_sweep.as_ref()).map(|last| last.at) {
            None => report.warn(
                Check::Sweep,
                "no sweep has ended well yet",
                "run SweepJoiners by hand, or wait for SWEEP_SCHEDULE; then see the log",
            ),
            Some(at) if now - at > LATEST_SWEEP => report.fail(
                Check::Sweep,
                format!("the last sweep that ended well was at {at:.0}"),
                "see the log of SweepJoiners: nobody is served before one ends well",
            ),
            Some(at) => report.ok(Check::Sweep, format!("the last one ended well at {at:.0}")),
        }
        match conditions.and_then(|conditions| conditions.mailbox.as_ref()) {
            Some(shut) => report.fail(
                Check::Sender,
                format!("Exchange refuses all mails since {:.0}: {}", shut.since, shut.refusal),
                "see the alert about the mailbox; `firstpass doctor --send-test-mail` tries again",
            ),
            None if report.is_well(Check::Sender) => report.ok(
                Check::Sender,
                "the account of MAIL_FROM exists; whether Exchange lets the app send shows the first mail, or --send-test-mail",
            ),
            None => {}
        }
    }
}

/// What the settings say by themselves.
pub(super) fn settings(settings: &Settings, report: &mut Report) {
    const CHECK: Check = Check::Settings;
    if !settings.ignored.is_empty() {
        report.warn(
            CHECK,
            format!(
                "{} has no effect: firstpass has no setting of that name, but a similar one",
                settings.ignored.join(", ")
            ),
            "correct the name, or remove it (docs/SETTINGS.md)",
        );
    }
    match settings.mode {
        Mode::Live => {}
        Mode::ReportOnly => report.warn(
            CHECK,
            "REPORT_ONLY=true: sweeps only say who would get a pass",
            "remove it, or set it to false, when what they say is right",
        ),
        Mode::Paused => report.warn(
            CHECK,
            "PAUSED=true: nothing is made, mailed or revoked",
            "remove it, or set it to false, when passes are to be made again",
        ),
    }
    if settings.mail.alert_to.is_empty() && settings.alert_webhook.is_none() {
        report.warn(
            CHECK,
            "ALERT_TO is not set: alerts are in the log only",
            "set it to a mailbox that somebody reads",
        );
    }
    if settings.create_tap.is_open_to_all() {
        report.warn(
            CHECK,
            "CREATE_TAP_OPEN=true: whoever has a function key may have a pass made for everybody whom no rule excludes",
            "set CREATE_TAP_ALLOWED_CALLERS or CREATE_TAP_ALLOWED_GROUP_ID instead",
        );
    }
    if report.is_well(CHECK) {
        report.ok(CHECK, "all are usable");
    }
}
