//! The subscription to Graph's change notifications about the on-demand group. The daily sweep creates it when it is
//! missing and renews it. Without it, the sweep still finds new members once a day.

mod plan;

use std::error::Error;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use self::plan::{Action, MAX_DURATION, Wanted, plan};
use crate::{
    app::App,
    budget,
    graph::{GRANTED_LATE, GraphError, GraphErrorKind, subscriptions::Subscription, within},
    pass::alert::Alert,
};

/// With at least this much time left, a transient error can wait for the next sweep.
const NO_HURRY: TimeDelta = TimeDelta::days(14);

/// What is known about the subscription that exists.
#[derive(Clone, Copy, Debug)]
enum Present {
    Unread,
    None,
    Ends(DateTime<Utc>),
}

/// Creates or renews the subscription where the settings ask for one. Never fails: the sweep goes on.
pub(super) async fn keep_alive(app: &App) {
    let (Some(group), Some(topic)) =
        (app.services.settings.on_demand_group, &app.services.settings.partner_topic)
    else {
        return;
    };
    let wanted = Wanted { group, topic };
    let mut present = Present::Unread;
    let deadline = Instant::now() + budget::SWEEP_SUBSCRIPTION;
    let work = ensure(app, wanted, &mut present, deadline);
    let operation = "renewing the subscription to the on-demand group";
    if let Err(error) = within(budget::SWEEP_SUBSCRIPTION, operation, work).await {
        alert_failure(app, wanted, &error, present).await;
    }
}

/// Lists the subscriptions again when an answer was lost: the second list shows whether the request arrived.
async fn ensure(
    app: &App,
    wanted: Wanted<'_>,
    present: &mut Present,
    deadline: Instant,
) -> Result<(), GraphError> {
    let mut found = app.services.graph.subscriptions().await?;
    let first = plan(&found, wanted, app.services.clock.now());
    log_others(&found, first, app.services.clock.now());
    let is_making = matches!(first, Action::Create | Action::Replace(_));
    let (did, kept) = match attempt(app, wanted, first, present, deadline).await {
        Err(error) if matches!(error.kind, GraphErrorKind::Ambiguous | GraphErrorKind::NotFound) => {
            // Graph was seen to list subscriptions that do not exist any more.
            let gone = match first {
                Action::Renew(own) => Some(own.id.clone()),
                _ => None,
            };
            found = app.services.graph.subscriptions().await?;
            found.retain(|subscription| Some(&subscription.id) != gone.as_ref());
            attempt(app, wanted, plan(&found, wanted, app.services.clock.now()), present, deadline).await?
        }
        result => result?,
    };
    if is_making || did == MADE {
        let (topic, resource_group) = (&wanted.topic.name, &wanted.topic.resource_group);
        tracing::info!(
            event = "subscription.created",
            topic,
            resource_group,
            to_do = ACTIVATE,
            "Graph has a new subscription to the on-demand group, and its partner topic must be activated once"
        );
    }
    let Subscription { id, expiration_date_time: ends, .. } = kept;
    tracing::info!(
        event = "subscription.checked",
        %ends,
        did,
        id,
        group = %wanted.group,
        "The subscription to the on-demand group is valid"
    );
    Ok(())
}

const MADE: &str = "made";
const ACTIVATE: &str =
    "activate the partner topic in the Azure portal, once and within days: no event flows before";

async fn attempt(
    app: &App,
    wanted: Wanted<'_>,
    decision: Action<'_>,
    present: &mut Present,
    deadline: Instant,
) -> Result<(&'static str, Subscription), GraphError> {
    *present = Present::None;
    let furthest = app.services.clock.now() + MAX_DURATION;
    match decision {
        Action::Nothing(own) => return Ok(("kept", own.clone())),
        Action::Renew(own) => {
            *present = Present::Ends(own.expiration_date_time);
            let renewed = app.services.graph.renew_subscription(&own.id, furthest, deadline).await?;
            return Ok(("renewed", renewed));
        }
        Action::Replace(other) => app.services.graph.unsubscribe(&other.id).await?,
        Action::Create => {}
    }
    let url = wanted.topic.to_string();
    let made = app.services.graph.subscribe(wanted.group, &url, furthest, deadline).await?;
    Ok((MADE, made))
}

/// Logs the other subscriptions of the app. They may belong to another installation, so they are not deleted.
fn log_others(found: &[Subscription], decision: Action<'_>, now: DateTime<Utc>) {
    let ours = match decision {
        Action::Nothing(ours) | Action::Renew(ours) | Action::Replace(ours) => Some(&ours.id),
        Action::Create => None,
    };
    for other in found.iter().filter(|other| Some(&other.id) != ours && other.expiration_date_time > now) {
        let Subscription { id, resource, expiration_date_time: ends, .. } = other;
        tracing::info!(
            event = "subscription.other_found",
            id,
            resource,
            %ends,
            "The app has another subscription; it is not changed and ends by itself"
        );
    }
}

/// Sends an alert, unless the error can wait for the next sweep.
async fn alert_failure(app: &App, wanted: Wanted<'_>, error: &GraphError, present: Present) {
    let now = app.services.clock.now();
    let present = match present {
        Present::Ends(ends) if error.is_transient() && ends > now + NO_HURRY => {
            tracing::warn!(
                event = "subscription.not_renewed",
                %ends,
                error = error as &dyn Error,
                "The subscription to the on-demand group could not be renewed; the next sweep tries again"
            );
            return;
        }
        Present::Ends(ends) => format!("The present one ends at {ends:.0}"),
        Present::None => "There is none at present".to_owned(),
        Present::Unread => "The end of the present one could not be read".to_owned(),
    };
    app.services
        .alert(&Alert {
            kind: "subscription",
            headline: "The subscription to the on-demand group needs attention".into(),
            who: "users who are added to the on-demand group".into(),
            what_happened: format!("{error}. {present}."),
            what_to_do: format!(
                "To do: {}. Without notifications, each sweep finds the new members.",
                advice(error, &wanted.topic.name)
            ),
            reference: format!("sweep of {now:.0}"),
        })
        .await;
}

fn advice(error: &GraphError, topic: &str) -> String {
    match (error.kind, error.status) {
        (GraphErrorKind::Refused, Some(403)) => {
            format!(
                "grant the app's identity Group.Read.All (docs/PERMISSIONS.md); if it has it already, wait: {GRANTED_LATE}; if \
                 Graph speaks of a maximum, delete unused subscriptions"
            )
        }
        (GraphErrorKind::Refused, Some(409)) => {
            "delete the subscription that Graph names: it is the app's own, and leads elsewhere".to_owned()
        }
        (GraphErrorKind::Refused, _) => format!(
            "check EVENT_GRID_PARTNER_TOPIC, and in its resource group that Microsoft Graph is authorised as a partner \
             and that {topic} has not been without a subscription for a month (then delete it)"
        ),
        (GraphErrorKind::NotFound, _) => "check that ON_DEMAND_GROUP_ID names a group".to_owned(),
        _ => error.advice(),
    }
}
