//! Subscriptions to change notifications.

use azure_core::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    client::{Graph, GraphRequest, segment},
    error::{GraphError, GraphErrorKind, if_exists},
    retry::Idempotency,
};
use crate::range;

const PATH: &str = "/subscriptions";

/// A subscription of this app to any resource, without its client state.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// The resource as requested: `groups/{id}`.
    pub resource: String,
    /// The change types as requested, separated by commas: `updated`.
    pub change_type: String,
    /// The destination; its letter case may differ from the request.
    #[serde(default)]
    pub notification_url: Option<String>,
    /// The time at which it ends.
    #[serde(deserialize_with = "range::graphs")]
    pub expiration_date_time: DateTime<Utc>,
}

impl Subscription {
    /// Whether it is for updates of `group`, which include changes of its members.
    pub(crate) fn is_to_updates_of(&self, group: Uuid) -> bool {
        let resource = self.resource.trim_start_matches('/').to_ascii_lowercase();
        resource == format!("groups/{group}") && self.change_type.trim().eq_ignore_ascii_case("updated")
    }
}

impl Graph {
    /// The app's own subscriptions.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, GraphError> {
        self.list("reading the subscriptions to notifications", PATH, false).await
    }

    /// Subscribes to updates of `group` until `ends`. No try starts after `deadline`.
    ///
    /// # Errors
    /// [`GraphErrorKind::Ambiguous`] when the subscription may have been made.
    pub async fn subscribe(
        &self,
        group: Uuid,
        notification_url: &str,
        ends: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<Subscription, GraphError> {
        let mut body = end(ends);
        body["changeType"] = "updated".into();
        body["notificationUrl"] = notification_url.into();
        body["resource"] = format!("groups/{group}").into();
        let call = GraphRequest::post("making the subscription to the on-demand group", PATH, body, deadline);
        let answer = self.send(call).await?;
        answer.json().map_err(|error| GraphError { kind: GraphErrorKind::Ambiguous, ..error })
    }

    /// Moves the end of a subscription. No try starts after `deadline`.
    pub(crate) async fn renew_subscription(
        &self,
        id: &str,
        ends: DateTime<Utc>,
        deadline: Instant,
    ) -> Result<Subscription, GraphError> {
        let call = GraphRequest::post(
            "renewing the subscription to the on-demand group",
            &path(id),
            end(ends),
            deadline,
        );
        self.send(GraphRequest { method: Method::Patch, idempotency: Idempotency::Idempotent, ..call })
            .await?
            .json()
    }

    /// Deletes a subscription. Succeeds if it does not exist.
    pub(crate) async fn unsubscribe(&self, id: &str) -> Result<(), GraphError> {
        let call = GraphRequest::get("ending a subscription to the on-demand group", &path(id));
        if_exists(self.send(GraphRequest { method: Method::Delete, ..call }).await).map(|_| ())
    }
}

fn path(id: &str) -> String {
    format!("{PATH}/{}", segment(id))
}

fn end(ends: DateTime<Utc>) -> Value {
    json!({ "expirationDateTime": ends.to_rfc3339_opts(SecondsFormat::Secs, true) })
}
