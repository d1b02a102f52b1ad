//! The subscription that has Graph tell of changes of the on-demand group: made when it is missing, and renewed by
//! the daily sweep. Without it nobody is forgotten: the sweep finds who was added, though no sooner.

mod keep;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, timeout};

use self::keep::{Keep, LONGEST, Wanted, keep};
use crate::{
    app::App,
    graph::{GraphError, GraphErrorKind, subscriptions::Subscription},
    pass::alert::Alert,
};

/// As long as this is left, what passes by itself can wait for the next sweep.
const CALM: TimeDelta = TimeDelta::days(14);
/// For all of it: the sweep has other things to do, and ten minutes altogether.
const TIME: Duration = Duration::from_secs(45);

/// What is known of the subscription that there is.
#[derive(Clone, Copy, Debug)]
enum Present {
    Unread,
    None,
    Ends(DateTime<Utc>),
}

/// Sees to it that Graph tells of the on-demand group, where that is wanted. Never fails: the sweep goes on.
pub(super) async fn keep_alive(app: &App) {
    let (Some(group), Some(topic)) =
        (app.services.settings.on_demand_group, &app.services.settings.partner_topic)
    else {
        return;
    };
    let wanted = Wanted { group, topic };
    let mut present = Present::Unread;
    let error = match timeout(TIME, see_to_it(app, wanted, &mut present)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => GraphError::timed_out("seeing to the subscription to the on-demand group"),
    };
    alert_failure(app, wanted, &error, present).await;
}

/// Looks twice if it must: when an answer was lost, the second look shows what became of the request.
async fn see_to_it(app: &App, wanted: Wanted<'_>, present: &mut Present) -> Result<(), GraphError> {
    let mut found = app.services.graph.subscriptions().await?;
    let first = keep(&found, wanted, app.services.clock.now());
    name_others(&found, first, app.services.clock.now());
    let is_making = matches!(first, Keep::Create | Keep::Replace(_));
    let (did, kept) = match attempt(app, wanted, first, present).await {
        Err(error) if matches!(error.kind, GraphErrorKind::Ambiguous | GraphErrorKind::NotFound) => {
            // Graph has been seen to list what it does not have any more.
            let gone = match first {
                Keep::Renew(own) => Some(own.id.clone()),
                _ => None,
            };
            found = app.services.graph.subscriptions().await?;
            found.retain(|subscription| Some(&subscription.id) != gone.as_ref());
            attempt(app, wanted, keep(&found, wanted, app.services.clock.now()), present).await?
        }
        result => result?,
    };
    if is_making || did == MADE {
        let (topic, resource_group) = (&wanted.topic.name, &wanted.topic.resource_group);
        tracing::info!(event = "subscription.made", topic, resource_group, to_do = ACTIVATE);
    }
    let Subscription { id, expiration_date_time: ends, .. } = kept;
    tracing::info!(event = "subscription.ends", %ends, did, id, group = %wanted.group);
    Ok(())
}

const MADE: &str = "made";
const ACTIVATE: &str =
    "activate the partner topic in the Azure portal, once and within days: no event flows before";

async fn attempt(
    app: &App,
    wanted: Wanted<'_>,
    decision: Keep<'_>,
    present: &mut Present,
) -> Result<(&'static str, Subscription), GraphError> {
    *present = Present::None;
    let deadline = Instant::now() + TIME;
    let furthest = app.services.clock.now() + LONGEST;
    match decision {
        Keep::Nothing(own) => return Ok(("kept", own.clone())),
        Keep::Renew(own) => {
            *present = Present::Ends(own.expiration_date_time);
            let renewed = app.services.graph.renew_subscription(&own.id, furthest, deadline).await?;
            return Ok(("renewed", renewed));
        }
        Keep::Replace(other) => app.services.graph.unsubscribe(&other.id).await?,
        Keep::Create => {}
    }
    let url = wanted.topic.to_string();
    let made = app.services.graph.subscribe(wanted.group, &url, furthest, deadline).await?;
    Ok((MADE, made))
}

/// Names what else the app is subscribed to. It may be another installation's, so it is left to end by itself.
fn name_others(found: &[Subscription], decision: Keep<'_>, now: DateTime<Utc>) {
    let ours = match decision {
        Keep::Nothing(ours) | Keep::Renew(ours) | Keep::Replace(ours) => Some(&ours.id),
        Keep::Create => None,
    };
    for other in found.iter().filter(|other| Some(&other.id) != ours && other.expiration_date_time > now) {
        let Subscription { id, resource, expiration_date_time: ends, .. } = other;
        tracing::info!(event = "subscription.other", id, resource, %ends, "left alone");
    }
}

/// Tells a person, unless it can wait.
async fn alert_failure(app: &App, wanted: Wanted<'_>, error: &GraphError, present: Present) {
    let now = app.services.clock.now();
    let present = match present {
        Present::Ends(ends) if error.is_transient() && ends > now + CALM => {
            tracing::warn!(event = "subscription.not_renewed", %ends, error = %error);
            return;
        }
        Present::Ends(ends) => format!("The present one ends at {ends:.0}"),
        Present::None => "There is none at present".to_owned(),
        Present::Unread => "When the present one ends could not be read".to_owned(),
    };
    app.services
        .alert(&Alert {
            headline: "The subscription to the on-demand group needs attention".into(),
            who: "whoever is added to the on-demand group".into(),
            what_happened: format!("{error}. {present}."),
            what_to_do: format!(
                "To do: {}. As long as Graph tells of nothing, the sweep finds who was added, once a day.",
                advice(error, &wanted.topic.name)
            ),
            reference: format!("sweep of {now:.0}"),
        })
        .await;
}

fn advice(error: &GraphError, topic: &str) -> String {
    match (error.kind, error.status) {
        (GraphErrorKind::Refused, Some(403)) => {
            "grant the app's identity Group.Read.All (docs/PERMISSIONS.md); if Graph speaks \
                                       of a maximum, delete subscriptions that nobody needs"
                .to_owned()
        }
        (GraphErrorKind::Refused, Some(409)) => {
            "delete the subscription that Graph names: it is the app's own, and leads elsewhere".to_owned()
        }
        (GraphErrorKind::Refused, _) => format!(
            "check EVENT_GRID_PARTNER_TOPIC, and in its resource group that Microsoft Graph is authorised as a partner \
             and that {topic} has not been without a subscription for a month (then delete it)"
        ),
        (GraphErrorKind::NotFound, _) => "check that ON_DEMAND_GROUP_ID names a group".to_owned(),
        _ => error.advice().to_owned(),
    }
}
